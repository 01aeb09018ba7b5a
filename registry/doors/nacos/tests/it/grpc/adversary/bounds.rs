//! What one client can have the registry keep: every text and every list that it names has a bound.

use beatrix_nacos::limits::{BATCH_ENTRIES_MAX, GRPC_CLUSTERS_BYTES_MAX};
use beatrix_nacos_wire::REQUEST;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::fuzzy::watching;
use super::super::harness::{S, World, batch, of, with};
use super::Bystander;
use super::raw::Raw;

#[tokio::test(start_paused = true)]
async fn texts_that_are_kept_are_short() {
    let world = World::start().await;
    let client = world.client().await;
    let pattern = format!("public>>*>>{}", "x".repeat(1024 * 1024));
    client
        .fails(
            "NamingFuzzyWatchRequest",
            watching(&pattern, true, &[]),
            400,
            "NamingFuzzyWatchResponse",
        )
        .await;
    for clusters in [" ".repeat(GRPC_CLUSTERS_BYTES_MAX + 1), vec!["c"; 700].join(",")] {
        let request = with(of("s"), json!({"subscribe": true, "clusters": clusters}));
        client
            .fails(
                "SubscribeServiceRequest",
                request,
                400,
                "SubscribeServiceResponse",
            )
            .await;
    }
    assert_eq!(world.http.registry.status().subscribers, 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_as_many_as_one_over_http() {
    let world = World::start().await;
    let client = world.client().await;
    let one = |number: usize| json!({"ip": format!("10.1.{}.{}", number / 250, number % 250), "port": 80});
    let mut all: Vec<Value> = (0..=BATCH_ENTRIES_MAX).map(one).collect();
    client
        .fails(
            "BatchInstanceRequest",
            batch("s", &all),
            400,
            "BatchInstanceResponse",
        )
        .await;
    all.pop();
    client.batch("s", &all).await;
    assert_eq!(world.http.registry.status().instances, BATCH_ENTRIES_MAX);
}

/// Nobody announces much before he has said who he is.
#[tokio::test(start_paused = true)]
async fn calls_that_never_end_cost_a_stranger_his_place_and_nobody_else_anything() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let raw = Raw::connect(&world).await;
    let mut held = Vec::new();
    for _ in 0..30 {
        let saying = raw.stream_to(REQUEST).await;
        let len: u32 = 10 * 1024 * 1024;
        let head: Vec<u8> = std::iter::once(0).chain(len.to_be_bytes()).collect();
        saying.say(head);
        saying.say(vec![0; 63 * 1024]);
        held.push(saying);
    }
    bystander.during(sleep(25 * S)).await;
    assert_eq!(world.grpc.counts().connections, 2);
    drop(held);
    bystander.goes_on().await;
}
