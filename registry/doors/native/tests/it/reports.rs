//! Consumers' reports through the door: who is heard, what is shown, what is refused.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::Request;
use beatrix_wire as wire;
use serde_json::{Value, json};

use crate::door::{Answer, Door, SERVICE};

pub(crate) const A: &str = "10.0.0.1:80";

fn report_of(address: &str) -> Value {
    json!({"service": "orders", "address": address, "port": 80, "failures": 2, "window_ms": 1000,
           "last_error": "connect: refused"})
}

/// Somebody on host `host` reports.
pub(crate) async fn say(door: &Door, consumer: &str, host: u8, reports: Vec<Value>) -> Answer {
    let body = json!({"consumer": consumer, "reports": reports}).to_string();
    let peer: SocketAddr = format!("192.168.0.{host}:4711").parse().unwrap();
    let request = Request::builder()
        .method("POST")
        .uri("/api/v1/reports")
        .extension(ConnectInfo(peer))
        .body(body.into())
        .unwrap();
    door.send(request).await
}

/// As many report `A` as are needed.
pub(crate) async fn say_enough(door: &Door) {
    for host in 1..=3 {
        assert_eq!(
            say(door, "checkout", host, vec![report_of("10.0.0.1")])
                .await
                .status,
            200
        );
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn reports_of_three_consumers_mark_an_instance_at_once_and_it_goes_on_serving() {
    let door = Door::open().await;
    let lease = door.register(A).await;
    let mut stream = door.watch("service=public/DEFAULT_GROUP/orders", None).await;
    stream.expect().await;
    stream.expect().await.snapshot();
    say_enough(&door).await;
    let told = stream.expect().await.delta().upserted.remove(0);
    assert!(told.reported && told.suspect && told.serving, "{told:?}");
    assert_eq!(
        (told.health, told.reason.as_str()),
        (wire::Health::Healthy, "reported")
    );
    // It ends by itself, and the stream tells that, too.
    for _ in 0..7 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        door.beat(&[&lease]).await;
    }
    let told = stream.expect().await.delta().upserted.remove(0);
    assert!(!told.reported && !told.suspect && told.serving, "{told:?}");
    assert_eq!(door.revision(), 3, "registered, marked, and no longer");
}

#[tokio::test(start_paused = true)]
async fn unknown_instances_are_told_by_their_place_and_change_nothing() {
    let door = Door::open().await;
    door.register(A).await;
    let reports = vec![
        report_of("10.9.9.9"),
        report_of("10.0.0.1"),
        report_of("10.0.0.2"),
    ];
    let answer: wire::ReportResponse = say(&door, "c", 1, reports).await.json();
    assert_eq!((answer.accepted, answer.unknown), (1, vec![0, 2]));
    assert_eq!(door.revision(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_reports_too_often_is_told_to_wait_and_others_are_heard() {
    let door = Door::open().await;
    door.register(A).await;
    let mut refused = None;
    for _ in 0..10 {
        let answer = say(&door, "loud", 1, vec![report_of("10.0.0.1")]).await;
        refused = (answer.status == 429).then_some(answer).or(refused);
    }
    let refused = refused.expect("ten at once are too many");
    assert_eq!(refused.headers["retry-after"], "1");
    let problem = refused.problem(429, "limit-exceeded");
    assert_eq!(
        problem.field.as_deref(),
        Some("reports_per_second_of_consumer_max")
    );
    assert_eq!(
        say(&door, "quiet", 1, vec![report_of("10.0.0.1")]).await.status,
        200
    );
    assert_eq!(
        say(&door, "loud", 2, vec![report_of("10.0.0.1")]).await.status,
        200
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        say(&door, "loud", 1, vec![report_of("10.0.0.1")]).await.status,
        200
    );
}

#[tokio::test(start_paused = true)]
async fn many_ids_of_one_address_are_bounded_as_one() {
    let door = Door::open().await;
    door.register(A).await;
    let mut refused = 0;
    for id in 0..300 {
        let answer = say(&door, &format!("c{id}"), 1, vec![report_of("10.0.0.1")]).await;
        if answer.status == 429 {
            let problem = answer.problem(429, "limit-exceeded");
            assert_eq!(
                problem.field.as_deref(),
                Some("reports_per_second_of_address_max")
            );
            refused += 1;
        }
    }
    assert_eq!(refused, 100, "200 at once");
    assert!(!door.instance(A).await.reported, "and they count as two");
}

#[tokio::test(start_paused = true)]
async fn bad_reports_are_refused_with_the_field_and_the_rule() {
    let door = Door::open().await;
    door.register(A).await;
    let with = |name: &str, value: Value| {
        let mut report = report_of("10.0.0.1");
        report[name] = value;
        report
    };
    for (field, report) in [
        ("failures", with("failures", json!(0))),
        ("window_ms", with("window_ms", json!(60_001))),
        ("last_error", with("last_error", json!("x".repeat(257)))),
        ("last_error", with("last_error", json!("a\nb"))),
        ("address", with("address", json!("not an address"))),
        ("service", with("service", json!(""))),
    ] {
        let problem = say(&door, "c", 1, vec![report])
            .await
            .problem(400, "invalid-value");
        assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
    }
    say(&door, "", 1, vec![]).await.problem(400, "invalid-value");
    let many = vec![report_of("10.0.0.1"); 101];
    let problem = say(&door, "c", 1, many).await.problem(400, "limit-exceeded");
    assert_eq!(problem.field.as_deref(), Some("reports_per_request_max"));
    let unknown = vec![with("no_such_field", json!(1))];
    say(&door, "c", 1, unknown).await.problem(400, "invalid-body");
    assert_eq!(door.revision(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_operator_has_reports_forgotten() {
    let door = Door::open().await;
    door.register(A).await;
    say_enough(&door).await;
    assert!(door.instance(A).await.reported);
    let path = format!("{SERVICE}/instances/{A}/reports");
    let answer: wire::WriteResponse = door.call("DELETE", &path, "").await.json();
    assert!(answer.changed);
    assert!(!door.instance(A).await.reported);
    let answer: wire::WriteResponse = door.call("DELETE", &path, "").await.json();
    assert!(!answer.changed);
    let path = format!("{SERVICE}/instances/10.9.9.9:1/reports");
    door.call("DELETE", &path, "")
        .await
        .problem(404, "instance-not-found");
}

#[tokio::test(start_paused = true)]
async fn of_a_service_with_many_subscribers_a_fifth_must_agree() {
    let door = Door::open().await;
    door.register(A).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(door.watch("service=public/DEFAULT_GROUP/orders", None).await);
    }
    say_enough(&door).await;
    assert!(!door.instance(A).await.reported, "three of twenty");
    say(&door, "checkout", 4, vec![report_of("10.0.0.1")]).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(door.instance(A).await.reported, "four of twenty");
}

#[tokio::test(start_paused = true)]
async fn the_use_of_each_limit_of_reports_is_told() {
    let door = Door::open().await;
    door.register(A).await;
    say_enough(&door).await;
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    assert_eq!(status.limits["reported_instances_max"].used, Some(1));
    assert_eq!(status.limits["reporters_max"].used, Some(3));
    assert_eq!(status.limits["reports_per_request_max"].limit, 100);
}
