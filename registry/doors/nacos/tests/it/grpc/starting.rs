//! Logins, and what is told before the registry knows all. Checklist 97, 98.

use serde_json::{Value, json};

use super::harness::{S, World, at, of, registering, with};
use crate::harness::Nacos;
use crate::kept::Kept;
use beatrix_nacos::grpc::Settings;
use beatrix_nacos_wire::Payload;

/// A registry that has just come back, with nothing but what the journal knew: an instance of `kept` that beats.
async fn restarted() -> World {
    let kept = Kept::default();
    let before = Nacos::over(kept.open()).await;
    before.register("serviceName=kept&ip=1.1.1.1&port=80").await;
    before.registry.stop().await;
    World::over(Nacos::over(kept.open()).await, Settings::default())
}

/// Each client logs in by a form of its own; whoever uses the token that he is given is let in.
#[tokio::test(start_paused = true)]
async fn checklist_97_every_client_can_log_in() {
    let world = World::start().await;
    let name_and_password: &[u8] = b"password=p&username=nacos";
    for (path, body) in [
        (
            "/nacos/v1/auth/users/login?username=nacos",
            Some(&b"password=p&"[..]),
        ),
        (
            "/nacos/v3/auth/user/login?username=nacos",
            Some(&b"password=p&"[..]),
        ),
        ("/nacos/v1/auth/users/login", Some(name_and_password)),
        ("/nacos/v1/auth/users/login?username=nacos&password=p", None),
        ("/nacos/v1/auth/login?username=nacos&password=p", None),
    ] {
        let answer = world.http.ask("POST", path, body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let login: Value = serde_json::from_str(&answer.text).unwrap();
        assert!(login["tokenTtl"].as_u64() > Some(0), "{path}: {login}");
        let token = login["accessToken"].as_str().unwrap();

        let client = world.client().await;
        let json = registering("s", at("10.0.0.1", 80)).to_string();
        let mut payload = Payload::of("InstanceRequest", json);
        let headers = &mut payload.metadata.as_mut().unwrap().headers;
        headers.insert("accesstoken".to_owned(), token.to_owned());
        let answer = client.connection.call(payload).await.unwrap();
        let answer: Value = serde_json::from_slice(answer.json()).unwrap();
        assert_eq!(answer["resultCode"], 200, "{path}");
    }
}

/// See `DIFFERS`: the port is not open before the registry is there.
#[tokio::test(start_paused = true)]
async fn checklist_98_while_not_all_may_be_known_no_empty_list_is_told() {
    let world = restarted().await;
    let mut client = world.client().await;
    assert!(!world.http.registry.complete());
    assert_eq!(client.hosts("kept").await.len(), 1, "what was restored is told");
    let subscribe = with(of("unknown"), json!({"subscribe": true, "clusters": ""}));
    for (kind, answered) in [
        ("ServiceQueryRequest", "QueryServiceResponse"),
        ("SubscribeServiceRequest", "SubscribeServiceResponse"),
    ] {
        client.fails(kind, subscribe.clone(), 300, answered).await;
    }
    let none_of_these = with(of("kept"), json!({"cluster": "none"}));
    client
        .fails("ServiceQueryRequest", none_of_these, 300, "QueryServiceResponse")
        .await;
    // Whoever registers is served.
    client.register("new", at("10.0.0.1", 80)).await;
    assert_eq!(client.hosts("new").await.len(), 1);
    let complete = tokio::time::Instant::now();
    let push = client.next_within(20 * S).await.unwrap();
    assert!(world.http.registry.complete());
    assert!(complete.elapsed() > S);
    assert_eq!(push.kind, "NotifySubscriberRequest", "the subscription stands");
    assert_eq!(push.json["serviceInfo"]["name"], "unknown");
    assert_eq!(push.json["serviceInfo"]["hosts"], json!([]));
    assert_eq!(client.query("unknown").await["hosts"], json!([]));
}
