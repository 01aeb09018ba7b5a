//! The mass-expiry guard and damping as the native API shows them, and the guard in an operator's hand.

use std::time::Duration;

use beatrix_wire as wire;

use crate::door::{Door, SERVICE};

#[tokio::test(start_paused = true)]
async fn an_operator_ends_the_guard() {
    let door = Door::open().await;
    for port in 1..=30 {
        door.register(&format!("10.0.0.1:{port}")).await;
    }
    tokio::time::sleep(Duration::from_secs(40)).await;
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    assert_eq!(
        (status.instances, status.healthy, status.guard.suspects),
        (30, 30, 30)
    );
    assert!(
        status.guard.holding_registry && status.guard.holding_services == ["public/DEFAULT_GROUP/orders"]
    );
    let suspect = door.instance("10.0.0.1:1").await;
    assert!(suspect.suspect && suspect.serving && suspect.reason == "guarded");

    let end = async || -> wire::GuardEnded { door.call("DELETE", "/api/v1/guard", "").await.json() };
    assert!(end().await.held);
    assert!(!end().await.held);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(door.service().await.instances.len(), 0, "who stays silent goes");
}

#[tokio::test(start_paused = true)]
async fn an_operator_forces_the_guard_and_every_page_says_so() {
    let door = Door::open().await;
    for port in 1..=30 {
        door.register(&format!("10.0.0.1:{port}")).await;
    }
    let scope = "service=public%2FDEFAULT_GROUP%2Forders";
    for (query, code) in [
        ("?for_ms=999", 400),
        ("?for_ms=86400001", 400),
        ("?for_ms=-1", 400),
        ("?until=tomorrow", 400),
        ("?service=nonsense", 400),
        ("?service=public%2FDEFAULT_GROUP%2Fnobody", 404),
    ] {
        let answer = door.call("PUT", &format!("/api/v1/guard{query}"), "").await;
        assert_eq!(answer.status.as_u16(), code, "{query}");
    }
    let forced: wire::GuardScope = door
        .call("PUT", &format!("/api/v1/guard?{scope}&for_ms=60000"), "")
        .await
        .json();
    assert!(forced.holding && forced.forced);
    assert_eq!(forced.service.as_deref(), Some("public/DEFAULT_GROUP/orders"));
    assert_eq!(forced.until_ms.unwrap() - forced.since_ms.unwrap(), 60_000);

    tokio::time::sleep(Duration::from_secs(20)).await;
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    // All fell silent: the registry's guard tripped beside it.
    let guard = status.guard;
    assert!(
        guard.registry.holding && !guard.registry.forced && guard.services[0].forced,
        "{guard:?}"
    );
    assert_eq!(
        (guard.registry.population, guard.registry.suspects, guard.trips),
        (30, 30, 1)
    );
    assert_eq!(
        (guard.threshold_percent, guard.window_ms, guard.services_holding),
        (30, 15_000, 1)
    );
    let events: wire::EventsPage = door.get("/api/v1/events").await.json();
    let guards: Vec<_> = events
        .events
        .iter()
        .filter(|event| event.kind == wire::ChangeKind::Guard)
        .collect();
    let said: Vec<_> = guards
        .iter()
        .map(|event| {
            let guard = event.guard.as_ref().unwrap();
            (
                event.service.as_str(),
                event.reason.as_str(),
                guard.what,
                guard.surface.as_str(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("orders", "operator", wire::GuardChange::Forced, "native"),
            ("", "shares", wire::GuardChange::Tripped, "registry"),
        ]
    );
    let tripped = guards[1].guard.as_ref().unwrap();
    assert_eq!((tripped.silent, tripped.population), (30, 30));
    // In their place: after the registrations, before those who became suspect.
    let places: Vec<_> = events.events.iter().map(|event| event.kind).collect();
    assert_eq!(
        places[30..33],
        [
            wire::ChangeKind::Guard,
            wire::ChangeKind::Guard,
            wire::ChangeKind::Health
        ]
    );
    assert!(events.events.is_sorted_by_key(|event| event.revision));
    let answer = door.get("/api/v1/events").await;
    let text = String::from_utf8_lossy(&answer.body);
    assert!(
        !text.contains(r#""address":"""#) && !text.contains(r#""port":0"#),
        "of a guard they are absent"
    );
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_flaps_is_shown_as_such_and_is_healthy_after_its_hold_down() {
    let door = Door::open().await;
    let body = r#"{"liveness":{"type":"beat","interval_ms":1000,"unhealthy_after_ms":2000,"remove_after_ms":60000}}"#;
    let registered: wire::RegisterResponse = door
        .call("PUT", &format!("{SERVICE}/instances/10.0.0.1:80"), body)
        .await
        .json();
    let lease = registered.lease.unwrap();
    let beat = async || {
        assert_eq!(door.beat(&[&lease]).await.renewed, 1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        beat().await;
    }
    let held = door.instance("10.0.0.1:80").await;
    assert!(
        held.flapping && !held.serving && held.reason == "flapping",
        "{held:?}"
    );
    let status: wire::RegistryStatus = door.get("/api/v1/status").await.json();
    assert_eq!((status.flapping, status.healthy), (1, 0));
    assert_eq!(status.limits["flaps_tracked_max"].used, Some(1));
    for _ in 0..11 {
        beat().await;
        tokio::time::sleep(Duration::from_millis(900)).await;
    }
    let steady = door.instance("10.0.0.1:80").await;
    assert!(
        steady.flapping && steady.serving && steady.reason == "steady",
        "{steady:?}"
    );
    let events: wire::EventsPage = door.get("/api/v1/events").await.json();
    let reasons: Vec<_> = events.events.iter().map(|event| event.reason.as_str()).collect();
    assert_eq!(reasons[reasons.len() - 3..], ["silent", "flapping", "steady"]);
}
