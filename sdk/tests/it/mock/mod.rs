//! A registry that does as the test says.
//!
//! It keeps registrations and answers beats by itself. Streams are played by the test: each one that a client opens
//! is handed over by [`Mock::next_stream`]. Any request can be held or refused by its kind.

mod routes;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::Response;
use beatrix_sdk::wire::{BeatRequest, Health, Hello, Instance, RegisterRequest, ReportRequest, ServiceView};
use beatrix_sdk::{Client, ClientBuilder};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};

/// How long a test waits for what must happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Register,
    Deregister,
    Beat,
    Ack,
    Report,
    Read,
    Watch,
}

/// What the registry was asked, in the order in which it answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    Register {
        path: String,
        request: RegisterRequest,
        lease: String,
    },
    Deregister {
        path: String,
        lease: Option<String>,
    },
    Beat(BeatRequest),
}

pub(crate) struct Mock {
    pub(crate) url: String,
    pub(crate) registry: Arc<Registry>,
    streams: tokio::sync::Mutex<mpsc::Receiver<Stream>>,
    server: tokio::task::JoinHandle<()>,
}

pub(crate) struct Registry {
    pub(crate) asked: Mutex<Vec<Asked>>,
    /// Path to lease.
    pub(crate) instances: Mutex<BTreeMap<String, String>>,
    pub(crate) services: Mutex<HashMap<String, ServiceView>>,
    pub(crate) acks: Mutex<Vec<String>>,
    pub(crate) reports: Mutex<Vec<ReportRequest>>,
    pub(crate) reads: Mutex<Vec<Option<String>>>,
    pub(crate) beat_interval_ms: Mutex<u64>,
    pub(crate) cluster_id: Mutex<String>,
    pub(crate) counts: Mutex<HashMap<Kind, u32>>,
    next_lease: Mutex<u32>,
    refusals: Mutex<HashMap<Kind, (StatusCode, &'static str)>>,
    holds: Mutex<HashMap<Kind, Arc<Semaphore>>>,
    streams: mpsc::Sender<Stream>,
}

/// A stream that a client opened; dropped, it is cut.
pub(crate) struct Stream {
    pub(crate) services: Vec<String>,
    pub(crate) last_event_id: Option<String>,
    pub(crate) name: Option<String>,
    events: mpsc::Sender<Bytes>,
}

impl Mock {
    pub(crate) async fn start() -> Self {
        let (sender, streams) = mpsc::channel(64);
        let registry = Arc::new(Registry {
            asked: Mutex::default(),
            instances: Mutex::default(),
            services: Mutex::default(),
            acks: Mutex::default(),
            reports: Mutex::default(),
            reads: Mutex::default(),
            beat_interval_ms: Mutex::new(50),
            cluster_id: Mutex::new("one".into()),
            counts: Mutex::default(),
            next_lease: Mutex::new(1),
            refusals: Mutex::default(),
            holds: Mutex::default(),
            streams: sender,
        });
        let router = routes::router(Arc::clone(&registry));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            registry,
            streams: tokio::sync::Mutex::new(streams),
            server,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        Client::builder(&*self.url).with_seed(1).with_name("tester")
    }

    /// Refuses all requests of a kind from now on.
    pub(crate) fn refuse(&self, kind: Kind, status: StatusCode, problem: &'static str) {
        self.registry.refusals.lock().insert(kind, (status, problem));
    }

    pub(crate) fn accept(&self, kind: Kind) {
        self.registry.refusals.lock().remove(&kind);
    }

    /// Holds all requests of a kind from now on; a permit in the answer lets one go on.
    pub(crate) fn hold(&self, kind: Kind) -> Arc<Semaphore> {
        let hold = Arc::new(Semaphore::new(0));
        self.registry.holds.lock().insert(kind, Arc::clone(&hold));
        hold
    }

    /// Lets all requests of a kind go on, those held as well.
    pub(crate) fn release(&self, kind: Kind) {
        if let Some(hold) = self.registry.holds.lock().remove(&kind) {
            hold.close();
        }
    }

    /// How many requests of a kind arrived, held and refused ones included.
    pub(crate) fn count(&self, kind: Kind) -> u32 {
        self.registry.counts.lock().get(&kind).copied().unwrap_or(0)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.registry.asked.lock().clone()
    }

    pub(crate) fn beats(&self) -> Vec<BeatRequest> {
        let beat = |asked| {
            if let Asked::Beat(beat) = asked {
                Some(beat)
            } else {
                None
            }
        };
        self.asked().into_iter().filter_map(beat).collect()
    }

    /// Loses all registrations, as a registry without a disk does when it restarts.
    pub(crate) fn forget_instances(&self) {
        self.registry.instances.lock().clear();
    }

    /// Waits for the next stream that a client opens.
    pub(crate) async fn next_stream(&self) -> Stream {
        let mut streams = self.streams.lock().await;
        tokio::time::timeout(DEADLINE, streams.recv())
            .await
            .expect("a stream is opened in time")
            .unwrap()
    }

    /// Whether a stream was opened that nobody asked for yet.
    pub(crate) async fn has_stream(&self) -> bool {
        !self.streams.lock().await.is_empty()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !condition() {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An address where nobody listens.
pub(crate) async fn dead_url() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    format!("http://{address}")
}

impl Stream {
    pub(crate) async fn send(&self, name: &str, id: &str, data: &impl Serialize) {
        let data = serde_json::to_string(data).unwrap();
        self.send_raw(&format!("event: {name}\nid: {id}\ndata: {data}\n\n"))
            .await;
    }

    pub(crate) async fn send_raw(&self, text: &str) {
        self.events
            .send(text.to_owned().into())
            .await
            .expect("the client reads");
    }

    pub(crate) async fn hello(&self, resumed: bool) {
        let hello = Hello {
            subscriber: "sub-1".into(),
            cluster_id: "one".into(),
            epoch: "e".into(),
            resumed,
            not_resumed: None,
        };
        self.send("hello", "e.0", &hello).await;
    }

    /// Waits until the client has closed it.
    pub(crate) async fn closed(&self) {
        tokio::time::timeout(DEADLINE, self.events.closed())
            .await
            .expect("the client closes the stream");
    }
}

impl Registry {
    /// Counts a request, holds it and refuses it, as the test said.
    async fn enter(&self, kind: Kind) -> Result<(), Response> {
        *self.counts.lock().entry(kind).or_default() += 1;
        let hold = self.holds.lock().get(&kind).cloned();
        if let Some(hold) = hold
            && let Ok(permit) = hold.acquire().await
        {
            permit.forget();
        }
        match self.refusals.lock().get(&kind) {
            Some((status, kind)) => Err(routes::refusal(*status, kind)),
            None => Ok(()),
        }
    }
}

/// A healthy instance at `address`, port 80.
pub(crate) fn instance(address: &str) -> Instance {
    Instance {
        address: address.into(),
        port: 80,
        cluster: "DEFAULT".into(),
        weight: 1.0,
        effective_weight: None,
        enabled: true,
        metadata: BTreeMap::new(),
        region: None,
        zone: None,
        liveness: "beat".into(),
        health: Health::Healthy,
        serving: true,
        reason: "registered".into(),
        reason_text: None,
        suspect: false,
        unconfirmed: false,
        flapping: false,
        reported: false,
        draining: false,
        since_ms: 0,
        serving_since_ms: None,
        revision: 1,
        operator: None,
    }
}

/// `service` in the defaults, at `revision` of epoch `e`.
pub(crate) fn view(service: &str, revision: u64, addresses: &[&str]) -> ServiceView {
    ServiceView {
        namespace: "public".into(),
        group: "DEFAULT_GROUP".into(),
        service: service.into(),
        epoch: "e".into(),
        revision,
        complete: true,
        emptied_by: None,
        slow_start: None,
        instances: addresses.iter().map(|address| instance(address)).collect(),
    }
}
