//! Instances that are registered one by one, and how they are listed. Checklist 33 to 49, 53 to 57.

use serde_json::{Value, json};

use super::harness::{Client, S, World, at, deregistering, of, ports, registering, with};

/// The names of the services of a namespace.
async fn services(client: &Client) -> Value {
    let page = with(of(""), json!({"pageNo": 1, "pageSize": 100}));
    client.done("ServiceListRequest", page).await["serviceNames"].clone()
}

#[tokio::test(start_paused = true)]
async fn checklist_33_a_registration_is_answered_by_its_name() {
    let world = World::start().await;
    let client = world.client().await;
    let answer = client
        .ask("InstanceRequest", registering("s", at("10.0.0.1", 80)))
        .await;
    assert_eq!(answer.kind, "InstanceResponse");
    assert_eq!(answer.json["type"], "registerInstance");
    assert_eq!(answer.json["resultCode"], 200);
}

#[tokio::test(start_paused = true)]
async fn checklist_34_another_one_sees_it_with_all_that_clients_need() {
    let world = World::start().await;
    let provider = world.client().await;
    provider.register("s", at("10.0.0.1", 80)).await;
    let other = world.client().await;
    let answer = other.ask("ServiceQueryRequest", of("s")).await;
    assert_eq!(answer.kind, "QueryServiceResponse");
    let info = &answer.json["serviceInfo"];
    assert_eq!(info["name"], "s");
    assert_eq!(info["groupName"], "DEFAULT_GROUP");
    assert_eq!(info["clusters"], "");
    assert!(info["cacheMillis"].as_u64() > Some(0));
    assert!(info["lastRefTime"].as_u64() > Some(0));
    assert_eq!(info["checksum"], "");
    assert_eq!(info["reachProtectionThreshold"], false);
    let hosts = info["hosts"].as_array().unwrap();
    assert_eq!(ports(hosts), [80]);
    let host = &hosts[0];
    assert_eq!(host["ip"], "10.0.0.1");
    assert_eq!(host["serviceName"], "DEFAULT_GROUP@@s");
    assert_eq!(host["weight"], 1.0);
    assert_eq!(host["metadata"], json!({}));
    for member in ["ephemeral", "healthy", "enabled"] {
        assert_eq!(host[member], true, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_35_the_cluster_that_nobody_names_is_the_default() {
    let world = World::start().await;
    let client = world.client().await;
    let mut bare = at("10.0.0.1", 80);
    bare.as_object_mut().unwrap().remove("clusterName");
    let named = |name: Value| with(at("10.0.0.1", 80), json!({"clusterName": name}));
    for instance in [bare, named("".into()), named(" ".into()), named(Value::Null)] {
        client.register("s", instance).await;
        let hosts = client.hosts("s").await;
        assert_eq!(hosts[0]["clusterName"], "DEFAULT");
        assert_eq!(hosts[0]["instanceId"], "10.0.0.1#80#DEFAULT#DEFAULT_GROUP@@s");
    }
    client.register("s", named("a-1".into())).await;
    assert_eq!(client.hosts("s").await[0]["clusterName"], "a-1");
}

/// See `DIFFERS`: two that named the same id could not be told apart by whoever goes by ids.
#[tokio::test(start_paused = true)]
async fn checklist_36_the_id_that_a_client_gives_is_echoed() {
    let world = World::start().await;
    let client = world.client().await;
    let id = async |own: &str| {
        let instance = with(at("10.0.0.1", 80), json!({"instanceId": own}));
        client.register("s", instance).await;
        client.hosts("s").await[0]["instanceId"].clone()
    };
    assert_eq!(id("its own \"id\"").await, "its own \"id\"");
    let made = "10.0.0.1#80#DEFAULT#DEFAULT_GROUP@@s";
    assert_eq!(id("").await, made);
    assert_eq!(id(made).await, made);
    let before = world.http.registry.version();
    assert_eq!(id(made).await, made);
    assert_eq!(world.http.registry.version(), before, "that is no id of its own");
    let long = with(at("10.0.0.1", 80), json!({"instanceId": "x".repeat(1_025)}));
    client
        .fails("InstanceRequest", registering("s", long), 400, "InstanceResponse")
        .await;
}

#[tokio::test(start_paused = true)]
async fn checklist_37_a_registration_takes_the_place_of_the_one_before() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    client.register("s", at("10.0.0.2", 81)).await;
    assert_eq!(ports(&world.hosts("s").await), [81]);
    client.register("t", at("10.0.0.2", 82)).await;
    assert_eq!(ports(&world.hosts("s").await), [81], "that is for each service");
}

#[tokio::test(start_paused = true)]
async fn checklist_38_two_connections_have_an_instance_each() {
    let world = World::start().await;
    let (one, other) = (world.client().await, world.client().await);
    one.register("s", at("10.0.0.1", 80)).await;
    other.register("s", at("10.0.0.1", 81)).await;
    assert_eq!(ports(&one.hosts("s").await), [80, 81]);
}

#[tokio::test(start_paused = true)]
async fn checklist_39_what_two_registered_stays_until_both_are_gone() {
    let world = World::start().await;
    let (one, other) = (world.client().await, world.client().await);
    let third = world.client().await;
    for client in [&one, &other] {
        client.register("s", at("10.0.0.1", 80)).await;
        assert_eq!(ports(&third.hosts("s").await), [80]);
    }
    one.cut().await;
    assert_eq!(ports(&third.hosts("s").await), [80]);
    // And whichever of them goes first.
    let last = world.client().await;
    last.register("s", at("10.0.0.1", 80)).await;
    last.cut().await;
    assert_eq!(ports(&third.hosts("s").await), [80]);
    other.cut().await;
    assert!(third.hosts("s").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_40_the_same_said_twice_is_the_same() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    let revision = world.http.registry.version().revision;
    client.register("s", at("10.0.0.1", 80)).await;
    assert_eq!(ports(&client.hosts("s").await), [80]);
    assert_eq!(
        world.http.registry.version().revision,
        revision,
        "and changes nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn checklist_41_what_is_deregistered_is_what_the_connection_has_whatever_address_is_named() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    client.register("s", at("10.0.0.1", 80)).await;
    other.register("s", at("10.0.0.1", 81)).await;
    let done = client
        .done("InstanceRequest", deregistering("s", at("10.9.9.9", 81)))
        .await;
    assert_eq!(done["type"], "deregisterInstance");
    assert_eq!(ports(&client.hosts("s").await), [81], "that of another one stays");
}

#[tokio::test(start_paused = true)]
async fn checklist_42_what_was_never_registered_may_be_deregistered() {
    let world = World::start().await;
    let (client, other) = (world.client().await, world.client().await);
    client.deregister("unknown", at("10.0.0.1", 80)).await;
    assert_eq!(services(&client).await, json!([]));
    other.register("s", at("10.0.0.1", 80)).await;
    client.deregister("s", at("10.0.0.1", 80)).await;
    assert_eq!(ports(&client.hosts("s").await), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_43_a_goodbye_may_say_anything_of_the_instance() {
    let world = World::start().await;
    let client = world.client().await;
    let go = json!({"weight": 0, "healthy": false, "enabled": false, "metadata": null, "instanceId": ""});
    for instance in [with(at("10.0.0.1", 80), go), json!({}), Value::Null] {
        client.register("s", at("10.0.0.1", 80)).await;
        client.deregister("s", instance).await;
        assert!(client.hosts("s").await.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_44_an_operation_that_there_is_not_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    for operation in [
        json!("foo"),
        json!(""),
        Value::Null,
        json!("RegisterInstance"),
        json!(1),
    ] {
        let request = with(registering("s", at("10.0.0.1", 80)), json!({"type": operation}));
        for kind in ["InstanceRequest", "PersistentInstanceRequest"] {
            client.fails(kind, request.clone(), 400, "InstanceResponse").await;
        }
    }
    for operation in ["foo", "registerInstance"] {
        let batch = super::harness::batch("s", &[at("10.0.0.1", 80)]);
        let request = with(batch, json!({"type": operation}));
        client
            .fails("BatchInstanceRequest", request, 400, "BatchInstanceResponse")
            .await;
    }
    assert!(client.hosts("s").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_45_one_that_says_that_it_is_unhealthy_stays_so_without_beats() {
    let world = World::start().await;
    let client = world.client().await;
    client
        .register("s", with(at("10.0.0.1", 80), json!({"healthy": false})))
        .await;
    client.lives_for(40 * S).await;
    assert_eq!(client.hosts("s").await[0]["healthy"], false);
}

#[tokio::test(start_paused = true)]
async fn checklist_46_an_instance_lives_as_long_as_its_connection() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    client.lives_for(40 * S).await;
    assert_eq!(client.hosts("s").await[0]["healthy"], true);
}

#[tokio::test(start_paused = true)]
async fn checklist_47_one_that_is_disabled_is_not_listed() {
    let world = World::start().await;
    let client = world.client().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    let disabled = with(at("10.0.0.1", 80), json!({"enabled": false}));
    client.batch("s", &[disabled, at("10.0.0.1", 81)]).await;
    assert_eq!(ports(&client.hosts("s").await), [81]);
    assert_eq!(ports(consumer.pushed().await["hosts"].as_array().unwrap()), [81]);
}

#[tokio::test(start_paused = true)]
async fn checklist_48_one_without_weight_is_listed() {
    let world = World::start().await;
    let client = world.client().await;
    client
        .register("s", with(at("10.0.0.1", 80), json!({"weight": 0})))
        .await;
    assert_eq!(client.hosts("s").await[0]["weight"], 0.0);
}

#[tokio::test(start_paused = true)]
async fn checklist_49_times_count_in_metadata_only() {
    let world = World::start().await;
    let client = world.client().await;
    let times = [
        "instanceHeartBeatInterval",
        "instanceHeartBeatTimeOut",
        "ipDeleteTimeout",
    ];
    let said = json!({times[0]: 0, times[1]: 0, times[2]: 0, "instanceIdGenerator": "x"});
    client.register("s", with(at("10.0.0.1", 80), said)).await;
    let shown = |host: &Value| times.map(|name| host[name].as_u64().unwrap());
    assert_eq!(shown(&client.hosts("s").await[0]), [5_000, 15_000, 30_000]);
    let metadata = json!({"preserved.heart.beat.interval": "1000", "preserved.heart.beat.timeout": "2000",
        "preserved.ip.delete.timeout": "3000"});
    client
        .register("s", with(at("10.0.0.1", 80), json!({"metadata": metadata})))
        .await;
    assert_eq!(shown(&client.hosts("s").await[0]), [1_000, 2_000, 3_000]);
    client.lives_for(10 * S).await;
    assert_eq!(
        client.hosts("s").await[0]["healthy"],
        true,
        "nobody waits for beats"
    );
}

#[tokio::test(start_paused = true)]
async fn checklist_53_the_list_of_a_service_that_there_is_not_is_empty() {
    let world = World::start().await;
    let client = world.client().await;
    let info = client.query("unknown").await;
    assert_eq!(info["hosts"], json!([]));
    assert_eq!(
        (&info["name"], &info["groupName"]),
        (&json!("unknown"), &json!("DEFAULT_GROUP"))
    );
    assert_eq!(services(&client).await, json!([]), "and asking makes none");
}

#[tokio::test(start_paused = true)]
async fn checklist_54_a_query_names_clusters() {
    let world = World::start().await;
    let client = world.client().await;
    let in_cluster = |name: &str, port| with(at("10.0.0.1", port), json!({"clusterName": name}));
    client
        .batch(
            "s",
            &[
                in_cluster("A", 1),
                in_cluster("B", 2),
                in_cluster("C", 3),
                at("10.0.0.1", 4),
            ],
        )
        .await;
    for (clusters, expected) in [
        ("A,B", vec![1, 2]),
        ("C", vec![3]),
        ("DEFAULT", vec![4]),
        ("none", vec![]),
        ("", vec![1, 2, 3, 4]),
    ] {
        let request = with(of("s"), json!({"cluster": clusters}));
        let info = &client.done("ServiceQueryRequest", request).await["serviceInfo"];
        assert_eq!(ports(info["hosts"].as_array().unwrap()), expected, "{clusters}");
        assert_eq!(info["clusters"], clusters);
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_55_a_query_may_want_the_healthy_ones() {
    let world = World::start().await;
    let client = world.client().await;
    let unhealthy = with(at("10.0.0.1", 81), json!({"healthy": false}));
    client.batch("s", &[at("10.0.0.1", 80), unhealthy]).await;
    // Python's client says the latter, and Nacos does not know it.
    for (member, expected) in [("healthyOnly", vec![80]), ("healthOnly", vec![80, 81])] {
        let request = with(of("s"), json!({member: true}));
        let info = &client.done("ServiceQueryRequest", request).await["serviceInfo"];
        assert_eq!(ports(info["hosts"].as_array().unwrap()), expected, "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_56_the_namespace_that_nobody_names_is_public() {
    let world = World::start().await;
    let client = world.client().await;
    for (port, namespace) in [
        (1, json!("")),
        (2, Value::Null),
        (3, json!("public")),
        (4, json!("absent")),
    ] {
        let mut request = with(
            registering("s", at("10.0.0.1", port)),
            json!({"namespace": namespace}),
        );
        if port == 4 {
            request.as_object_mut().unwrap().remove("namespace");
        }
        client.done("InstanceRequest", request).await;
        assert_eq!(ports(&client.hosts("s").await), [u64::from(port)]);
        let list = json!({"namespace": "", "groupName": "DEFAULT_GROUP", "pageNo": 1, "pageSize": 9});
        assert_eq!(
            client.done("ServiceListRequest", list).await["serviceNames"],
            json!(["s"])
        );
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_57_groups_and_namespaces_keep_apart_what_has_one_name() {
    let world = World::start().await;
    let client = world.client().await;
    let places = [("public", "a"), ("public", "b"), ("dev", "a")];
    for (port, (namespace, group)) in (1..).zip(places) {
        let place = json!({"namespace": namespace, "groupName": group});
        client
            .done(
                "InstanceRequest",
                with(registering("s", at("10.0.0.1", port)), place),
            )
            .await;
    }
    for (port, (namespace, group)) in (1..).zip(places) {
        let place = json!({"namespace": namespace, "groupName": group});
        let info = &client.done("ServiceQueryRequest", with(of("s"), place)).await["serviceInfo"];
        assert_eq!(ports(info["hosts"].as_array().unwrap()), [port]);
        assert_eq!(info["groupName"], group);
    }
    assert!(client.hosts("s").await.is_empty());
}
