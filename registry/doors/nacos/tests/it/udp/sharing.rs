//! What is rendered once, what is told anew, and how a stop ends.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use super::air::Datagram;
use super::{HERE, JAVA, start};

const S: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn all_who_want_the_same_get_the_same_bytes() {
    let (nacos, mut clients, pusher) = start().await;
    for port in 1..=1_000 {
        let clusters = if port % 2 == 0 { "DEFAULT" } else { "" };
        let query = format!("serviceName=S&clusters={clusters}&clientIP=10.0.0.1&udpPort={port}");
        nacos.list_as(JAVA, &query).await;
    }
    assert_eq!(clients.all_within(S).await.len(), 1_000);
    nacos.add(80).await;
    let told = clients.all_within(S).await;
    assert_eq!(told.len(), 1_000);
    let (even, odd): (Vec<_>, Vec<_>) = told.iter().partition(|datagram| datagram.to.port() % 2 == 0);
    for (one, clusters) in [(even, "DEFAULT"), (odd, "")] {
        assert!(one.iter().all(|datagram| datagram.bytes == one[0].bytes));
        assert_eq!(one[0].list()["clusters"], clusters);
        assert_eq!(one[0].ports(), [80]);
        for datagram in one {
            clients.ack(datagram);
        }
    }
    // The number is shared, but each must acknowledge for himself.
    sleep(S).await;
    assert_eq!(pusher.counts().acknowledged, 1_000);
}

/// Java logs a warning when it is told an older time than that of its own list.
#[tokio::test(start_paused = true)]
async fn a_newcomer_is_not_told_an_older_time_than_he_knows() {
    let (nacos, mut clients, _) = start().await;
    nacos.add(80).await;
    let time = |list: &Value| list["lastRefTime"].as_u64().unwrap();
    for port in 1..=5 {
        let listed = nacos
            .list_as(JAVA, &format!("serviceName=S&clientIP=10.0.0.1&udpPort={port}"))
            .await;
        assert!(time(&clients.next().await.list()) >= time(&listed));
        sleep(Duration::from_millis(3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_sends_nothing_and_says_the_rest_anew() {
    let (nacos, mut clients, pusher) = start().await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=80&clusterName=c1")
        .await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    clients.ack(&first);
    nacos
        .list_as(
            "Nacos-Go-Client:v1.0.0",
            &format!("serviceName=S&clusters=c2&app=a&{HERE}"),
        )
        .await;
    clients.hear_nothing_for(5).await;
    let peer = nacos.subscribers().pop().unwrap().peer.unwrap();
    assert_eq!((peer.cluster.as_str(), peer.app.as_str()), ("c2", "a"));
    assert_eq!(peer.agent, "Nacos-Go-Client:v1.0.0");
    // Another service, or another port, is another subscription.
    nacos.list_as(JAVA, &format!("serviceName=T&{HERE}")).await;
    nacos
        .list_as(JAVA, "serviceName=S&clientIP=127.0.0.1&udpPort=54322")
        .await;
    assert_eq!(clients.all_within(S).await.len(), 2);
    assert_eq!(pusher.counts().subscriptions, 3);

    nacos
        .register("serviceName=S&ip=1.1.1.1&port=81&clusterName=c2")
        .await;
    let told = clients.all_within(S).await;
    let mut ports: Vec<_> = told
        .iter()
        .map(|datagram| (datagram.to.port(), datagram.ports()))
        .collect();
    ports.sort();
    assert_eq!(ports, [(54_321, vec![81]), (54_322, vec![80, 81])]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_goes_away_is_told_as_empty() {
    let (nacos, mut clients, _) = start().await;
    nacos.add(80).await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    clients.next().await;
    nacos
        .instance("DELETE", "serviceName=S&ip=1.1.1.1&port=80&ephemeral=false")
        .await
        .is_ok();
    assert!(clients.next().await.ports().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_written_before_a_stop_is_told() {
    let (nacos, mut clients, _) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    clients.next().await;
    nacos.add(80).await;
    nacos.add(81).await;
    nacos.registry.stop().await;
    let told = clients.all_within(S).await;
    assert_eq!(told.last().unwrap().ports(), [80, 81]);
    assert_eq!(nacos.registry.hub().subscribers(), 0, "the task has ended");
}

/// Each datagram takes a while here, as rendering does for others: thousands that are told of one service must not
/// keep those of another waiting.
#[tokio::test(start_paused = true)]
async fn a_service_with_many_subscribers_does_not_keep_others_waiting() {
    let (nacos, mut clients, _) = start().await;
    for port in 1..=1_000 {
        let clusters = if port % 50 < 30 { port % 50 } else { 0 };
        let query = format!("serviceName=S&clusters=c{clusters}&clientIP=10.0.0.1&udpPort={port}");
        nacos.list_as(JAVA, &query).await;
    }
    nacos.list_as(JAVA, &format!("serviceName=T&{HERE}")).await;
    for first in clients.all_within(S).await {
        clients.ack(&first);
    }
    clients.slow_down();
    nacos.add(80).await;
    sleep(Duration::from_millis(100)).await;
    nacos
        .register("serviceName=T&ip=1.1.1.1&port=80&ephemeral=false")
        .await;
    let told = clients.all_within(5 * S).await;
    let place = told.iter().position(|datagram| datagram.to.port() == 54_321);
    assert!(
        place.unwrap() < 100 && told.len() > 400,
        "{place:?} of {}",
        told.len()
    );
    // So it is while what was not acknowledged is sent again.
    clients.all_within(10 * S).await;
    nacos
        .register("serviceName=T&ip=1.1.1.1&port=81&ephemeral=false")
        .await;
    let told = clients.all_within(S).await;
    let place = told.iter().position(|datagram| datagram.to.port() == 54_321);
    assert!(
        place.unwrap() < 50 && told.len() > 90,
        "{place:?} of {}",
        told.len()
    );
}

/// What is rendered is the newest state, which may be newer than the one that there was news of.
#[tokio::test(start_paused = true)]
async fn nobody_is_told_the_same_state_twice() {
    let (nacos, mut clients, _) = start().await;
    for (port, clusters) in [(1, ""), (2, "DEFAULT")] {
        let query = format!("serviceName=S&clusters={clusters}&clientIP=10.0.0.1&udpPort={port}");
        nacos.list_as(JAVA, &query).await;
    }
    assert_eq!(clients.all_within(S).await.len(), 2);
    // While one is told of the first change, the second happens; so the other is told of both at once.
    clients.slow_down();
    nacos.add(80).await;
    sleep(Duration::from_millis(5)).await;
    nacos.add(81).await;
    let told = clients.all_within(S).await;
    let ports: Vec<_> = told.iter().map(Datagram::ports).collect();
    assert_eq!(ports, [vec![80], vec![80, 81], vec![80, 81]]);
    assert_ne!(told[1].to, told[2].to);
}
