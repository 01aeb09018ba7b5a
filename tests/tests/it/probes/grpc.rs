//! gRPC, against the health server of tonic.

use std::time::Duration;

use beatrix_core::model::{GrpcProbe, ProbeKind, Tls};
use beatrix_probes::ProbeOutcome;
use beatrix_tests::probed::health_server;

use super::{TIMEOUT, from_good_to_garbage, outcome, probe};

fn grpc(service: &str) -> ProbeKind {
    ProbeKind::Grpc(GrpcProbe::new(service, Tls::None).expect("what the tests ask is valid"))
}

/// Every probe kind against a real server: gRPC and a tonic health server.
#[tokio::test]
async fn grpc_probes_tell_how_a_tonic_health_server_is() -> anyhow::Result<()> {
    let server = health_server(Duration::ZERO).await?;
    let address = server.address();
    for (service, what) in [
        ("", ProbeOutcome::Passed),
        ("up", ProbeOutcome::Passed),
        ("down", ProbeOutcome::NotServing),
        ("nowhere", ProbeOutcome::UnknownService),
    ] {
        assert_eq!(outcome(address, &grpc(service)).await, what, "{service}");
    }
    from_good_to_garbage(server, &grpc("up")).await
}

/// Every probe kind against a real server: gRPC and a server that answers slowly, in time and too late.
#[tokio::test]
async fn grpc_probes_wait_for_a_slow_health_server_until_their_timeout() -> anyhow::Result<()> {
    let pause = Duration::from_millis(300);
    let slow = health_server(pause).await?;
    let verdict = probe(slow.address(), &grpc("")).await;
    assert!(verdict.good && verdict.took >= pause, "{verdict:?}");
    let too_slow = health_server(TIMEOUT * 2).await?;
    let verdict = probe(too_slow.address(), &grpc("")).await;
    assert_eq!(verdict.what, ProbeOutcome::TimedOut);
    Ok(())
}
