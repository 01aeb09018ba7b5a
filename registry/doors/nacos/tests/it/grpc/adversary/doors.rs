//! One registry behind several doors: a change is one change for all of them, and an address is one instance.

use std::time::Duration;

use beatrix_nacos::grpc::Settings;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::super::harness::{S, World, at, ports, with};
use crate::udp::Pushing;

const QUERY: &str = "serviceName=S&ip=10.0.0.1&port=80";

fn hosts(list: &Value) -> Vec<u64> {
    ports(list["hosts"].as_array().unwrap())
}

fn revision(world: &World) -> u64 {
    world.http.registry.version().revision.0
}

async fn http(world: &World) -> Vec<u64> {
    hosts(&world.http.list("serviceName=S").await)
}

#[tokio::test(start_paused = true)]
async fn a_change_is_one_revision_and_one_push_by_each_door() {
    let mut pushing = Pushing::start().await;
    let world = World::over(pushing.nacos.clone(), Settings::default());
    let (provider, mut consumer) = (world.client().await, world.client().await);
    provider.register("S", at("10.0.0.1", 80)).await;
    let list = "serviceName=S&clientIP=127.0.0.1&udpPort=54321";
    assert_eq!(hosts(&world.http.list(list).await), [80]);
    assert_eq!(hosts(&pushing.next_list().await), [80]);
    consumer.subscribe("S").await;
    assert_eq!(hosts(&consumer.pushed().await), [80]);

    let mut before = revision(&world);
    for (port, over_http) in [(81, true), (82, false), (83, true), (84, false)] {
        if over_http {
            let query = format!("serviceName=S&ip=10.0.0.1&port={port}");
            world.http.register(&query).await;
        } else {
            world
                .http
                .instance("DELETE", &format!("serviceName=S&ip=10.0.0.1&port={}", port - 1))
                .await
                .is_ok();
            provider.register("S", at("10.0.0.1", port)).await;
            // Its own old one went, too: three changes.
            before += 2;
        }
        assert_eq!(revision(&world), before + 1, "{port}");
        before += 1;
        let (pushes, last) = consumer.pushes_within(S).await;
        assert_eq!(pushes, if over_http { 1 } else { 2 }, "{port}");
        let told = hosts(&last.unwrap());
        assert_eq!(http(&world).await, told);
        let path = "/nacos/v2/ns/instance/list?serviceName=S";
        assert_eq!(
            hosts(&world.http.ask("GET", path, None).await.json()["data"]),
            told
        );
        let path = "/nacos/v3/client/ns/instance/list?serviceName=S";
        let listed = world.http.ask("GET", path, None).await.json();
        assert_eq!(ports(listed["data"].as_array().unwrap()), told);
        // As many by datagram.
        for _ in 1..pushes {
            pushing.next_list().await;
        }
        assert_eq!(hosts(&pushing.next_list().await), told);
    }
}

/// A registration that says nothing new is none, whoever it is of.
#[tokio::test(start_paused = true)]
async fn one_who_only_renews_changes_nothing() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("S", at("10.0.0.1", 80)).await;
    world.http.register("serviceName=S&ip=10.0.0.2&port=81").await;
    let before = revision(&world);
    for _ in 0..5 {
        client.register("S", at("10.0.0.1", 80)).await;
        world.http.beat("serviceName=S&ip=10.0.0.2&port=81", None).await;
        client.batch("S", &[at("10.0.0.1", 80)]).await;
        sleep(S).await;
    }
    assert_eq!(revision(&world), before);
}

#[tokio::test(start_paused = true)]
async fn who_registers_over_http_takes_an_address_over_from_a_connection() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("S", at("10.0.0.1", 80)).await;
    world.http.register(&format!("{QUERY}&weight=7")).await;
    assert_eq!(world.http.hosts().await[0]["weight"], 7.0);
    assert_eq!(world.http.hosts().await.len(), 1);
    client.cut().await;
    assert_eq!(
        http(&world).await,
        [80],
        "the loss of the first one does not remove it"
    );
    for _ in 0..8 {
        sleep(5 * S).await;
        world.http.beat(QUERY, None).await;
        assert_eq!(http(&world).await, [80]);
    }
    // It lives by its beats now, and by nothing else.
    sleep(31 * S).await;
    assert!(http(&world).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_connection_takes_an_address_over_from_one_that_beats() {
    let world = World::start().await;
    world.http.register(&format!("{QUERY}&weight=7")).await;
    let client = world.client().await;
    client.register("S", at("10.0.0.1", 80)).await;
    assert_eq!(world.http.hosts().await[0]["weight"], 1.0);
    client.lives_for(40 * S).await;
    assert_eq!(http(&world).await, [80], "nobody waits for beats any more");
    assert_eq!(world.http.hosts().await[0]["healthy"], true);
    client.cut().await;
    assert!(http(&world).await.is_empty());
}

/// Both go on: whoever of them ends first, the other one's stays.
#[tokio::test(start_paused = true)]
async fn an_address_goes_back_to_the_connection_when_its_beats_end() {
    let world = World::start().await;
    let client = world.client().await;
    client
        .register("S", with(at("10.0.0.1", 80), json!({"weight": 3})))
        .await;
    world.http.register(&format!("{QUERY}&weight=7")).await;
    client.lives_for(40 * S).await;
    let hosts = world.http.hosts().await;
    assert_eq!(hosts.len(), 1, "its client is still there");
    assert_eq!(
        (&hosts[0]["weight"], &hosts[0]["healthy"]),
        (&json!(3.0), &json!(true))
    );
    client.cut().await;
    assert!(http(&world).await.is_empty());
}

/// See "known differences" of the door: Nacos would list both.
#[tokio::test(start_paused = true)]
async fn a_beat_with_json_takes_nothing_over_from_a_connection() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("S", at("10.0.0.1", 80)).await;
    let before = revision(&world);
    let beat = "serviceName=S&beat=%7B%22ip%22%3A%2210.0.0.1%22%2C%22port%22%3A80%2C%22weight%22%3A7%7D";
    assert_eq!(world.http.beat(beat, None).await.status, 400);
    // A light one finds no instance that beats.
    assert_eq!(world.http.beat(QUERY, None).await.json()["code"], 20_404);
    assert_eq!(revision(&world), before);
    client.cut().await;
    assert!(http(&world).await.is_empty());
}

/// See "known differences" of the door: in Nacos it has no effect.
#[tokio::test(start_paused = true)]
async fn a_goodbye_over_http_ends_an_instance_of_a_connection() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("S", at("10.0.0.1", 80)).await;
    world.http.instance("DELETE", QUERY).await.is_ok();
    assert!(http(&world).await.is_empty());
    // Its client may say so again.
    client.register("S", at("10.0.0.1", 80)).await;
    assert_eq!(http(&world).await, [80]);
    sleep(Duration::from_millis(1)).await;
    client.deregister("S", at("10.0.0.1", 80)).await;
    assert!(http(&world).await.is_empty());
}
