//! What may not be registered, or asked for. Checklist 50 to 52.

use serde_json::{Value, json};

use super::harness::{Client, World, at, batch, of, registering, with};

/// A request that breaks a rule is refused by all that take its names, in the type of each: Java takes anything else for
/// trouble with the connection.
async fn refused_everywhere(client: &Client, names: &Value) {
    for (kind, request, answered) in [
        (
            "InstanceRequest",
            registering("s", at("10.0.0.1", 80)),
            "InstanceResponse",
        ),
        (
            "PersistentInstanceRequest",
            registering("s", at("10.0.0.1", 80)),
            "InstanceResponse",
        ),
        (
            "BatchInstanceRequest",
            batch("s", &[at("10.0.0.1", 80)]),
            "BatchInstanceResponse",
        ),
        (
            "SubscribeServiceRequest",
            with(of("s"), json!({"subscribe": true})),
            "SubscribeServiceResponse",
        ),
        ("ServiceQueryRequest", of("s"), "QueryServiceResponse"),
    ] {
        let request = with(request, names.clone());
        client.fails(kind, request, 400, answered).await;
    }
}

/// An instance that breaks a rule is refused by all that register, and what is there stays.
async fn unregistrable(client: &Client, members: &Value) {
    let broken = with(at("10.0.0.1", 80), members.clone());
    for kind in ["InstanceRequest", "PersistentInstanceRequest"] {
        client
            .fails(kind, registering("s", broken.clone()), 400, "InstanceResponse")
            .await;
    }
    let batch = batch("s", &[at("10.0.0.1", 79), broken]);
    client
        .fails("BatchInstanceRequest", batch, 400, "BatchInstanceResponse")
        .await;
}

#[tokio::test(start_paused = true)]
async fn checklist_50_times_that_contradict_each_other_are_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let interval = json!({"preserved.heart.beat.interval": "20000"});
    unregistrable(&client, &json!({"metadata": interval})).await;
    let delete = json!({"preserved.ip.delete.timeout": "4000"});
    unregistrable(&client, &json!({"metadata": delete})).await;
    assert!(client.hosts("s").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_51_too_much_metadata_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    let exactly = json!({"metadata": {"k": "v".repeat(1_023)}});
    client.register("s", with(at("10.0.0.1", 80), exactly)).await;
    unregistrable(&client, &json!({"metadata": {"k": "v".repeat(1_024)}})).await;
    let many: serde_json::Map<_, _> = (0..300).map(|n| (format!("key{n}"), "v".into())).collect();
    unregistrable(&client, &json!({"metadata": many})).await;
    assert_eq!(
        client.hosts("s").await[0]["metadata"]["k"]
            .as_str()
            .unwrap()
            .len(),
        1_023
    );
}

#[tokio::test(start_paused = true)]
async fn checklist_52_names_that_break_a_rule_are_refused() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("kept", at("10.0.0.1", 80)).await;
    for (member, value) in [
        ("serviceName", "a b".to_owned()),
        ("serviceName", "@a".to_owned()),
        ("serviceName", "a@@b".to_owned()),
        ("serviceName", "服务".to_owned()),
        ("serviceName", String::new()),
        ("serviceName", "s".repeat(513)),
        ("groupName", "a/b".to_owned()),
        ("groupName", "g".repeat(129)),
        ("namespace", "a.b".to_owned()),
        ("namespace", "n".repeat(65)),
    ] {
        refused_everywhere(&client, &json!({member: value})).await;
    }
    for members in [
        json!({"clusterName": "a.b"}),
        json!({"clusterName": "a_b"}),
        json!({"clusterName": "c".repeat(65)}),
        json!({"port": 70_000}),
        json!({"port": -1}),
        json!({"port": "x"}),
        json!({"ip": "1.1.1.1 2"}),
        json!({"ip": ""}),
        json!({"ip": "a".repeat(129)}),
        json!({"weight": -1}),
    ] {
        unregistrable(&client, &members).await;
    }
    assert!(client.hosts("s").await.is_empty());
    assert!(client.is_set_up().await);
}

/// Rust's client cannot read an answer without a list, and Python's none without names.
#[tokio::test(start_paused = true)]
async fn a_refusal_has_the_list_that_an_answer_would_have() {
    let world = World::start().await;
    let client = world.client().await;
    let broken = with(
        of("a b"),
        json!({"clusters": "A", "cluster": "A", "subscribe": true}),
    );
    for kind in ["SubscribeServiceRequest", "ServiceQueryRequest"] {
        let answer = client.ask(kind, broken.clone()).await.json;
        assert_eq!(
            (&answer["resultCode"], &answer["errorCode"]),
            (&json!(500), &json!(400))
        );
        let info = &answer["serviceInfo"];
        assert_eq!(info["hosts"], json!([]));
        assert_eq!((&info["name"], &info["clusters"]), (&json!("a b"), &json!("A")));
        assert!(info["lastRefTime"].is_u64() && info["cacheMillis"].is_u64());
    }
    let list = client
        .ask("ServiceListRequest", with(of(""), json!({"groupName": "a/b"})))
        .await;
    assert_eq!(list.kind, "ServiceListResponse");
    assert_eq!(
        (&list.json["errorCode"], &list.json["serviceNames"]),
        (&json!(400), &json!([]))
    );
}

/// One entry that is wrong leaves all as it was.
#[tokio::test(start_paused = true)]
async fn a_batch_is_done_as_a_whole_or_not_at_all() {
    let world = World::start().await;
    let client = world.client().await;
    client.batch("s", &[at("10.0.0.1", 1), at("10.0.0.1", 2)]).await;
    unregistrable(&client, &json!({"port": 70_000})).await;
    assert_eq!(super::harness::ports(&client.hosts("s").await), [1, 2]);
}
