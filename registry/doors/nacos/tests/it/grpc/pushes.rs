//! What subscribers are told, and when. Checklist 68 to 73, 77 to 84.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use super::harness::{Client, S, World, at, of, ports, with};

fn hosts(info: &Value) -> Vec<u64> {
    ports(info["hosts"].as_array().unwrap())
}

fn in_cluster(cluster: &str, port: u16) -> Value {
    with(at("10.0.0.1", port), json!({"clusterName": cluster}))
}

/// One who has the list, and has acknowledged it.
async fn subscriber(world: &World, service: &str) -> Client {
    let mut client = world.client().await;
    client.subscribe(service).await;
    client.pushed().await;
    client
}

#[tokio::test(start_paused = true)]
async fn checklist_68_a_service_that_there_is_not_may_be_subscribed_to() {
    let world = World::start().await;
    let client = world.client().await;
    let request = with(of("unknown"), json!({"subscribe": true, "clusters": ""}));
    let answer = client.ask("SubscribeServiceRequest", request).await;
    assert_eq!(answer.kind, "SubscribeServiceResponse");
    assert_eq!(answer.json["message"], "success");
    assert_eq!(answer.json["serviceInfo"]["hosts"], json!([]));
    let page = with(of(""), json!({"pageNo": 1, "pageSize": 100}));
    let listed = client.done("ServiceListRequest", page).await;
    assert_eq!(listed["serviceNames"], json!([]));
}

/// Java's and Rust's clients take nothing from the answer to a subscription that they make again.
#[tokio::test(start_paused = true)]
async fn checklist_69_the_first_subscription_is_followed_by_a_push() {
    let world = World::start().await;
    world.client().await.register("other", at("10.0.0.1", 80)).await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    let word = client.next_within(Duration::from_millis(1_500)).await.unwrap();
    assert_eq!(word.kind, "NotifySubscriberRequest");
    assert!(word.json["headers"].is_object());
    assert!(word.json["requestId"].is_string());
    assert_eq!(word.json["serviceInfo"]["name"], "s");
    assert_eq!(word.json["module"], "naming");
    client.stream.acknowledge("NotifySubscriberResponse", &word.json);
    assert!(client.is_quiet_for(10 * S).await, "by one");
}

#[tokio::test(start_paused = true)]
async fn checklist_70_the_same_subscription_again_is_only_answered() {
    let world = World::start().await;
    let mut client = subscriber(&world, "s").await;
    world.client().await.register("s", at("10.0.0.1", 80)).await;
    // The provider's connection is gone again by now: of that it was told.
    while client.pushed().await["hosts"] != json!([]) {}
    assert_eq!(client.subscribe("s").await["hosts"], json!([]));
    assert!(client.is_quiet_for(5 * S).await);
}

#[tokio::test(start_paused = true)]
async fn checklist_71_a_change_is_pushed_with_a_later_time() {
    let world = World::start().await;
    let mut client = world.client().await;
    let answered = client.subscribe("s").await;
    client.pushed().await;
    let provider = world.client().await;
    provider.register("s", at("10.0.0.1", 80)).await;
    let word = client.next_within(Duration::from_millis(1_500)).await.unwrap();
    let pushed = &word.json["serviceInfo"];
    assert_eq!(hosts(pushed), [80]);
    assert!(pushed["lastRefTime"].as_u64() > answered["lastRefTime"].as_u64());
}

#[tokio::test(start_paused = true)]
async fn checklist_72_a_burst_is_a_few_pushes_and_the_last_has_all() {
    let world = World::start().await;
    let mut client = subscriber(&world, "s").await;
    let mut providers = Vec::new();
    for _ in 0..50 {
        providers.push(world.client().await);
    }
    let registering = async {
        for (port, provider) in (1..).zip(&providers) {
            provider.register("s", at("10.0.0.1", port)).await;
            sleep(Duration::from_millis(4)).await;
        }
    };
    let (_, (pushes, last)) = tokio::join!(registering, client.pushes_within(3 * S));
    assert!(pushes <= 7, "{pushes}");
    assert_eq!(hosts(&last.unwrap()), Vec::from_iter(1..=50));
}

/// Go's and Python's clients drop a list whose time is not later than that of the one they have.
#[tokio::test(start_paused = true)]
async fn checklist_73_the_times_of_a_service_grow_in_the_order_of_arrival() {
    let world = World::start().await;
    let provider = world.client().await;
    let mut client = world.client().await;
    let mut times = Vec::new();
    let mut note = |info: &Value| times.push(info["lastRefTime"].as_u64().unwrap());
    for round in 1..=5 {
        for _ in 0..3 {
            note(&client.subscribe("s").await);
            note(&client.query("s").await);
        }
        if round == 1 {
            note(&client.pushed().await);
        }
        provider.register("s", at("10.0.0.1", round)).await;
        note(&client.pushed().await);
        note(&client.query("s").await);
        provider.deregister("s", Value::Null).await;
        note(&client.pushed().await);
        note(&client.subscribe_to("s", "", false).await["serviceInfo"]);
        note(&client.subscribe("s").await);
        note(&client.pushed().await);
    }
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn checklist_77_one_who_unsubscribes_is_told_nothing_more() {
    let world = World::start().await;
    let provider = world.client().await;
    provider.register("s", at("10.0.0.1", 80)).await;
    let mut client = subscriber(&world, "s").await;
    // Clusters do not matter here.
    let answer = client.subscribe_to("s", "A", false).await;
    assert_eq!(answer["serviceInfo"]["hosts"], json!([]), "those of A");
    provider.register("s", at("10.0.0.1", 81)).await;
    assert!(client.is_quiet_for(5 * S).await);
    // Who is not subscribed may say so as well.
    let answer = client.subscribe_to("s", "", false).await;
    assert_eq!(hosts(&answer["serviceInfo"]), [81]);
    assert_eq!(world.http.registry.hub().subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn checklist_78_one_who_names_clusters_is_told_of_those() {
    let world = World::start().await;
    let (one, other) = (world.client().await, world.client().await);
    one.register("s", in_cluster("A", 1)).await;
    let mut client = world.client().await;
    let answered = client.subscribe_to("s", "A", true).await["serviceInfo"].clone();
    assert_eq!((hosts(&answered), &answered["clusters"]), (vec![1], &json!("A")));
    assert_eq!(hosts(&client.pushed().await), [1]);
    other.register("s", in_cluster("B", 2)).await;
    one.batch("s", &[in_cluster("A", 1), in_cluster("A", 3)]).await;
    let (_, last) = client.pushes_within(2 * S).await;
    let last = last.unwrap();
    assert_eq!((hosts(&last), &last["clusters"]), (vec![1, 3], &json!("A")));
}

#[tokio::test(start_paused = true)]
async fn checklist_79_the_clusters_that_are_named_last_count() {
    let world = World::start().await;
    let (one, other) = (world.client().await, world.client().await);
    one.register("s", in_cluster("A", 1)).await;
    other.register("s", in_cluster("B", 2)).await;
    let mut client = world.client().await;
    client.subscribe_to("s", "A", true).await;
    client.pushed().await;
    let answered = client.subscribe_to("s", "B", true).await;
    assert_eq!(hosts(&answered["serviceInfo"]), [2]);
    other.batch("s", &[in_cluster("B", 2), in_cluster("B", 3)]).await;
    let pushed = client.pushed().await;
    assert_eq!((hosts(&pushed), &pushed["clusters"]), (vec![2, 3], &json!("B")));
    assert_eq!(world.http.registry.hub().subscribers(), 1);
}

#[tokio::test(start_paused = true)]
async fn checklist_80_the_last_one_that_leaves_is_pushed_as_an_empty_list() {
    let world = World::start().await;
    let provider = world.client().await;
    provider.register("s", at("10.0.0.1", 80)).await;
    let mut client = subscriber(&world, "s").await;
    provider.deregister("s", at("10.0.0.1", 80)).await;
    assert_eq!(client.pushed().await["hosts"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn checklist_81_one_who_comes_back_is_answered_and_pushed_what_there_is() {
    let world = World::start().await;
    let provider = world.client().await;
    provider.register("s", at("10.0.0.1", 80)).await;
    subscriber(&world, "s").await.cut().await;
    provider.register("s", at("10.0.0.1", 81)).await;
    let mut client = world.client().await;
    assert_eq!(hosts(&client.subscribe("s").await), [81]);
    let (pushes, last) = client.pushes_within(5 * S).await;
    assert_eq!((pushes, hosts(&last.unwrap())), (1, vec![81]));
}

#[tokio::test(start_paused = true)]
async fn checklist_82_an_instance_that_beats_over_http_is_pushed_as_it_falls_silent() {
    let world = World::start().await;
    let mut client = subscriber(&world, "S").await;
    world.http.register("serviceName=S&ip=1.1.1.1&port=80").await;
    let came = client.pushed().await;
    assert_eq!(
        (hosts(&came), &came["hosts"][0]["healthy"]),
        (vec![80], &json!(true))
    );
    let silent = client.next_within(16 * S).await.unwrap();
    assert_eq!(silent.json["serviceInfo"]["hosts"][0]["healthy"], false);
    client
        .stream
        .acknowledge("NotifySubscriberResponse", &silent.json);
    let gone = client.next_within(16 * S).await.unwrap();
    assert_eq!(gone.json["serviceInfo"]["hosts"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn checklist_83_what_an_operator_sets_over_http_counts_for_an_instance_of_a_connection() {
    let world = World::start().await;
    let provider = world.client().await;
    provider.register("S", at("1.1.1.1", 80)).await;
    let mut client = subscriber(&world, "S").await;
    let named = "serviceName=S&ip=1.1.1.1&port=80&ephemeral=true";
    let set = async |what: &str| {
        let query = format!("{named}&{what}");
        world.http.instance("PUT", &query).await.is_ok();
    };
    set("enabled=false").await;
    assert_eq!(client.pushed().await["hosts"], json!([]));
    set("enabled=true&weight=7").await;
    assert_eq!(client.pushed().await["hosts"][0]["weight"], 7.0);
    // Registering again is no way around it.
    provider
        .register("S", with(at("1.1.1.1", 80), json!({"weight": 3})))
        .await;
    assert_eq!(provider.hosts("S").await[0]["weight"], 7.0);
}

#[tokio::test(start_paused = true)]
async fn checklist_84_a_service_with_a_threshold_is_protected() {
    let world = World::start().await;
    let declare = "/nacos/v2/ns/service?serviceName=guarded&protectThreshold=0.8&ephemeral=true";
    let declared = world.http.ask("POST", declare, None).await;
    assert_eq!(declared.json()["code"], 0);
    let unhealthy = |port| with(at("10.0.0.1", port), json!({"healthy": false}));
    let provider = world.client().await;
    for (service, healthy, protected) in [("guarded", 3, true), ("plain", 1, false)] {
        let three = [at("10.0.0.1", 1), unhealthy(2), unhealthy(3)];
        provider.batch(service, &three).await;
        let mut client = world.client().await;
        let mut told = vec![client.query(service).await, client.subscribe(service).await];
        told.push(client.pushed().await);
        for info in told {
            assert_eq!(hosts(&info), [1, 2, 3]);
            let all = info["hosts"].as_array().unwrap();
            let called = all.iter().filter(|host| host["healthy"] == true).count();
            assert_eq!(called, healthy, "{info}");
            assert_eq!(info["reachProtectionThreshold"], protected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn while_pushes_are_switched_off_none_is_made() {
    let world = World::start().await;
    let provider = world.client().await;
    let mut client = subscriber(&world, "s").await;
    let switch = async |value: &str| {
        let path = format!("/nacos/v1/ns/operator/switches?entry=pushEnabled&value={value}");
        world.http.ask("PUT", &path, None).await.is_ok();
    };
    switch("false").await;
    provider.register("s", at("10.0.0.1", 80)).await;
    assert!(client.is_quiet_for(10 * S).await);
    assert_eq!(hosts(&client.query("s").await), [80]);
    switch("true").await;
    provider.register("s", at("10.0.0.1", 81)).await;
    assert_eq!(hosts(&client.pushed().await), [81]);
}

#[tokio::test(start_paused = true)]
async fn a_change_is_one_push_for_each_of_many() {
    let world = World::start().await;
    let provider = world.client().await;
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(subscriber(&world, "s").await);
    }
    let before = world.grpc.counts().pushed;
    provider.register("s", at("10.0.0.1", 80)).await;
    for client in &mut all {
        assert_eq!(hosts(&client.pushed().await), [80]);
    }
    sleep(S).await;
    assert_eq!(world.grpc.counts().pushed, before + 100);
}
