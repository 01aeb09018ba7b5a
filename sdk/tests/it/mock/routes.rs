//! How the mock answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use beatrix_sdk::wire::{
    Ack, BeatRequest, BeatResponse, DrainRequest, DrainResponse, InFlight, Liveness, Problem,
    RegisterRequest, RegisterResponse, ReportRequest, ReportResponse, StatusReport, WriteResponse, problem,
};
use serde::Serialize;
use tokio::sync::mpsc;

use super::{Asked, Kind, Registry, Stream};

pub(super) fn router(registry: Arc<Registry>) -> Router {
    let service = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}";
    Router::new()
        .route(
            &format!("{service}/instances/{{instance}}"),
            put(register).delete(deregister),
        )
        .route(&format!("{service}/instances/{{instance}}/drain"), post(drain))
        .route(service, get(read))
        .route("/api/v1/beats", post(beat))
        .route("/api/v1/reports", post(report))
        .route("/api/v1/watch", get(watch))
        .route("/api/v1/watch/{subscriber}/acks", post(ack))
        .with_state(registry)
}

pub(super) fn refusal(status: StatusCode, kind: &str) -> Response {
    let problem = Problem {
        kind: format!("{}{kind}", problem::KIND_PREFIX),
        title: "Refused".into(),
        status: status.as_u16(),
        detail: "as the test said".into(),
        field: None,
        rule: None,
    };
    json(status, &problem)
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        serde_json::to_vec(body).unwrap(),
    )
        .into_response()
}

async fn register(State(registry): State<Arc<Registry>>, uri: Uri, body: Bytes) -> Response {
    if let Err(refusal) = registry.enter(Kind::Register).await {
        return refusal;
    }
    let request: RegisterRequest = serde_json::from_slice(&body).unwrap();
    let path = uri.path().to_owned();
    let lease = registry.instances.lock().get(&path).cloned().unwrap_or_else(|| {
        let mut next = registry.next_lease.lock();
        *next += 1;
        format!("lease-{next}")
    });
    registry.instances.lock().insert(path.clone(), lease.clone());
    let probed = matches!(request.liveness, Some(Liveness::Probe { .. }));
    registry.asked.lock().push(Asked::Register {
        path,
        request,
        lease: lease.clone(),
    });
    json(
        StatusCode::OK,
        &RegisterResponse {
            lease: (!probed).then_some(lease),
            beat_interval_ms: Some(*registry.beat_interval_ms.lock()),
            cluster_id: registry.cluster_id.lock().clone(),
            epoch: "e".into(),
            revision: 1,
            changed: true,
        },
    )
}

async fn report(State(registry): State<Arc<Registry>>, body: Bytes) -> Response {
    if let Err(refusal) = registry.enter(Kind::Report).await {
        return refusal;
    }
    let request: ReportRequest = serde_json::from_slice(&body).unwrap();
    let accepted = request.reports.len() as u64;
    registry.reports.lock().push(request);
    json(
        StatusCode::OK,
        &ReportResponse {
            accepted,
            unknown: Vec::new(),
        },
    )
}

async fn deregister(
    State(registry): State<Arc<Registry>>,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    if let Err(refusal) = registry.enter(Kind::Deregister).await {
        return refusal;
    }
    let path = uri.path().to_owned();
    let lease = query.get("lease").cloned();
    registry.asked.lock().push(Asked::Deregister {
        path: path.clone(),
        lease: lease.clone(),
    });
    let mut instances = registry.instances.lock();
    match instances.get(&path) {
        None => refusal(StatusCode::NOT_FOUND, problem::kind::INSTANCE_NOT_FOUND),
        Some(held) if lease.is_some_and(|lease| lease != *held) => {
            refusal(StatusCode::CONFLICT, problem::kind::LEASE_MISMATCH)
        }
        Some(_) => {
            instances.remove(&path);
            json(
                StatusCode::OK,
                &WriteResponse {
                    epoch: "e".into(),
                    revision: 2,
                    changed: true,
                },
            )
        }
    }
}

/// Complete when the last that was said to be in flight is nothing.
async fn drain(State(registry): State<Arc<Registry>>, uri: Uri, body: Bytes) -> Response {
    let request: DrainRequest = serde_json::from_slice(&body).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_millis(request.deadline_ms.unwrap());
    let said = || {
        let asked = registry.asked.lock();
        let beats = asked.iter().rev().filter_map(|asked| match asked {
            Asked::Beat(beat) => beat.in_flight.values().next().copied(),
            _ => None,
        });
        beats.into_iter().next()
    };
    while said().is_some_and(|count| count > 0) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let said = said();
    json(
        StatusCode::OK,
        &DrainResponse {
            epoch: "e".into(),
            revision: 3,
            complete: said.is_none_or(|count| count == 0),
            acknowledged: vec![uri.path().to_owned(), request.deadline_ms.unwrap().to_string()],
            waiting: vec![],
            gone: vec![],
            without_acks: 0,
            in_flight: said.map(|count| InFlight { count, at_ms: 7 }),
            ended: None,
        },
    )
}

async fn beat(State(registry): State<Arc<Registry>>, body: Bytes) -> Response {
    if let Err(refusal) = registry.enter(Kind::Beat).await {
        return refusal;
    }
    let request: BeatRequest = serde_json::from_slice(&body).unwrap();
    if request.cluster_id != *registry.cluster_id.lock() {
        return refusal(StatusCode::CONFLICT, problem::kind::WRONG_CLUSTER);
    }
    let bad = |report: &StatusReport| report.reason.as_deref() == Some("bad");
    if request.statuses.iter().any(bad) {
        return refusal(StatusCode::BAD_REQUEST, problem::kind::INVALID_VALUE);
    }
    registry.asked.lock().push(Asked::Beat(request.clone()));
    let held = registry.instances.lock().clone();
    let leases = request
        .leases
        .iter()
        .chain(request.statuses.iter().map(|report| &report.lease));
    let (known, unknown): (Vec<String>, Vec<String>) = leases
        .cloned()
        .partition(|lease| held.values().any(|held| held == lease));
    json(
        StatusCode::OK,
        &BeatResponse {
            renewed: known.len() as u64,
            unknown,
        },
    )
}

async fn read(State(registry): State<Arc<Registry>>, uri: Uri, headers: HeaderMap) -> Response {
    let etag = headers
        .get(header::IF_NONE_MATCH)
        .map(|value| value.to_str().unwrap().to_owned());
    registry.reads.lock().push(etag.clone());
    if let Err(refusal) = registry.enter(Kind::Read).await {
        return refusal;
    }
    let name = uri.path().rsplit('/').next().unwrap().to_owned();
    let Some(view) = registry.services.lock().get(&name).cloned() else {
        return refusal(StatusCode::NOT_FOUND, problem::kind::SERVICE_NOT_FOUND);
    };
    let current = format!("\"{}.{}\"", view.epoch, view.revision);
    let mut response = if etag.as_deref() == Some(&current) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        json(StatusCode::OK, &view)
    };
    response
        .headers_mut()
        .insert(header::ETAG, current.parse().unwrap());
    response
}

async fn watch(
    State(registry): State<Arc<Registry>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = registry.enter(Kind::Watch).await {
        return refusal;
    }
    let query = query.unwrap_or_default();
    let values = |name: &str| -> Vec<String> {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .collect()
    };
    assert_eq!(values("acks"), ["true"]);
    let (events, receiver) = mpsc::channel(64);
    let stream = Stream {
        services: values("service"),
        last_event_id: headers
            .get("last-event-id")
            .map(|value| value.to_str().unwrap().to_owned()),
        name: values("name").pop(),
        events,
    };
    assert!(
        registry.streams.try_send(stream).is_ok(),
        "tests open few streams"
    );
    let body = futures_util::stream::unfold(receiver, async |mut receiver| {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(chunk), receiver))
    });
    (
        [(header::CONTENT_TYPE, "text/event-stream")],
        Body::from_stream(body),
    )
        .into_response()
}

async fn ack(State(registry): State<Arc<Registry>>, Path(subscriber): Path<String>, body: Bytes) -> Response {
    if let Err(refusal) = registry.enter(Kind::Ack).await {
        return refusal;
    }
    assert_eq!(subscriber, "sub-1");
    let ack: Ack = serde_json::from_slice(&body).unwrap();
    registry.acks.lock().push(ack.id);
    StatusCode::NO_CONTENT.into_response()
}
