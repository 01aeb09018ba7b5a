//! The envelope of messages. Checklist 1 to 5, 13 to 21.

use std::time::Duration;

use beatrix_nacos_wire::Payload;
use serde_json::{Value, json};
use tonic::Code;

use super::harness::{World, at, has_null, of, ports, registering, with};

const MS: Duration = Duration::from_millis(1);

/// Python's clients take no `null`, and Rust's no answer without both codes.
fn check(answer: &Payload) -> Value {
    assert!(!answer.kind().is_empty());
    let json: Value = serde_json::from_slice(answer.json()).unwrap();
    assert!(json.is_object(), "{json}");
    assert!(
        json["resultCode"].is_i64() && json["errorCode"].is_i64(),
        "{json}"
    );
    assert!(!has_null(&json), "{json}");
    json
}

#[tokio::test(start_paused = true)]
async fn checklist_1_a_server_check_needs_no_set_up() {
    let world = World::start().await;
    let (connection, _served) = world.connect().await;
    let answer = connection
        .request("ServerCheckRequest", &json!({}))
        .await
        .unwrap();
    assert_eq!(answer.kind, "ServerCheckResponse");
    assert_eq!(answer.json["resultCode"], 200);
    assert_eq!(answer.json["errorCode"], 0);
    assert_eq!(answer.json["supportAbilityNegotiation"], true);
    assert!(!answer.json["connectionId"].as_str().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_2_a_connection_has_one_id_of_its_own() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (connection, _served) = world.connect().await;
        for _ in 0..2 {
            let answer = connection
                .request("ServerCheckRequest", &json!({}))
                .await
                .unwrap();
            ids.push(answer.json["connectionId"].clone());
        }
    }
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[2], ids[3]);
    assert_ne!(ids[0], ids[2]);
}

/// Every request, well and badly put, set up and not.
#[tokio::test(start_paused = true)]
async fn checklist_3_every_answer_has_both_codes_a_type_and_no_null() {
    let world = World::start().await;
    let client = world.client().await;
    let (stranger, _served) = world.connect().await;
    let pattern = json!({"groupKeyPattern": "public>>*>>s*", "watchType": "WATCH", "initializing": true});
    let good = [
        ("ServerCheckRequest", json!({})),
        ("HealthCheckRequest", json!({})),
        ("InstanceRequest", registering("s", at("1.1.1.1", 1))),
        ("PersistentInstanceRequest", registering("p", at("1.1.1.1", 1))),
        (
            "BatchInstanceRequest",
            super::harness::batch("s", &[at("1.1.1.1", 1)]),
        ),
        (
            "SubscribeServiceRequest",
            with(of("s"), json!({"subscribe": true})),
        ),
        ("ServiceQueryRequest", of("s")),
        (
            "ServiceListRequest",
            with(of(""), json!({"pageNo": 1, "pageSize": 10})),
        ),
        ("NamingFuzzyWatchRequest", pattern),
    ];
    for (kind, json) in good {
        let answer = client.connection.call(Payload::of(kind, json.to_string())).await;
        let answer = check(&answer.unwrap());
        assert_eq!(
            (&answer["resultCode"], &answer["success"]),
            (&json!(200), &json!(true)),
            "{kind}"
        );
        for bad in [
            "{}",
            "{",
            "",
            "null",
            "[]",
            "1",
            "{\"serviceName\":\"a b\",\"instance\":{\"port\":-1}}",
        ] {
            let answer = client.connection.call(Payload::of(kind, bad)).await.unwrap();
            check(&answer);
            // The one that fails as a call has a test of its own.
            if kind != "HealthCheckRequest" {
                check(&stranger.call(Payload::of(kind, bad)).await.unwrap());
            }
        }
    }
    for kind in ["", "NoSuchRequest", "ServerLoaderInfoRequest"] {
        check(&client.connection.call(Payload::of(kind, "{}")).await.unwrap());
        check(&stranger.call(Payload::of(kind, "{}")).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn checklist_4_a_request_before_the_set_up_is_told_so() {
    let world = World::start().await;
    let (connection, _served) = world.connect().await;
    let request = registering("s", at("10.0.0.1", 80));
    let answer = connection.request("InstanceRequest", &request).await.unwrap();
    assert_eq!(answer.kind, "ErrorResponse");
    assert_eq!(answer.json["errorCode"], 301);
    assert_eq!(answer.json["success"], false);
    assert!(world.hosts("s").await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn checklist_5_a_health_check_before_the_set_up_fails_as_a_call() {
    let world = World::start().await;
    let (connection, _served) = world.connect().await;
    let failed = connection.request("HealthCheckRequest", &json!({})).await;
    assert_eq!(failed.unwrap_err().code(), Code::Unavailable);
    // So does one whose stream is open, and says nothing yet.
    let _stream = connection.stream().await.unwrap();
    let failed = connection.request("HealthCheckRequest", &json!({})).await;
    assert_eq!(failed.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn checklist_13_a_health_check_is_answered_in_these_bytes() {
    let world = World::start().await;
    let client = world.client().await;
    let health = Payload::of("HealthCheckRequest", "{}");
    let answer = client.connection.call(health).await.unwrap();
    assert_eq!(answer.kind(), "HealthCheckResponse");
    assert_eq!(
        answer.json(),
        br#"{"resultCode":200,"errorCode":0,"success":true}"#
    );
    let body = answer.body.unwrap();
    assert_eq!(body.type_url, "", "it is no packed message");
}

#[tokio::test(start_paused = true)]
async fn checklist_14_an_unknown_request_leaves_the_connection_usable() {
    let world = World::start().await;
    let client = world.client().await;
    client
        .fails("NoSuchRequest", json!({}), 302, "ErrorResponse")
        .await;
    // Case matters.
    client
        .fails("instanceRequest", json!({}), 302, "ErrorResponse")
        .await;
    assert!(client.is_set_up().await);
}

#[tokio::test(start_paused = true)]
async fn checklist_15_a_call_without_a_type_is_an_unknown_one() {
    let world = World::start().await;
    let client = world.client().await;
    let body = Payload::of("", "{}").body;
    let bare = Payload { metadata: None, body };
    for payload in [Payload::default(), Payload::of("", "{}"), bare] {
        let answer = client.connection.call(payload).await.unwrap();
        assert_eq!(answer.kind(), "ErrorResponse");
        assert_eq!(check(&answer)["errorCode"], 302);
    }
    assert!(client.is_set_up().await);
}

#[tokio::test(start_paused = true)]
async fn checklist_16_broken_json_leaves_the_connection_usable() {
    let world = World::start().await;
    let client = world.client().await;
    let answer = client
        .connection
        .call(Payload::of("InstanceRequest", "{"))
        .await
        .unwrap();
    assert_eq!(answer.kind(), "ErrorResponse");
    assert_eq!(check(&answer)["errorCode"], 502);
    assert!(client.is_set_up().await);
}

#[tokio::test(start_paused = true)]
async fn checklist_17_what_servers_ask_one_another_is_refused() {
    let world = World::start().await;
    let client = world.client().await;
    for kind in [
        "ServerLoaderInfoRequest",
        "ServerReloadRequest",
        "DistroDataRequest",
        "MemberReportRequest",
        "ConfigChangeClusterSyncRequest",
    ] {
        client.fails(kind, json!({}), 502, "ErrorResponse").await;
    }
}

/// Rust's client says it there as well.
#[tokio::test(start_paused = true)]
async fn checklist_18_the_type_url_does_not_matter() {
    let world = World::start().await;
    let client = world.client().await;
    let json = registering("s", at("10.0.0.1", 80)).to_string();
    for url in ["InstanceRequest", "type.googleapis.com/x", "ErrorResponse"] {
        let mut payload = Payload::of("InstanceRequest", json.clone());
        payload.body.as_mut().unwrap().type_url = url.to_owned();
        let answer = client.connection.call(payload).await.unwrap();
        assert_eq!(answer.kind(), "InstanceResponse");
        assert_eq!(check(&answer)["resultCode"], 200);
    }
    assert_eq!(ports(&client.hosts("s").await), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_19_what_is_not_known_is_passed_over() {
    let world = World::start().await;
    let client = world.client().await;
    let unknown =
        json!({"x": {"y": [1, null, {"z": "é"}]}, "headers": {"accessToken": "t"}, "requestId": "7"});
    let instance = with(at("10.0.0.1", 80), unknown.clone());
    let json = with(registering("s", instance), unknown).to_string();
    let mut payload = Payload::of("InstanceRequest", json);
    let metadata = payload.metadata.as_mut().unwrap();
    metadata.client_ip = "nobody".to_owned();
    for (name, value) in [("accessToken", "t"), ("x", ""), ("", "é"), ("signature", "===")] {
        metadata.headers.insert(name.to_owned(), value.to_owned());
    }
    let answer = client.connection.call(payload).await.unwrap();
    assert_eq!(check(&answer)["resultCode"], 200);
    assert_eq!(ports(&client.hosts("s").await), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_20_what_is_not_understood_on_the_stream_is_passed_over() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    client.pushed().await;
    for kind in [
        "",
        "NoSuchRequest",
        "NoSuchResponse",
        "InstanceRequest",
        "NotifySubscriberResponse",
    ] {
        for json in [
            "",
            "{",
            "{}",
            "null",
            "[]",
            "{\"requestId\":{}}",
            "{\"requestId\":\"-1\",\"resultCode\":500}",
        ] {
            client.stream.send_payload(Payload::of(kind, json));
        }
    }
    client.stream.send_payload(Payload::default());
    client
        .stream
        .send_payload(Payload::of("ConnectionSetupRequest", "{"));
    tokio::time::sleep(10 * MS).await;
    assert!(client.is_set_up().await);
    world.client().await.register("s", at("10.0.0.1", 80)).await;
    assert_eq!(ports(client.pushed().await["hosts"].as_array().unwrap()), [80]);
}

#[tokio::test(start_paused = true)]
async fn checklist_21_null_is_as_if_it_were_not_there() {
    let world = World::start().await;
    let client = world.client().await;
    let nulls = json!({"instanceId": null, "metadata": null, "clusterName": null, "serviceName": null, "weight": null,
        "healthy": null, "enabled": null, "ephemeral": null});
    let instance = with(at("10.0.0.1", 80), nulls);
    let request = with(
        registering("s", instance),
        json!({"requestId": null, "namespace": null, "headers": null}),
    );
    client.done("InstanceRequest", request).await;
    let hosts = client.hosts("s").await;
    assert_eq!(ports(&hosts), [80]);
    assert_eq!(
        (&hosts[0]["weight"], &hosts[0]["healthy"]),
        (&json!(1.0), &json!(true))
    );
}
