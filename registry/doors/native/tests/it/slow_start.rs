//! Slow start: declared for a service, shown in lists, and pushed step by step.

use std::time::Duration;

use beatrix_wire as wire;
use serde_json::json;
use tokio::time::sleep;

use crate::door::{Door, SERVICE};

/// A service with one instance that has served for long, and a ramp of ten seconds.
async fn seasoned() -> Door {
    let door = Door::open().await;
    door.register_with("10.0.0.1:80", json!({"liveness": {"type": "static"}}))
        .await;
    let ramp = json!({"slow_start": {"duration_ms": 10_000}}).to_string();
    let declared = door.call("PATCH", SERVICE, ramp).await;
    assert_eq!(declared.status, 200);
    assert!(declared.json::<wire::WriteResponse>().changed);
    door
}

async fn add(door: &Door) {
    let body = json!({"liveness": {"type": "static"}, "weight": 4});
    door.register_with("10.0.0.2:80", body).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_shows_what_was_set_and_the_share_of_it_that_grows() {
    let door = seasoned().await;
    let declared = wire::SlowStart {
        duration_ms: 10_000,
        curve: wire::Curve::Linear,
        min_percent: 10,
    };
    assert_eq!(door.service().await.slow_start, Some(declared));
    add(&door).await;
    let old = door.instance("10.0.0.1:80").await;
    assert_eq!(
        (old.weight, old.effective_weight, old.balancing_weight()),
        (1.0, None, 1.0)
    );
    // Looked at right after each step.
    sleep(Duration::from_millis(1)).await;
    for share in [0.4, 0.76, 1.12, 1.48, 1.84, 2.2, 2.56, 2.92, 3.28, 3.64] {
        let new = door.instance("10.0.0.2:80").await;
        assert_eq!((new.weight, new.effective_weight), (4.0, Some(share)));
        assert_eq!(new.serving_since_ms, Some(new.since_ms));
        sleep(Duration::from_secs(1)).await;
    }
    let new = door.instance("10.0.0.2:80").await;
    assert_eq!((new.weight, new.effective_weight), (4.0, None));
    assert_eq!(new.serving_since_ms, Some(new.since_ms));
}

#[tokio::test(start_paused = true)]
async fn each_step_is_pushed_as_a_delta_of_its_own_revision() {
    let door = seasoned().await;
    add(&door).await;
    let mut stream = door.watch("service=public/DEFAULT_GROUP/orders", None).await;
    stream.expect().await;
    let mut known = stream.expect().await.snapshot().revision;
    let events = door.registry.events(&Default::default()).changes.len();
    for effective in [Some(0.76), Some(1.12), Some(1.48)] {
        let delta = stream.expect().await.delta();
        assert_eq!((delta.from_revision, delta.revision), (known, known + 1));
        assert_eq!((delta.upserted.len(), delta.removed.len()), (1, 0));
        assert_eq!(delta.upserted[0].effective_weight, effective);
        assert_eq!(delta.upserted[0].revision, delta.revision);
        known = delta.revision;
    }
    assert_eq!(door.registry.events(&Default::default()).changes.len(), events);
    // Who ended it is told the end of it.
    assert_eq!(
        door.call("PATCH", SERVICE, r#"{"slow_start":null}"#).await.status,
        200
    );
    assert_eq!(stream.expect().await.delta().upserted[0].effective_weight, None);
    assert_eq!(door.service().await.slow_start, None);
}

#[tokio::test(start_paused = true)]
async fn a_patch_that_names_nothing_changes_nothing_and_bad_ones_are_refused() {
    let door = seasoned().await;
    let same = door.call("PATCH", SERVICE, "{}").await;
    assert!(!same.json::<wire::WriteResponse>().changed);
    assert!(door.service().await.slow_start.is_some());
    for (body, field) in [
        (
            json!({"slow_start": {"duration_ms": 3_600_001}}),
            "slow_start.duration_ms",
        ),
        (
            json!({"slow_start": {"duration_ms": 1, "min_percent": 0}}),
            "slow_start.min_percent",
        ),
        (
            json!({"slow_start": {"duration_ms": 1, "min_percent": 101}}),
            "slow_start.min_percent",
        ),
    ] {
        let refused = door.call("PATCH", SERVICE, body.to_string()).await;
        assert_eq!(
            refused.problem(400, "invalid-value").field.as_deref(),
            Some(field)
        );
    }
    for body in [
        json!({"slow_start": {}}),
        json!({"slow_start": {"duration_ms": 1, "curve": "cubic"}}),
        json!({"slow_start": {"duration_ms": 1, "x": 1}}),
        json!({"x": 1}),
    ] {
        let refused = door.call("PATCH", SERVICE, body.to_string()).await;
        refused.problem(400, "invalid-body");
    }
}
