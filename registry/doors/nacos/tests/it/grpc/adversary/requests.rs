//! Answers to what was never asked, and many requests at once.

use beatrix_nacos_wire::Payload;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;
use tonic::Code;

use super::super::harness::{S, World, at, of, registering, with};
use super::raw::Raw;
use super::{Bystander, nothing_is_left};

#[tokio::test(start_paused = true)]
async fn an_answer_to_nothing_changes_nothing() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    let kinds = [
        "NotifySubscriberResponse",
        "ClientDetectionResponse",
        "ConnectResetResponse",
        "NamingFuzzyWatchChangeNotifyResponse",
        "ErrorResponse",
    ];
    let numbers = [
        json!("-1"),
        json!("abc"),
        json!(""),
        json!("999999"),
        json!("18446744073709551615"),
        json!("18446744073709551616"),
        Value::Null,
        json!([]),
    ];
    let push = client.next_within(S).await.unwrap();
    for kind in kinds {
        for number in &numbers {
            for code in [json!(200), json!(500), Value::Null, json!("x")] {
                let answer = json!({"resultCode": code, "requestId": number});
                client.stream.send(kind, &answer);
            }
        }
        sleep(S / 10).await;
        assert!(client.is_set_up().await, "{kind}");
    }
    assert_eq!(world.grpc.counts().acknowledged, 0);
    client.stream.acknowledge("NotifySubscriberResponse", &push.json);
    assert!(client.is_quiet_for(10 * S).await);
    assert_eq!(world.grpc.counts().acknowledged, 1);
}

/// Numbers are counted over all connections, and so can be guessed.
#[tokio::test(start_paused = true)]
async fn nobody_answers_for_another_one() {
    let world = World::start().await;
    let (mut asked, other) = (world.client().await, world.client().await);
    asked.subscribe("s").await;
    let push = asked.next_within(S).await.unwrap();
    let all_of_them = |code: i64| {
        for number in 1..50 {
            for kind in ["NotifySubscriberResponse", "ClientDetectionResponse"] {
                let answer = json!({"resultCode": code, "requestId": number.to_string()});
                other.stream.send(kind, &answer);
            }
        }
    };
    all_of_them(200);
    let again = asked
        .next_within(6 * S)
        .await
        .expect("the push is not acknowledged");
    assert_ne!(again.json["requestId"], push.json["requestId"]);
    all_of_them(500);
    assert!(other.is_set_up().await);
    asked.stream.acknowledge("NotifySubscriberResponse", &again.json);
    let detection = loop {
        other.is_set_up().await;
        if let Some(word) = asked.next_within(5 * S).await {
            break word;
        }
    };
    assert_eq!(detection.kind, "ClientDetectionRequest");
    // Neither saves it nor kills it.
    all_of_them(500);
    sleep(S).await;
    asked
        .stream
        .acknowledge("ClientDetectionResponse", &detection.json);
    sleep(5 * S).await;
    assert!(asked.is_set_up().await);
}

#[tokio::test(start_paused = true)]
async fn three_hundred_calls_at_once_are_all_answered() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let client = world.client().await;
    let calls = (0..300).map(|number| {
        let (kind, request) = match number % 3 {
            0 => (
                "InstanceRequest",
                registering(&format!("s{number}"), at("10.0.0.1", 80)),
            ),
            1 => ("ServiceQueryRequest", of("calm")),
            _ => (
                "SubscribeServiceRequest",
                with(of("calm"), json!({"subscribe": true})),
            ),
        };
        client.done(kind, request)
    });
    assert_eq!(join_all(calls).await.len(), 300);
    assert_eq!(world.http.registry.status().instances, 101);
    bystander.goes_on().await;
    client.cut().await;
    assert_eq!(world.http.registry.status().instances, 1);
}

#[tokio::test(start_paused = true)]
async fn three_hundred_streams_at_once_are_refused_and_the_first_goes_on() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    client.pushed().await;
    let streams = join_all((0..300).map(|_| client.connection.stream())).await;
    for refused in streams {
        assert_eq!(refused.unwrap_err().code(), Code::AlreadyExists);
    }
    assert!(client.is_set_up().await);
    client.register("s", at("10.0.0.1", 80)).await;
    assert_eq!(client.pushed().await["hosts"][0]["port"], 80);
    assert_eq!(world.grpc.counts().connections, 1);
}

/// They hold all the places of their own connection, and nobody else's.
#[tokio::test(start_paused = true)]
async fn calls_that_never_end_hold_up_nobody_else() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let (raw, saying) = Raw::set_up(&world).await;
    let mut unfinished = Vec::new();
    for _ in 0..300 {
        unfinished.push(raw.stream().await);
    }
    for _ in 0..4 {
        sleep(5 * S).await;
        bystander.goes_on().await;
    }
    drop((saying, unfinished, raw));
    let Bystander { provider, consumer } = bystander;
    provider.cut().await;
    consumer.cut().await;
    nothing_is_left(&world).await;
}

#[tokio::test(start_paused = true)]
async fn one_message_may_come_in_any_pieces() {
    let world = World::start().await;
    let raw = Raw::connect(&world).await;
    let saying = raw.stream().await;
    let setup = prost::Message::encode_to_vec(&Payload::of("ConnectionSetupRequest", "{}"));
    let setup = super::raw::framed(&setup);
    let (last, before) = setup.split_last().unwrap();
    for byte in before {
        saying.say(vec![*byte]);
        sleep(S / 100).await;
    }
    assert!(!raw.is_set_up().await);
    saying.say(vec![*last]);
    assert!(raw.is_set_up().await);
}

/// Nought is the number of no request.
#[tokio::test(start_paused = true)]
async fn an_answer_to_number_nought_is_an_answer_to_nothing() {
    let world = World::start().await;
    for kind in ["NotifySubscriberResponse", "ClientDetectionResponse"] {
        let client = world.client().await;
        let answer = json!({"resultCode": 500, "requestId": "0"});
        client.stream.send(kind, &answer);
        sleep(S).await;
        assert!(client.is_set_up().await, "{kind}");
    }
}

/// A client can open and cancel faster than anybody can answer.
#[tokio::test(start_paused = true)]
async fn calls_that_are_cancelled_at_once_cost_at_most_their_own_connection() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    for round in 0..20 {
        let client = world.client().await;
        for number in 0..200 {
            let request = registering("s", at("10.0.0.1", 1 + number));
            let payload = Payload::of("InstanceRequest", request.to_string());
            let mut call = Box::pin(client.connection.call(payload));
            for _ in 0..(u32::from(number) + round) % 5 {
                if futures_util::poll!(&mut call).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        drop((client.stream, client.connection));
        client.served.await.unwrap();
    }
    assert_eq!(world.http.registry.status().instances, 1);
    bystander.goes_on().await;
}

/// Without a set-up nothing that it says is a sign of life: it would hold its place for ever.
#[tokio::test(start_paused = true)]
async fn one_who_is_never_set_up_is_dropped_whatever_else_it_says() {
    let world = World::start().await;
    let (connection, served) = world.connect().await;
    let stream = connection.stream().await.unwrap();
    for number in 1..=8 {
        let answer = json!({"resultCode": 200, "requestId": number.to_string()});
        stream.send("NotifySubscriberResponse", &answer);
        stream.send("NoSuchRequest", &json!({}));
        sleep(4 * S).await;
    }
    assert!(served.is_finished());
    assert_eq!(world.grpc.counts().connections, 0);
}
