//! The watch stream: one response that tells of many services, for as long as the subscriber listens.
//!
//! The body is polled when the connection can take more, and only then asks the subscription what is new. So a
//! subscriber that does not read has no queue here, and when it reads again it gets the newest state.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::model::{Epoch, Invalid, Revision, ServiceKey, Version};
use beatrix_engine::Registry;
use beatrix_engine::hub::{Parting, Resume, Subscribe, Subscription};
use beatrix_wire as wire;
use beatrix_wire::problem::kind;
use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep};

use crate::extract::{Json, Params};
use crate::problem::{Failure, Result};
use crate::render;

/// Silence after which a ping is sent, so that both ends notice a dead connection.
const PING_EVERY: Duration = Duration::from_secs(15);

/// The longest name that a subscriber may give itself.
const NAME_LEN_MAX: usize = 128;

/// Follows services. The stream is Server-Sent Events: `hello`, then `snapshot` and `delta`, and `ping` in silence.
/// Every event's id is `epoch.revision`; sent back as `Last-Event-ID` it resumes the stream: what was missed comes as
/// deltas as far as the change log reaches, else as snapshots.
#[utoipa::path(
    get, path = "/api/v1/watch", tag = "watch", operation_id = "watch",
    params(
        ("service" = Vec<String>, Query, description = "`namespace/group/service`; repeatable"),
        ("name" = Option<String>, Query, description = "Names the subscriber for people"),
        ("acks" = Option<bool>, Query, description = "The subscriber acknowledges; drains wait for it"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was received"),
    ),
    responses(
        (status = 200, content_type = "text/event-stream", body = String),
        (status = 400, body = wire::Problem), (status = 429, body = wire::Problem),
    )
)]
pub(crate) async fn watch(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let params = Params::parse(query.as_deref(), &["name", "acks"], &["service"])?;
    let mut services = Vec::new();
    for text in params.all("service") {
        let service: ServiceKey = text.parse()?;
        if services.contains(&service) {
            return Err(Invalid::new("service", "must be given once each", text).into());
        }
        services.push(service);
        if services.len() > registry.config().services_per_subscriber_max {
            let max = registry.config().services_per_subscriber_max;
            return Err(Failure::limit(
                StatusCode::TOO_MANY_REQUESTS,
                "services_per_subscriber_max",
                max,
            ));
        }
    }
    if services.is_empty() {
        return Err(Invalid::new("service", "must be given at least once", "").into());
    }
    let name = params.get("name").unwrap_or_default();
    if name.len() > NAME_LEN_MAX || name.chars().any(char::is_control) {
        return Err(Invalid::new(
            "name",
            "must be at most 128 bytes without control characters",
            name,
        )
        .into());
    }
    let (since, resumed, not_resumed) = resume(&registry, &headers)?;
    let acks = params.flag("acks")?.unwrap_or(false);
    let wish = Subscribe {
        services,
        name: name.to_owned(),
        acks,
        parting: Parting::Broken,
        since,
        ..Subscribe::default()
    };
    let subscription = registry.hub().subscribe(wish)?;

    let hello = wire::Hello {
        subscriber: subscription.id().to_string(),
        cluster_id: registry.config().cluster_id.clone(),
        epoch: registry.epoch().to_string(),
        resumed,
        not_resumed,
    };
    let known = Version {
        epoch: registry.epoch(),
        revision: since.unwrap_or(Revision::ZERO),
    };
    let events = Events {
        epoch: registry.epoch(),
        subscription,
        known,
        ready: VecDeque::from([render::plain_event(wire::HELLO, &hello, known)]),
        ping: Box::pin(sleep(PING_EVERY)),
        stopped: Box::pin(registry.stopped()),
    };
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // NGINX would hold events back.
        (
            header::HeaderName::from_static("x-accel-buffering"),
            HeaderValue::from_static("no"),
        ),
    ];
    Ok((headers, Body::new(events)).into_response())
}

/// Where to go on. A token that cannot be used is no error, since it comes from a stream that was cut: the subscriber
/// is told so, and gets the whole. What no registry can have given is an error.
fn resume(registry: &Registry, headers: &HeaderMap) -> Result<(Option<Revision>, bool, Option<String>)> {
    let Some(token) = headers.get("last-event-id") else {
        return Ok((None, false, None));
    };
    let text = String::from_utf8_lossy(token.as_bytes());
    let token: Version = text
        .parse()
        .map_err(|invalid: Invalid| invalid.in_field("Last-Event-ID"))?;
    let newest = registry.version();
    let why = if token.epoch != newest.epoch {
        "the id is of another epoch"
    } else if token.revision > newest.revision {
        "the id is of the future"
    } else if registry.hub().is_lost(token.revision) {
        "the id is of a change that was lost in a crash"
    } else {
        return Ok((Some(token.revision), true, None));
    };
    Ok((None, false, Some(why.into())))
}

/// The events of one subscriber.
struct Events {
    epoch: Epoch,
    subscription: Subscription,
    /// Up to where the subscriber knows everything, once it has what was sent.
    known: Version,
    /// What is to be sent next. Never more than one batch: it is filled when it is empty.
    ready: VecDeque<Bytes>,
    ping: Pin<Box<Sleep>>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Events {
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let batch = std::task::ready!(self.subscription.poll_next(cx));
        match batch.resume {
            Resume::Update => {
                for update in &batch.updates {
                    self.known = update.to;
                    self.ready.push_back(render::whole_event(update));
                }
            }
            Resume::Revision(revision) => {
                let before = render::event_end(self.known);
                self.known = Version {
                    epoch: self.epoch,
                    revision: revision.max(self.known.revision),
                };
                let after = render::event_end(self.known);
                let last = batch.updates.len() - 1;
                for (place, update) in batch.updates.iter().enumerate() {
                    self.ready.push_back(render::event(update));
                    // Only with the last one does the subscriber know everything up to there.
                    self.ready.push_back(if place == last {
                        after.clone()
                    } else {
                        before.clone()
                    });
                }
            }
        }
        Poll::Ready(())
    }
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.ready.is_empty() && this.fill(cx).is_pending() {
            if this.stopped.as_mut().poll(cx).is_ready() {
                this.subscription.dismiss();
                return Poll::Ready(None);
            }
            std::task::ready!(this.ping.as_mut().poll(cx));
            let ping = render::plain_event(wire::PING, &serde_json::json!({}), this.known);
            this.ready.push_back(ping);
        }
        this.ping.as_mut().reset(Instant::now() + PING_EVERY);
        Poll::Ready(this.ready.pop_front().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Acknowledges everything up to an event. Drains wait for it.
#[utoipa::path(
    post, path = "/api/v1/watch/{subscriber}/acks", tag = "watch", operation_id = "acknowledge",
    params(("subscriber", description = "As the stream's `hello` names it")),
    request_body = wire::Ack,
    responses((status = 204), (status = 400, body = wire::Problem), (status = 404, body = wire::Problem))
)]
pub(crate) async fn acknowledge(
    State(registry): State<Registry>,
    subscriber: std::result::Result<Path<String>, axum::extract::rejection::PathRejection>,
    Json(ack): Json<wire::Ack>,
) -> Result<StatusCode> {
    let up_to: Version = ack
        .id
        .parse()
        .map_err(|invalid: Invalid| invalid.in_field("id"))?;
    if up_to.epoch != registry.epoch() {
        return Err(Invalid::new("id", "must be of this registry's epoch", &ack.id).into());
    }
    let known = subscriber.ok().and_then(|Path(text)| text.parse().ok());
    if known.is_some_and(|subscriber| registry.hub().acknowledge(subscriber, up_to.revision)) {
        Ok(StatusCode::NO_CONTENT)
    } else {
        let detail = "no stream that is open has this name";
        Err(Failure::new(
            StatusCode::NOT_FOUND,
            kind::SUBSCRIBER_NOT_FOUND,
            detail,
        ))
    }
}
