//! A client that sends any bytes.

use std::convert::Infallible;

use axum::http::{HeaderMap, Method, Request, StatusCode};
use beatrix_nacos_wire::{Payload, STREAM};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::harness::{World, eventually};

/// How much waits to be sent. A test that says more at once has a defect.
const SAID_MAX: usize = 1_024;

pub(super) struct Raw {
    send: SendRequest<BoxBody<Bytes, Infallible>>,
    pub(super) served: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) http: StatusCode,
    /// The status of the call as a call.
    pub(super) grpc: Option<String>,
    pub(super) body: Bytes,
}

/// Says what it is given on a stream that stays open.
pub(super) struct Saying(mpsc::Sender<Bytes>);

impl Saying {
    pub(super) fn say(&self, bytes: impl Into<Bytes>) {
        match self.0.try_send(bytes.into()) {
            // Whether the registry still listens is what the test looks at.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

impl Raw {
    pub(super) async fn connect(world: &World) -> Self {
        let (io, served) = world.transport();
        let (send, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(io))
            .await
            .unwrap();
        tokio::spawn(driver);
        Self { send, served }
    }

    /// One that is set up; it goes on as long as somebody can say something on its stream.
    pub(super) async fn set_up(world: &World) -> (Self, Saying) {
        let raw = Self::connect(world).await;
        let saying = raw.stream().await;
        saying.say(framed(
            &Payload::of("ConnectionSetupRequest", "{}").encode_to_vec(),
        ));
        eventually("it is set up", async || raw.is_set_up().await.then_some(())).await;
        (raw, saying)
    }

    pub(super) async fn is_set_up(&self) -> bool {
        let back = self
            .call(&Payload::of("HealthCheckRequest", "{}").encode_to_vec())
            .await;
        back.body
            .ends_with(br#"{"resultCode":200,"errorCode":0,"success":true}"#)
    }

    /// Opens a stream, whose answer nobody reads.
    pub(super) async fn stream(&self) -> Saying {
        self.stream_to(STREAM).await
    }

    /// A request whose message comes bit by bit.
    pub(super) async fn stream_to(&self, path: &str) -> Saying {
        let (say, mut said) = mpsc::channel(SAID_MAX);
        let said = stream::poll_fn(move |cx| {
            said.poll_recv(cx)
                .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        });
        let request = self.request(Method::POST, path, StreamBody::new(said).boxed());
        tokio::spawn(async move {
            if let Ok(answer) = request.await {
                // Held, not read: dropped it would end the stream.
                let _held = answer;
                std::future::pending::<()>().await;
            }
        });
        Saying(say)
    }

    /// A call with this message.
    pub(super) async fn call(&self, message: &[u8]) -> Back {
        self.send(Method::POST, beatrix_nacos_wire::REQUEST, framed(message))
            .await
    }

    pub(super) async fn send(&self, method: Method, path: &str, body: Bytes) -> Back {
        let answer = self.request(method, path, Full::new(body).boxed()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap();
        let status = |headers: &HeaderMap| Some(headers.get("grpc-status")?.to_str().unwrap().to_owned());
        let grpc = status(&head.headers).or_else(|| status(body.trailers()?));
        Back {
            http: head.status,
            grpc,
            body: body.to_bytes(),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: BoxBody<Bytes, Infallible>,
    ) -> impl Future<Output = hyper::Result<axum::http::Response<hyper::body::Incoming>>> + use<> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://registry.test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = request.body(body).unwrap();
        let mut send = self.send.clone();
        async move {
            send.ready().await?;
            send.send_request(request).await
        }
    }
}

/// A message as gRPC frames it.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.put_slice(message);
    frame.freeze()
}
