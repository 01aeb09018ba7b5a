//! A drain waits for those who are told over gRPC: their acknowledgements count, and who gives none is named.

use std::time::Duration;

use beatrix_core::model::{Endpoint, ServiceKey};
use beatrix_engine::registry::Drained;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::super::harness::{Client, S, World, at, eventually, ports};

/// Drains the instance at this port; tells how long that took.
fn drain(world: &World, port: u16, deadline: Duration) -> JoinHandle<(Drained, Duration)> {
    let registry = world.http.registry.clone();
    tokio::spawn(async move {
        let from = Instant::now();
        let service: ServiceKey = "public/DEFAULT_GROUP/s".parse().unwrap();
        let endpoint: Endpoint = format!("10.0.0.1:{port}").parse().unwrap();
        let drained = registry.drain(service, endpoint, deadline).await.unwrap();
        (drained, from.elapsed())
    })
}

/// One of an application, subscribed, that has the list and has acknowledged it.
async fn consumer(world: &World, app: &str) -> Client {
    let mut client = world.set_up_with(&json!({"labels": {"AppName": app}})).await;
    eventually("it is set up", async || client.is_set_up().await.then_some(())).await;
    client.subscribe("s").await;
    client.pushed().await;
    client
}

async fn provider(world: &World) -> Client {
    let provider = world.client().await;
    provider
        .batch("s", &[at("10.0.0.1", 80), at("10.0.0.1", 81)])
        .await;
    provider
}

/// The next list that is pushed, not acknowledged.
async fn told(client: &mut Client) -> Value {
    client.next_within(6 * S).await.expect("it is told").json
}

fn listed(push: &Value) -> Vec<u64> {
    ports(push["serviceInfo"]["hosts"].as_array().unwrap())
}

fn acknowledge(client: &Client, push: &Value) {
    client.stream.acknowledge("NotifySubscriberResponse", push);
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_complete_with_the_acknowledgement_of_the_list_without_the_instance() {
    let world = World::start().await;
    let _provider = provider(&world).await;
    let mut shop = consumer(&world, "shop").await;
    let draining = drain(&world, 80, 15 * S);
    let push = told(&mut shop).await;
    assert_eq!(listed(&push), [81]);
    sleep(S).await;
    assert!(!draining.is_finished());
    acknowledge(&shop, &push);
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete, "{drained:?}");
    assert_eq!(drained.acknowledged, ["shop at 10.0.0.9"]);
    assert_eq!((drained.waiting.len(), drained.without_acks), (0, 0));
    assert!(after >= S && after < S + Duration::from_millis(100), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_not_acknowledged_is_named_at_the_deadline() {
    let world = World::start().await;
    let _provider = provider(&world).await;
    let (mut shop, mut deaf) = (consumer(&world, "shop").await, consumer(&world, "deaf").await);
    let draining = drain(&world, 80, 12 * S);
    let push = told(&mut shop).await;
    acknowledge(&shop, &push);
    let mut repeats = 0;
    while !draining.is_finished() {
        // It reads, refuses, and says that it lives.
        if let Some(word) = deaf.next_within(S).await {
            assert_eq!(listed(&word.json), [81]);
            let refusal = json!({"resultCode": 500, "requestId": word.json["requestId"]});
            deaf.stream.send("NotifySubscriberResponse", &refusal);
            repeats += 1;
        }
    }
    assert!(repeats >= 8, "{repeats}");
    let (drained, after) = draining.await.unwrap();
    assert_eq!(
        (drained.complete, &drained.waiting),
        (false, &vec!["deaf at 10.0.0.9".to_owned()])
    );
    assert_eq!(drained.acknowledged, ["shop at 10.0.0.9"]);
    assert!(after >= 12 * S && after < 13 * S, "{after:?}");
}

/// The list goes on changing: what it acknowledges is never the newest.
#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_a_push_that_a_newer_one_has_superseded_counts() {
    let world = World::start().await;
    let _provider = provider(&world).await;
    let mut shop = consumer(&world, "shop").await;
    let draining = drain(&world, 80, 15 * S);
    let push = told(&mut shop).await;
    let other = world.client().await;
    other.register("s", at("10.0.0.1", 82)).await;
    let newer = told(&mut shop).await;
    assert_eq!((listed(&push), listed(&newer)), (vec![81], vec![81, 82]));
    acknowledge(&shop, &push);
    sleep(S).await;
    assert!(draining.is_finished(), "it knows a list without the instance");
    assert!(draining.await.unwrap().0.complete);
}

#[tokio::test(start_paused = true)]
async fn one_who_unsubscribes_is_not_waited_for() {
    let world = World::start().await;
    let _provider = provider(&world).await;
    let mut shop = consumer(&world, "shop").await;
    let draining = drain(&world, 80, 15 * S);
    told(&mut shop).await;
    shop.subscribe_to("s", "", false).await;
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete, "{drained:?}");
    assert!(after < S, "{after:?}");
}

/// It goes on with what it knew last, and comes back in a moment.
#[tokio::test(start_paused = true)]
async fn one_whose_connection_breaks_is_waited_for_until_it_is_back() {
    let world = World::start().await;
    let _provider = provider(&world).await;
    let mut shop = consumer(&world, "shop").await;
    let draining = drain(&world, 80, 30 * S);
    told(&mut shop).await;
    shop.cut().await;
    sleep(4 * S).await;
    assert!(!draining.is_finished());
    let mut back = world.set_up_with(&json!({"labels": {"AppName": "shop"}})).await;
    eventually("it is set up", async || back.is_set_up().await.then_some(())).await;
    back.subscribe("s").await;
    let push = told(&mut back).await;
    assert!(!draining.is_finished());
    acknowledge(&back, &push);
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete, "{drained:?}");
    assert!(after >= 4 * S && after < 5 * S, "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn one_whose_connection_breaks_for_good_is_named_as_gone() {
    let world = World::start().await;
    let provider = provider(&world).await;
    let mut shop = consumer(&world, "shop").await;
    let draining = drain(&world, 80, 30 * S);
    told(&mut shop).await;
    shop.cut().await;
    provider.lives_for(10 * S).await;
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete, "{drained:?}");
    assert_eq!(drained.gone, ["shop at 10.0.0.9"]);
    assert!(after >= 9 * S && after < 11 * S, "{after:?}");
}

/// Who names no application goes by its library.
#[tokio::test(start_paused = true)]
async fn one_without_a_name_is_called_by_its_library() {
    let world = World::start().await;
    let _provider = provider(&world).await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    client.pushed().await;
    let (drained, _) = drain(&world, 80, S).await.unwrap();
    assert_eq!(drained.waiting, ["Nacos-Test-Client:v0 at 10.0.0.9"]);
}
