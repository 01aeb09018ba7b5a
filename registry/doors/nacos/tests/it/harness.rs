//! A registry with the Nacos door, and what asks it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use beatrix_core::liveness::{Finding, ProbeResult};
use beatrix_core::model::{Endpoint, ProbeSpec};
use beatrix_engine::journal::{Journal, Memory};
use beatrix_engine::probing::{self, Probing};
use beatrix_engine::random::Random;
use beatrix_engine::{EngineConfig, Registry, RegistryBuilder};
use beatrix_probes::{Prober, ProberConfig};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// The query of the instance that most checks are about.
pub(crate) const INST: &str = "serviceName=S&ip=1.1.1.1&port=80";

/// The path of instances.
pub(crate) const INSTANCE: &str = "/nacos/v1/ns/instance";

/// Really asks, but on this machine only: most tests register addresses that are somebody else's.
#[derive(Debug)]
struct Asking(Prober);

impl Probing for Asking {
    fn probe(&self, endpoint: Endpoint, spec: Arc<ProbeSpec>) -> probing::Asking {
        let prober = self.0.clone();
        let ours = endpoint.ip().is_some_and(|ip| ip.is_loopback());
        Box::pin(async move {
            if ours {
                return prober.probe(&endpoint, &spec).await.into();
            }
            ProbeResult {
                finding: Finding::Unasked,
                word: "test",
                text: "not on this machine".into(),
                took: Duration::ZERO,
            }
        })
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Nacos {
    pub(crate) router: Router,
    pub(crate) registry: Registry,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Nacos {
    pub(crate) async fn start() -> Self {
        Self::over(Memory::new(Random::from_seed(1).epoch())).await
    }

    /// Over what a journal knows.
    pub(crate) async fn over(journal: impl Journal) -> Self {
        let random = Random::from_seed(1);
        let registry = RegistryBuilder::new(EngineConfig::default(), random)
            .with_probing(Arc::new(Asking(Prober::new(ProberConfig::default()))))
            .start(journal)
            .await
            .unwrap();
        Self {
            router: beatrix_nacos::router(registry.clone()),
            registry,
        }
    }

    /// Asks; a body is sent as a form.
    pub(crate) async fn ask(&self, method: &str, uri: &str, body: Option<&[u8]>) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        if body.is_some() {
            request = request.header(
                header::CONTENT_TYPE,
                "application/x-www-form-urlencoded;charset=UTF-8",
            );
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_vec()));
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let content_type = content_type
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default();
        assert!(
            response.headers().get(header::CONTENT_ENCODING).is_none(),
            "clients cannot unpack it"
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            content_type,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// `POST`, `DELETE`, `PUT` and the like on the path of instances, with everything in the query.
    pub(crate) async fn instance(&self, method: &str, query: &str) -> Answer {
        self.ask(method, &format!("{INSTANCE}?{query}"), None).await
    }

    /// Registers, and expects that it is done.
    pub(crate) async fn register(&self, query: &str) {
        self.instance("POST", query).await.is_ok();
    }

    pub(crate) async fn beat(&self, query: &str, body: Option<&[u8]>) -> Answer {
        self.ask("PUT", &format!("{INSTANCE}/beat?{query}"), body).await
    }

    pub(crate) async fn list(&self, query: &str) -> Value {
        let answer = self.ask("GET", &format!("{INSTANCE}/list?{query}"), None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// The hosts of the service `S`.
    pub(crate) async fn hosts(&self) -> Vec<Value> {
        self.list("serviceName=S").await["hosts"]
            .as_array()
            .unwrap()
            .clone()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.content_type, "application/json;charset=UTF-8");
        serde_json::from_str(&self.text).unwrap()
    }

    /// Done, said in the two bytes that clients compare with.
    pub(crate) fn is_ok(&self) {
        assert_eq!((self.status, self.text.as_str()), (200, "ok"));
        assert_eq!(self.content_type, "text/plain;charset=UTF-8");
    }

    /// Refused as the client's mistake, in a line that names the parameter.
    pub(crate) fn refuses(&self, param: &str) {
        assert_eq!(self.status, 400, "{param}: {}", self.text);
        assert_eq!(self.content_type, "text/plain;charset=UTF-8");
        assert!(self.text.contains(param), "{param}: {}", self.text);
    }
}

/// Whether `found` has all members of `expected`, with these values.
pub(crate) fn has(found: &Value, expected: &Value) -> bool {
    expected
        .as_object()
        .unwrap()
        .iter()
        .all(|(name, value)| found.get(name) == Some(value))
}

/// Percent-encodes all that is not a letter or a digit.
pub(crate) fn encoded(text: impl AsRef<[u8]>) -> String {
    let encode = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.as_ref().iter().map(encode).collect()
}
