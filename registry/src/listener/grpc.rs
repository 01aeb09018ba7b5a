//! The accept loop of Nacos over gRPC. A connection that is one too many is closed at once, as in Nacos: its client goes
//! on to the next server, where one that is kept waiting would wait for its time-out.

use std::sync::Arc;
use std::time::Duration;

use beatrix_nacos::grpc::Grpc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept_one;

/// Serves `door` until `stop`, then waits for connections to end, for at most `grace`. The door ends them once the
/// registry has stopped.
pub(crate) async fn serve_grpc(
    listener: TcpListener,
    door: Grpc,
    connections_max: usize,
    stop: CancellationToken,
    grace: Duration,
) {
    let places = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept_one(&listener) => accepted,
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            door.refuse();
            continue;
        };
        let door = door.clone();
        connections.spawn(async move {
            door.serve_holding(stream, peer, place).await;
        });
    }
    drop(listener);
    connections.close();
    let open = connections.len();
    tokio::select! {
        () = connections.wait() => tracing::info!(connections = open, "all connections over gRPC have ended"),
        () = tokio::time::sleep(grace) => tracing::warn!("connections over gRPC were cut at the end of the grace period"),
    }
}
