//! When a connection lives, and what goes with it. Checklist 22 to 32.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use super::harness::{Client, S, World, at, eventually, ports};

const ASKED: &str = "ClientDetectionRequest";
const ANSWER: &str = "ClientDetectionResponse";

/// Waits in silence until it is asked whether it lives; returns the question.
async fn asked(client: &mut Client) -> Value {
    let asked = client.next_within(24 * S).await.expect("it is asked");
    assert_eq!(asked.kind, ASKED);
    asked.json
}

/// A client that has registered an instance, is asked whether it lives, and answers so.
async fn answers(world: &World, answer: Value) -> Client {
    let mut client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    let asked = asked(&mut client).await;
    let mut answer = answer;
    answer["requestId"] = asked["requestId"].clone();
    client.stream.send(ANSWER, &answer);
    client
}

/// Whether it is still there well after it would have been gone.
async fn stays(world: &World, client: &Client) {
    sleep(10 * S).await;
    assert!(client.is_set_up().await);
    assert_eq!(ports(&world.hosts("s").await), [80]);
}

/// Whether its instances are gone in time.
async fn gone_within(world: &World, time: Duration) {
    let other = world.client().await;
    let gone = async {
        while !other.hosts("s").await.is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(time, gone).await.expect("its instances go in time");
}

#[tokio::test(start_paused = true)]
async fn checklist_22_one_who_is_silent_is_asked_after_20_s() {
    let world = World::start().await;
    let mut client = world.client().await;
    let heard = Instant::now();
    let asked = asked(&mut client).await;
    let after = heard.elapsed();
    assert!(after >= 20 * S && after <= 24 * S, "{after:?}");
    assert!(
        asked["requestId"].is_string() && asked["headers"].is_object(),
        "{asked}"
    );
}

/// Whoever read `success` would throw every Go client out.
#[tokio::test(start_paused = true)]
async fn checklist_23_an_answer_counts_by_its_code_and_not_by_success() {
    let world = World::start().await;
    let answer = json!({"resultCode": 200, "errorCode": 0, "success": false});
    let client = answers(&world, answer).await;
    stays(&world, &client).await;
}

#[tokio::test(start_paused = true)]
async fn checklist_24_an_answer_may_leave_success_out() {
    let world = World::start().await;
    let client = answers(&world, json!({"resultCode": 200, "errorCode": 0, "message": ""})).await;
    stays(&world, &client).await;
}

#[tokio::test(start_paused = true)]
async fn checklist_25_one_who_does_not_answer_is_gone_with_its_instances() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    let heard = Instant::now();
    let status = client.ended().await;
    assert!(heard.elapsed() <= 30 * S, "{:?}", heard.elapsed());
    assert_eq!(status.code(), Code::Unavailable);
    assert!(world.hosts("s").await.is_empty());
    assert_eq!(world.grpc.counts().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn checklist_26_one_who_says_that_it_is_not_well_is_dropped() {
    let world = World::start().await;
    let client = answers(&world, json!({"resultCode": 500, "errorCode": -500})).await;
    let told = Instant::now();
    client.ended().await;
    assert!(told.elapsed() <= S);
    assert!(world.hosts("s").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_27_one_who_asks_for_its_health_is_not_asked() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.lives_for(60 * S).await;
    assert!(client.stream.is_quiet().await);
}

#[tokio::test(start_paused = true)]
async fn checklist_28_an_answer_to_a_push_is_a_sign_of_life() {
    let world = World::start().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    let provider = world.client().await;
    for port in 1..=5 {
        provider.register("s", at("10.0.0.1", port)).await;
        let word = consumer.next_within(S).await.unwrap();
        assert_eq!(word.kind, "NotifySubscriberRequest");
        consumer
            .stream
            .acknowledge("NotifySubscriberResponse", &word.json);
        assert!(consumer.is_quiet_for(10 * S).await);
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_29_what_a_closed_transport_had_is_gone_within_a_second() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    client.batch("t", &[at("10.0.0.1", 1), at("10.0.0.1", 2)]).await;
    drop(client.connection);
    drop(client.stream);
    gone_within(&world, S).await;
    assert!(world.hosts("t").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_30_a_stream_that_ends_ends_the_connection() {
    let world = World::start().await;
    let mut half_closing = world.client().await;
    half_closing.register("s", at("10.0.0.1", 80)).await;
    half_closing.stream.half_close();
    gone_within(&world, S).await;
    let status = timeout(S, half_closing.ended())
        .await
        .expect("the transport ends, too");
    assert_eq!(status.code(), Code::Unavailable);

    let cancelling = world.client().await;
    cancelling.register("s", at("10.0.0.1", 80)).await;
    drop(cancelling.stream);
    gone_within(&world, S).await;
    timeout(S, cancelling.served)
        .await
        .expect("the transport ends, too")
        .unwrap();
    eventually("the client sees it", async || {
        cancelling.connection.is_closed().then_some(())
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn checklist_31_a_drop_ends_stream_and_transport_and_what_comes_after_is_unregistered() {
    let world = World::start().await;
    let (connection, served) = world.connect().await;
    let stream = connection.set_up().await.unwrap();
    let dropped = Client {
        connection,
        stream,
        served,
    };
    assert_ne!(dropped.ended().await.code(), Code::Ok);
    let (connection, _served) = world.connect().await;
    let answer = connection
        .request("ServiceQueryRequest", &super::harness::of("s"))
        .await;
    assert_eq!(answer.unwrap().json["errorCode"], 301);
}

#[tokio::test(start_paused = true)]
async fn checklist_32_no_number_of_a_request_is_used_twice() {
    let world = World::start().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.subscribe("t").await;
    let provider = world.client().await;
    let mut numbers = Vec::new();
    for round in 1..=4 {
        for service in ["s", "t"] {
            provider.register(service, at("10.0.0.1", round)).await;
        }
        // Pushes, and then the question.
        while let Some(word) = consumer.next_within(22 * S).await {
            let answer = word.kind.replace("Request", "Response");
            consumer.stream.acknowledge(&answer, &word.json);
            numbers.push(word.json["requestId"].as_str().unwrap().to_owned());
            if word.kind == ASKED {
                break;
            }
        }
        assert!(provider.is_set_up().await);
    }
    let all = numbers.len();
    assert!(all >= 12, "{numbers:?}");
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "{numbers:?}");
}

/// A client without a stream, or without a word on it, would hold its place for ever.
#[tokio::test(start_paused = true)]
async fn one_who_is_never_set_up_is_dropped() {
    let world = World::start().await;
    let (silent, served) = world.connect().await;
    let _half = silent.stream().await.unwrap();
    let (asking, also_served) = world.connect().await;
    for _ in 0..4 {
        asking.request("ServerCheckRequest", &json!({})).await.unwrap();
        sleep(4 * S).await;
    }
    timeout(30 * S, async {
        served.await.unwrap();
        also_served.await.unwrap();
    })
    .await
    .expect("both are dropped");
    assert_eq!(world.grpc.counts().connections, 0);
}

/// Its answer is on its way, or it works for the first time in a while: what counts is that something came.
#[tokio::test(start_paused = true)]
async fn one_who_was_asked_may_say_anything_else_as_well() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    asked(&mut client).await;
    sleep(4 * S).await;
    client.query("s").await;
    stays(&world, &client).await;
}
