//! Lists, filters, conditional requests, long-poll, history, status, the document.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use beatrix_core::model::{Existence, ServicePatch};
use beatrix_wire as wire;
use serde_json::{Value, json};

use crate::door::{Door, SERVICE};

#[tokio::test(start_paused = true)]
async fn services_are_listed_in_pages_and_searched() {
    let door = Door::open().await;
    for name in ["orders", "payments", "a/b", "order-history"] {
        let name = name.replace('/', "%2F");
        let path = format!("/api/v1/namespaces/shop/groups/g.1/services/{name}/instances/10.0.0.1:80");
        assert_eq!(door.call("PUT", &path, "{}").await.status, 201);
    }
    door.register("10.0.0.1:80").await;
    let page: wire::ServiceList = door
        .get("/api/v1/namespaces/shop/services?page=2&page_size=3")
        .await
        .json();
    assert_eq!((page.total, page.services.len()), (4, 1));
    assert_eq!(page.services[0].service, "payments");
    let found: wire::ServiceList = door
        .get("/api/v1/namespaces/shop/services?search=order&group=g.1")
        .await
        .json();
    let names: Vec<_> = found
        .services
        .iter()
        .map(|service| service.service.as_str())
        .collect();
    assert_eq!(names, ["order-history", "orders"]);
    assert_eq!(
        (
            found.services[0].instances,
            found.services[0].healthy,
            found.services[0].serving
        ),
        (1, 1, 1)
    );
    let none: wire::ServiceList = door.get("/api/v1/namespaces/nowhere/services").await.json();
    assert_eq!(none.total, 0);
    let namespaces: Value = door.get("/api/v1/namespaces").await.json();
    assert_eq!(namespaces, json!({"public": 1, "shop": 4}));
    let slashed = "/api/v1/namespaces/shop/groups/g.1/services/a%2Fb";
    assert_eq!(door.get(slashed).await.json::<wire::ServiceView>().service, "a/b");
}

#[tokio::test(start_paused = true)]
async fn filters_leave_out_what_they_should() {
    let door = Door::open().await;
    door.register_with(
        "10.0.0.1:80",
        json!({"cluster": "a", "metadata": {"v": "1", "x": "y=z"}}),
    )
    .await;
    door.register_with("10.0.0.2:80", json!({"cluster": "b", "metadata": {"v": "2"}}))
        .await;
    let off = json!({"cluster": "c", "enabled": false, "liveness": {"type": "static"}});
    door.register_with("10.0.0.3:80", off).await;
    tokio::time::sleep(Duration::from_secs(16)).await;
    door.register_with(
        "10.0.0.1:80",
        json!({"cluster": "a", "metadata": {"v": "1", "x": "y=z"}}),
    )
    .await;
    for (query, expected) in [
        ("", vec![1, 2, 3]),
        ("?healthy=true", vec![1, 3]),
        ("?healthy=false", vec![2]),
        ("?serving=true", vec![1]),
        ("?cluster=a,c", vec![1, 3]),
        ("?metadata=v=2", vec![2]),
        ("?metadata=v=1&metadata=x=y%3Dz", vec![1]),
        ("?metadata=v=1&metadata=x=other", vec![]),
        ("?healthy=true&cluster=b", vec![]),
    ] {
        let view: wire::ServiceView = door.get(&format!("{SERVICE}{query}")).await.json();
        let seen: Vec<u32> = view
            .instances
            .iter()
            .map(|i| i.address.rsplit('.').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(seen, expected, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_known_version_is_answered_with_304() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let tag = door.get(SERVICE).await.headers["etag"]
        .to_str()
        .unwrap()
        .to_owned();
    let ask = async |tag: &str| {
        let request = Request::builder()
            .uri(SERVICE)
            .header("if-none-match", tag)
            .body(Body::empty());
        door.send(request.unwrap()).await.status.as_u16()
    };
    assert_eq!(ask(&tag).await, 304);
    assert_eq!(ask(&format!("\"other\", W/{tag}")).await, 304);
    assert_eq!(ask("\"other\"").await, 200);
    door.register("10.0.0.2:80").await;
    assert_eq!(ask(&tag).await, 200);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_answers_at_the_change_or_at_the_end_of_the_wait() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let view = door.service().await;
    let poll = format!("{SERVICE}?after={}.{}&wait_ms=30000", view.epoch, view.revision);

    let began = tokio::time::Instant::now();
    assert_eq!(
        door.get(&format!("{poll}&healthy=true")).await.status,
        200,
        "it falls silent at 15 s"
    );
    assert_eq!(began.elapsed().as_secs(), 15);

    let static_one = json!({"liveness": {"type": "static"}});
    door.register_with("10.0.0.1:80", static_one.clone()).await;
    let view = door.service().await;
    let poll = format!("{SERVICE}?after={}.{}&wait_ms=30000", view.epoch, view.revision);
    let began = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(door.get(&poll), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        door.register_with("10.0.0.2:80", static_one).await;
    });
    assert_eq!(answer.json::<wire::ServiceView>().instances.len(), 2);
    assert_eq!(began.elapsed().as_secs(), 5);

    let view = door.service().await;
    let poll = format!("{SERVICE}?after={}.{}&wait_ms=30000", view.epoch, view.revision);
    assert_eq!(door.get(&poll).await.status, 304);
    let other_epoch = format!("{SERVICE}?after=0123456789abcdef.{}&wait_ms=30000", view.revision);
    assert_eq!(door.get(&other_epoch).await.status, 200);
    let future = format!("{SERVICE}?after={}.{}", view.epoch, view.revision + 1);
    assert_eq!(
        door.get(&future)
            .await
            .problem(400, "invalid-value")
            .field
            .unwrap(),
        "after"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_tells_at_its_end_what_woke_nobody() {
    let door = Door::open().await;
    door.register_with("10.0.0.1:80", json!({"liveness": {"type": "static"}}))
        .await;
    let view = door.service().await;
    let poll = format!("{SERVICE}?after={}.{}&wait_ms=30000", view.epoch, view.revision);
    let (answer, ()) = tokio::join!(door.get(&poll), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let spared = ServicePatch {
            expires: Some(false),
            ..ServicePatch::default()
        };
        let service = "public/DEFAULT_GROUP/orders".parse().unwrap();
        let declared = door.registry.declare_service(service, spared, Existence::Present);
        assert!(declared.await.unwrap().changed);
    });
    assert!(answer.json::<wire::ServiceView>().revision > view.revision);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_for_a_service_that_does_not_exist_waits_for_it() {
    let door = Door::open().await;
    let epoch = door.registry.epoch();
    let poll = format!("{SERVICE}?after={epoch}.0&wait_ms=20000");
    let (answer, ()) = tokio::join!(door.get(&poll), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        door.register("10.0.0.1:80").await;
    });
    assert_eq!(answer.json::<wire::ServiceView>().instances.len(), 1);
    door.get("/api/v1/namespaces/public/groups/g/services/none")
        .await
        .problem(404, "service-not-found");
}

#[tokio::test(start_paused = true)]
async fn history_tells_what_changed_when_and_why() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    tokio::time::sleep(Duration::from_secs(31)).await;
    let page: wire::EventsPage = door.get("/api/v1/events").await.json();
    let told: Vec<_> = page
        .events
        .iter()
        .map(|event| (event.revision, event.reason.as_str()))
        .collect();
    assert_eq!(told, [(1, "registered"), (2, "silent"), (3, "expired")]);
    assert_eq!((page.oldest_revision, page.revision, page.next_after), (1, 3, 3));
    let page: wire::EventsPage = door.get("/api/v1/events?after=1&limit=1").await.json();
    assert_eq!(
        (page.events[0].revision, page.next_after, page.truncated),
        (2, 2, false)
    );
    let epoch = door.registry.epoch();
    let page: wire::EventsPage = door.get(&format!("/api/v1/events?after={epoch}.2")).await.json();
    assert_eq!((page.events[0].revision, page.truncated), (3, false));
    let page: wire::EventsPage = door.get("/api/v1/events?after=0123456789abcdef.2").await.json();
    assert_eq!((page.events.len(), page.truncated), (3, true), "of another epoch");
    let other: wire::EventsPage = door.get("/api/v1/events?service=public/g/none").await.json();
    assert!(other.events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn status_tells_size_and_limits_with_their_use() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    assert_eq!(
        (status.services, status.instances, status.healthy, status.revision),
        (1, 1, 1, 1)
    );
    assert_eq!(status.limits["instances_max"].used, Some(1));
    assert_eq!(status.limits["body_bytes_max"].limit, 1024 * 1024);
    assert!(status.guard.enabled && status.complete);
}

#[tokio::test(start_paused = true)]
async fn the_document_names_every_path_and_there_is_a_page_to_try_it() {
    let door = Door::open().await;
    let document: Value = door.get("/api/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/api/v1/beats",
        "/api/v1/watch",
        "/api/v1/events",
        "/api/v1/status",
        "/api/v1/namespaces",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    assert!(document["components"]["schemas"]["Problem"].is_object());
    assert!(door.get("/api/docs/").await.status.is_success());
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_does_not_keep_the_registry_from_stopping() {
    let door = Door::open().await;
    door.register("10.0.0.1:80").await;
    let view = door.service().await;
    let poll = format!("{SERVICE}?after={}.{}&wait_ms=60000", view.epoch, view.revision);
    let began = tokio::time::Instant::now();
    let (answer, ()) = tokio::join!(door.get(&poll), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        door.registry.stop().await;
    });
    assert_eq!((answer.status.as_u16(), began.elapsed().as_secs()), (304, 1));
}
