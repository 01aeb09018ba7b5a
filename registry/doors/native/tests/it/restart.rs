//! What readers and subscribers of the native API see of a restart.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use beatrix_engine::EngineConfig;
use beatrix_wire as wire;
use serde_json::json;

use crate::door::{Answer, Door, SERVICE};
use crate::kept::Kept;

const ORDERS: &str = "service=public/DEFAULT_GROUP/orders";

async fn open(kept: &Kept) -> Door {
    Door::over(EngineConfig::default(), kept.open()).await
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn unless(door: &Door, tag: &str) -> Answer {
    let request = Request::builder().uri(SERVICE).header("if-none-match", tag);
    door.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn views_say_that_they_may_be_incomplete_and_their_tags_differ() {
    let kept = Kept::default();
    let door = open(&kept).await;
    let lease = door.register("10.0.0.1:80").await;
    let before = door.get(SERVICE).await;
    door.registry.stop().await;

    let door = open(&kept).await;
    let tag = before.headers["etag"].to_str().unwrap();
    let warming = unless(&door, tag).await;
    assert_eq!(warming.status, 200);
    let view: wire::ServiceView = warming.json();
    assert!(!view.complete);
    assert_eq!(
        (view.instances.len(), view.instances[0].health),
        (1, wire::Health::Healthy)
    );
    assert_eq!(
        warming.json::<serde_json::Value>()["instances"][0]["unconfirmed"],
        json!(true)
    );
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    assert!(!status.complete);
    let warming = warming.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(unless(&door, &warming).await.status, 304);

    // Who waits for news hears that it is complete.
    let after = format!("{}.{}", view.epoch, view.revision);
    let path = format!("{SERVICE}?after={after}&wait_ms=30000");
    let waits = door.get(&path);
    let beats = async {
        seconds(2).await;
        assert_eq!(door.beat(&[&lease]).await.renewed, 1);
    };
    let (answer, ()) = tokio::join!(waits, beats);
    let view: wire::ServiceView = answer.json();
    assert!(view.complete);
    assert_eq!(
        answer.json::<serde_json::Value>()["instances"][0].get("unconfirmed"),
        None
    );
    assert_eq!(unless(&door, &warming).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_stream_from_before_is_told_just_what_it_missed() {
    let kept = Kept::default();
    let door = open(&kept).await;
    let mut leases = Vec::new();
    for port in 1..=50 {
        leases.push(door.register(&format!("10.0.0.1:{port}")).await);
    }
    let mut stream = door.watch(ORDERS, None).await;
    stream.expect().await;
    let id = stream.expect().await.id;
    drop(stream);
    leases.push(door.register("10.0.0.2:80").await);
    door.registry.stop().await;

    let door = open(&kept).await;
    let mut stream = door.watch(ORDERS, Some(&id)).await;
    assert_eq!(stream.expect().await.data["resumed"], json!(true));
    let delta = stream.expect().await.delta();
    assert_eq!(
        (delta.upserted.len(), delta.removed.len(), delta.complete),
        (1, 0, false)
    );
    // All of them go on beating with the leases that they have.
    seconds(1).await;
    let leases: Vec<_> = leases.iter().map(String::as_str).collect();
    assert_eq!(door.beat(&leases).await.renewed, 51);
    // At the end of warming all is told once more, as the truth.
    let whole = stream.expect().await;
    assert!(door.registry.complete());
    assert_eq!(
        (whole.snapshot().instances.len(), whole.snapshot().complete),
        (51, true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_of_what_was_lost_is_told_so_and_gets_the_whole() {
    let kept = Kept::default();
    let door = open(&kept).await;
    door.register("10.0.0.1:80").await;
    let mut stream = door.watch(ORDERS, None).await;
    stream.expect().await;
    let good = stream.expect().await.id;
    door.register("10.0.0.2:80").await;
    let lost = stream.expect().await.id;
    door.registry.stop().await;
    kept.lose(1, 500);

    let door = open(&kept).await;
    let mut stream = door.watch(ORDERS, Some(&lost)).await;
    let hello = stream.expect().await;
    assert_eq!(hello.data["resumed"], json!(false));
    assert!(
        hello.data["not_resumed"].as_str().unwrap().contains("lost"),
        "{hello:?}"
    );
    let whole = stream.expect().await;
    assert_eq!(
        (whole.snapshot().instances.len(), whole.snapshot().complete),
        (1, false)
    );
    // A poll that knows what was lost does not wait either.
    let view = door.get(&format!("{SERVICE}?after={lost}&wait_ms=60000")).await;
    assert_eq!(view.status, 200);

    let mut stream = door.watch(ORDERS, Some(&good)).await;
    assert_eq!(stream.expect().await.data["resumed"], json!(true));
    door.register("10.0.0.3:80").await;
    let delta = stream.expect().await.delta();
    assert_eq!((delta.upserted.len(), delta.revision), (1, 501));
}
