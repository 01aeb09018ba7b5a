//! How a connection is set up. Checklist 6 to 12.

use serde_json::{Value, json};

use super::harness::{Client, S, World, at, eventually, ports, registering};

/// What clients of 2.3 and later say of themselves.
fn setup(abilities: &Value) -> Value {
    json!({
        "clientVersion": "Nacos-Java-Client:v2.5.1",
        "labels": {"source": "sdk", "module": "naming", "AppName": "unknown"},
        "abilityTable": abilities,
    })
}

async fn settled(client: &Client) {
    eventually("it is set up", async || client.is_set_up().await.then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn checklist_6_who_names_abilities_is_told_ours() {
    let world = World::start().await;
    let mut client = world.set_up_with(&setup(&json!({}))).await;
    let ack = client.next_within(S).await.unwrap();
    assert_eq!(ack.kind, "SetupAckRequest");
    assert!(ack.json["headers"].is_object() && ack.json["abilityTable"].is_object());
    assert_eq!(ack.json.get("requestId"), None, "nobody is to answer it");
    assert!(client.is_set_up().await, "who has the acknowledgement may ask");
}

#[tokio::test(start_paused = true)]
async fn checklist_7_the_abilities_that_are_named_are_those_that_there_are() {
    let world = World::start().await;
    let mut client = world
        .set_up_with(&setup(&json!({"fuzzyWatch": true, "lock": true})))
        .await;
    let ack = client.next_within(S).await.unwrap();
    let abilities = ack.json["abilityTable"].clone();
    let persistent = registering("s", at("10.0.0.1", 80));
    let persistent = client.ask("PersistentInstanceRequest", persistent).await;
    assert_eq!(
        abilities["supportPersistentInstanceByGrpc"],
        persistent.json["resultCode"] == 200
    );
    let watch = json!({"groupKeyPattern": "public>>*>>*", "watchType": "WATCH", "initializing": true});
    let watch = client.ask("NamingFuzzyWatchRequest", watch).await;
    assert_eq!(abilities["fuzzyWatch"], watch.json["resultCode"] == 200);
    assert_eq!(
        (&abilities["lock"], &abilities["mcp"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test(start_paused = true)]
async fn checklist_8_who_names_no_abilities_is_told_none() {
    let world = World::start().await;
    let mut client = world.client().await;
    assert!(client.is_quiet_for(2 * S).await);
    client.register("s", at("10.0.0.1", 80)).await;
    assert_eq!(ports(&client.hosts("s").await), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_9_abilities_that_are_null_are_none() {
    let world = World::start().await;
    let mut client = world.set_up_with(&setup(&Value::Null)).await;
    assert!(client.is_quiet_for(2 * S).await);
    assert!(client.is_set_up().await);
}

/// Rust's client does so.
#[tokio::test(start_paused = true)]
async fn checklist_10_the_set_up_may_come_before_the_server_check() {
    let world = World::start().await;
    let client = world.set_up_with(&json!({"labels": {"module": "naming"}})).await;
    settled(&client).await;
    let health = client.ask("HealthCheckRequest", json!({})).await;
    assert_eq!(
        (health.kind.as_str(), &health.json["resultCode"]),
        ("HealthCheckResponse", &json!(200))
    );
    let check = client.ask("ServerCheckRequest", json!({})).await;
    assert!(check.json["connectionId"].is_string());
    client.register("s", at("10.0.0.1", 80)).await;
    assert_eq!(ports(&client.hosts("s").await), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_11_a_set_up_may_say_nothing() {
    let world = World::start().await;
    let nulls =
        json!({"clientVersion": null, "labels": null, "tenant": null, "module": null, "requestId": null});
    let odd = json!({"labels": {"AppName": null, "x": "y"}, "abilities": {"remoteAbility": {}}, "clientVersion": 7});
    for said in [json!({}), nulls, odd] {
        let client = world.set_up_with(&said).await;
        settled(&client).await;
        client.register("s", at("10.0.0.1", 80)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_12_a_second_set_up_changes_nothing() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    client.subscribe("s").await;
    client.pushed().await;
    client
        .stream
        .send("ConnectionSetupRequest", &json!({"clientVersion": "x"}));
    assert!(client.is_quiet_for(S).await);
    assert_eq!(ports(&client.hosts("s").await), [80]);
    world.client().await.register("s", at("10.0.0.1", 81)).await;
    let pushed = client.pushed().await;
    assert_eq!(ports(pushed["hosts"].as_array().unwrap()), [80, 81]);
}
