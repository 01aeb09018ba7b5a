//! The explain page, for each way in which an instance can be unhealthy, not serving or gone.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use beatrix_core::liveness::{Finding, ProbeResult};
use beatrix_core::model::{
    Cluster, Endpoint, Health, Liveness, Metadata, Probe, ProbeKind, ProbePlan, ProbeSpec, Reason,
    Registration, ServiceKey, SessionId, Weight,
};
use beatrix_engine::probing::{Asking, Probing};
use beatrix_wire as wire;
use serde_json::json;

use crate::door::{Door, SERVICE};
use crate::reports::{A, say_enough};

fn path() -> String {
    format!("{SERVICE}/instances/{A}/explain")
}

async fn explain(door: &Door) -> wire::Explanation {
    let answer = door.get(&path()).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    answer.json()
}

async fn page(door: &Door) -> String {
    let request = Request::builder()
        .uri(path())
        .header("accept", "text/plain")
        .body(Body::empty())
        .unwrap();
    let answer = door.send(request).await;
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// State, what decides it, the rule, and what would change it.
fn words(told: &wire::Explanation) -> (&str, Vec<&str>, &str, Vec<&str>) {
    (
        &told.state,
        told.because.iter().map(|coded| &*coded.code).collect(),
        &told.rule.code,
        told.ways.iter().map(|coded| &*coded.code).collect(),
    )
}

async fn sleep_ms(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn key() -> ServiceKey {
    "public/DEFAULT_GROUP/orders".parse().unwrap()
}

/// Registers one that lives in a way that this door does not offer.
async fn register_as(door: &Door, liveness: Liveness) {
    let registration = Registration {
        cluster: Cluster::DEFAULT.parse().unwrap(),
        weight: Weight::DEFAULT,
        enabled: true,
        metadata: Metadata::default(),
        locality: None,
        liveness,
        expires: true,
        incarnation: None,
        own_id: None,
    };
    let endpoint: Endpoint = A.parse().unwrap();
    let registered = door
        .registry
        .register(key(), endpoint, registration, Health::Healthy);
    registered.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_serving_one_tells_its_beats_its_deadlines_and_what_would_end_it() {
    let door = Door::open().await;
    let lease = door.register(A).await;
    for gap in [4_000, 7_500, 5_000] {
        sleep_ms(gap).await;
        door.beat(&[&lease]).await;
    }
    sleep_ms(1_000).await;
    let told = explain(&door).await;
    assert_eq!(words(&told), ("serving", vec![], "registered", vec!["silence"]));
    let beats = told.beats.unwrap();
    assert_eq!(
        (beats.last_ms_ago, beats.last_gap_ms, beats.late_from_ms),
        (1_000, Some(5_000), 7_500)
    );
    assert_eq!(
        beats.late,
        [wire::LateBeat {
            ms_ago: 6_000,
            gap_ms: 7_500
        }]
    );
    let next: Vec<_> = told.next.iter().map(|next| (next.in_ms, &*next.code)).collect();
    assert_eq!(next, [(14_000, "unhealthy"), (29_000, "removed")]);
    let page = page(&door).await;
    for part in [
        "last 1000 ms ago; every 5000 ms",
        "5000 ms before the last beat",
        "6000 ms ago, after 7500 ms; late is from 7500 ms on",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(told.instance.unwrap(), door.instance(A).await);
    assert_eq!((told.revision, told.changes.len()), (1, 1));
    let guards = told.guards.unwrap();
    assert_eq!(
        (
            guards.service.population,
            guards.registry.population,
            guards.holds
        ),
        (1, 1, false)
    );
}

#[tokio::test(start_paused = true)]
async fn silent_tells_the_limit_and_the_last_beat_in_both_forms() {
    let door = Door::open().await;
    door.register(A).await;
    sleep_ms(17_012).await;
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        ("not_serving", vec!["unhealthy"], "silent", vec!["beat"])
    );
    assert_eq!(told.rule.text, "no beat for 15000 ms, last beat 17012 ms ago");
    assert_eq!(told.ways[0].text, "a beat makes it healthy at once");
    assert_eq!((told.next[0].in_ms, &*told.next[0].code), (12_988, "removed"));
    let page = page(&door).await;
    for part in [
        "public/DEFAULT_GROUP/orders 10.0.0.1:80",
        "not serving: it is unhealthy",
        "silent: no beat for 15000 ms, last beat 17012 ms ago",
        "in 12988 ms: it is removed",
        "a beat makes it healthy at once [beat]",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[tokio::test(start_paused = true)]
async fn expired_and_deregistered_are_remembered_and_the_unknown_is_not() {
    let door = Door::open().await;
    door.register(A).await;
    sleep_ms(31_000).await;
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        ("gone", vec!["expired"], "expired", vec!["register"])
    );
    assert_eq!(told.changes.len(), 3);
    door.register(A).await;
    door.call("DELETE", &format!("{SERVICE}/instances/{A}"), "").await;
    assert_eq!(explain(&door).await.rule.code, "deregistered");
    assert!(page(&door).await.contains("gone: its client said goodbye"));
    let unknown = format!("{SERVICE}/instances/10.9.9.9:1/explain");
    door.get(&unknown).await.problem(404, "instance-not-found");
}

#[tokio::test(start_paused = true)]
async fn what_it_says_itself_is_told_with_its_words() {
    let door = Door::open().await;
    let lease = door.register(A).await;
    let say = async |status: &str| {
        let statuses = json!([{"lease": lease, "status": status, "reason": "no database"}]);
        let body = json!({"cluster_id": "beatrix", "statuses": statuses}).to_string();
        assert_eq!(door.call("POST", "/api/v1/beats", body).await.status, 200);
    };
    say("unhealthy").await;
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        ("not_serving", vec!["unhealthy"], "declared", vec!["declare_up"])
    );
    assert_eq!(told.rule.text, "it says itself that it is not well: no database");
    say("draining").await;
    let told = explain(&door).await;
    assert_eq!(
        (&*told.state, &*told.because[0].code),
        ("not_serving", "drains_itself")
    );
}

#[tokio::test(start_paused = true)]
async fn what_an_operator_did_is_told_as_his() {
    let door = Door::open().await;
    door.register(A).await;
    let instance = format!("{SERVICE}/instances/{A}");
    door.call("PATCH", &instance, r#"{"enabled": false}"#).await;
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        (
            "not_serving",
            vec!["disabled_by_operator"],
            "registered",
            vec!["operator_enables", "silence"]
        )
    );
    door.call("PATCH", &instance, r#"{"enabled": true, "draining": true}"#)
        .await;
    let told = explain(&door).await;
    assert_eq!(told.because[0].code, "drained_by_operator");
    assert_eq!(told.summary, "not serving: an operator drains it");
    door.call("DELETE", &format!("{instance}?by=operator"), "").await;
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        ("gone", vec!["operator"], "operator", vec!["register"])
    );
    assert!(told.operator.unwrap().draining, "his layer waits for it");
    assert_eq!(told.next[0].code, "layer_ends");

    // Nacos lets operators set the health of persistent instances.
    door.register_with(A, json!({"liveness": {"type": "static"}}))
        .await;
    door.call("PATCH", &instance, r#"{"draining": false}"#).await;
    let endpoint: Endpoint = A.parse().unwrap();
    let measured = door
        .registry
        .measure(key(), endpoint, Health::Unhealthy, Reason::Operator);
    measured.await.unwrap();
    let told = explain(&door).await;
    let ways = vec!["operator_sets_health", "register"];
    assert_eq!(words(&told), ("not_serving", vec!["unhealthy"], "operator", ways));
}

#[tokio::test(start_paused = true)]
async fn a_suspect_of_the_guard_is_told_with_the_guards_numbers() {
    let door = Door::open().await;
    for host in 1..=30 {
        door.register(&format!("10.0.0.{host}:80")).await;
    }
    sleep_ms(20_000).await;
    let told = explain(&door).await;
    let ways = vec!["beat", "others_return", "operator_ends_guard"];
    assert_eq!(words(&told), ("serving", vec![], "guarded", ways));
    assert_eq!(told.marks, ["suspect"]);
    let guards = told.guards.unwrap();
    assert!(guards.holds && guards.service.holding && guards.registry.holding);
    assert_eq!((guards.service.suspects, guards.service.population), (30, 30));
    assert_eq!(told.next[0].code, "service_guard_ends");
    assert_eq!(told.next[0].in_ms, guards.service.ends_in_ms.unwrap());
    assert!(
        page(&door)
            .await
            .contains("of its service: holds; 30 of 30 silent, 30 suspect")
    );
}

#[tokio::test(start_paused = true)]
async fn reported_tells_how_many_since_when_and_what_they_saw() {
    let door = Door::open().await;
    door.register(A).await;
    say_enough(&door).await;
    let endpoint: Endpoint = A.parse().unwrap();
    let service = key();
    door.registry
        .rechecked(service.borrowed(), &endpoint, true, "tcp: connected in 2 ms");
    let told = explain(&door).await;
    let ways = vec!["reports_cease", "operator_ends_reports", "register", "silence"];
    assert_eq!(words(&told), ("serving", vec![], "reported", ways));
    let reports = told.reports.unwrap();
    assert_eq!(
        (
            reports.consumers,
            reports.counted,
            reports.needed,
            reports.failures
        ),
        (3, 3, 3, 6)
    );
    assert_eq!(reports.last_errors, ["connect: refused"]);
    let looked = reports.looked.unwrap();
    assert!(looked.good && looked.text.contains("connected"));
    assert!(
        told.next.iter().any(|next| next.code == "reports_lapse"),
        "{:?}",
        told.next
    );
    assert_eq!(told.marks, ["reported"], "a good answer takes no report back");
    let page = page(&door).await;
    assert!(
        page.contains("3 consumers, 3 count, 3 needed") && page.contains("connect: refused"),
        "{page}"
    );
}

#[tokio::test(start_paused = true)]
async fn flapping_tells_until_when_it_has_to_be_well() {
    let door = Door::open().await;
    let lease = door.register(A).await;
    for _ in 0..4 {
        sleep_ms(16_000).await;
        door.beat(&[&lease]).await;
        sleep_ms(10).await;
    }
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        ("not_serving", vec!["unhealthy"], "flapping", vec!["stay_well"])
    );
    let flap = told.flap.unwrap();
    assert!(flap.flapping && flap.score >= 3.0);
    assert!(
        told.next
            .iter()
            .any(|next| next.code == "hold_ends" && next.in_ms <= flap.hold_ms)
    );
}

#[tokio::test(start_paused = true)]
async fn a_closed_session_is_told_as_that() {
    let door = Door::open().await;
    register_as(&door, Liveness::Session(SessionId(7))).await;
    assert_eq!(explain(&door).await.ways[0].code, "connection_closes");
    door.registry.close_session(SessionId(7)).await.unwrap();
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        ("gone", vec!["session_closed"], "session_closed", vec!["register"])
    );
}

#[derive(Debug)]
struct Down;

impl Probing for Down {
    fn probe(&self, _: Endpoint, _: Arc<ProbeSpec>) -> Asking {
        Box::pin(std::future::ready(ProbeResult {
            finding: Finding::Bad,
            word: "bad_status",
            text: "503".into(),
            took: Duration::from_micros(700),
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn probes_tell_how_many_it_takes_and_what_came_of_the_last() {
    let door = Door::asking(Arc::new(Down)).await;
    let spec = ProbeSpec::new(ProbeKind::Tcp, ProbePlan::default()).unwrap();
    register_as(&door, Liveness::Probe(Probe::Own(Arc::new(spec)))).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let told = explain(&door).await;
    assert_eq!(
        words(&told),
        (
            "not_serving",
            vec!["unhealthy"],
            "probe_failed",
            vec!["probes_pass"]
        )
    );
    assert_eq!(told.rule.text, "3 probes in a row were not answered well");
    let probes = told.probes.unwrap();
    assert_eq!((probes.rise, probes.fall), (2, 3));
    assert!(probes.next_in_ms.is_some_and(|ms| ms <= 5_500));
    let last = probes.last.unwrap();
    assert_eq!(
        (last.good, last.outcome.as_str(), last.text.as_str()),
        (false, "bad_status", "503")
    );
}
