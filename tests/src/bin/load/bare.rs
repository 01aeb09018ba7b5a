//! The other side of a comparison: what axum costs by itself.
//!
//! The same requests, the same bytes in answer, and nothing in between: the body of a beat or a registration is read
//! and forgotten, a list is one prebuilt answer, a change is one prebuilt event for everyone who listens.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use axum::serve::ListenerExt;
use bytes::Bytes;
use clap::Args;
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;
use tokio::sync::broadcast;

/// What a registry answers to a light beat.
const BEAT: &str = "{\"clientBeatInterval\":5000,\"code\":10200,\"lightBeatEnabled\":true}";
/// What a stream starts with, as the load reads two events before it counts.
const START: &[u8] = b"event: hello\ndata: {}\n\nevent: snapshot\ndata: {}\n\n";
/// How many events may wait for a subscriber; one that is slower misses some, which the load would notice.
const EVENTS_WAITING_MAX: usize = 1_024;

/// Bare axum handlers that answer the same bytes.
#[derive(Debug, Args)]
pub(crate) struct Bare {
    /// Where to listen; port 0 is any free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    addr: SocketAddr,
    /// How many bytes an event of the stream has; `fan-out` tells what a registry's has.
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u32).range(64..=1_000_000))]
    event_bytes: u32,
    /// A file with the body of every list; `list --keep` writes what a registry answers.
    #[arg(long)]
    list: Option<PathBuf>,
    /// How long to serve at most.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

#[derive(Debug, Clone)]
struct Events {
    event: Bytes,
    sender: broadcast::Sender<Bytes>,
}

impl Bare {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.addr.ip().is_loopback(),
            "only the loopback interface is served"
        );
        let events = Events {
            event: event(self.event_bytes as usize),
            sender: broadcast::Sender::new(EVENTS_WAITING_MAX),
        };
        let list = match self.list {
            Some(path) => std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
            None => b"{}".to_vec(),
        };
        let list = Bytes::from(list);
        let router = Router::new()
            .route("/nacos/v1/ns/instance/beat", put(beat))
            .route("/nacos/v1/ns/instance", post(register))
            .route("/nacos/v1/ns/instance/list", get(async move || json(list)))
            .route("/api/v1/watch", get(watch))
            .route("/api/v1/{*any}", put(publish))
            .with_state(events);
        let listener = TcpListener::bind(self.addr).await.context("cannot listen")?;
        println!("listening {}", listener.local_addr()?);
        // As the registry does, and as every server that answers small requests should.
        let listener = listener.tap_io(|stream| {
            let _slower_if_refused = stream.set_nodelay(true);
        });
        let end = tokio::time::sleep(std::time::Duration::from_secs(self.seconds));
        tokio::select! {
            served = axum::serve(listener, router) => served?,
            () = end => {}
        }
        Ok(())
    }
}

/// An event of this length.
fn event(length: usize) -> Bytes {
    let (start, end) = ("event: delta\ndata: ", "\n\n");
    let data = "x".repeat(length - start.len() - end.len());
    format!("{start}{data}{end}").into()
}

async fn beat(body: Bytes) -> impl IntoResponse {
    std::hint::black_box(&body);
    json(BEAT)
}

async fn register(body: Bytes) -> &'static str {
    std::hint::black_box(&body);
    "ok"
}

fn json(body: impl IntoResponse) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], body)
}

async fn publish(State(events): State<Events>, body: Bytes) -> &'static str {
    std::hint::black_box(&body);
    // Nobody listens before the first subscriber has come.
    let _ = events.sender.send(events.event.clone());
    "{}"
}

async fn watch(State(events): State<Events>) -> impl IntoResponse {
    let next = stream::unfold(events.sender.subscribe(), async |mut receiver| {
        receiver.recv().await.ok().map(|event| (event, receiver))
    });
    let start = stream::once(std::future::ready(Bytes::from_static(START)));
    let body = Body::from_stream(start.chain(next).map(Ok::<_, std::convert::Infallible>));
    (
        [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")],
        body,
    )
}
