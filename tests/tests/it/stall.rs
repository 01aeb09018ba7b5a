//! A registry that stood still does not take its own sleep for the death of others.

use std::time::Duration;

use anyhow::Context;
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::native::beating;
use beatrix_tests::process::Signal;
use beatrix_tests::registry::Registry;
use beatrix_wire::ChangeKind;
use tokio::time::{MissedTickBehavior, interval, sleep};

const INTERVAL_MS: u64 = 250;
const UNHEALTHY_AFTER_MS: u64 = 3_000;
const REMOVE_AFTER_MS: u64 = 4_000;
/// Longer than the time after which silence means removal.
const STALL: Duration = Duration::from_secs(6);

#[tokio::test]
async fn whoever_beats_again_after_a_stall_was_never_away() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    let times = beating(INTERVAL_MS, UNHEALTHY_AFTER_MS, REMOVE_AFTER_MS);
    let living = native.register("orders", "10.0.0.1:80", &times).await?;
    native.register("orders", "10.0.0.2:80", &times).await?;
    let lease = living.lease.context("no lease")?;
    native
        .beat(&living.cluster_id, std::slice::from_ref(&lease))
        .await?;

    registry.signal(Signal::Stop)?;
    // The stall itself: there is no condition to wait for.
    sleep(STALL).await;
    registry.signal(Signal::Continue)?;

    // One beats again, the other stays silent and is found out, which shows that time goes on.
    let cluster = living.cluster_id;
    let beats = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(INTERVAL_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let answer = native.beat(&cluster, std::slice::from_ref(&lease)).await;
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => panic!("a beat was not answered: {error:#}"),
            };
            assert_eq!(answer.renewed, 1, "the lease was given up: {answer:?}");
        }
    });
    let events = eventually("the silent one is removed", SOON, async || {
        assert!(!beats.is_finished(), "the living one lost its lease");
        let events = registry.native().events(0).await.ok()?.events;
        let gone = events
            .iter()
            .any(|it| it.address == "10.0.0.2" && it.kind == ChangeKind::Removed);
        gone.then_some(events)
    })
    .await;
    beats.abort();

    let kinds: Vec<_> = events
        .iter()
        .filter(|it| it.address == "10.0.0.1")
        .map(|it| it.kind)
        .collect();
    assert_eq!(kinds, [ChangeKind::Registered], "{events:?}");
    let status = registry.native().status().await?;
    let stalled = Duration::from_millis(status.stalled_ms);
    assert!(
        stalled + Duration::from_secs(1) >= STALL,
        "the stall is shown: {stalled:?}"
    );
    let stalls = status.stalls;
    assert!(
        stalls.count >= 1 && stalls.last_ms <= stalls.total_ms,
        "{stalls:?}"
    );
    assert_eq!(stalls.total_ms, status.stalled_ms);
    assert!(
        stalls.last_at_ms.is_some_and(|at| at > status.started_at_ms),
        "{stalls:?}"
    );
    let metrics = registry.native().metrics().await?;
    assert!(metrics["beatrix_stalls_total"] >= 1.0, "{metrics:?}");
    let shown = metrics["beatrix_stall_seconds_total"];
    assert!((shown - stalled.as_secs_f64()).abs() < 2.0, "{shown}");
    // The guard had nothing to do with it.
    assert_eq!((status.guard.trips, status.guard.suspects), (0, 0));
    Ok(())
}
