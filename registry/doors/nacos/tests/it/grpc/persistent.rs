//! Persistent instances, which are nobody's. Checklist 64 to 67.

use serde_json::json;
use tokio::net::TcpListener;

use super::harness::{Client, S, World, at, batch, deregistering, ports, registering};

const KIND: &str = "PersistentInstanceRequest";

async fn keep(client: &Client, service: &str, port: u16) {
    client
        .done(KIND, registering(service, at("10.0.0.1", port)))
        .await;
}

#[tokio::test(start_paused = true)]
async fn checklist_64_a_persistent_instance_outlives_its_connection() {
    let world = World::start().await;
    let client = world.client().await;
    let answer = client.ask(KIND, registering("s", at("10.0.0.1", 80))).await;
    assert_eq!(
        (answer.kind.as_str(), &answer.json["type"]),
        ("InstanceResponse", &json!("registerInstance"))
    );
    client.cut().await;
    let hosts = world.hosts("s").await;
    assert_eq!(ports(&hosts), [80]);
    assert_eq!(hosts[0]["ephemeral"], false);
}

#[tokio::test(start_paused = true)]
async fn checklist_65_a_persistent_instance_is_deregistered_by_its_address() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    keep(&client, "s", 80).await;
    keep(&client, "s", 81).await;
    assert_eq!(
        ports(&client.hosts("s").await),
        [80, 81],
        "a connection may have many of them"
    );
    other.done(KIND, deregistering("s", at("10.0.0.1", 82))).await;
    assert_eq!(ports(&client.hosts("s").await), [80, 81]);
    let done = other.done(KIND, deregistering("s", at("10.0.0.1", 80))).await;
    assert_eq!(done["type"], "deregisterInstance");
    assert_eq!(ports(&client.hosts("s").await), [81]);
}

#[tokio::test(start_paused = true)]
async fn checklist_66_the_two_kinds_do_not_mix_in_a_service() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("ephemeral", at("10.0.0.1", 80)).await;
    for port in [80, 81] {
        let request = registering("ephemeral", at("10.0.0.1", port));
        client.fails(KIND, request, 400, "InstanceResponse").await;
    }
    assert_eq!(client.hosts("ephemeral").await[0]["ephemeral"], true);
    assert_eq!(ports(&client.hosts("ephemeral").await), [80]);

    keep(&client, "persistent", 80).await;
    for port in [80, 81] {
        let instance = at("10.0.0.1", port);
        let request = registering("persistent", instance.clone());
        client
            .fails("InstanceRequest", request, 400, "InstanceResponse")
            .await;
        let request = batch("persistent", &[instance]);
        client
            .fails("BatchInstanceRequest", request, 400, "BatchInstanceResponse")
            .await;
    }
    assert_eq!(client.hosts("persistent").await[0]["ephemeral"], false);
    assert_eq!(ports(&client.hosts("persistent").await), [80]);
    // Each goes by its own kind of goodbye only.
    client.deregister("persistent", at("10.0.0.1", 80)).await;
    client
        .done(KIND, deregistering("ephemeral", at("10.0.0.1", 80)))
        .await;
    assert_eq!(ports(&client.hosts("persistent").await), [80]);
    assert_eq!(ports(&client.hosts("ephemeral").await), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_67_a_persistent_instance_that_refuses_connections_becomes_unhealthy() {
    let world = World::start().await;
    let client = world.client().await;
    let mut consumer = world.client().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody listens once the listener is dropped.
    drop(listener);
    client.done(KIND, registering("s", at("127.0.0.1", port))).await;
    assert_eq!(consumer.subscribe("s").await["hosts"][0]["healthy"], true);
    assert_eq!(consumer.pushed().await["hosts"][0]["healthy"], true);
    let (pushes, last) = consumer.pushes_within(19 * S).await;
    assert_eq!(
        (pushes, &last.unwrap()["hosts"][0]["healthy"]),
        (1, &json!(false))
    );
    assert_eq!(world.hosts("s").await[0]["healthy"], false);
}
