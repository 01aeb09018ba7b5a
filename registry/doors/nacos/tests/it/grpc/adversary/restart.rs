//! A restart of the registry, as its clients see it: they come back by themselves, and nobody is missed meanwhile.

use std::time::Duration;

use beatrix_nacos::grpc::Settings;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::super::harness::{Client, S, World, at, eventually, of, ports, with};
use crate::harness::Nacos;
use crate::kept::Kept;

async fn started(kept: &Kept) -> World {
    World::over(Nacos::over(kept.open()).await, Settings::default())
}

/// A registry that was left with two instances of a connection in `s`, and one in `t`.
async fn restarted() -> World {
    let kept = Kept::default();
    let world = started(&kept).await;
    let client = world.client().await;
    client.batch("s", &[at("10.0.0.1", 1), at("10.0.0.1", 2)]).await;
    client.register("t", at("10.0.0.1", 1)).await;
    world.http.registry.stop().await;
    client.ended().await;
    started(&kept).await
}

async fn complete(world: &World, client: &Client) {
    while !world.http.registry.complete() {
        assert!(client.is_set_up().await);
        sleep(S).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_connection_had_is_listed_and_waits_for_its_client() {
    let world = restarted().await;
    let client = world.client().await;
    let hosts = client.hosts("s").await;
    assert_eq!(ports(&hosts), [1, 2]);
    assert!(
        hosts
            .iter()
            .all(|host| host["healthy"] == true && host["ephemeral"] == true)
    );
    client.batch("s", &[at("10.0.0.1", 1), at("10.0.0.1", 2)]).await;
    client.register("t", at("10.0.0.1", 1)).await;
    client.lives_for(120 * S).await;
    assert_eq!(ports(&client.hosts("s").await), [1, 2]);
    client.cut().await;
    assert!(world.hosts("s").await.is_empty());
    assert!(world.hosts("t").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn one_whose_client_does_not_come_back_goes_after_a_minute() {
    let world = restarted().await;
    let began = Instant::now();
    let client = world.client().await;
    client.register("t", at("10.0.0.1", 1)).await;
    complete(&world, &client).await;
    assert!(began.elapsed() < 30 * S, "lists are complete before that");
    assert_eq!(ports(&client.hosts("s").await), [1, 2]);
    while !client.hosts("s").await.is_empty() {
        assert!(began.elapsed() < 70 * S);
        sleep(S).await;
    }
    assert!(began.elapsed() >= 59 * S, "{:?}", began.elapsed());
    assert_eq!(ports(&client.hosts("t").await), [1]);
}

/// Of two that it had its client names one: that is all that it has.
#[tokio::test(start_paused = true)]
async fn one_who_comes_back_with_less_has_less() {
    let world = restarted().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 2)).await;
    client.lives_for(70 * S).await;
    assert_eq!(ports(&client.hosts("s").await), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_made_while_it_warms_is_pushed_the_whole_once_all_is_known() {
    let world = restarted().await;
    let mut client = world.client().await;
    assert_eq!(
        client.subscribe("s").await["hosts"].as_array().unwrap().len(),
        2,
        "what was restored is told"
    );
    let (alone, provider) = (world.client().await, world.client().await);
    provider.register("s", at("10.0.0.1", 3)).await;
    assert!(client.is_quiet_for(5 * S).await);
    let warming = async {
        complete(&world, &alone).await;
        Instant::now()
    };
    let living = provider.lives_for(60 * S);
    let push = timeout(30 * S, client.pushed());
    let (complete_at, push) = tokio::select! {
        both = async { tokio::join!(warming, push) } => both,
        () = living => panic!("it does not get complete"),
    };
    assert!(complete_at.elapsed() <= 2 * S);
    assert_eq!(
        ports(push.expect("it is pushed")["hosts"].as_array().unwrap()),
        [1, 2, 3]
    );
    assert!(client.is_quiet_for(5 * S).await);
}

#[tokio::test(start_paused = true)]
async fn an_empty_list_is_not_told_while_it_warms_and_is_pushed_afterwards() {
    let world = restarted().await;
    let mut client = world.client().await;
    let request = with(of("none"), json!({"subscribe": true}));
    client
        .fails(
            "SubscribeServiceRequest",
            request,
            300,
            "SubscribeServiceResponse",
        )
        .await;
    let other = world.client().await;
    let push = tokio::select! {
        () = other.lives_for(60 * S) => panic!("it is not pushed"),
        push = client.pushed() => push,
    };
    assert!(world.http.registry.complete());
    assert_eq!(push["hosts"], json!([]));
}

/// Go, Python and the others set up, register and subscribe as soon as the port is there again.
#[tokio::test(start_paused = true)]
async fn all_who_come_back_at_once_are_told_once_and_of_all() {
    const CLIENTS: u16 = 100;
    let kept = Kept::default();
    let world = started(&kept).await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let client = world.client().await;
        client.register("s", at("10.0.0.1", 1_000 + number)).await;
        clients.push(client);
    }
    world.http.registry.stop().await;
    for client in clients {
        client.ended().await;
    }
    let world = started(&kept).await;
    let mut back = Vec::new();
    for number in 0..CLIENTS {
        let mut client = world.client().await;
        client.register("s", at("10.0.0.1", 1_000 + number)).await;
        assert_eq!(
            client.subscribe("s").await["hosts"].as_array().unwrap().len(),
            usize::from(CLIENTS)
        );
        assert!(client.is_quiet_for(Duration::from_millis(20)).await);
        back.push(client);
    }
    eventually("it is complete", async || {
        sleep(S).await;
        for client in &back {
            assert!(client.is_set_up().await);
        }
        world.http.registry.complete().then_some(())
    })
    .await;
    for client in &mut back {
        let (pushes, last) = client.pushes_within(S / 100).await;
        assert_eq!(pushes, 1);
        assert_eq!(
            last.unwrap()["hosts"].as_array().unwrap().len(),
            usize::from(CLIENTS)
        );
    }
}

/// A pod that stops while the registry is away, or a client that repeats a goodbye.
#[tokio::test(start_paused = true)]
async fn a_goodbye_of_one_who_is_waited_for_is_heard() {
    let world = restarted().await;
    let client = world.client().await;
    client.deregister("t", at("10.0.0.1", 1)).await;
    let hosts = client.ask("ServiceQueryRequest", of("t")).await.json["serviceInfo"]["hosts"].clone();
    assert_eq!(hosts, json!([]));
    assert_eq!(ports(&client.hosts("s").await), [1, 2]);
    // But not the one of somebody who has come back.
    let other = world.client().await;
    other.batch("s", &[at("10.0.0.1", 1), at("10.0.0.1", 2)]).await;
    client.deregister("s", at("10.0.0.1", 1)).await;
    assert_eq!(ports(&client.hosts("s").await), [1, 2]);
}
