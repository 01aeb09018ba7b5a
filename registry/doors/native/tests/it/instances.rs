//! Registering, replacing, beating, operating, draining, deregistering.

use beatrix_wire as wire;
use serde_json::json;

use crate::door::{Door, SERVICE};

#[tokio::test(start_paused = true)]
async fn what_is_registered_is_shown_in_full() {
    let door = Door::open().await;
    let body = json!({
        "cluster": "c1", "weight": 2.5, "metadata": {"b": "2", "a": "\"quoted\" \u{1}"},
        "region": "eu", "zone": "eu-1", "incarnation": "run-1",
        "liveness": {"type": "beat", "interval_ms": 1000, "unhealthy_after_ms": 3000, "remove_after_ms": 9000},
    });
    let registered = door.register_with("[2001:DB8::1]:8080", body).await;
    assert_eq!(registered.beat_interval_ms, Some(1_000));
    assert_eq!(registered.cluster_id, "beatrix");
    assert!(registered.changed);

    let instance = door.instance("[2001:db8::1]:8080").await;
    assert_eq!((instance.address.as_str(), instance.port), ("2001:db8::1", 8080));
    assert_eq!((instance.cluster.as_str(), instance.weight), ("c1", 2.5));
    assert_eq!(instance.metadata["a"], "\"quoted\" \u{1}");
    assert_eq!(
        (instance.region.as_deref(), instance.zone.as_deref()),
        (Some("eu"), Some("eu-1"))
    );
    assert_eq!(
        (instance.liveness.as_str(), instance.health),
        ("beat", wire::Health::Healthy)
    );
    assert!(instance.serving && instance.enabled);
    assert_eq!(
        (instance.reason.as_str(), instance.revision),
        ("registered", registered.revision)
    );
    assert_eq!(door.service().await.instances, [instance]);
}

#[tokio::test(start_paused = true)]
async fn registering_the_same_again_changes_nothing_and_keeps_the_lease() {
    let door = Door::open().await;
    let first = door.register_with("10.0.0.1:80", json!({"weight": 3})).await;
    let again = door.register_with("10.0.0.1:80", json!({"weight": 3})).await;
    assert!(!again.changed);
    assert_eq!((again.revision, &again.lease), (first.revision, &first.lease));
    let replaced = door.register_with("10.0.0.1:80", json!({"weight": 4})).await;
    assert!(replaced.changed);
    assert_eq!(replaced.lease, first.lease);
    let other_run = door
        .register_with("10.0.0.1:80", json!({"weight": 4, "incarnation": "2"}))
        .await;
    assert_ne!(other_run.lease, first.lease);
    assert_eq!(door.beat(&[&first.lease.unwrap()]).await.unknown.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_static_instance_has_no_lease() {
    let door = Door::open().await;
    let registered = door
        .register_with("10.0.0.1:80", json!({"liveness": {"type": "static"}}))
        .await;
    assert_eq!((registered.lease, registered.beat_interval_ms), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_batch_renews_and_names_only_what_it_does_not_know() {
    let door = Door::open().await;
    let (a, b) = (
        door.register("10.0.0.1:80").await,
        door.register("10.0.0.2:80").await,
    );
    let before = door.revision();
    let response = door.beat(&[&a, "0123456789abcdef", &b, "not a lease"]).await;
    assert_eq!(response.renewed, 2);
    let mut unknown = response.unknown;
    unknown.sort();
    assert_eq!(unknown, ["0123456789abcdef", "not a lease"]);
    assert_eq!(door.revision(), before, "a beat is no change");
}

#[tokio::test(start_paused = true)]
async fn a_batch_for_another_cluster_is_refused_as_a_whole() {
    let door = Door::open().await;
    let lease = door.register("10.0.0.1:80").await;
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    let body = json!({"cluster_id": "other", "leases": [lease]}).to_string();
    door.call("POST", "/api/v1/beats", body)
        .await
        .problem(409, "wrong-cluster");
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(
        door.instance("10.0.0.1:80").await.health,
        wire::Health::Unhealthy,
        "nothing was renewed"
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_says_what_it_thinks_of_itself() {
    let door = Door::open().await;
    let lease = door.register("10.0.0.1:80").await;
    let say = async |status: &str| {
        let statuses = json!([{"lease": lease, "status": status, "reason": "disk full"},
                              {"lease": "0123456789abcdef", "status": status}]);
        let body = json!({"cluster_id": "beatrix", "statuses": statuses}).to_string();
        let answer = door.call("POST", "/api/v1/beats", body).await;
        let response: wire::BeatResponse = answer.json();
        assert_eq!((response.renewed, response.unknown.len()), (1, 1));
        door.instance("10.0.0.1:80").await
    };
    let draining = say("draining").await;
    assert!(draining.draining && !draining.serving);
    assert_eq!(draining.health, wire::Health::Healthy);
    let unwell = say("unhealthy").await;
    assert_eq!(
        (unwell.health, unwell.reason.as_str()),
        (wire::Health::Unhealthy, "declared")
    );
    assert_eq!(unwell.reason_text.as_deref(), Some("disk full"));
    let up = say("up").await;
    assert!(up.serving && up.health == wire::Health::Healthy);
}

#[tokio::test(start_paused = true)]
async fn the_operators_layer_lies_over_the_clients() {
    let door = Door::open().await;
    let instance = format!("{SERVICE}/instances/10.0.0.1:80");
    door.register_with(
        "10.0.0.1:80",
        json!({"weight": 3, "metadata": {"a": "1", "b": "1"}}),
    )
    .await;
    let patch = json!({"weight": 7, "enabled": false, "metadata": {"a": "2", "c": "2"}}).to_string();
    let shown: wire::Instance = door.call("PATCH", &instance, patch).await.json();
    assert_eq!((shown.weight, shown.enabled, shown.serving), (7.0, false, false));
    assert_eq!(
        shown.metadata.values().map(String::as_str).collect::<String>(),
        "212"
    );
    assert_eq!(shown.operator.as_ref().unwrap().weight, Some(7.0));

    // It survives a registration; a key is taken away by null; it ends when it is cleared.
    door.register_with("10.0.0.1:80", json!({"weight": 4})).await;
    assert_eq!(door.instance("10.0.0.1:80").await.weight, 7.0);
    let patch = json!({"metadata": {"a": null}}).to_string();
    let shown: wire::Instance = door.call("PATCH", &instance, patch).await.json();
    assert_eq!(shown.metadata.keys().collect::<Vec<_>>(), ["c"]);
    let cleared = door.call("DELETE", &format!("{instance}/operator"), "").await;
    assert!(cleared.json::<wire::WriteResponse>().changed);
    let shown = door.instance("10.0.0.1:80").await;
    assert_eq!((shown.weight, shown.enabled, shown.operator), (4.0, true, None));
}

#[tokio::test(start_paused = true)]
async fn deregistering_asks_for_the_lease_if_one_is_given() {
    let door = Door::open().await;
    let instance = format!("{SERVICE}/instances/10.0.0.1:80");
    let lease = door.register("10.0.0.1:80").await;
    let wrong = format!("{instance}?lease=0123456789abcdef");
    door.call("DELETE", &wrong, "")
        .await
        .problem(409, "lease-mismatch");
    let answer = door
        .call("DELETE", &format!("{instance}?lease={lease}"), "")
        .await;
    assert!(answer.json::<wire::WriteResponse>().changed);
    door.call("DELETE", &instance, "")
        .await
        .problem(404, "instance-not-found");
    door.get(&instance).await.problem(404, "instance-not-found");
    assert_eq!(door.service().await.emptied_by.as_deref(), Some("deregistered"));
    assert_eq!(door.beat(&[&lease]).await.unknown, [lease]);
}

#[tokio::test(start_paused = true)]
async fn who_an_operator_removes_is_told_as_that_and_keeps_the_operators_layer() {
    let door = Door::open().await;
    let instance = format!("{SERVICE}/instances/10.0.0.1:80");
    door.register("10.0.0.1:80").await;
    door.call("PATCH", &instance, "{\"enabled\":false}").await;
    door.call("DELETE", &format!("{instance}?by=nobody"), "")
        .await
        .problem(400, "invalid-value");
    let removed = door.call("DELETE", &format!("{instance}?by=operator"), "").await;
    assert!(removed.json::<wire::WriteResponse>().changed);
    assert_eq!(door.service().await.emptied_by.as_deref(), Some("operator"));
    door.register("10.0.0.1:80").await;
    assert!(!door.instance("10.0.0.1:80").await.enabled);
    door.call("DELETE", &format!("{instance}?by=client"), "").await;
    assert_eq!(door.service().await.emptied_by.as_deref(), Some("deregistered"));
}

/// Whatever can be stored can be listed and deleted.
#[tokio::test(start_paused = true)]
async fn layers_are_listed_also_when_their_instance_is_gone() {
    let door = Door::open().await;
    let instance = format!("{SERVICE}/instances/10.0.0.1:80");
    let layers = format!("{SERVICE}/operator");
    door.get(&layers).await.problem(404, "service-not-found");
    door.register("10.0.0.1:80").await;
    door.register("[::1]:80").await;
    assert_eq!(door.get(&layers).await.json::<wire::OperatorLayers>().layers, []);
    let patch = json!({"weight": 2, "metadata": {"a": "1"}, "sticky": true}).to_string();
    door.call("PATCH", &instance, patch).await;
    door.call("DELETE", &instance, "").await;
    let listed = door.get(&layers).await.json::<wire::OperatorLayers>().layers;
    let layer = wire::OperatorLayer {
        weight: Some(2.0),
        metadata: [("a".to_owned(), "1".to_owned())].into(),
        sticky: true,
        ..Default::default()
    };
    let expected = wire::ListedLayer {
        address: "10.0.0.1".to_owned(),
        port: 80,
        present: false,
        layer,
    };
    assert_eq!(listed, [expected]);
    door.call("DELETE", &format!("{instance}/operator"), "").await;
    assert_eq!(door.get(&layers).await.json::<wire::OperatorLayers>().layers, []);
}

#[tokio::test(start_paused = true)]
async fn a_drain_answers_when_all_who_acknowledge_have() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let service = "service=public/DEFAULT_GROUP/orders";
    let mut follows = door
        .watch(&format!("{service}&name=gateway&acks=true"), None)
        .await;
    let _silent = door.watch(service, None).await;
    let subscriber = follows.expect().await.data["subscriber"]
        .as_str()
        .unwrap()
        .to_owned();
    follows.expect().await.snapshot();

    let path = format!("{SERVICE}/instances/10.0.0.1:80/drain");
    let drain = door.call("POST", &path, "{\"deadline_ms\":5000}");
    let acknowledge = async {
        let event = follows.expect().await;
        assert!(event.delta().upserted[0].draining);
        let ack = json!({"id": event.id}).to_string();
        let path = format!("/api/v1/watch/{subscriber}/acks");
        assert_eq!(door.call("POST", &path, ack).await.status, 204);
    };
    let (answer, ()) = tokio::join!(drain, acknowledge);
    let drained: wire::DrainResponse = answer.json();
    assert!(drained.complete);
    assert_eq!(
        (drained.acknowledged, drained.without_acks),
        (vec!["gateway".to_owned()], 1)
    );
    assert!(!door.instance("10.0.0.1:80").await.serving);
}

#[tokio::test(start_paused = true)]
async fn a_drain_names_who_has_not_acknowledged_at_the_deadline() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let _follows = door
        .watch("service=public/DEFAULT_GROUP/orders&name=slow&acks=true", None)
        .await;
    let drain = format!("{SERVICE}/instances/10.0.0.1:80/drain");
    let drained: wire::DrainResponse = door.call("POST", &drain, "{\"deadline_ms\":100}").await.json();
    assert_eq!(
        (drained.complete, drained.waiting),
        (false, vec!["slow".to_owned()])
    );
    door.call("POST", &drain, "{\"deadline_ms\":300001}")
        .await
        .problem(400, "invalid-value");
}
