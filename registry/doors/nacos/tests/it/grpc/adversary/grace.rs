//! Connections that break and come back within a time of grace, if there is one.

use std::time::Duration;

use beatrix_core::model::Revision;
use beatrix_nacos::grpc::Settings;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::super::harness::{Client, S, World, at, ports, with};
use super::nothing_is_left;

const GRACE: Duration = Duration::from_secs(5);

async fn graceful() -> World {
    World::with(Settings {
        reconnect_grace: GRACE,
        ..Settings::default()
    })
    .await
}

/// One who has registered three, and one who is told so.
async fn provider_and_consumer(world: &World) -> (Client, Client) {
    let (provider, mut consumer) = (world.client().await, world.client().await);
    provider.batch("s", &three(1.0)).await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    (provider, consumer)
}

fn three(weight: f64) -> Vec<serde_json::Value> {
    let weight = json!({"weight": weight});
    (1..=3)
        .map(|port| with(at("10.0.0.1", port), weight.clone()))
        .collect()
}

fn revision(world: &World) -> Revision {
    world.http.registry.version().revision
}

/// Breaks the transport, and does not wait until the door has let go of it.
fn breaks(client: Client) -> tokio::task::JoinHandle<()> {
    drop((client.stream, client.connection));
    client.served
}

#[tokio::test(start_paused = true)]
async fn one_who_comes_back_within_the_grace_is_missed_by_nobody() {
    let world = graceful().await;
    let (provider, mut consumer) = provider_and_consumer(&world).await;
    let before = revision(&world);
    let old = breaks(provider);
    sleep(GRACE - S).await;
    let back = world.client().await;
    back.batch("s", &three(1.0)).await;
    old.await.unwrap();
    assert!(consumer.is_quiet_for(15 * S).await);
    assert_eq!(revision(&world), before);
    assert_eq!(ports(&back.hosts("s").await), [1, 2, 3]);
    // And they are its own now.
    consumer.is_set_up().await;
    breaks(back).await.unwrap();
    assert_eq!(consumer.pushed().await["hosts"], json!([]));
}

/// An old connection that is not noticed to be dead yet is none the better.
#[tokio::test(start_paused = true)]
async fn one_who_comes_back_before_the_old_connection_ends_needs_no_grace() {
    let world = World::start().await;
    let (provider, mut consumer) = provider_and_consumer(&world).await;
    let before = revision(&world);
    let back = world.client().await;
    back.batch("s", &three(1.0)).await;
    provider.cut().await;
    assert!(consumer.is_quiet_for(10 * S).await);
    assert_eq!(revision(&world), before);
    assert_eq!(ports(&back.hosts("s").await), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn one_who_comes_back_with_something_else_is_one_push() {
    let world = graceful().await;
    let (provider, mut consumer) = provider_and_consumer(&world).await;
    let old = breaks(provider);
    sleep(S).await;
    let back = world.client().await;
    back.batch("s", &three(2.0)).await;
    let (pushes, last) = consumer.pushes_within(S).await;
    assert_eq!((pushes, &last.unwrap()["hosts"][0]["weight"]), (1, &json!(2.0)));
    old.await.unwrap();
    assert!(consumer.is_quiet_for(10 * S).await);
    assert_eq!(back.hosts("s").await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_who_does_not_come_back_is_gone_after_the_grace_by_one_push() {
    let world = graceful().await;
    let (provider, mut consumer) = provider_and_consumer(&world).await;
    let broke = Instant::now();
    let old = breaks(provider);
    assert!(consumer.is_quiet_for(GRACE - S).await);
    assert_eq!(ports(&consumer.hosts("s").await), [1, 2, 3]);
    let (pushes, last) = consumer.pushes_within(2 * S).await;
    assert_eq!((pushes, &last.unwrap()["hosts"]), (1, &json!([])));
    old.await.unwrap();
    assert!(broke.elapsed() >= GRACE);
    consumer.cut().await;
    nothing_is_left(&world).await;
}

/// What comes back in part has said all that it has.
#[tokio::test(start_paused = true)]
async fn what_is_not_said_again_goes_with_the_grace() {
    let world = graceful().await;
    let (provider, consumer) = provider_and_consumer(&world).await;
    let old = breaks(provider);
    let back = world.client().await;
    back.batch("s", &three(1.0)[..1]).await;
    old.await.unwrap();
    assert_eq!(ports(&consumer.hosts("s").await), [1]);
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_they_go_at_once() {
    let world = World::start().await;
    let (provider, mut consumer) = provider_and_consumer(&world).await;
    breaks(provider);
    let told = timeout(Duration::from_millis(100), consumer.pushed()).await;
    assert_eq!(told.expect("at once")["hosts"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_needs_no_grace() {
    let world = graceful().await;
    let (provider, mut consumer) = provider_and_consumer(&world).await;
    provider.deregister("s", at("10.0.0.1", 1)).await;
    let told = timeout(Duration::from_millis(100), consumer.pushed()).await;
    assert_eq!(told.expect("at once")["hosts"], json!([]));
}

/// Subscriptions are for who reads them: those end with the transport.
#[tokio::test(start_paused = true)]
async fn the_grace_is_for_instances_only() {
    let world = graceful().await;
    let (provider, consumer) = provider_and_consumer(&world).await;
    let old = breaks(consumer);
    sleep(S).await;
    assert_eq!(world.http.registry.status().subscribers, 0);
    assert!(old.is_finished(), "who has registered nothing is not waited for");
    provider.cut().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_grace() {
    let world = graceful().await;
    let (provider, _consumer) = provider_and_consumer(&world).await;
    let old = breaks(provider);
    sleep(S).await;
    timeout(S, world.http.registry.stop()).await.expect("it stops");
    timeout(2 * S, old)
        .await
        .expect("so does the connection")
        .unwrap();
}

/// What the old connection said does not come up again behind the back of the new one.
#[tokio::test(start_paused = true)]
async fn a_goodbye_within_the_grace_is_one() {
    let world = graceful().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    let of_version = |version: &str| with(at("10.0.0.1", 80), json!({"metadata": {"v": version}}));
    let old = world.client().await;
    old.register("s", of_version("1")).await;
    consumer.pushed().await;
    drop((old.stream, old.connection));
    sleep(S).await;
    let back = world.client().await;
    back.register("s", of_version("2")).await;
    assert_eq!(consumer.pushed().await["hosts"][0]["metadata"]["v"], "2");
    back.deregister("s", at("10.0.0.1", 80)).await;
    assert_eq!(consumer.pushed().await["hosts"], json!([]));
    // The same without a difference between the two: nothing of it is a change but the goodbye.
    let old = world.client().await;
    old.register("s", of_version("1")).await;
    drop((old.stream, old.connection));
    sleep(S).await;
    let back = world.client().await;
    back.register("s", of_version("1")).await;
    back.deregister("s", at("10.0.0.1", 80)).await;
    assert!(back.hosts("s").await.is_empty());
}

/// Or those who come back would find no place while their former connections wait for them.
#[tokio::test(start_paused = true)]
async fn a_connection_has_no_place_any_more_while_it_waits() {
    let world = graceful().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    drop((client.stream, client.connection));
    sleep(S).await;
    assert_eq!(world.grpc.counts().connections, 0);
    assert!(!client.served.is_finished());
    assert_eq!(world.http.registry.status().instances, 1);
}
