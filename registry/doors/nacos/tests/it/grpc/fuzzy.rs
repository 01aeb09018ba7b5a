//! Fuzzy watch: which services there are whose names match a pattern. Checklist 88 to 94.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Client, S, World, at, registering, with};

const SYNC: &str = "NamingFuzzyWatchSyncRequest";
const CHANGE: &str = "NamingFuzzyWatchChangeNotifyRequest";
/// Java's client answers both with this.
const ANSWER: &str = "NamingFuzzyWatchChangeNotifyResponse";

pub(crate) fn watching(pattern: &str, begins: bool, known: &[&str]) -> Value {
    json!({
        "namespace": "public",
        "groupKeyPattern": pattern,
        "watchType": "WATCH",
        "initializing": begins,
        "receivedGroupKeys": known,
        "module": "naming",
    })
}

impl Client {
    pub(crate) async fn watch(&self, pattern: &str, begins: bool, known: &[&str]) {
        let request = watching(pattern, begins, known);
        let answer = self.ask("NamingFuzzyWatchRequest", request).await;
        assert_eq!(answer.kind, "NamingFuzzyWatchResponse");
        assert_eq!(answer.json["resultCode"], 200, "{answer:?}");
    }

    async fn cancel(&self, pattern: &str) {
        let request = with(
            watching(pattern, false, &[]),
            json!({"watchType": "CANCEL_WATCH"}),
        );
        self.done("NamingFuzzyWatchRequest", request).await;
    }

    /// The next batch, not acknowledged.
    pub(crate) async fn batch_within(&mut self, time: Duration) -> Value {
        let word = self.next_within(time).await.expect("a batch comes");
        assert_eq!(word.kind, SYNC);
        assert!(word.json["headers"].is_object() && word.json["requestId"].is_string());
        word.json
    }

    pub(crate) fn took(&self, told: &Value) {
        self.stream.acknowledge(ANSWER, told);
    }

    /// Takes all that one who begins is told; returns the services.
    pub(crate) async fn begun(&mut self) -> BTreeSet<String> {
        let mut all = BTreeSet::new();
        loop {
            let batch = self.batch_within(3 * S).await;
            self.took(&batch);
            if batch["syncType"] == "FINISH_FUZZY_WATCH_INIT_NOTIFY" {
                assert_eq!(batch["contexts"], json!([]));
                return all;
            }
            assert_eq!(batch["syncType"], "FUZZY_WATCH_INIT_NOTIFY");
            all.extend(added(&batch));
        }
    }

    /// What became of which service, as the next notice says it, acknowledged.
    pub(crate) async fn noticed(&mut self) -> (String, String) {
        let word = self.next_within(2 * S).await.expect("a notice comes");
        assert_eq!(word.kind, CHANGE);
        assert_eq!(word.json["syncType"], "FUZZY_WATCH_RESOURCE_CHANGED");
        assert!(word.json["headers"].is_object());
        self.took(&word.json);
        let text = |name: &str| word.json[name].as_str().unwrap().to_owned();
        (text("changedType"), text("serviceKey"))
    }
}

/// The services that a batch says are there.
pub(crate) fn added(batch: &Value) -> Vec<String> {
    let added = |context: &Value| {
        assert_eq!(context["changedType"], "ADD_SERVICE");
        context["serviceKey"].as_str().unwrap().to_owned()
    };
    batch["contexts"].as_array().unwrap().iter().map(added).collect()
}

pub(crate) fn key(service: &str) -> String {
    format!("public@@DEFAULT_GROUP@@{service}")
}

pub(crate) fn came(service: &str) -> (String, String) {
    ("ADD_SERVICE".to_owned(), key(service))
}

pub(crate) fn went(service: &str) -> (String, String) {
    ("DELETE_SERVICE".to_owned(), key(service))
}

/// A client that provides these services.
pub(crate) async fn provider(world: &World, services: impl IntoIterator<Item = String>) -> Client {
    let provider = world.client().await;
    for service in services {
        provider.register(&service, at("10.0.0.1", 80)).await;
    }
    provider
}

#[tokio::test(start_paused = true)]
async fn checklist_88_one_who_begins_is_told_in_batches_of_ten_and_then_the_end() {
    let world = World::start().await;
    let names: Vec<_> = (0..12).map(|n| format!("svc{n}")).collect();
    let _provider = provider(&world, names.iter().cloned().chain(["other".to_owned()])).await;
    let mut client = world.client().await;
    client.watch("public>>*>>svc*", true, &[]).await;
    let batches = [client.batch_within(3 * S).await, client.batch_within(3 * S).await];
    let mut told = BTreeSet::new();
    for (number, (batch, size)) in (1..).zip(batches.iter().zip([10, 2])) {
        assert_eq!(batch["syncType"], "FUZZY_WATCH_INIT_NOTIFY");
        assert_eq!(batch["groupKeyPattern"], "public>>*>>svc*");
        assert_eq!(
            (&batch["totalBatch"], &batch["currentBatch"]),
            (&json!(2), &json!(number))
        );
        assert_eq!(added(batch).len(), size);
        told.extend(added(batch));
    }
    assert_eq!(told, names.iter().map(|name| key(name)).collect());
    assert_ne!(batches[0]["requestId"], batches[1]["requestId"]);
    client.took(&batches[1]);
    assert!(client.is_quiet_for(2 * S).await, "it has not all yet");
    client.took(&batches[0]);
    let finish = client.batch_within(3 * S).await;
    assert_eq!(finish["syncType"], "FINISH_FUZZY_WATCH_INIT_NOTIFY");
    assert_eq!(finish["contexts"], json!([]));
    client.took(&finish);
    assert!(client.is_quiet_for(10 * S).await);
}

#[tokio::test(start_paused = true)]
async fn checklist_89_one_who_begins_where_nothing_matches_is_told_the_end() {
    let world = World::start().await;
    let _provider = provider(&world, ["other".to_owned()]).await;
    let mut client = world.client().await;
    client.watch("public>>*>>svc*", true, &[]).await;
    assert!(client.begun().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_90_one_who_knows_all_is_told_nothing() {
    let world = World::start().await;
    let _provider = provider(&world, ["svc1".to_owned(), "svc2".to_owned()]).await;
    let mut client = world.client().await;
    client
        .watch("public>>*>>svc*", false, &[&key("svc1"), &key("svc2")])
        .await;
    assert!(client.is_quiet_for(5 * S).await);
    // And goes on to hear of what comes.
    let _late = provider(&world, ["svc3".to_owned()]).await;
    assert_eq!(client.noticed().await, came("svc3"));
}

#[tokio::test(start_paused = true)]
async fn checklist_91_services_are_told_as_they_come_and_go_and_not_their_instances() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.watch("public>>*>>svc*", true, &[]).await;
    client.begun().await;
    let (one, other) = (world.client().await, world.client().await);
    one.register("svc", at("10.0.0.1", 80)).await;
    one.register("unmatched", at("10.0.0.1", 80)).await;
    assert_eq!(client.noticed().await, came("svc"));
    other.register("svc", at("10.0.0.1", 81)).await;
    one.deregister("svc", at("10.0.0.1", 80)).await;
    assert!(client.is_quiet_for(3 * S).await);
    other.cut().await;
    assert_eq!(client.noticed().await, went("svc"));
    one.register("svc", at("10.0.0.1", 80)).await;
    assert_eq!(client.noticed().await, came("svc"));
    assert!(client.is_quiet_for(10 * S).await);
}

#[tokio::test(start_paused = true)]
async fn checklist_92_a_batch_is_acknowledged_by_the_answer_to_a_notice() {
    let world = World::start().await;
    let _provider = provider(&world, ["svc".to_owned()]).await;
    let mut client = world.client().await;
    client.watch("public>>*>>svc*", true, &[]).await;
    let batch = client.batch_within(3 * S).await;
    let answer = json!({"resultCode": 200, "errorCode": 0, "requestId": batch["requestId"]});
    client
        .stream
        .send("NamingFuzzyWatchChangeNotifyResponse", &answer);
    let finish = client.batch_within(3 * S).await;
    assert_eq!(finish["syncType"], "FINISH_FUZZY_WATCH_INIT_NOTIFY");
}

#[tokio::test(start_paused = true)]
async fn checklist_93_one_who_cancels_is_told_nothing_more() {
    let world = World::start().await;
    let provider = provider(&world, ["svc".to_owned()]).await;
    let mut client = world.client().await;
    client.watch("public>>*>>svc*", true, &[]).await;
    client.begun().await;
    client.cancel("public>>*>>svc*").await;
    provider.register("svc2", at("10.0.0.1", 80)).await;
    provider.deregister("svc", at("10.0.0.1", 80)).await;
    assert!(client.is_quiet_for(10 * S).await);
    // Who cancels in the midst of the batches is told no more of those either.
    client.watch("public>>*>>svc*", true, &[]).await;
    client.batch_within(3 * S).await;
    client.cancel("public>>*>>svc*").await;
    assert!(client.is_quiet_for(10 * S).await);
    client.cancel("public>>*>>never-watched").await;
}

#[tokio::test(start_paused = true)]
async fn checklist_94_a_client_watches_no_more_than_twenty_patterns() {
    let world = World::start().await;
    let mut client = world.client().await;
    let pattern = |number: u32| format!("public>>*>>svc{number}*");
    for number in 1..=20 {
        client.watch(&pattern(number), false, &[]).await;
    }
    let one_more = watching(&pattern(21), true, &[]);
    client
        .fails(
            "NamingFuzzyWatchRequest",
            one_more,
            50_310,
            "NamingFuzzyWatchResponse",
        )
        .await;
    client.watch(&pattern(1), false, &[]).await;
    let _provider = provider(&world, ["svc21x".to_owned()]).await;
    assert_eq!(client.noticed().await, came("svc21x"), "it matches svc2*");
    assert!(client.is_quiet_for(S).await);
    client.cancel(&pattern(20)).await;
    client.watch(&pattern(21), true, &[]).await;
    assert_eq!(client.begun().await, BTreeSet::from([key("svc21x")]));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_pattern_and_no_kind_of_watch_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    for pattern in [
        json!(""),
        json!("svc"),
        json!("public>>svc"),
        json!("a b>>*>>*"),
        Value::Null,
        json!(7),
    ] {
        let request = with(watching("", true, &[]), json!({"groupKeyPattern": pattern}));
        client
            .fails(
                "NamingFuzzyWatchRequest",
                request,
                400,
                "NamingFuzzyWatchResponse",
            )
            .await;
    }
    for kind in [json!(""), json!("watch"), Value::Null] {
        let request = with(watching("public>>*>>*", true, &[]), json!({"watchType": kind}));
        client
            .fails(
                "NamingFuzzyWatchRequest",
                request,
                400,
                "NamingFuzzyWatchResponse",
            )
            .await;
    }
    assert!(client.is_set_up().await);
}

#[tokio::test(start_paused = true)]
async fn a_pattern_chooses_by_namespace_group_and_service() {
    let world = World::start().await;
    let provider = world.client().await;
    for (namespace, group, service) in [
        ("public", "ga", "s.a"),
        ("public", "gb", "s.b"),
        ("dev", "ga", "s.c"),
    ] {
        let place = json!({"namespace": namespace, "groupName": group});
        let request = with(registering(service, at("10.0.0.1", 80)), place);
        provider.done("InstanceRequest", request).await;
    }
    for (pattern, expected) in [
        ("public>>*>>*", vec!["public@@ga@@s.a", "public@@gb@@s.b"]),
        ("public>>ga>>.*", vec!["public@@ga@@s.a"]),
        ("public>>*b>>s.*", vec!["public@@gb@@s.b"]),
        ("public>>g*>>*.a", vec!["public@@ga@@s.a"]),
        ("public>>*>>*.*", vec!["public@@ga@@s.a", "public@@gb@@s.b"]),
        ("dev>>*>>*", vec!["dev@@ga@@s.c"]),
        ("public>>g>>*", vec![]),
        ("none>>*>>*", vec![]),
    ] {
        let mut client = world.client().await;
        client.watch(pattern, true, &[]).await;
        let told = client.begun().await;
        assert_eq!(
            told,
            expected.into_iter().map(str::to_owned).collect(),
            "{pattern}"
        );
    }
}
