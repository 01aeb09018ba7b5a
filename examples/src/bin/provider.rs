//! Prints where it listens and under which lease it is registered, then each request that it answers, and on
//! Ctrl-C or SIGTERM that it is drained and deregistered:
//!
//! ```text
//! listening on 127.0.0.1:41873
//! registered public/DEFAULT_GROUP/demo at 127.0.0.1:41873, lease 5f0c2e9a71d3b846
//! answered demo@127.0.0.1:41873
//! deregistered
//! ```
//!
//! Try it: `cargo run -p beatrix-examples --bin provider -- --service demo`
#![expect(
    clippy::print_stdout,
    reason = "an example shows on the terminal what it does"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::{Router, routing::get};
use beatrix_sdk::{Client, ServiceInstance};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serves HTTP and registers as an instance of a service.
#[derive(Parser)]
struct Flags {
    /// Address of the registry; may be given more than once.
    #[arg(long, default_value = "http://127.0.0.1:8848")]
    registry: Vec<String>,
    #[arg(long, default_value = "public")]
    namespace: String,
    #[arg(long, default_value = "demo")]
    service: String,
    /// Where to listen, which is also what callers are told; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    #[arg(long)]
    beat_interval_ms: Option<u64>,
    #[arg(long)]
    unhealthy_after_ms: Option<u64>,
    #[arg(long)]
    remove_after_ms: Option<u64>,
    /// How long to wait, at the end, for callers to take note; 0 does not wait.
    #[arg(long, default_value_t = 0)]
    drain_ms: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let flags = Flags::parse();
    let stop = stop()?;

    // Listen first: what is registered must answer.
    let listener = TcpListener::bind(flags.listen)
        .await
        .with_context(|| format!("listen on {}", flags.listen))?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let name = format!("{}@{address}", flags.service);
    let in_flight = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&in_flight);
    let answer = move || async move {
        counted.fetch_add(1, Ordering::Relaxed);
        println!("answered {name}");
        counted.fetch_sub(1, Ordering::Relaxed);
        name
    };
    let server = axum::serve(listener, Router::new().route("/", get(answer)));
    let serving = tokio::spawn(server.into_future());

    let registration = client(&flags)?
        .register(instance(&flags, address))
        .await
        .context("register")?;
    println!(
        "registered {} at {}, lease {}",
        registration.service(),
        registration.authority(),
        registration.lease().unwrap_or_default()
    );

    stop.await;
    if flags.drain_ms > 0 {
        let deadline = Duration::from_millis(flags.drain_ms);
        let count = || in_flight.load(Ordering::Relaxed);
        let drained = registration
            .shut_down(deadline, count)
            .await
            .context("shut down")?;
        println!(
            "drained; took note: {:?}, did not: {:?}",
            drained.acknowledged, drained.waiting
        );
    } else {
        registration.deregister().await.context("deregister")?;
    }
    println!("deregistered");
    serving.abort();
    Ok(())
}

fn client(flags: &Flags) -> anyhow::Result<Client> {
    let (first, others) = flags.registry.split_first().context("no registry")?;
    let mut builder = Client::builder(first).with_namespace(&flags.namespace);
    for other in others {
        builder = builder.with_address(other);
    }
    Ok(builder.build()?)
}

fn instance(flags: &Flags, address: SocketAddr) -> ServiceInstance {
    let mut instance = ServiceInstance::at(&*flags.service, address);
    if let Some(ms) = flags.beat_interval_ms {
        instance = instance.with_beat_interval(Duration::from_millis(ms));
    }
    if let Some(ms) = flags.unhealthy_after_ms {
        instance = instance.with_unhealthy_after(Duration::from_millis(ms));
    }
    if let Some(ms) = flags.remove_after_ms {
        instance = instance.with_remove_after(Duration::from_millis(ms));
    }
    instance
}

/// Ends on Ctrl-C or SIGTERM, from the moment of this call on.
fn stop() -> std::io::Result<impl Future<Output = ()>> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
