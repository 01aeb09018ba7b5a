//! Bad input: each gets its clear error, nothing changes, nothing panics.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::door::{Door, SERVICE};

#[tokio::test(start_paused = true)]
async fn bad_bodies_name_field_and_rule_and_change_nothing() {
    let door = Door::open().await;
    let metadata: std::collections::BTreeMap<_, _> = (0..129).map(|i| (format!("k{i}"), "v")).collect();
    for (body, kind, field) in [
        ("{".to_owned(), "invalid-body", "body"),
        ("[]".into(), "invalid-body", "body"),
        ("{} x".into(), "invalid-body", "body"),
        ("\u{0}".into(), "invalid-body", "body"),
        (json!({"weight": "heavy"}).to_string(), "invalid-body", "weight"),
        ("{\"weight\": NaN}".into(), "invalid-body", "weight"),
        (json!({"weight": -1}).to_string(), "invalid-value", "weight"),
        (json!({"weight": 10_001}).to_string(), "invalid-value", "weight"),
        (json!({"wieght": 1}).to_string(), "invalid-body", "wieght"),
        (json!({"enabled": 1}).to_string(), "invalid-body", "enabled"),
        (json!({"cluster": ""}).to_string(), "invalid-value", "cluster"),
        (
            json!({"metadata": {"k": 1}}).to_string(),
            "invalid-body",
            "metadata.k",
        ),
        (
            json!({"metadata": {"": "v"}}).to_string(),
            "invalid-value",
            "metadata",
        ),
        (
            json!({"metadata": metadata}).to_string(),
            "invalid-value",
            "metadata",
        ),
        (
            json!({"metadata": {"k": "v".repeat(20_000)}}).to_string(),
            "invalid-value",
            "metadata",
        ),
        (json!({"zone": "a"}).to_string(), "invalid-value", "zone"),
        (
            json!({"incarnation": "a b"}).to_string(),
            "invalid-value",
            "incarnation",
        ),
        (
            json!({"liveness": {"type": "magic"}}).to_string(),
            "invalid-body",
            "liveness.type",
        ),
        (
            json!({"liveness": {"type": "beat", "interval_ms": 0}}).to_string(),
            "invalid-value",
            "interval_ms",
        ),
        (
            json!({"liveness": {"type": "beat", "unhealthy_after_ms": 10}}).to_string(),
            "invalid-value",
            "unhealthy_after_ms",
        ),
    ] {
        let answer = door
            .call("PUT", &format!("{SERVICE}/instances/10.0.0.1:80"), body.clone())
            .await;
        let problem = answer.problem(400, kind);
        assert!(problem.rule.is_some() && !problem.detail.is_empty(), "{body}");
        // Where serde cannot name the inner field it names the outer one.
        let named = problem.field.unwrap();
        assert!(field.starts_with(&named) || named == "body", "{body}: {named}");
    }
    assert_eq!(door.revision(), 0);
}

#[tokio::test(start_paused = true)]
async fn bad_paths_name_field_and_rule_and_change_nothing() {
    let door = Door::open().await;
    let long = "n".repeat(10_000);
    let path = |ns: &str, group: &str, service: &str, instance: &str| {
        format!("/api/v1/namespaces/{ns}/groups/{group}/services/{service}/instances/{instance}")
    };
    for (path, field) in [
        (path("a%20b", "g", "s", "10.0.0.1:80"), "namespace"),
        (path(&long, "g", "s", "10.0.0.1:80"), "namespace"),
        (path("n", "g%2Fg", "s", "10.0.0.1:80"), "group"),
        (path("n", "g", "", "10.0.0.1:80"), "service"),
        (path("", "g", "s", "10.0.0.1:80"), "namespace"),
        (path("n", "g", "%20", "10.0.0.1:80"), "service"),
        (path("n", "g", "%2E%2E", "10.0.0.1:80"), "service"),
        (path("n", "g", "a%00b", "10.0.0.1:80"), "service"),
        (path("n", "g", &long, "10.0.0.1:80"), "service"),
        (path("n", "g", "%E6%9C%8D", "10.0.0.1:80"), "service"),
        (path("n", "g", "s", "10.0.0.1:0"), "port"),
        (path("n", "g", "s", "10.0.0.1:70000"), "port"),
        (path("n", "g", "s", "10.0.0.1:-1"), "port"),
        (path("n", "g", "s", "10.0.0.1"), "instance"),
        (path("n", "g", "s", "::1:80"), "instance"),
        (path("n", "g", "s", "10.0.0.300:80"), "address"),
        (path("n", "g", "s", ":80"), "address"),
        (path("n", "g", "%FF%FE", "10.0.0.1:80"), "path"),
    ] {
        let problem = door.call("PUT", &path, "{}").await.problem(400, "invalid-value");
        assert_eq!(problem.field.as_deref(), Some(field), "{path}");
        assert!(problem.detail.len() < 500, "{path}");
    }
    assert_eq!(door.revision(), 0);
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_are_named() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let services = "/api/v1/namespaces/public/services";
    let watch = "/api/v1/watch?service=public/DEFAULT_GROUP/orders";
    for (path, field) in [
        (format!("{SERVICE}?healthy=true&healthy=false"), "healthy"),
        (format!("{SERVICE}?healthy=yes"), "healthy"),
        (format!("{SERVICE}?health=true"), "parameter"),
        (format!("{SERVICE}?metadata=v"), "metadata"),
        (format!("{SERVICE}?cluster=%FF"), "query"),
        (format!("{SERVICE}?after=garbage"), "after"),
        (format!("{SERVICE}?wait_ms=100"), "wait_ms"),
        (format!("{SERVICE}?after=x&wait_ms=60001"), "wait_ms"),
        (format!("{services}?page=0"), "page"),
        (format!("{services}?page_size=1001"), "page_size"),
        (format!("{services}?page=+1"), "page"),
        ("/api/v1/namespaces/a%20b/services".into(), "namespace"),
        ("/api/v1/watch".into(), "service"),
        ("/api/v1/watch?service=orders".into(), "service"),
        (format!("{watch}&service=public/DEFAULT_GROUP/orders"), "service"),
        (format!("{watch}&name={}", "n".repeat(200)), "name"),
        (format!("{watch}&acks=1"), "acks"),
        ("/api/v1/events?after=-1".into(), "after"),
        ("/api/v1/events?after=99".into(), "after"),
        ("/api/v1/events?limit=0".into(), "limit"),
    ] {
        let problem = door.get(&path).await.problem(400, "invalid-value");
        assert_eq!(problem.field.as_deref(), Some(field), "{path}");
    }
    let garbage = Request::builder()
        .uri(watch)
        .header("last-event-id", "garbage")
        .body(Body::empty());
    let problem = door.send(garbage.unwrap()).await.problem(400, "invalid-value");
    assert_eq!(problem.field.as_deref(), Some("Last-Event-ID"));
}

#[tokio::test(start_paused = true)]
async fn bad_batches_renew_nothing() {
    let door = Door::open().await;
    let many = vec!["0123456789abcdef"; 50_001];
    for (body, status, kind) in [
        ("{".to_owned(), 400, "invalid-body"),
        (json!({"leases": []}).to_string(), 400, "invalid-body"),
        (
            json!({"cluster_id": "beatrix", "leases": [1]}).to_string(),
            400,
            "invalid-body",
        ),
        (
            json!({"cluster_id": "beatrix", "leases": many}).to_string(),
            400,
            "limit-exceeded",
        ),
        (
            json!({"cluster_id": "beatrix", "lease": []}).to_string(),
            400,
            "invalid-body",
        ),
        (
            json!({"cluster_id": "beatrix", "statuses": [{"lease": "x", "status": "great"}]}).to_string(),
            400,
            "invalid-body",
        ),
        (
            json!({"cluster_id": "beatrix", "statuses":
                   [{"lease": "x", "status": "draining", "reason": "r".repeat(300)}]})
            .to_string(),
            400,
            "invalid-value",
        ),
    ] {
        door.call("POST", "/api/v1/beats", body)
            .await
            .problem(status, kind);
    }
    let full = json!({"cluster_id": "beatrix", "leases": vec!["0123456789abcdef"; 50_000]}).to_string();
    assert_eq!(door.call("POST", "/api/v1/beats", full).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused() {
    let door = Door::open().await;
    let body = "x".repeat(2 * 1024 * 1024);
    for (method, path) in [
        ("PUT", format!("{SERVICE}/instances/10.0.0.1:80")),
        ("POST", "/api/v1/beats".into()),
    ] {
        let problem = door
            .call(method, &path, body.clone())
            .await
            .problem(413, "limit-exceeded");
        assert_eq!(problem.field.as_deref(), Some("body_bytes_max"));
    }
}

#[tokio::test(start_paused = true)]
async fn unknown_paths_and_methods_are_problems_too() {
    let door = Door::open().await;
    door.get("/api/v1/nothing").await.problem(404, "not-found");
    door.call("POST", SERVICE, "")
        .await
        .problem(405, "method-not-allowed");
    let operate = format!("{SERVICE}/instances/10.0.0.1:80");
    door.call("PATCH", &operate, "{}")
        .await
        .problem(404, "service-not-found");
    door.register("10.0.0.2:80").await;
    door.call("PATCH", &operate, "{\"weight\": -1}")
        .await
        .problem(400, "invalid-value");
    door.call("PATCH", &operate, "{}")
        .await
        .problem(404, "instance-not-found");
    door.call("DELETE", &format!("{operate}/operator"), "")
        .await
        .problem(404, "instance-not-found");
    door.call("DELETE", &format!("{operate}?lease=x"), "")
        .await
        .problem(400, "invalid-value");
}

#[tokio::test(start_paused = true)]
async fn limits_are_told_with_their_name() {
    let mut config = beatrix_engine::EngineConfig {
        subscribers_max: 1,
        ..Default::default()
    };
    config.catalog.instances_per_service_max = 2;
    config.services_per_subscriber_max = 1;
    let door = Door::with(config).await;
    door.register("10.0.0.1:80").await;
    door.register("10.0.0.2:80").await;
    let third = format!("{SERVICE}/instances/10.0.0.3:80");
    let problem = door
        .call("PUT", &third, "{}")
        .await
        .problem(429, "limit-exceeded");
    assert_eq!(problem.field.as_deref(), Some("instances_per_service_max"));
    assert!(
        !door.register_with("10.0.0.1:80", json!({})).await.changed,
        "one that is there may register again"
    );
    let two = "/api/v1/watch?service=n/g/a&service=n/g/b";
    let problem = door.get(two).await.problem(429, "limit-exceeded");
    assert_eq!(problem.field.as_deref(), Some("services_per_subscriber_max"));
    let _open = door.watch("service=n/g/a", None).await;
    let problem = door
        .get("/api/v1/watch?service=n/g/a")
        .await
        .problem(429, "limit-exceeded");
    assert_eq!(problem.field.as_deref(), Some("subscribers_max"));
}
