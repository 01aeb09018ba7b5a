//! HTTP, against nginx.

use std::net::SocketAddr;

use beatrix_core::model::{ExpectedStatus, HttpMethod, HttpProbe, ProbeKind, Tls};
use beatrix_probes::{ProbeOutcome, Prober, ProberConfig};
use beatrix_tests::probed::nginx;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::TcpListener;

use super::{TIMEOUT, endpoint, from_good_to_garbage, outcome, probe, spec};

fn http(method: HttpMethod, path: &str, expected: &str, tls: Tls) -> ProbeKind {
    let expected: ExpectedStatus = expected.parse().expect("what the tests ask is valid");
    ProbeKind::Http(HttpProbe::new(method, path, [], expected, tls).expect("what the tests ask is valid"))
}

fn get(path: &str, expected: &str) -> ProbeKind {
    http(HttpMethod::Get, path, expected, Tls::None)
}

/// Where no server is asked.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

/// Every probe kind against a real server: HTTP and nginx.
#[tokio::test]
async fn http_probes_tell_how_nginx_is() -> anyhow::Result<()> {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await?;
    let Some(server) = nginx(elsewhere.local_addr()?, None).await? else {
        return Ok(());
    };
    let address = server.address();
    for (path, expected, what) in [
        ("/good", "200", ProbeOutcome::Passed),
        ("/sick", "200-399", ProbeOutcome::BadStatus(503)),
        ("/sick", "503", ProbeOutcome::Passed),
        ("/nowhere", "200-399", ProbeOutcome::BadStatus(404)),
        ("/moved", "200-399", ProbeOutcome::Passed),
        ("/moved", "200", ProbeOutcome::BadStatus(302)),
        // The status is good and comes at once; the end of the body comes seconds later.
        ("/slow", "200", ProbeOutcome::TimedOut),
    ] {
        assert_eq!(outcome(address, &get(path, expected)).await, what, "{path}");
    }
    // Without a body there is nothing slow about it.
    let head = http(HttpMethod::Head, "/slow", "200", Tls::None);
    assert_eq!(outcome(address, &head).await, ProbeOutcome::Passed);
    from_good_to_garbage(server, &get("/good", "200")).await?;
    // Nobody came where the redirect led.
    let followed = tokio::time::timeout(std::time::Duration::ZERO, elsewhere.accept()).await;
    assert!(followed.is_err(), "a redirect was followed");
    Ok(())
}

/// Every probe kind against a real server: HTTP with TLS and nginx.
#[tokio::test]
async fn https_probes_trust_nginx_as_they_were_told() -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(["orders.example".to_owned()])?.self_signed(&key)?;
    let pem = (certificate.pem(), key.serialize_pem());
    let Some(server) = nginx(NOWHERE, Some((&pem.0, &pem.1))).await? else {
        return Ok(());
    };
    let address = server.address();
    let good = |tls| http(HttpMethod::Get, "/good", "200", tls);
    assert_eq!(
        outcome(address, &good(Tls::Unverified)).await,
        ProbeOutcome::Passed
    );
    // Plain HTTP to a port with TLS: nginx says so by 400.
    assert_eq!(
        outcome(address, &get("/good", "200")).await,
        ProbeOutcome::BadStatus(400)
    );

    let prober = Prober::new(ProberConfig {
        extra_roots: vec![certificate.der().clone()],
        ..ProberConfig::default()
    });
    for (name, passes) in [("orders.example", true), ("other.example", false)] {
        let spec = spec(good(Tls::verified(name)?), TIMEOUT);
        let verdict = prober.probe(&endpoint(address), &spec).await;
        assert_eq!(verdict.good, passes, "{name}: {verdict:?}");
        let failed = matches!(verdict.what, ProbeOutcome::TlsFailed(_));
        assert_eq!(failed, !passes, "{name}: {verdict:?}");
    }
    let unknown = probe(address, &good(Tls::verified("orders.example")?)).await;
    assert!(!unknown.good, "{unknown:?}");
    from_good_to_garbage_with_tls(server, &good(Tls::Unverified)).await
}

/// Garbage at the port is no handshake.
async fn from_good_to_garbage_with_tls(
    server: beatrix_tests::probed::Server,
    kind: &ProbeKind,
) -> anyhow::Result<()> {
    let address = server.end().await?;
    assert_eq!(outcome(address, kind).await, ProbeOutcome::Refused);
    let garbage = super::talking_nonsense(address).await?;
    let what = outcome(address, kind).await;
    assert!(matches!(what, ProbeOutcome::TlsFailed(_)), "{what:?}");
    garbage.abort();
    Ok(())
}
