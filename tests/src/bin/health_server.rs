//! A gRPC server that has the health service and nothing else: something real for probes to ask.
//!
//! It prints the address that it listens on, and runs until it is ended. The server as a whole and the service `up` are
//! serving, `down` is not.

use std::io::Write;
use std::time::Duration;

use clap::Parser;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tower::ServiceBuilder;

#[derive(Debug, Parser)]
struct Args {
    /// How long it takes over every answer.
    #[arg(long, default_value_t = 0)]
    answer_after_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let pause = Duration::from_millis(Args::parse().answer_after_ms);
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("up", ServingStatus::Serving).await;
    reporter
        .set_service_status("down", ServingStatus::NotServing)
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let late = ServiceBuilder::new().map_future(move |answer| async move {
        tokio::time::sleep(pause).await;
        answer.await
    });
    Server::builder()
        .layer(late)
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener))
        .await?;
    Ok(())
}
