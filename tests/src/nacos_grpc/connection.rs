//! One transport: an own HTTP/2 connection, on which calls and stream belong together.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use beatrix_nacos_wire::{Payload, REQUEST, STREAM};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::body::Body;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use tower::Service;

use super::stream::{Stream, outgoing};

/// The longest message that is taken. Python's client takes as much.
const MESSAGE_BYTES_MAX: usize = 100 * 1024 * 1024;

/// A connection. Dropped, it is closed, whatever runs on it.
#[derive(Debug)]
pub struct Connection {
    send: SendRequest<Body>,
    /// Ends when the transport does.
    driver: Arc<Driver>,
}

#[derive(Debug)]
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What came back to a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The type that the answer names.
    pub kind: String,
    /// What is in it.
    pub json: Value,
}

impl Answer {
    pub(super) fn of(payload: &Payload) -> anyhow::Result<Self> {
        let json = serde_json::from_slice(payload.json());
        Ok(Self {
            kind: payload.kind().to_owned(),
            json: json.with_context(|| format!("{payload:?} holds no JSON"))?,
        })
    }
}

impl Connection {
    /// Connects to a registry.
    ///
    /// # Errors
    ///
    /// When nobody listens there, or it does not speak HTTP/2.
    pub async fn tcp(addr: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Self::over(stream).await
    }

    /// Speaks over any byte stream.
    ///
    /// # Errors
    ///
    /// When the other side does not speak HTTP/2.
    pub async fn over(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> anyhow::Result<Self> {
        let (send, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(16 * 1024)
            .handshake(TokioIo::new(io))
            .await?;
        let driver = tokio::spawn(async move {
            // That it ends is what tests look at; how, the other side's log says.
            let _ended = connection.await;
        });
        Ok(Self {
            send,
            driver: Arc::new(Driver(driver)),
        })
    }

    /// Whether the transport has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.driver.0.is_finished()
    }

    /// Calls with a message of this type.
    ///
    /// # Errors
    ///
    /// The status, where the call fails as a call.
    ///
    /// # Panics
    ///
    /// When what comes back holds no JSON.
    pub async fn request(&self, kind: &str, json: &Value) -> Result<Answer, Status> {
        let answer = self.call(Payload::of(kind, json.to_string())).await?;
        Ok(Answer::of(&answer).expect("every answer holds JSON"))
    }

    /// Calls with any payload.
    ///
    /// # Errors
    ///
    /// The status, where the call fails as a call.
    pub async fn call(&self, payload: Payload) -> Result<Payload, Status> {
        let mut grpc = self.grpc();
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<Payload, Payload>::default();
        let request = tonic::Request::new(payload);
        let answer = grpc.unary(request, http::uri::PathAndQuery::from_static(REQUEST), codec);
        Ok(answer.await?.into_inner())
    }

    /// Opens the stream, and waits for its headers.
    ///
    /// # Errors
    ///
    /// The status, where it is not opened.
    pub async fn stream(&self) -> Result<Stream, Status> {
        let mut grpc = self.grpc();
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let codec = ProstCodec::<Payload, Payload>::default();
        let (sender, outgoing) = outgoing();
        let path = http::uri::PathAndQuery::from_static(STREAM);
        let answer = grpc.streaming(tonic::Request::new(outgoing), path, codec).await?;
        Ok(Stream::new(sender, answer.into_inner()))
    }

    /// Opens the stream and sets the connection up as clients without abilities do.
    ///
    /// # Errors
    ///
    /// The status, where the stream is not opened.
    pub async fn set_up(&self) -> Result<Stream, Status> {
        let stream = self.stream().await?;
        stream.send(
            "ConnectionSetupRequest",
            &serde_json::json!({
                "clientVersion": "Nacos-Test-Client:v0",
                "tenant": "",
                "labels": {"source": "sdk", "module": "naming"},
            }),
        );
        Ok(stream)
    }

    fn grpc(&self) -> Grpc<Sending> {
        Grpc::with_origin(
            Sending(self.send.clone()),
            Uri::from_static("http://registry.test"),
        )
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}

/// The transport as a service.
#[derive(Debug, Clone)]
struct Sending(SendRequest<Body>);

impl Service<Request<Body>> for Sending {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}
