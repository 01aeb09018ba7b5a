//! Earlier states, differences and the history of changes, over a journal that keeps them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use beatrix_engine::EngineConfig;
use beatrix_wire as wire;
use serde_json::{Value, json};

use crate::door::{Answer, Door, SERVICE};
use crate::remembered::Kept;

async fn kept(change_log_max: usize) -> (Door, Kept) {
    let kept = Kept::default();
    let mut config = EngineConfig::default();
    config.catalog.change_log_max = change_log_max;
    (Door::keeping(config, &kept).await, kept)
}

async fn at(door: &Door, query: &str) -> Answer {
    door.get(&format!("{SERVICE}?{query}")).await
}

/// What a service was is shown as it was shown then, but for the moment that it is asked for.
#[tokio::test]
async fn a_service_at_an_earlier_revision_is_what_it_was_then() {
    for checkpoint_at in [None, Some(2), Some(4)] {
        let (door, kept) = kept(10_000).await;
        let mut were: Vec<(u64, Value, String)> = Vec::new();
        for (step, instance) in ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80", "10.0.0.1:80"]
            .iter()
            .enumerate()
        {
            let body = json!({"liveness": {"type": "static"}, "metadata": {"step": step.to_string()}});
            door.register_with(instance, body).await;
            if step == 1 {
                let patch = json!({"draining": true}).to_string();
                door.call("PATCH", &format!("{SERVICE}/instances/{instance}"), patch)
                    .await;
            }
            let now = door.get(SERVICE).await;
            let tag = now.headers["etag"].to_str().unwrap().to_owned();
            were.push((door.revision(), now.json(), tag));
            if checkpoint_at == Some(were.len()) {
                kept.checkpoint(&door.registry);
            }
        }
        door.call(
            "DELETE",
            &format!("{SERVICE}/instances/10.0.0.2:80"),
            Body::empty(),
        )
        .await;
        let known_from = checkpoint_at.map_or(0, |at| were[at - 1].0);
        for (revision, expected, tag) in were {
            let answer = at(&door, &format!("at_revision={revision}")).await;
            if revision < known_from {
                let problem = answer.problem(410, "history-too-old");
                assert!(problem.rule.unwrap().contains(&known_from.to_string()));
                continue;
            }
            assert_eq!(answer.json::<Value>(), expected, "at {revision}");
            assert_eq!(answer.headers["etag"].to_str().unwrap(), tag);
        }
    }
}

#[tokio::test]
async fn a_moment_that_cannot_be_told_is_told_so() {
    let (door, kept) = kept(10_000).await;
    door.register_with("10.0.0.1:80", json!({})).await;
    at(&door, "at_revision=0").await.problem(404, "service-not-found");
    at(&door, "at_revision=2").await.problem(400, "invalid-value");
    at(&door, "at_revision=1&at=2026-01-01T00:00:00Z")
        .await
        .problem(400, "invalid-value");
    at(&door, "at=yesterday").await.problem(400, "invalid-value");
    at(&door, "at_revision=1&wait_ms=5")
        .await
        .problem(400, "invalid-value");
    at(&door, "at_revision=00000000000000ff.1")
        .await
        .problem(400, "invalid-value");
    assert_eq!(at(&door, "at=2100-01-01T00:00:00Z").await.status, 200);
    at(&door, "at=1000").await.problem(404, "service-not-found");
    kept.checkpoint(&door.registry);
    at(&door, "at=1000").await.problem(410, "history-too-old");

    let memory = Door::open().await;
    memory.register_with("10.0.0.1:80", json!({})).await;
    at(&memory, "at_revision=1")
        .await
        .problem(501, "history-not-kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn not_more_than_four_read_the_history_at_once() {
    let (door, kept) = kept(10_000).await;
    door.register_with("10.0.0.1:80", json!({})).await;
    let held_up = Arc::new(tokio::sync::Notify::new());
    kept.0.lock().held_up = Some(Arc::clone(&held_up));
    let door = Arc::new(door);
    let readers: Vec<_> = (0..5)
        .map(|_| {
            let door = Arc::clone(&door);
            tokio::spawn(async move { at(&door, "at_revision=1").await.status.as_u16() })
        })
        .collect();
    let mut statuses = Vec::new();
    let mut waiting = readers;
    // The one too many is answered while the others wait.
    while !waiting.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::task::yield_now().await;
    }
    kept.0.lock().held_up = None;
    while waiting.iter().any(|reader| !reader.is_finished()) {
        held_up.notify_waiters();
        tokio::task::yield_now().await;
    }
    for reader in waiting.drain(..) {
        statuses.push(reader.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 503]);
}

#[tokio::test]
async fn a_difference_names_what_came_went_and_changed_and_who_did_it() {
    let (door, _kept) = kept(10_000).await;
    door.register_with("10.0.0.1:80", json!({"metadata": {"a": "1", "b": "1"}}))
        .await;
    door.register_with("10.0.0.2:80", json!({})).await;
    let peer: SocketAddr = "192.0.2.7:4000".parse().unwrap();
    let body = json!({"metadata": {"a": "2", "c": "1"}, "weight": 3.0}).to_string();
    let mut request = Request::builder()
        .method("PUT")
        .uri(format!("{SERVICE}/instances/10.0.0.1:80"))
        .header("x-forwarded-for", "203.0.113.1")
        .body(Body::from(body))
        .unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    door.send(request).await;
    door.call(
        "DELETE",
        &format!("{SERVICE}/instances/10.0.0.2:80"),
        Body::empty(),
    )
    .await;
    door.register_with("10.0.0.3:80", json!({})).await;

    let answer = door.get(&format!("{SERVICE}/diff?from=2")).await;
    let difference: wire::ServiceDifference = answer.json();
    assert_eq!((difference.from_revision, difference.to_revision), (2, 5));
    let addresses = |all: &[wire::Instance]| all.iter().map(wire::Instance::authority).collect::<Vec<_>>();
    assert_eq!(addresses(&difference.added), ["10.0.0.3:80"]);
    assert_eq!(addresses(&difference.removed), ["10.0.0.2:80"]);
    let [changed] = &difference.changed[..] else {
        panic!("{difference:?}");
    };
    let fields: Vec<_> = changed
        .fields
        .iter()
        .map(|field| (field.field.as_str(), field.from.clone(), field.to.clone()))
        .collect();
    assert_eq!(
        fields,
        [
            ("metadata.a", Some(json!("1")), Some(json!("2"))),
            ("metadata.b", Some(json!("1")), None),
            ("metadata.c", None, Some(json!("1"))),
            ("weight", Some(json!(1.0)), Some(json!(3.0))),
        ]
    );
    let by: Vec<_> = difference
        .changes
        .iter()
        .map(|change| (change.revision, change.kind, change.by.clone().unwrap().peer))
        .collect();
    // The address of the connection, whatever a header says.
    assert_eq!(
        by,
        [
            (3, wire::ChangeKind::Updated, Some("192.0.2.7:4000".into())),
            (4, wire::ChangeKind::Removed, None),
            (5, wire::ChangeKind::Registered, None),
        ]
    );
    door.get(&format!("{SERVICE}/diff"))
        .await
        .problem(400, "invalid-value");
    door.get(&format!("{SERVICE}/diff?from=3&to=2"))
        .await
        .problem(400, "invalid-value");
}

/// The change log holds three changes; the history has the others, and pages go through both without a seam.
#[tokio::test]
async fn events_go_on_in_the_history_where_the_change_log_ends() {
    let (door, kept) = kept(3).await;
    for number in 1..=10 {
        door.register_with(&format!("10.0.0.{number}:80"), json!({}))
            .await;
    }
    for limit in 1..=11 {
        for order in ["asc", "desc"] {
            let (mut seen, mut place) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/v1/events?order={order}&limit={limit}{place}");
                let page: wire::EventsPage = door.get(&path).await.json();
                assert!(!page.truncated && page.oldest_revision == 1, "{page:?}");
                seen.extend(page.events.iter().map(|event| event.revision));
                place = match (order, page.next_before) {
                    ("asc", _) if page.next_after < 10 => format!("&after={}", page.next_after),
                    ("desc", Some(before)) => format!("&before={before}"),
                    _ => break,
                };
            }
            let mut expected: Vec<u64> = (1..=10).collect();
            if order == "desc" {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{order} by {limit}");
        }
    }
    kept.checkpoint(&door.registry);
    let page: wire::EventsPage = door.get("/api/v1/events").await.json();
    assert!(page.truncated, "what neither has is told to be missing");
    assert_eq!(page.events.len(), 3);
}
