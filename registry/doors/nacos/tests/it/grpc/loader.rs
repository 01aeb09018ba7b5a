//! Operators look at the connections, and tell some to leave.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::World;
use crate::harness::Nacos;

/// The paths of HTTP with the connections beside them.
fn http(world: &World) -> Nacos {
    let registry = world.http.registry.clone();
    Nacos {
        router: beatrix_nacos::router_beside(registry.clone(), None, Some(world.grpc.clone())),
        registry,
    }
}

async fn connections(http: &Nacos) -> Vec<(String, Value)> {
    let current = http.ask("GET", "/nacos/v2/core/loader/current", None).await;
    let current = current.json();
    current.as_object().unwrap().clone().into_iter().collect()
}

#[tokio::test(start_paused = true)]
async fn connections_are_shown_with_what_their_clients_say_of_themselves() {
    let world = World::start().await;
    let http = http(&world);
    assert!(connections(&http).await.is_empty());
    let client = world.client().await;
    let check = client.done("ServerCheckRequest", json!({})).await;
    let all = connections(&http).await;
    let [(id, connection)] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!(check["connectionId"], *id);
    let meta = &connection["metaInfo"];
    assert_eq!(meta["connectType"], "GRPC");
    assert_eq!(meta["clientIp"], "10.0.0.9");
    assert_eq!(meta["version"], "Nacos-Test-Client:v0");
    assert_eq!(meta["appName"], "unknown");
    let framed = http.ask("GET", "/nacos/v3/admin/core/loader/current", None).await;
    assert_eq!(framed.json()["data"][id]["metaInfo"]["connectionId"], *id);
}

#[tokio::test(start_paused = true)]
async fn one_client_is_told_to_leave_and_where_to_go() {
    let world = World::start().await;
    let http = http(&world);
    let (mut client, mut other) = (world.client().await, world.client().await);
    let check = client.done("ServerCheckRequest", json!({})).await;
    let id = check["connectionId"].as_str().unwrap();
    let path = format!("/nacos/v2/core/loader/reloadClient?connectionId={id}");
    let answer = http
        .ask("GET", &format!("{path}&redirectAddress=10.1.1.1:8848"), None)
        .await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "success"));
    let told = client.stream.next_of("ConnectResetRequest").await.unwrap();
    assert_eq!(told["serverIp"], "10.1.1.1");
    assert_eq!(told["serverPort"], "8848", "the port is text");
    assert!(told["headers"].is_object() && told["requestId"].is_string());
    client.stream.acknowledge("ConnectResetResponse", &told);
    assert!(other.is_quiet_for(Duration::from_secs(1)).await);
    // It stays until it leaves by itself.
    client.lives_for(Duration::from_secs(30)).await;

    for (query, status) in [
        ("connectionId=none", 404),
        ("", 400),
        ("connectionId=x&redirectAddress=nowhere", 400),
    ] {
        let path = format!("/nacos/v2/core/loader/reloadClient?{query}");
        assert_eq!(http.ask("GET", &path, None).await.status, status, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_so_many_stay() {
    let world = World::start().await;
    let http = http(&world);
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(world.client().await);
    }
    let path = "/nacos/v3/admin/core/loader/reloadCurrent";
    let answer = http.ask("POST", path, Some(b"count=3")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for client in &mut clients[3..] {
        let told = client.stream.next_of("ConnectResetRequest").await.unwrap();
        assert!(told.get("serverIp").is_none(), "to the next in its list");
    }
    for client in &mut clients[..3] {
        assert!(client.is_quiet_for(Duration::from_secs(1)).await);
    }
}
