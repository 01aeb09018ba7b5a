//! What probes leave behind in the kernel.

use std::fs;

use beatrix_core::model::{ExpectedStatus, HttpMethod, HttpProbe, ProbeKind, Tls};
use beatrix_probes::{ProbeOutcome, Prober, ProberConfig};
use beatrix_tests::probed::nginx;

use super::{TIMEOUT, endpoint, spec};

const PROBES: usize = 300;

/// How many connections wait out their minute, on the server's side and on the client's.
fn waiting(port: u16) -> anyhow::Result<(usize, usize)> {
    const TIME_WAIT: &str = "06";
    let port = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp")?;
    let rows = table.lines().filter_map(|row| {
        let fields: Vec<_> = row.split_whitespace().take(4).collect();
        (fields.get(3) == Some(&TIME_WAIT)).then(|| (fields[1].ends_with(&port), fields[2].ends_with(&port)))
    });
    Ok(rows.fold((0, 0), |(server, client), (local, remote)| {
        (server + usize::from(local), client + usize::from(remote))
    }))
}

/// Probes against 20,000 targets must not use up ports: nothing of a TCP probe stays in the kernel, and of HTTP probes most
/// wait with the server.
#[tokio::test]
async fn tcp_probes_leave_no_connection_waiting_and_http_probes_few_on_this_side() -> anyhow::Result<()> {
    let Some(server) = nginx("127.0.0.1:1".parse()?, None).await? else {
        return Ok(());
    };
    let address = server.address();
    let prober = Prober::new(ProberConfig::default());
    let expected = ExpectedStatus::default();
    let http = HttpProbe::new(HttpMethod::Get, "/good", [], expected, Tls::None)?;
    for _ in 0..PROBES {
        let verdict = prober
            .probe(&endpoint(address), &spec(ProbeKind::Tcp, TIMEOUT))
            .await;
        assert_eq!(verdict.what, ProbeOutcome::Passed);
    }
    let (server, client) = waiting(address.port())?;
    // The one by which the test saw that the server had started.
    assert!(
        server + client <= 1,
        "{server} wait on the server's side, {client} on the prober's"
    );
    for _ in 0..PROBES {
        let kind = ProbeKind::Http(http.clone());
        let verdict = prober.probe(&endpoint(address), &spec(kind, TIMEOUT)).await;
        assert_eq!(verdict.what, ProbeOutcome::Passed);
    }
    let (server, client) = waiting(address.port())?;
    println!("{PROBES} HTTP probes: {server} wait on the server's side, {client} on the prober's");
    // It is a race, which a server that does as it is told wins.
    assert!(client < PROBES / 2, "{client} wait on the prober's side");
    Ok(())
}
