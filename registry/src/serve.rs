//! Starts everything, and stops it in order: not ready, no new connections, streams end, writes finish, exit.

use anyhow::Context;
use axum::Router;
use beatrix_engine::Registry;
use beatrix_nacos::grpc::Grpc;
use beatrix_nacos::udp::{Pusher, Sockets};
use beatrix_probes::OwnAddresses;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::{listener, metrics, probes, report, start};

/// Resolves on SIGTERM or SIGINT. They are heard from the call on, not from the first poll: a process that is asked to
/// stop while it starts must stop in order, too.
///
/// # Errors
/// If signals cannot be heard.
pub fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("asked to stop by SIGTERM"),
            _ = interrupt.recv() => tracing::info!("asked to stop by SIGINT"),
        }
    })
}

/// Everything that is served over HTTP.
pub fn router(registry: &Registry, pusher: Pusher, grpc: Option<Grpc>) -> Router {
    Router::new()
        .merge(beatrix_native::router(registry.clone()))
        .merge(beatrix_nacos::router_beside(
            registry.clone(),
            Some(pusher),
            grpc.clone(),
        ))
        .merge(probes::router(registry.clone()))
        .merge(metrics::router(registry.clone(), grpc))
}

/// Runs the registry until `stop`.
///
/// # Errors
/// If the journal cannot be read, an address cannot be bound, or the system has no randomness.
pub async fn run(config: Box<Config>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let own = OwnAddresses::default();
    let registry = start::registry(&config, own.clone()).await?;
    let http = TcpListener::bind(config.http_addr)
        .await
        .with_context(|| format!("cannot listen on http_addr {}", config.http_addr))?;
    let http_addr = http.local_addr()?;
    let grpc = match config.nacos_grpc_addr(http_addr) {
        Some(addr) => Some(
            TcpListener::bind(addr)
                .await
                .with_context(|| format!("cannot listen on nacos_grpc_addr {addr}"))?,
        ),
        None => None,
    };
    let nacos_grpc_addr = grpc.as_ref().map(TcpListener::local_addr).transpose()?;
    own.tell(std::iter::once(http_addr).chain(nacos_grpc_addr).collect());
    tracing::info!(
        %http_addr,
        nacos_grpc_addr = nacos_grpc_addr.map(tracing::field::display),
        version = env!("CARGO_PKG_VERSION"),
        cluster_id = config.engine.cluster_id,
        epoch = %registry.epoch(),
        "listening"
    );
    tracing::debug!(?config, "configuration");
    tokio::spawn(report::run(registry.clone()));

    let sockets = Sockets::bind(http_addr.ip())
        .await
        .with_context(|| format!("no socket for UDP push at {}", http_addr.ip()))?;
    let (pusher, pushing) = Pusher::new(registry.clone(), sockets);
    let pushing = tokio::spawn(pushing);

    let closing = CancellationToken::new();
    let door = grpc
        .is_some()
        .then(|| Grpc::new(registry.clone(), config.nacos_grpc.clone()));
    let grpc_served = grpc.zip(door.clone()).map(|(listener, door)| {
        tokio::spawn(listener::serve_grpc(
            listener,
            door,
            config.nacos_grpc_connections_max,
            closing.clone(),
            config.shutdown_grace,
        ))
    });
    let served = tokio::spawn(listener::serve(
        http,
        router(&registry, pusher, door),
        config.connections_max,
        closing.clone(),
        config.shutdown_grace,
    ));
    let by_itself = tokio::select! {
        () = stop => false,
        // Without its owner it would go on answering, and know less and less: better that it is restarted.
        () = registry.stopped() => true,
    };
    // No new connections from here on; streams end when the registry has pushed the last changes, and then the
    // connections that are open can.
    closing.cancel();
    registry.stop().await;
    served.await.context("the listener failed")?;
    if let Some(served) = grpc_served {
        served.await.context("the listener of gRPC failed")?;
    }
    pushing.await.context("UDP push failed")?;
    anyhow::ensure!(!by_itself, "the registry ended by a defect");
    tracing::info!("stopped");
    Ok(())
}
