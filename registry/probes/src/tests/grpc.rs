//! The gRPC health protocol, against the server of the library that most Rust services use.

use beatrix_core::model::Tls;
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;

use super::{grpc, outcome};
use crate::ProbeOutcome;

async fn serve(routes: Routes) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = Server::builder()
        .add_routes(routes)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    address
}

#[tokio::test]
async fn what_the_service_says_of_itself_decides() {
    let (reporter, service) = tonic_health::server::health_reporter();
    let set = async |name: &str, status| reporter.set_service_status(name, status).await;
    set("up", ServingStatus::Serving).await;
    set("down", ServingStatus::NotServing).await;
    set("unknown", ServingStatus::Unknown).await;
    let address = serve(Routes::new(service)).await;
    let unknown = "the service does not know its own health";
    for (name, what) in [
        ("", ProbeOutcome::Passed),
        ("up", ProbeOutcome::Passed),
        ("down", ProbeOutcome::NotServing),
        ("unknown", ProbeOutcome::BadAnswer(unknown)),
        ("nowhere", ProbeOutcome::UnknownService),
    ] {
        assert_eq!(outcome(address, grpc(name, Tls::None)).await, what, "{name}");
    }
    set("", ServingStatus::NotServing).await;
    assert_eq!(
        outcome(address, grpc("", Tls::None)).await,
        ProbeOutcome::NotServing
    );
}

#[tokio::test]
async fn a_server_without_a_health_service_is_told_apart() {
    let address = serve(Routes::default()).await;
    assert_eq!(
        outcome(address, grpc("", Tls::None)).await,
        ProbeOutcome::Unimplemented
    );
}
