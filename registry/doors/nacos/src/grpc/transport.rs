//! The transport of a connection: HTTP/2, and the two methods on it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use beatrix_nacos_wire::{Payload, REQUEST, STREAM};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::body::Body;
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::{Status, Streaming};

use super::calls;
use super::codec::Messages;
use super::connection::Connection;
use super::hearing::hear;
use super::message::Outgoing;
use super::pulse::ASKED_AFTER;
use super::pushes::Pushes;
use super::receiving::Bounded;
use super::shared::Shared;
use crate::limits::GRPC_CALL_SECONDS_MAX;

/// How much may wait in memory for a peer that does not read.
const SEND_BUFFER_MAX: usize = 64 * 1024;
/// How much a peer may send before it is read, on one stream and on all.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Headers are a path and a few names.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;
/// How long a message may be on a connection that is not set up. Those that come then ask whether this is a server.
const STRANGERS_MESSAGE_MAX: usize = 1024 * 1024;
const CALL_MAX: Duration = Duration::from_secs(GRPC_CALL_SECONDS_MAX);
/// How long a transport may take to end in order.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

/// Serves one connection until it has ended, and has left nothing behind. As soon as its transport has ended `held` is let
/// go: a client that comes back needs the place while the instances of its former connection wait for it.
pub(super) async fn serve<I, H>(shared: &Arc<Shared>, io: I, peer: SocketAddr, held: H)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Send,
{
    let connection = Arc::new(Connection::new(shared, peer));
    let place = shared.enter(&connection);
    run(&connection, io).await;
    drop((place, held));
    connection.close().await;
}

async fn run<I>(connection: &Arc<Connection>, io: I)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = &connection.shared.settings;
    let calling = Arc::clone(connection);
    let service = service_fn(move |request: Request<Incoming>| {
        // Here and not where it is answered: that is a task for each request, and they run in any order.
        if request.uri().path() == STREAM {
            calling.expect_stream();
        }
        call(Arc::clone(&calling), request)
    });
    let mut http = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.requests_in_flight_max)
            .max_send_buf_size(SEND_BUFFER_MAX)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADERS_BYTES_MAX)
            .serve_connection(TokioIo::new(io), service)
    );
    let mut stopped = pin!(connection.nacos.registry.stopped());
    let mut due = Instant::now() + ASKED_AFTER;
    loop {
        tokio::select! {
            ended = &mut http => {
                if let Err(error) = ended {
                    tracing::debug!(connection = connection.id, %error, "a connection broke");
                }
                return;
            }
            () = sleep_until(due) => due = connection.look(Instant::now(), due),
            // What was written last has been pushed.
            () = &mut stopped => {
                connection.finish("the registry is stopping");
                break;
            }
            () = connection.is_over() => break,
        }
    }
    http.as_mut().graceful_shutdown();
    let _cut_if_late = timeout(ENDS_WITHIN, http).await;
}

async fn call(connection: Arc<Connection>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let mut max = connection.shared.settings.message_bytes_max;
    if connection.client().is_none() {
        max = max.min(STRANGERS_MESSAGE_MAX);
    }
    let mut grpc = Grpc::new(Messages).max_decoding_message_size(max);
    Ok(match request.uri().path() {
        REQUEST => {
            // Twice: a long message may follow another that is still being answered.
            let bound = max.saturating_mul(2);
            let receiving = Arc::clone(&connection.receiving);
            let request = request.map(|body| Bounded::new(body, receiving, bound));
            let answer = grpc.unary(Calls(connection), request);
            match timeout(CALL_MAX, answer).await {
                Ok(answer) => answer,
                Err(_) => Status::deadline_exceeded("the call took too long").into_http(),
            }
        }
        STREAM => grpc.streaming(Streams(connection), request).await,
        _ => Status::unimplemented("there is no such method").into_http(),
    })
}

type Answering<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;

struct Calls(Arc<Connection>);

impl UnaryService<Payload> for Calls {
    type Response = Outgoing;
    type Future = Answering<Outgoing>;

    fn call(&mut self, request: tonic::Request<Payload>) -> Self::Future {
        let connection = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = calls::answer(&connection, &request.into_inner()).await?;
            Ok(tonic::Response::new(answer))
        })
    }
}

struct Streams(Arc<Connection>);

impl StreamingService<Payload> for Streams {
    type Response = Outgoing;
    type ResponseStream = Pushes;
    type Future = Answering<Pushes>;

    fn call(&mut self, request: tonic::Request<Streaming<Payload>>) -> Self::Future {
        let connection = Arc::clone(&self.0);
        Box::pin(async move {
            if !connection.open_stream() {
                return Err(Status::already_exists("the connection has a stream already"));
            }
            // A task of its own: a client that does not read what it is sent may still answer.
            tokio::spawn(hear(Arc::clone(&connection), request.into_inner()));
            Ok(tonic::Response::new(Pushes::new(connection)))
        })
    }
}
