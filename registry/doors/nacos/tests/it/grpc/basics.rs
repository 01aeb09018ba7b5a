//! The main job: a client registers, another one hears of it, and the first goes.

use std::time::Duration;

use serde_json::json;

use super::harness::{World, at, ports};

#[tokio::test(start_paused = true)]
async fn what_one_registers_another_is_pushed_until_the_connection_ends() {
    let world = World::start().await;
    let provider = world.client().await;
    let mut consumer = world.client().await;
    let empty = consumer.subscribe("s").await;
    assert_eq!(empty["hosts"], json!([]));
    assert_eq!(consumer.pushed().await["hosts"], json!([]), "the first push");

    provider.register("s", at("10.0.0.1", 80)).await;
    let pushed = consumer.pushed().await;
    assert_eq!(pushed["name"], "s");
    assert_eq!(pushed["groupName"], "DEFAULT_GROUP");
    assert_eq!(pushed["hosts"][0]["ip"], "10.0.0.1");
    assert_eq!(pushed["hosts"][0]["ephemeral"], true);
    assert!(pushed["lastRefTime"].as_u64() > empty["lastRefTime"].as_u64());
    assert_eq!(ports(&consumer.hosts("s").await), [80]);

    drop(provider.stream);
    drop(provider.connection);
    assert_eq!(consumer.pushed().await["hosts"], json!([]));
    provider.served.await.unwrap();
    assert!(
        consumer.is_quiet_for(Duration::from_secs(5)).await,
        "all is acknowledged"
    );
    assert_eq!(world.grpc.counts().connections, 1);
}
