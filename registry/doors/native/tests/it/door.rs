//! A registry behind its native door, and small words to talk to it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use beatrix_engine::journal::{Journal, Memory};
use beatrix_engine::probing::Probing;
use beatrix_engine::random::Random;
use beatrix_engine::{EngineConfig, Registry, RegistryBuilder};
use beatrix_wire as wire;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tower::ServiceExt;

pub(crate) const SERVICE: &str = "/api/v1/namespaces/public/groups/DEFAULT_GROUP/services/orders";

pub(crate) struct Door {
    pub(crate) registry: Registry,
    router: Router,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Asserts a problem of this status and kind; returns it.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, kind: &str) -> wire::Problem {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: wire::Problem = self.json();
        assert_eq!(problem.kind, format!("urn:beatrix:problem:{kind}"), "{problem:?}");
        assert_eq!(problem.status, status);
        problem
    }
}

impl Door {
    pub(crate) async fn open() -> Self {
        Self::with(EngineConfig::default()).await
    }

    pub(crate) async fn with(config: EngineConfig) -> Self {
        let random = Random::from_seed(7);
        let journal = Memory::new(random.epoch());
        Self::over(config, journal).await
    }

    /// Over what a journal knows.
    pub(crate) async fn over(config: EngineConfig, journal: impl Journal) -> Self {
        let random = Random::from_seed(7);
        let registry = RegistryBuilder::new(config, random).start(journal).await.unwrap();
        Self::of(registry)
    }

    /// The door of a registry that asks by `probing`.
    pub(crate) async fn asking(probing: Arc<dyn Probing>) -> Self {
        Self::asking_with(EngineConfig::default(), probing).await
    }

    pub(crate) async fn asking_with(config: EngineConfig, probing: Arc<dyn Probing>) -> Self {
        let random = Random::from_seed(7);
        let journal = Memory::new(random.epoch());
        let builder = RegistryBuilder::new(config, random).with_probing(probing);
        Self::of(builder.start(journal).await.unwrap())
    }

    fn of(registry: Registry) -> Self {
        let router = beatrix_native::router(registry.clone());
        Self { registry, router }
    }

    /// With a journal that keeps what was.
    pub(crate) async fn keeping(config: EngineConfig, kept: &crate::remembered::Kept) -> Self {
        let random = Random::from_seed(7);
        let journal = kept.journal(random.epoch());
        let registry = RegistryBuilder::new(config, random).start(journal).await.unwrap();
        let router = beatrix_native::router(registry.clone());
        Self { registry, router }
    }

    pub(crate) async fn response(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.response(request).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(
            Request::builder()
                .method(method)
                .uri(path)
                .body(body.into())
                .unwrap(),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, Body::empty()).await
    }

    pub(crate) async fn register_with(&self, instance: &str, body: Value) -> wire::RegisterResponse {
        let answer = self
            .call(
                "PUT",
                &format!("{SERVICE}/instances/{instance}"),
                body.to_string(),
            )
            .await;
        assert!(
            answer.status.is_success(),
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
        answer.json()
    }

    /// Registers and returns the lease.
    pub(crate) async fn register(&self, instance: &str) -> String {
        self.register_with(instance, json!({})).await.lease.unwrap()
    }

    pub(crate) async fn beat(&self, leases: &[&str]) -> wire::BeatResponse {
        let body = json!({"cluster_id": "beatrix", "leases": leases}).to_string();
        let answer = self.call("POST", "/api/v1/beats", body).await;
        assert_eq!(answer.status, 200);
        answer.json()
    }

    pub(crate) async fn service(&self) -> wire::ServiceView {
        self.get(SERVICE).await.json()
    }

    pub(crate) async fn instance(&self, instance: &str) -> wire::Instance {
        self.get(&format!("{SERVICE}/instances/{instance}")).await.json()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.registry.version().revision.0
    }

    pub(crate) async fn watch(&self, query: &str, last_event_id: Option<&str>) -> Stream {
        let mut request = Request::builder().uri(format!("/api/v1/watch?{query}"));
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = self.response(request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Stream {
            body: response.into_body(),
            text: String::new(),
        }
    }
}

/// The events of a watch.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Event {
    pub(crate) fn snapshot(&self) -> wire::ServiceView {
        assert_eq!(self.name, "snapshot", "{self:?}");
        serde_json::from_value(self.data.clone()).unwrap()
    }

    pub(crate) fn delta(&self) -> wire::ServiceDelta {
        assert_eq!(self.name, "delta", "{self:?}");
        serde_json::from_value(self.data.clone()).unwrap()
    }
}

impl Stream {
    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let prefix = format!("{name}: ");
                    let line = event.lines().find_map(|line| line.strip_prefix(&prefix));
                    line.unwrap_or_else(|| panic!("no {name} in {event:?}"))
                        .to_owned()
                };
                let data = serde_json::from_str(&field("data")).unwrap();
                let event = Event {
                    name: field("event"),
                    id: field("id"),
                    data,
                };
                self.text = rest.to_owned();
                return Some(event);
            }
            let frame = self.body.frame().await?.unwrap();
            self.text
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    pub(crate) async fn expect(&mut self) -> Event {
        self.next().await.expect("the stream goes on")
    }
}
