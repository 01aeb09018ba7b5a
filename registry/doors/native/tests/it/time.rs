//! Timing semantics through the door, in paused time.

use std::time::Duration;

use beatrix_wire as wire;

use crate::door::{Door, SERVICE};

#[tokio::test(start_paused = true)]
async fn unhealthy_at_15_s_gone_at_30_s_after_the_last_beat() {
    let door = Door::open().await;
    let lease = door.register("10.0.0.1:80").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    door.beat(&[&lease]).await;
    let beat = tokio::time::Instant::now();
    tokio::time::sleep_until(beat + Duration::from_millis(14_999)).await;
    assert_eq!(door.instance("10.0.0.1:80").await.health, wire::Health::Healthy);
    tokio::time::sleep_until(beat + Duration::from_millis(15_025)).await;
    let silent = door.instance("10.0.0.1:80").await;
    assert_eq!(
        (silent.health, silent.reason.as_str()),
        (wire::Health::Unhealthy, "silent")
    );
    assert!(!silent.serving);
    tokio::time::sleep_until(beat + Duration::from_millis(29_999)).await;
    assert_eq!(door.service().await.instances.len(), 1);
    tokio::time::sleep_until(beat + Duration::from_millis(30_025)).await;
    let view = door.service().await;
    assert_eq!(
        (view.instances.len(), view.emptied_by.as_deref()),
        (0, Some("expired"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_beat_brings_a_silent_instance_back_at_once() {
    let door = Door::open().await;
    let lease = door.register("10.0.0.1:80").await;
    let mut stream = door.watch("service=public/DEFAULT_GROUP/orders", None).await;
    stream.expect().await;
    stream.expect().await.snapshot();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stream.expect().await.delta().upserted[0].reason, "silent");
    door.beat(&[&lease]).await;
    let back = stream.expect().await.delta();
    assert_eq!(
        (back.upserted[0].reason.as_str(), back.upserted[0].serving),
        ("beat", true)
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_service_is_forgotten_after_ten_minutes() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    door.call("DELETE", &format!("{SERVICE}/instances/10.0.0.1:80"), "")
        .await;
    tokio::time::sleep(Duration::from_secs(590)).await;
    assert_eq!(door.get(SERVICE).await.status, 200);
    tokio::time::sleep(Duration::from_secs(20)).await;
    door.get(SERVICE).await.problem(404, "service-not-found");
}
