//! Who does not speak the protocol: other paths, other bytes, and too many of them.

use axum::http::{Method, StatusCode};
use beatrix_nacos::grpc::Settings;
use beatrix_nacos_wire::{Payload, REQUEST, STREAM};
use bytes::Bytes;
use prost::Message;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tonic::Code;

use super::super::harness::{S, World, at, registering};
use super::raw::{Raw, framed};
use super::{Bystander, nothing_is_left};

/// What protobuf cannot read, or reads as something else.
fn no_payloads() -> Vec<Vec<u8>> {
    let mut all = vec![
        vec![],
        vec![0xFF; 64],
        vec![0x00],
        // A field that is longer than all there is, a varint without an end, and a number that no field has.
        vec![0x12, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0x1A],
        vec![0x80; 11],
        vec![0x07],
        // A group that never ends.
        vec![0x13, 0x13, 0x13],
        // A type that is no text.
        vec![0x12, 0x04, 0x1A, 0x02, 0xC3, 0x28],
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ];
    let good = Payload::of(
        "InstanceRequest",
        registering("s", at("10.0.0.1", 80)).to_string(),
    )
    .encode_to_vec();
    all.extend((0..good.len()).step_by(7).map(|end| good[..end].to_vec()));
    all.extend((0..good.len()).step_by(11).map(|at| {
        let mut bent = good.clone();
        bent[at] ^= 0xFF;
        bent
    }));
    all
}

#[tokio::test(start_paused = true)]
async fn what_is_no_message_is_answered_and_leaves_the_connection_usable() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let (raw, saying) = Raw::set_up(&world).await;
    for message in no_payloads() {
        let back = raw.call(&message).await;
        assert_eq!(
            (back.http, back.grpc.as_deref()),
            (StatusCode::OK, Some("0")),
            "{message:?}"
        );
        assert!(!back.body.is_empty());
        saying.say(framed(&message));
        assert!(raw.is_set_up().await, "{message:?}");
    }
    bystander.goes_on().await;
}

/// A frame that is none ends a call or stream, and so at most its own connection.
#[tokio::test(start_paused = true)]
async fn what_is_no_frame_costs_at_most_its_own_connection() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let good = framed(&Payload::of("HealthCheckRequest", "{}").encode_to_vec());
    let packed = [&[1_u8], &good[1..]].concat();
    let longer = [&[0_u8, 0, 0, 0xFF, 0xFF], &good[5..]].concat();
    let huge = [&[0_u8, 0xFF, 0xFF, 0xFF, 0xFF], &good[5..]].concat();
    let two = [&good[..], &good[..]].concat();
    for body in [packed, longer, huge, two, vec![7; 3], vec![0xFF; 100], vec![]] {
        let (raw, saying) = Raw::set_up(&world).await;
        let back = raw.send(Method::POST, REQUEST, Bytes::from(body.clone())).await;
        assert_eq!(back.http, StatusCode::OK, "{body:?}");
        assert!(raw.is_set_up().await, "a call is only a call: {body:?}");
        saying.say(body);
        drop(saying);
        timeout(S, raw.served)
            .await
            .expect("its stream has ended")
            .unwrap();
    }
    bystander.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn there_are_no_other_paths_or_methods() {
    let world = World::start().await;
    let (raw, _saying) = Raw::set_up(&world).await;
    let body = framed(&Payload::of("HealthCheckRequest", "{}").encode_to_vec());
    for path in [
        "/",
        "/Request/other",
        "/request/request",
        "/Request/request/",
        "/nacos/v1/ns/instance",
        "/%00",
    ] {
        let back = raw.send(Method::POST, path, body.clone()).await;
        assert_eq!(back.grpc.as_deref(), Some("12"), "{path}: {back:?}");
    }
    for path in [REQUEST, STREAM, "/"] {
        for method in [Method::GET, Method::DELETE, Method::OPTIONS, Method::HEAD] {
            raw.send(method, path, Bytes::new()).await;
            assert!(raw.is_set_up().await || path == STREAM, "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_who_does_not_speak_http_2_is_shut_out() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    for bytes in [
        &b"GET /nacos/v1/ns/instance/list?serviceName=S HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        &[0; 1_000],
        b"",
    ] {
        let (mut io, served) = world.transport();
        io.write_all(bytes).await.unwrap();
        // Who says nothing at all is not waited for for ever either.
        let shut_out = bystander.during(timeout(30 * S, served)).await;
        shut_out.expect("it is shut out").unwrap();
        let mut rest = Vec::new();
        let _whatever = io.read_to_end(&mut rest).await;
    }
    bystander.goes_on().await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_long_fails_as_a_call_and_ends_a_stream() {
    let settings = Settings {
        message_bytes_max: 10_000,
        ..Settings::default()
    };
    let world = World::with(settings).await;
    let client = world.client().await;
    let sized = |bytes: usize| {
        let mut request = registering("s", at("10.0.0.1", 80));
        request["unknown"] = "x".repeat(bytes).into();
        request
    };
    client.done("InstanceRequest", sized(9_000)).await;
    let failed = client.connection.request("InstanceRequest", &sized(10_000)).await;
    assert_eq!(failed.unwrap_err().code(), Code::OutOfRange);
    assert!(client.is_set_up().await);
    client
        .stream
        .send("NotifySubscriberResponse", &json!({"unknown": "x".repeat(9_000)}));
    assert!(client.is_set_up().await);
    client.stream.send(
        "NotifySubscriberResponse",
        &json!({"unknown": "x".repeat(10_000)}),
    );
    client.ended().await;
    nothing_is_left(&world).await;
}

/// As long as it is allowed by default; what is in it is refused for its own reasons, or is fine.
#[tokio::test(start_paused = true)]
async fn a_message_may_have_ten_megabytes() {
    let world = World::start().await;
    let client = world.client().await;
    let mut request = registering("s", at("10.0.0.1", 80));
    request["unknown"] = "x".repeat(10_485_000).into();
    client.done("InstanceRequest", request.clone()).await;
    request["unknown"] = "x".repeat(10_486_000).into();
    let failed = client.connection.request("InstanceRequest", &request).await;
    assert_eq!(failed.unwrap_err().code(), Code::OutOfRange);
    assert_eq!(client.hosts("s").await.len(), 1);
}
