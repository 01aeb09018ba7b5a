//! One client that says as much as a message may have.

use serde_json::{Value, json};

use super::super::fuzzy::key;
use super::super::harness::{S, World, at, of, with};
use super::{Bystander, nothing_is_left};

#[tokio::test(start_paused = true)]
async fn a_batch_that_names_one_address_again_and_again_is_one_instance() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let client = world.client().await;
    let instances: Vec<Value> = (1..=9_000)
        .map(|weight| with(at("10.0.0.1", 80), json!({"weight": weight})))
        .collect();
    client.batch("s", &instances).await;
    let hosts = client.hosts("s").await;
    assert_eq!((hosts.len(), &hosts[0]["weight"]), (1, &json!(9_000.0)));
    bystander.goes_on().await;
}

/// They come and go as one, and others are told of their own services meanwhile.
#[tokio::test(start_paused = true)]
async fn a_batch_of_many_comes_and_goes_as_one() {
    const MANY: u32 = 5_000;
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    let client = world.client().await;
    let one = |number| json!({"ip": format!("10.1.{}.{}", number / 250, number % 250), "port": 80});
    let instances: Vec<Value> = (0..MANY).map(one).collect();
    client.batch("s", &instances).await;
    let (pushes, last) = consumer.pushes_within(S).await;
    let told = last.unwrap()["hosts"].as_array().unwrap().len();
    assert_eq!((pushes, told), (1, MANY as usize));
    client.cut().await;
    let (pushes, last) = consumer.pushes_within(S).await;
    assert_eq!((pushes, &last.unwrap()["hosts"]), (1, &json!([])));
    bystander.goes_on().await;
}

/// A watcher is told of a bounded number of services, and so cannot know of more.
#[tokio::test(start_paused = true)]
async fn one_who_says_that_it_knows_very_many_services_is_told_of_no_more_than_there_may_be() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let mut client = world.client().await;
    let keys: Vec<String> = (0..20_000)
        .map(|number| key(&format!("made-up{number}")))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    client.watch("public>>*>>made-up*", false, &keys).await;
    let max = beatrix_nacos::limits::GRPC_FUZZY_SERVICES_PER_PATTERN_MAX;
    let mut told = 0;
    while let Some(word) = client.next_within(S).await {
        client.took(&word.json);
        told += 1;
        assert!(told <= max, "{told} notices");
    }
    bystander.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_list_of_very_many_clusters_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let clusters = vec!["c"; 2_000].join(",");
    let named = json!({"clusters": clusters, "cluster": clusters, "subscribe": true});
    for (kind, answered) in [
        ("SubscribeServiceRequest", "SubscribeServiceResponse"),
        ("ServiceQueryRequest", "QueryServiceResponse"),
    ] {
        client
            .fails(kind, with(of("s"), named.clone()), 400, answered)
            .await;
    }
    client.cut().await;
    nothing_is_left(&world).await;
}
