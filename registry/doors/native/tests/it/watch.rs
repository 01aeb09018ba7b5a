//! The watch stream.

use std::time::Duration;

use serde_json::json;

use crate::door::{Door, SERVICE};

const ORDERS: &str = "service=public/DEFAULT_GROUP/orders";

#[tokio::test(start_paused = true)]
async fn the_stream_says_hello_then_the_whole_then_each_change() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let mut stream = door.watch(ORDERS, None).await;
    let hello = stream.expect().await;
    assert_eq!(
        (hello.name.as_str(), &hello.data["resumed"]),
        ("hello", &json!(false))
    );
    let whole = stream.expect().await;
    assert_eq!(whole.snapshot(), door.service().await);
    door.register("10.0.0.2:80").await;
    let event = stream.expect().await;
    let delta = event.delta();
    assert_eq!((delta.from_revision, delta.revision), (1, 2));
    assert_eq!(delta.upserted[0].address, "10.0.0.2");
    assert_eq!(event.id, format!("{}.2", delta.epoch));
    tokio::time::sleep(Duration::from_millis(100)).await;
    door.call("DELETE", &format!("{SERVICE}/instances/10.0.0.1:80"), "")
        .await;
    let delta = stream.expect().await.delta();
    assert_eq!(
        (
            delta.removed[0].address.as_str(),
            delta.removed[0].reason.as_str()
        ),
        ("10.0.0.1", "deregistered")
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_cut_resumes_with_just_what_it_missed() {
    let door = Door::open().await;
    for port in 1..=50 {
        door.register(&format!("10.0.0.1:{port}")).await;
    }
    let mut stream = door.watch(ORDERS, None).await;
    stream.expect().await;
    let id = stream.expect().await.id;
    drop(stream);
    door.register("10.0.0.2:80").await;
    let mut stream = door.watch(ORDERS, Some(&id)).await;
    let hello = stream.expect().await;
    assert_eq!((&hello.data["resumed"], hello.id), (&json!(true), id));
    let missed = stream.expect().await;
    assert_eq!(
        (missed.delta().upserted.len(), missed.delta().from_revision),
        (1, 50)
    );

    // Who missed nothing is told nothing.
    let mut stream = door.watch(ORDERS, Some(&missed.id)).await;
    stream.expect().await;
    let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
    assert!(next.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_cannot_be_used_is_told_and_the_whole_comes() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let epoch = door.registry.epoch();
    for (token, why) in [
        ("0123456789abcdef.1".to_owned(), "another epoch"),
        (format!("{epoch}.99"), "future"),
    ] {
        let mut stream = door.watch(ORDERS, Some(&token)).await;
        let hello = stream.expect().await;
        assert_eq!(hello.data["resumed"], json!(false));
        assert!(
            hello.data["not_resumed"].as_str().unwrap().contains(why),
            "{hello:?}"
        );
        stream.expect().await.snapshot();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_older_than_the_change_log_gets_a_snapshot() {
    let mut config = beatrix_engine::EngineConfig::default();
    config.catalog.change_log_max = 8;
    let door = Door::with(config).await;
    for port in 1..=20 {
        door.register(&format!("10.0.0.1:{port}")).await;
    }
    let epoch = door.registry.epoch();
    let mut stream = door.watch(ORDERS, Some(&format!("{epoch}.5"))).await;
    assert_eq!(stream.expect().await.data["resumed"], json!(true));
    assert_eq!(stream.expect().await.snapshot().instances.len(), 20);
    let mut stream = door.watch(ORDERS, Some(&format!("{epoch}.15"))).await;
    stream.expect().await;
    assert_eq!(stream.expect().await.delta().upserted.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_stream_follows_many_services_and_resumes_all_of_them() {
    let door = Door::open().await;
    let register = async |service: &str, port: u16| {
        let path = format!(
            "/api/v1/namespaces/public/groups/DEFAULT_GROUP/services/{service}/instances/10.0.0.1:{port}"
        );
        assert_eq!(door.call("PUT", &path, "{}").await.status, 201);
    };
    register("orders", 1).await;
    let both = format!("{ORDERS}&service=public/DEFAULT_GROUP/payments");
    let mut stream = door.watch(&both, None).await;
    stream.expect().await;
    let (orders, payments) = (stream.expect().await, stream.expect().await);
    assert_eq!(orders.snapshot().instances.len(), 1);
    assert_eq!(
        (payments.snapshot().instances.len(), payments.snapshot().revision),
        (0, 1),
        "at revision 1 there was none"
    );
    drop(stream);
    register("payments", 1).await;
    register("orders", 2).await;
    register("other", 1).await;
    let mut stream = door.watch(&both, Some(&payments.id)).await;
    stream.expect().await;
    let services: Vec<_> = [stream.expect().await, stream.expect().await]
        .iter()
        .map(|event| event.data["service"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(services, ["orders", "payments"]);
    let next = tokio::time::timeout(Duration::from_secs(10), stream.next()).await;
    assert!(next.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_burst_is_merged_and_the_last_event_is_the_newest_state() {
    let door = Door::open().await;
    let mut stream = door.watch(ORDERS, None).await;
    stream.expect().await;
    stream.expect().await.snapshot();
    for port in 1..=1_000 {
        door.register(&format!("10.0.0.1:{port}")).await;
    }
    let mut events = 0;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 1_000 {
        let delta = stream.expect().await.delta();
        seen.extend(delta.upserted.iter().map(|instance| instance.port));
        events += 1;
    }
    assert!(events <= 3, "{events} events");
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_pings() {
    let door = Door::open().await;
    let mut stream = door.watch(ORDERS, None).await;
    stream.expect().await;
    stream.expect().await;
    let began = tokio::time::Instant::now();
    assert_eq!(stream.expect().await.name, "ping");
    assert_eq!(stream.expect().await.name, "ping");
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_the_registry_stops() {
    let door = Door::open().await;
    let mut stream = door.watch(ORDERS, None).await;
    stream.expect().await;
    stream.expect().await;
    let (ended, ()) = tokio::join!(stream.next(), door.registry.stop());
    assert!(ended.is_none());
    let path = format!("{SERVICE}/instances/10.0.0.1:80");
    door.call("PUT", &path, "{}").await.problem(503, "unavailable");
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_name_an_open_stream_and_this_epoch() {
    let door = Door::open().await;
    let mut stream = door.watch(ORDERS, None).await;
    let hello = stream.expect().await;
    let path = format!(
        "/api/v1/watch/{}/acks",
        hello.data["subscriber"].as_str().unwrap()
    );
    let ack = async |path: &str, id: &str| door.call("POST", path, json!({"id": id}).to_string()).await;
    assert_eq!(ack(&path, &hello.id).await.status, 204);
    ack(&path, "0123456789abcdef.1")
        .await
        .problem(400, "invalid-value");
    ack(&path, "garbage").await.problem(400, "invalid-value");
    drop(stream);
    ack(&path, &hello.id).await.problem(404, "subscriber-not-found");
    ack("/api/v1/watch/none/acks", &hello.id)
        .await
        .problem(404, "subscriber-not-found");
}
