//! Drains over the API: waited for, asked for, shared, cancelled.

use std::time::Duration;

use axum::body::Body;
use beatrix_wire as wire;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::door::{Door, SERVICE};

fn path() -> String {
    format!("{SERVICE}/instances/10.0.0.1:80/drain")
}

impl Door {
    async fn drain(&self, deadline_ms: u64) -> wire::DrainResponse {
        let body = json!({"deadline_ms": deadline_ms}).to_string();
        self.call("POST", &path(), body).await.json()
    }

    async fn says(&self, lease: &str, in_flight: u64) {
        let body = json!({"cluster_id": "beatrix", "leases": [lease], "in_flight": {lease: in_flight}});
        let answer = self.call("POST", "/api/v1/beats", body.to_string()).await;
        assert_eq!(answer.json::<wire::BeatResponse>().renewed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_until_the_instance_has_nothing_in_flight() {
    let door = Door::open().await;
    let lease = door.register("10.0.0.1:80").await;
    door.says(&lease, 2).await;
    let begin = Instant::now();
    let says = async {
        for (after, in_flight) in [(1_000, 2), (1_000, 1), (1_000, 0)] {
            sleep(Duration::from_millis(after)).await;
            door.says(&lease, in_flight).await;
        }
    };
    let (drained, ()) = tokio::join!(door.drain(30_000), says);
    assert!(drained.complete, "{drained:?}");
    let said = drained.in_flight.unwrap();
    assert_eq!(said.count, 0);
    assert!(said.at_ms > 0);
    assert!(begin.elapsed() >= Duration::from_secs(3) && begin.elapsed() < Duration::from_millis(3_010));
    // At its deadline it says what is still there.
    door.says(&lease, 5).await;
    let drained = door.drain(100).await;
    assert_eq!((drained.complete, drained.in_flight.unwrap().count), (false, 5));
}

#[tokio::test(start_paused = true)]
async fn a_drain_can_be_asked_for_and_cancelled_while_somebody_waits() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    door.get(&path()).await.problem(404, "drain-not-found");
    let _follows = door
        .watch("service=public/DEFAULT_GROUP/orders&name=slow&acks=true", None)
        .await;
    let look = async {
        sleep(Duration::from_secs(1)).await;
        let progress: wire::DrainResponse = door.get(&path()).await.json();
        assert_eq!(
            (progress.complete, progress.waiting),
            (false, vec!["slow".to_owned()])
        );
        assert_eq!((progress.in_flight, progress.ended), (None, None));
        let cancelled = door.call("DELETE", &path(), Body::empty()).await;
        assert!(cancelled.json::<wire::WriteResponse>().changed);
    };
    let (drained, ()) = tokio::join!(door.drain(30_000), look);
    assert_eq!(
        (drained.complete, drained.ended.as_deref()),
        (false, Some("cancelled"))
    );
    assert!(door.instance("10.0.0.1:80").await.serving);
    door.get(&path()).await.problem(404, "drain-not-found");
    let again = door.call("DELETE", &path(), Body::empty()).await;
    assert!(!again.json::<wire::WriteResponse>().changed);
}

#[tokio::test(start_paused = true)]
async fn a_watch_stream_that_breaks_does_not_complete_a_drain_at_once() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let follows = door
        .watch(
            "service=public/DEFAULT_GROUP/orders&name=orders-1&acks=true",
            None,
        )
        .await;
    let breaks = async {
        sleep(Duration::from_secs(1)).await;
        drop(follows);
    };
    let begin = Instant::now();
    let (drained, ()) = tokio::join!(door.drain(5_000), breaks);
    assert_eq!(
        (drained.complete, drained.waiting),
        (false, vec!["orders-1".to_owned()])
    );
    let drained = door.drain(30_000).await;
    assert!(drained.complete, "{drained:?}");
    assert!(begin.elapsed() >= Duration::from_secs(11) && begin.elapsed() < Duration::from_millis(11_100));
}

#[tokio::test(start_paused = true)]
async fn a_deregistration_completes_a_drain() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let _follows = door
        .watch("service=public/DEFAULT_GROUP/orders&name=slow&acks=true", None)
        .await;
    let goes = async {
        sleep(Duration::from_secs(1)).await;
        let instance = format!("{SERVICE}/instances/10.0.0.1:80");
        assert_eq!(door.call("DELETE", &instance, Body::empty()).await.status, 200);
    };
    let (drained, ()) = tokio::join!(door.drain(30_000), goes);
    assert_eq!(
        (drained.complete, drained.ended.as_deref()),
        (true, Some("removed"))
    );
    for method in ["GET", "POST", "DELETE"] {
        let gone = door.call(method, &path(), "{}").await;
        gone.problem(404, "instance-not-found");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_may_say_what_they_have_in_flight_at_once_and_unknown_ones_are_passed_over() {
    let door = Door::open().await;
    let body = |count: u64| {
        let said: std::collections::BTreeMap<String, u64> =
            (0..count).map(|number| (format!("{number:016x}"), 1)).collect();
        json!({"cluster_id": "beatrix", "in_flight": said}).to_string()
    };
    let most = door.call("POST", "/api/v1/beats", body(1_000)).await;
    assert_eq!(most.json::<wire::BeatResponse>(), wire::BeatResponse::default());
    let more = door.call("POST", "/api/v1/beats", body(1_001)).await;
    more.problem(400, "limit-exceeded");
    for said in [json!({"x": -1}), json!({"x": "1"}), json!([1])] {
        let body = json!({"cluster_id": "beatrix", "in_flight": said}).to_string();
        door.call("POST", "/api/v1/beats", body)
            .await
            .problem(400, "invalid-body");
    }
}
