//! The accept loop: our own, for the bound on connections, bounded buffers, a bound on slow requests that costs
//! nothing, and a stop that waits for requests.

mod grpc;
mod head;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) use grpc::serve_grpc;
use head::{Noted, Progress};

/// How much of a response may wait in memory for a peer that does not read. Besides, the kernel has its own buffer.
const BUFFER_MAX: usize = 64 * 1024;
/// HTTP/2 only: how often a silent peer is asked whether it lives, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// After a failure to accept (no file descriptors, say), rather than spinning.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`, then lets connections finish for at most `grace`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    stop: CancellationToken,
    grace: Duration,
) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .max_buf_size(BUFFER_MAX)
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_send_buf_size(BUFFER_MAX);
    let connections = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    loop {
        let (stream, peer, permit) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let progress = Progress::new();
        let service = TowerToHyperService::new(router.clone());
        let noted = progress.clone();
        // The doors learn who asks from here alone.
        let peer = ConnectInfo(peer);
        let service = service_fn(move |mut request| {
            request.extensions_mut().insert(peer);
            head::call(service.clone(), noted.clone(), request)
        });
        let stream = TokioIo::new(Noted {
            stream,
            progress: progress.clone(),
        });
        let connection = graceful.watch(builder.serve_connection(stream, service).into_owned());
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "connection ended");
                    }
                }
                () = slow_request(progress) => tracing::debug!("connection cut: a request took too long to be received"),
            }
            drop(permit);
        });
    }
    drop(listener);
    let open = graceful.count();
    tokio::select! {
        () = graceful.shutdown() => tracing::info!(connections = open, "all connections have ended"),
        () = tokio::time::sleep(grace) => tracing::warn!("connections were cut at the end of the grace period"),
    }
}

/// Resolves when a request has taken too long to be received.
async fn slow_request(progress: Progress) {
    loop {
        tokio::time::sleep(head::TICK).await;
        if progress.tick() {
            return;
        }
    }
}

/// The next connection, once there may be one more.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = Arc::clone(connections).acquire_owned().await else {
            // Never closed; but to wait is right if it were.
            std::future::pending::<()>().await;
            continue;
        };
        let (stream, peer) = accept_one(listener).await;
        return (stream, peer, permit);
    }
}

/// The next connection. The address is the one that doors are told.
async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // What is pushed is small and must not wait for more.
                let _slower_if_refused = stream.set_nodelay(true);
                return (stream, SocketAddr::new(peer.ip().to_canonical(), peer.port()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
