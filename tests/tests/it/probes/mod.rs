//! Every kind of probe against a real server of its kind: healthy, hanging, answering slowly, refusing, and with somebody
//! else at its port. They ask by way of the package that asks, not of a registry.

mod grpc;
mod http;
mod mysql;
mod redis;
mod sockets;

use std::net::SocketAddr;
use std::time::Duration;

use beatrix_core::model::{Endpoint, ProbeKind, ProbePlan, ProbeSpec};
use beatrix_probes::{ProbeOutcome, Prober, ProberConfig, Verdict};
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::probed::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// How long a probe waits, unless a test wants it otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

fn spec(kind: ProbeKind, timeout: Duration) -> ProbeSpec {
    let plan = ProbePlan {
        interval: Some(Duration::from_secs(5)),
        timeout: Some(timeout),
        ..ProbePlan::default()
    };
    ProbeSpec::new(kind, plan).expect("what the tests ask is valid")
}

fn endpoint(address: SocketAddr) -> Endpoint {
    address.to_string().parse().expect("what the tests ask is valid")
}

async fn probe(address: SocketAddr, kind: &ProbeKind) -> Verdict {
    let prober = Prober::new(ProberConfig::default());
    prober
        .probe(&endpoint(address), &spec(kind.clone(), TIMEOUT))
        .await
}

async fn outcome(address: SocketAddr, kind: &ProbeKind) -> ProbeOutcome {
    probe(address, kind).await.what
}

/// Waits until a probe passes. A server that has just begun or been woken may need more than one.
async fn passes(address: SocketAddr, kind: &ProbeKind) {
    eventually("a probe passes", SOON, || async {
        (outcome(address, kind).await == ProbeOutcome::Passed).then_some(())
    })
    .await;
}

/// What every kind says of a server that is well, hangs, goes on, ends, and is followed by another at its port.
async fn from_good_to_garbage(server: Server, kind: &ProbeKind) -> anyhow::Result<()> {
    let address = server.address();
    passes(address, kind).await;

    server.hang()?;
    let verdict = probe(address, kind).await;
    assert_eq!(verdict.what, ProbeOutcome::TimedOut);
    assert!(!verdict.good && verdict.took >= TIMEOUT, "{verdict:?}");
    // The kernel takes connections for a process that hangs: TCP alone does not find out.
    assert_eq!(outcome(address, &ProbeKind::Tcp).await, ProbeOutcome::Passed);
    server.go_on()?;
    passes(address, kind).await;

    let address = server.end().await?;
    assert_eq!(outcome(address, kind).await, ProbeOutcome::Refused);
    assert_eq!(outcome(address, &ProbeKind::Tcp).await, ProbeOutcome::Refused);

    let garbage = talking_nonsense(address).await?;
    let what = outcome(address, kind).await;
    assert!(matches!(what, ProbeOutcome::BadAnswer(_)), "{what:?}");
    garbage.abort();
    Ok(())
}

/// Somebody else at the port, who answers what no protocol has.
async fn talking_nonsense(address: SocketAddr) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    Ok(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // What the prober does with it is what the test looks at.
                let _ = stream.write_all(&[0x13; 400]).await;
                let _ = stream.shutdown().await;
                while matches!(stream.read(&mut [0; 400]).await, Ok(1..)) {}
            });
        }
    }))
}
