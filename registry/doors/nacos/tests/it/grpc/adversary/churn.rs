//! Connections and subscriptions that come and go by the thousand.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::runtime::Handle;

use super::super::harness::{S, World, at, eventually, of, with};
use super::{Bystander, nothing_is_left};

/// Which come at once, and how often.
const AT_ONCE: u16 = 100;
const ROUNDS: u16 = 20;

#[tokio::test(start_paused = true)]
async fn of_two_thousand_connections_nothing_is_left() {
    let world = World::start().await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let mut before = None;
    for round in 0..ROUNDS {
        let coming = async |number: u16| {
            let mut client = world.client().await;
            client.register("s", at("10.0.0.1", 1_000 + number)).await;
            client
                .batch("t", &[at("10.0.0.1", 1_000 + number), at("10.0.0.2", 80)])
                .await;
            client.subscribe("s").await;
            client.subscribe(&format!("s{number}")).await;
            client.watch("public>>*>>s*", true, &[]).await;
            match (round + number) % 4 {
                0 => client.cut().await,
                1 => {
                    client.stream.half_close();
                    client.served.await.unwrap();
                }
                2 => {
                    drop(client.stream);
                    client.served.await.unwrap();
                }
                // Some are never set up.
                _ => {
                    client.cut().await;
                    let (connection, served) = world.connect().await;
                    connection
                        .request("ServerCheckRequest", &json!({}))
                        .await
                        .unwrap();
                    drop(connection);
                    served.await.unwrap();
                }
            }
        };
        join_all((0..AT_ONCE).map(coming)).await;
        nothing_is_left(&world).await;
        // What runs for the door itself runs from the first connections on.
        let first = *before.get_or_insert_with(tasks);
        eventually("no task is left", async || (tasks() <= first).then_some(())).await;
    }
    let counts = world.grpc.counts();
    assert_eq!((counts.dropped, counts.failed), (0, 0), "{counts:?}");
    assert!(counts.opened >= 2_000);
}

/// Ten thousand requests; and it reads nothing of what it is pushed meanwhile.
#[tokio::test(start_paused = true)]
async fn one_who_subscribes_and_unsubscribes_for_ever_holds_no_more_than_once() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let client = world.client().await;
    let hub = world.http.registry.hub();
    for round in 0..5_000 {
        let service = ["a", "b", "c"][round % 3];
        client.subscribe_to(service, ["", "A"][round % 2], true).await;
        assert_eq!(hub.subscribers(), 2);
        if round % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        client.subscribe_to(service, "", false).await;
    }
    assert_eq!((hub.subscribers(), hub.watched()), (1, 1));
    assert!(world.grpc.counts().pushed < 500, "{:?}", world.grpc.counts());
    bystander.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_has_no_more_subscriptions_than_the_limit_says() {
    let world = World::start().await;
    let client = world.client().await;
    let max = beatrix_nacos::limits::GRPC_SUBSCRIPTIONS_PER_CONNECTION_MAX;
    for number in 0..max {
        client.subscribe(&format!("s{number}")).await;
    }
    let subscribe = |service: &str| with(of(service), json!({"subscribe": true}));
    client
        .fails(
            "SubscribeServiceRequest",
            subscribe("more"),
            503,
            "SubscribeServiceResponse",
        )
        .await;
    let hub = world.http.registry.hub();
    assert_eq!(hub.subscribers(), max);
    client.subscribe("s7").await;
    client.subscribe_to("s7", "", false).await;
    client.subscribe("more").await;
    client.cut().await;
    nothing_is_left(&world).await;
    tokio::time::sleep(S).await;
}
