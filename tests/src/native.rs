//! The native API as short calls, in namespace `public` and group `DEFAULT_GROUP`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, ensure};
use beatrix_wire::{
    Ack, BeatRequest, BeatResponse, DrainRequest, DrainResponse, EventsPage, GuardEnded, GuardScope,
    Liveness, RegisterRequest, RegisterResponse, RegistryStatus, ServicePatch, ServiceView, WriteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http1::{self, Request, Response};
use crate::sse::Stream;

/// The native API of one registry; each call has a connection of its own.
#[derive(Debug, Clone, Copy)]
pub struct Native {
    addr: SocketAddr,
}

/// The path of a service.
#[must_use]
pub fn service_path(service: &str) -> String {
    format!("/api/v1/namespaces/public/groups/DEFAULT_GROUP/services/{service}")
}

/// The path of an instance, which is given as `address:port`.
#[must_use]
pub fn instance_path(service: &str, instance: &str) -> String {
    format!("{}/instances/{instance}", service_path(service))
}

/// A registration that nobody has to keep alive.
#[must_use]
pub fn standing() -> RegisterRequest {
    RegisterRequest {
        liveness: Some(Liveness::Static {}),
        ..RegisterRequest::default()
    }
}

/// A registration that beats keep alive, with the times given in milliseconds.
#[must_use]
pub fn beating(interval_ms: u64, unhealthy_after_ms: u64, remove_after_ms: u64) -> RegisterRequest {
    let liveness = Liveness::Beat {
        interval_ms: Some(interval_ms),
        unhealthy_after_ms: Some(unhealthy_after_ms),
        remove_after_ms: Some(remove_after_ms),
    };
    RegisterRequest {
        liveness: Some(liveness),
        ..RegisterRequest::default()
    }
}

impl Native {
    /// The API of the registry that listens there.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr }
    }

    /// Registers an instance.
    ///
    /// # Errors
    ///
    /// When the registry refuses; the message holds its answer. So it is with all calls here.
    pub async fn register(
        &self,
        service: &str,
        instance: &str,
        registration: &RegisterRequest,
    ) -> anyhow::Result<RegisterResponse> {
        self.call("PUT", &instance_path(service, instance), Some(registration))
            .await
    }

    /// Deregisters an instance.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn deregister(&self, service: &str, instance: &str) -> anyhow::Result<WriteResponse> {
        self.call("DELETE", &instance_path(service, instance), NOTHING)
            .await
    }

    /// Says something about a service.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn declare_service(
        &self,
        service: &str,
        patch: &ServicePatch,
    ) -> anyhow::Result<WriteResponse> {
        self.call("PATCH", &service_path(service), Some(patch)).await
    }

    /// Renews leases.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn beat(&self, cluster_id: &str, leases: &[String]) -> anyhow::Result<BeatResponse> {
        let request = BeatRequest {
            cluster_id: cluster_id.to_owned(),
            leases: leases.to_vec(),
            ..BeatRequest::default()
        };
        self.call("POST", "/api/v1/beats", Some(&request)).await
    }

    /// A service, or `None` when there is none.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn view(&self, service: &str) -> anyhow::Result<Option<ServiceView>> {
        let answer = http1::get(self.addr, &service_path(service)).await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        accepted(&answer)?;
        answer.json().map(Some)
    }

    /// Drains an instance and waits for the answer.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn drain(
        &self,
        service: &str,
        instance: &str,
        deadline_ms: u64,
    ) -> anyhow::Result<DrainResponse> {
        let request = DrainRequest {
            deadline_ms: Some(deadline_ms),
        };
        self.call(
            "POST",
            &format!("{}/drain", instance_path(service, instance)),
            Some(&request),
        )
        .await
    }

    /// Acknowledges what a stream brought.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn acknowledge(&self, subscriber: &str, id: &str) -> anyhow::Result<()> {
        let body = serde_json::to_vec(&Ack { id: id.to_owned() })?;
        let request = Request::new("POST", format!("/api/v1/watch/{subscriber}/acks")).json(body);
        accepted(&http1::send(self.addr, request).await?)
    }

    /// The membership history after a revision.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn events(&self, after: u64) -> anyhow::Result<EventsPage> {
        self.call(
            "GET",
            &format!("/api/v1/events?after={after}&limit=1000"),
            NOTHING,
        )
        .await
    }

    /// The state of the registry.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn status(&self) -> anyhow::Result<RegistryStatus> {
        self.call("GET", "/api/v1/status", NOTHING).await
    }

    /// Forces the mass-expiry guard, with this query.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn force_guard(&self, query: &str) -> anyhow::Result<GuardScope> {
        self.call("PUT", &format!("/api/v1/guard{query}"), NOTHING).await
    }

    /// Ends the mass-expiry guard, with this query.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn end_guard(&self, query: &str) -> anyhow::Result<GuardEnded> {
        self.call("DELETE", &format!("/api/v1/guard{query}"), NOTHING)
            .await
    }

    /// The registry's metrics, by name with its labels.
    ///
    /// # Errors
    ///
    /// As [`Native::register`]; or when a line is none.
    pub async fn metrics(&self) -> anyhow::Result<BTreeMap<String, f64>> {
        let answer = http1::get(self.addr, "/metrics").await?;
        accepted(&answer)?;
        let text = answer.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').context("a line without a value")?;
            anyhow::Ok((name.to_owned(), value.parse()?))
        });
        samples.collect()
    }

    /// Watches services; `resume` is the id of the last event that was seen before a cut.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn watch(&self, services: &[&str], resume: Option<&str>) -> anyhow::Result<Stream> {
        Stream::open(self.addr, watch_request(services, "", resume)).await
    }

    /// Watches services under a name, and will acknowledge what comes.
    ///
    /// # Errors
    ///
    /// As [`Native::register`].
    pub async fn watch_with_acks(&self, services: &[&str], name: &str) -> anyhow::Result<Stream> {
        Stream::open(
            self.addr,
            watch_request(services, &format!("name={name}&acks=true"), None),
        )
        .await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<T> {
        let mut request = Request::new(method, target);
        if let Some(body) = body {
            request = request.json(serde_json::to_vec(body)?);
        }
        let answer = http1::send(self.addr, request).await?;
        accepted(&answer)?;
        answer.json()
    }
}

/// No body, in a type that could have one.
const NOTHING: Option<&()> = None;

/// The request that opens a stream.
#[must_use]
pub fn watch_request(services: &[&str], more: &str, resume: Option<&str>) -> Request {
    let mut parameters: Vec<String> = services
        .iter()
        .map(|service| format!("service=public/DEFAULT_GROUP/{service}"))
        .collect();
    if !more.is_empty() {
        parameters.push(more.to_owned());
    }
    let request = Request::new("GET", format!("/api/v1/watch?{}", parameters.join("&")))
        .header("Accept", "text/event-stream");
    match resume {
        Some(id) => request.header("Last-Event-ID", id),
        None => request,
    }
}

fn accepted(answer: &Response) -> anyhow::Result<()> {
    ensure!(
        (200..300).contains(&answer.status()),
        "refused: {} {}",
        answer.status(),
        answer.text()
    );
    Ok(())
}
