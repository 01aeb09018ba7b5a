//! Item 6: probe instances by the native API: what is taken, what is refused, what is shown and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beatrix_core::liveness::{Finding, ProbeResult};
use beatrix_core::model::{Endpoint, ProbeSpec};
use beatrix_engine::probing::{Asking, Probing};
use beatrix_wire as wire;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::door::{Door, SERVICE};

const AT: &str = "10.0.0.1:80";

/// Answers as the test says.
#[derive(Debug, Default)]
struct Double {
    down: AtomicBool,
}

impl Probing for Shared {
    fn probe(&self, _: Endpoint, _: Arc<ProbeSpec>) -> Asking {
        let down = self.0.down.load(Ordering::SeqCst);
        Box::pin(std::future::ready(ProbeResult {
            finding: if down { Finding::Down } else { Finding::Good },
            word: if down { "refused" } else { "passed" },
            text: "as the test says".into(),
            took: Duration::from_micros(700),
        }))
    }
}

/// The double, shared with the test.
#[derive(Debug)]
struct Shared(Arc<Double>);

async fn open() -> (Door, Arc<Double>) {
    let double = Arc::new(Double::default());
    (Door::asking(Arc::new(Shared(Arc::clone(&double)))).await, double)
}

fn path() -> String {
    format!("{SERVICE}/instances/{AT}")
}

fn tcp() -> Value {
    json!({"liveness": {"type": "probe", "probe": {"kind": "tcp"}}})
}

#[tokio::test(start_paused = true)]
async fn a_probe_instance_proves_itself_first_falls_and_returns_and_has_no_lease() {
    let (door, double) = open().await;
    let registered = door.register_with(AT, tcp()).await;
    assert_eq!((registered.lease, registered.beat_interval_ms), (None, None));
    let instance = door.instance(AT).await;
    assert_eq!(
        (instance.health, instance.liveness.as_str()),
        (wire::Health::Unhealthy, "probe")
    );
    sleep(Duration::from_secs(10)).await;
    let instance = door.instance(AT).await;
    assert_eq!(
        (instance.health, instance.reason.as_str()),
        (wire::Health::Healthy, "probe_passed")
    );
    double.down.store(true, Ordering::SeqCst);
    sleep(Duration::from_secs(18)).await;
    let instance = door.instance(AT).await;
    assert_eq!(
        (instance.health, instance.reason.as_str()),
        (wire::Health::Unhealthy, "probe_failed")
    );
    double.down.store(false, Ordering::SeqCst);
    sleep(Duration::from_secs(12)).await;
    assert_eq!(door.instance(AT).await.health, wire::Health::Healthy);
}

#[tokio::test(start_paused = true)]
async fn who_says_so_is_healthy_before_it_was_asked() {
    let (door, _) = open().await;
    let mut body = tcp();
    body["liveness"]["initial_health"] = json!("healthy");
    door.register_with(AT, body).await;
    assert_eq!(door.instance(AT).await.health, wire::Health::Healthy);
}

#[tokio::test(start_paused = true)]
async fn every_kind_is_taken_and_no_secret_is_ever_shown() {
    let (door, _) = open().await;
    for (question, kind) in [
        (json!({"kind": "tcp"}), "tcp"),
        (
            json!({"kind": "http", "method": "HEAD", "path": "/up?key=hunter2", "headers": {"Authorization": "hunter2"},
                   "expected_status": "200-299,404", "tls": {"server_name": "a.example"}}),
            "http",
        ),
        (json!({"kind": "grpc", "service": "orders", "tls": {}}), "grpc"),
        (
            json!({"kind": "mysql", "user": "u", "password": "hunter2", "command": "select 2"}),
            "mysql",
        ),
        (json!({"kind": "redis", "password": "hunter2"}), "redis"),
    ] {
        let liveness = json!({"type": "probe", "probe": question, "interval_ms": 1000, "timeout_ms": 500,
                              "rise": 1, "fall": 4, "port": 99});
        door.register_with(AT, json!({"liveness": liveness})).await;
        sleep(Duration::from_secs(2)).await;
        let answer = door.get(&format!("{}/probe", path())).await;
        let report: wire::ProbeReport = answer.json();
        let asked = report.asked.unwrap();
        assert_eq!((asked.kind.as_str(), asked.port), (kind, Some(99)));
        assert_eq!(
            (asked.interval_ms, asked.timeout_ms, asked.rise, asked.fall),
            (1_000, 500, 1, 4)
        );
        // Of what is asked for by HTTP, neither headers nor the query: both may carry a secret.
        assert_eq!(asked.path.as_deref(), (kind == "http").then_some("/up"));
        let last = report.last.unwrap();
        assert!(
            last.good && last.outcome == "passed" && last.took_us == 700,
            "{last:?}"
        );
        assert!(report.next_in_ms.unwrap() <= 1_100);
        for shown in [answer, door.get(&path()).await, door.get(SERVICE).await] {
            assert!(!String::from_utf8_lossy(&shown.body).contains("hunter2"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_rule_is_refused_with_the_field_and_changes_nothing() {
    let (door, _) = open().await;
    for (liveness, field) in [
        (
            json!({"type": "probe", "probe": {"kind": "tcp"}, "interval_ms": 499}),
            Some("interval_ms"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "tcp"}, "timeout_ms": 6000}),
            Some("timeout_ms"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "tcp"}, "rise": 0}),
            Some("rise"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "tcp"}, "fall": 11}),
            Some("fall"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "tcp"}, "port": 0}),
            Some("port"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "http", "path": "x"}}),
            Some("path"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "http", "method": "DELETE"}}),
            Some("method"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "http", "headers": {"Host": "a\r\nb"}}}),
            Some("headers"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "http", "tls": {"server_name": "10.0.0.1"}}}),
            Some("server_name"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "mysql", "password": "hunter2"}}),
            Some("user"),
        ),
        (
            json!({"type": "probe", "probe": {"kind": "script", "command": "rm"}}),
            None,
        ),
        (
            json!({"type": "probe", "probe": {"kind": "tcp", "path": "/"}}),
            None,
        ),
        (json!({"type": "probe"}), None),
    ] {
        let body = json!({"liveness": liveness}).to_string();
        let answer = door.call("PUT", &path(), body.clone()).await;
        let kind = if field.is_some() {
            "invalid-value"
        } else {
            "invalid-body"
        };
        let problem = answer.problem(400, kind);
        if field.is_some() {
            assert_eq!(problem.field.as_deref(), field, "{body}");
        }
        assert!(!problem.detail.contains("hunter2"));
    }
    assert_eq!(door.revision(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_asks_a_probe_instance_is_refused() {
    let door = Door::open().await;
    let answer = door.call("PUT", &path(), tcp().to_string()).await;
    let problem = answer.problem(400, "invalid-value");
    assert_eq!(problem.field.as_deref(), Some("liveness"));
    assert!(problem.detail.contains("probes_enabled"));
}

/// By registration and by import alike.
#[tokio::test(start_paused = true)]
async fn a_probe_by_post_is_refused_unless_the_configuration_allows_it() {
    let asking =
        |method: &str| json!({"liveness": {"type": "probe", "probe": {"kind": "http", "method": method}}});
    let (door, _) = open().await;
    let answer = door.call("PUT", &path(), asking("POST").to_string()).await;
    let problem = answer.problem(400, "invalid-value");
    assert_eq!(problem.field.as_deref(), Some("method"));
    assert!(
        problem.detail.contains("probe_methods_unsafe"),
        "{}",
        problem.detail
    );
    for method in ["GET", "HEAD", "OPTIONS"] {
        door.register_with(AT, asking(method)).await;
    }
    let config = beatrix_engine::EngineConfig {
        probe_methods_unsafe: true,
        ..beatrix_engine::EngineConfig::default()
    };
    let double = Arc::new(Shared(Arc::new(Double::default())));
    let unsafe_door = Door::asking_with(config, double).await;
    unsafe_door.register_with(AT, asking("POST")).await;
    let lines = unsafe_door.get("/api/v1/export").await.body;
    let report: wire::ImportReport = door.call("POST", "/api/v1/import", lines.clone()).await.json();
    assert_eq!((report.changed, report.refused.len()), (0, 1), "{report:?}");
    assert!(report.refused[0].detail.contains("probe_methods_unsafe"));
    let report: wire::ImportReport = unsafe_door.call("POST", "/api/v1/import", lines).await.json();
    assert!(report.refused.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_probe_can_be_ordered_and_the_status_counts_them() {
    let (door, _) = open().await;
    let mut body = tcp();
    body["liveness"]["interval_ms"] = json!(3_600_000);
    door.register_with(AT, body).await;
    door.register("10.0.0.2:80").await;
    sleep(Duration::from_secs(2)).await;
    for (at, ordered) in [(AT, true), ("10.0.0.2:80", false)] {
        let answer = door
            .call("POST", &format!("{SERVICE}/instances/{at}/probe"), "")
            .await;
        let told: wire::ProbeOrdered = answer.json();
        assert_eq!((told.ordered, told.reason.is_none()), (ordered, ordered));
    }
    let again = door
        .call("POST", &format!("{SERVICE}/instances/{AT}/probe"), "")
        .await;
    let again: wire::ProbeOrdered = again.json();
    assert!(!again.ordered && again.reason.unwrap().contains("5 s"));
    sleep(Duration::from_millis(10)).await;
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    assert_eq!(
        (
            status.probes.instances,
            status.probes.passed,
            status.probes.outcomes["passed"]
        ),
        (1, 2, 2)
    );
    assert!(
        status.probes.enabled
            && status.limits.contains_key("probes_in_flight_max")
            && status.limits.contains_key("drains_waiting_max")
    );
    for (at, kind) in [
        ("10.0.0.2:80", "instance-not-found"),
        ("10.0.0.3:80", "instance-not-found"),
    ] {
        door.get(&format!("{SERVICE}/instances/{at}/probe"))
            .await
            .problem(404, kind);
    }
    let unknown = door
        .call("POST", &format!("{SERVICE}x/instances/{AT}/probe"), "")
        .await;
    unknown.problem(404, "service-not-found");
}
