//! All the instances that a connection has in a service, said at once. Checklist 58 to 63.

use serde_json::{Value, json};

use super::harness::{S, World, at, batch, ports};

fn three() -> Vec<Value> {
    (1..=3).map(|port| at("10.0.0.1", port)).collect()
}

#[tokio::test(start_paused = true)]
async fn checklist_58_a_batch_registers_all_its_instances() {
    let world = World::start().await;
    let client = world.client().await;
    let answer = client.ask("BatchInstanceRequest", batch("s", &three())).await;
    assert_eq!(answer.kind, "BatchInstanceResponse");
    assert_eq!(answer.json["type"], "batchRegisterInstance");
    assert_eq!(answer.json["resultCode"], 200);
    assert_eq!(ports(&world.hosts("s").await), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn checklist_59_a_batch_takes_the_place_of_the_one_before() {
    let world = World::start().await;
    let client = world.client().await;
    client.batch("s", &three()).await;
    client.batch("s", &[at("10.0.0.1", 2)]).await;
    assert_eq!(ports(&client.hosts("s").await), [2]);
}

#[tokio::test(start_paused = true)]
async fn checklist_60_a_batch_of_none_leaves_none() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    other.register("s", at("10.0.0.1", 9)).await;
    client.batch("s", &[]).await;
    client.batch("s", &three()).await;
    assert_eq!(ports(&client.hosts("s").await), [1, 2, 3, 9]);
    client.batch("s", &[]).await;
    assert_eq!(ports(&client.hosts("s").await), [9]);
    client.batch("t", &three()).await;
    let mut without = batch("t", &[]);
    without["instances"] = Value::Null;
    client.done("BatchInstanceRequest", without).await;
    assert!(client.hosts("t").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_61_of_a_batch_and_a_single_one_the_later_counts() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 9)).await;
    client.batch("s", &three()).await;
    assert_eq!(ports(&client.hosts("s").await), [1, 2, 3]);
    client.register("s", at("10.0.0.1", 9)).await;
    assert_eq!(ports(&client.hosts("s").await), [9]);
}

#[tokio::test(start_paused = true)]
async fn checklist_62_a_goodbye_ends_a_whole_batch() {
    let world = World::start().await;
    let client = world.client().await;
    client.batch("s", &three()).await;
    client.deregister("s", at("10.0.0.1", 2)).await;
    assert!(client.hosts("s").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_63_a_batch_that_goes_with_its_connection_is_one_push() {
    let world = World::start().await;
    let client = world.client().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    client.batch("s", &three()).await;
    assert_eq!(consumer.pushed().await["hosts"].as_array().unwrap().len(), 3);
    client.cut().await;
    assert!(world.hosts("s").await.is_empty());
    let (pushes, last) = consumer.pushes_within(2 * S).await;
    assert_eq!((pushes, &last.unwrap()["hosts"]), (1, &json!([])));
}

/// A batch comes as one change, so that nobody is told of a part of it.
#[tokio::test(start_paused = true)]
async fn a_batch_is_one_push() {
    let world = World::start().await;
    let client = world.client().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    client.batch("s", &three()).await;
    let some_others: Vec<_> = (3..=5).map(|port| at("10.0.0.1", port)).collect();
    assert_eq!(consumer.pushes_within(S).await.0, 1);
    client.batch("s", &some_others).await;
    let (pushes, last) = consumer.pushes_within(S).await;
    assert_eq!(pushes, 1);
    assert_eq!(ports(last.unwrap()["hosts"].as_array().unwrap()), [3, 4, 5]);
}

/// One address is one instance, and of two that name it the last counts.
#[tokio::test(start_paused = true)]
async fn an_address_that_a_batch_names_twice_is_one_instance() {
    let world = World::start().await;
    let client = world.client().await;
    let heavier = super::harness::with(at("10.0.0.1", 1), json!({"weight": 7}));
    client
        .batch("s", &[at("10.0.0.1", 1), at("10.0.0.1", 2), heavier])
        .await;
    let hosts = client.hosts("s").await;
    assert_eq!(ports(&hosts), [1, 2]);
    let first = hosts.iter().find(|host| host["port"] == 1).unwrap();
    assert_eq!(first["weight"], 7.0);
}
