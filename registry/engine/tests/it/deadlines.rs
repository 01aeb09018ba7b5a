//! Invariant 3: unhealthy and gone when it was said, never early, and late by one tick of the wheel at most.

use std::time::Duration;

use beatrix_core::liveness::TICK;
use beatrix_core::model::{Liveness, SettingName, Timings};
use beatrix_engine::Registry;
use tokio::time::Instant;

use crate::support::journal::Script;
use crate::support::{
    beat, endpoint, fixed, living, ms, operate, register, registry, sleep_ms, start, try_register, unguarded,
    until_not,
};

/// A tick, and what tokio's timers (whole milliseconds, rounded up) and a look every millisecond add.
const LATE_MAX: Duration = Duration::from_millis(TICK.as_millis() as u64 + 3);

fn on_time(passed: Duration, deadline: Duration) {
    assert!(
        passed >= deadline && passed <= deadline + LATE_MAX,
        "{passed:?} instead of {deadline:?}"
    );
}

async fn falls_on_time(registry: &Registry, timings: Timings, offset: Duration) {
    tokio::time::sleep(offset).await;
    let registration = living(Liveness::Beat(timings));
    let registered = try_register(registry, "s", endpoint("10.0.0.1:80"), registration).await;
    tokio::time::sleep(timings.interval()).await;
    let last_beat = Instant::now();
    assert!(beat(registry, registered.unwrap().lease));
    let unhealthy = until_not(registry, "s", "10.0.0.1:80", "healthy", last_beat).await;
    on_time(unhealthy, timings.unhealthy_after());
    let gone = until_not(registry, "s", "10.0.0.1:80", "unhealthy", last_beat).await;
    on_time(gone, timings.remove_after());
}

#[tokio::test(start_paused = true)]
async fn silence_makes_unhealthy_after_15_s_and_gone_after_30_s() {
    let registry = registry().await;
    for offset_us in [0, 1, 7_300, 13_000, 19_999, 20_000, 199_900] {
        falls_on_time(&registry, Timings::DEFAULT, Duration::from_micros(offset_us)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn short_times_are_kept_as_exactly_as_long_ones() {
    let registry = registry().await;
    for (interval, unhealthy, remove) in [
        (10, 50, 100),
        (30, 60, 90),
        (100, 300, 330),
        (1_000, 1_000, 90_000),
    ] {
        let timings = Timings::new(ms(interval), ms(unhealthy), ms(remove)).unwrap();
        falls_on_time(&registry, timings, ms(3)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_whose_removal_comes_first_is_never_unhealthy() {
    let registry = registry().await;
    let timings = Timings::new(ms(1_000), ms(15_000), ms(4_000)).unwrap();
    try_register(
        &registry,
        "s",
        endpoint("10.0.0.1:80"),
        living(Liveness::Beat(timings)),
    )
    .await
    .unwrap();
    let from = Instant::now();
    on_time(
        until_not(&registry, "s", "10.0.0.1:80", "healthy", from).await,
        ms(4_000),
    );
    assert_eq!(crate::support::health(&registry, "s", "10.0.0.1:80"), "gone");
}

#[tokio::test(start_paused = true)]
async fn who_beats_never_expires_however_late_within_its_time() {
    let registry = registry().await;
    let lease = register(&registry, "s", "10.0.0.1:80").await.lease;
    for _ in 0..40 {
        sleep_ms(14_999).await;
        assert!(beat(&registry, lease));
    }
    assert_eq!(crate::support::reasons(&registry), ["registered"]);
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_after_a_long_idle_time() {
    let registry = registry().await;
    sleep_ms(600_000).await;
    falls_on_time(&registry, Timings::DEFAULT, ms(11)).await;
}

/// A beat by address, as Nacos clients send it, counts as one by lease.
#[tokio::test(start_paused = true)]
async fn a_beat_by_address_moves_the_deadline() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    sleep_ms(10_000).await;
    let key = crate::support::key("s");
    assert_eq!(
        registry.beat_at(key.borrowed(), &endpoint("10.0.0.1:80")),
        Some(ms(5_000))
    );
    assert_eq!(registry.beat_at(key.borrowed(), &endpoint("10.0.0.1:81")), None);
    let from = Instant::now();
    on_time(
        until_not(&registry, "s", "10.0.0.1:80", "healthy", from).await,
        ms(15_000),
    );
}

/// Commands each of which must see the one before it applied: each takes a commit of its own.
#[tokio::test(start_paused = true)]
async fn a_deadline_waits_for_one_commit_and_not_for_all_that_wait() {
    let alone: fn(&Registry, u32) -> _ = |registry, number| {
        let registry = registry.clone();
        tokio::spawn(async move {
            let name = format!("n{number}").parse::<SettingName>().unwrap();
            registry.set(name, Some("on".into())).await.unwrap();
        })
    };
    let chain: fn(&Registry, u32) -> _ = |registry, number| {
        let registry = registry.clone();
        tokio::spawn(async move {
            operate(&registry, "t", "10.0.0.2:80", number + 2).await;
        })
    };
    for propose in [alone, chain] {
        let script = Script::default();
        let registry = start(unguarded(), script.journal()).await;
        try_register(&registry, "t", endpoint("10.0.0.2:80"), fixed())
            .await
            .unwrap();
        register(&registry, "s", "10.0.0.1:80").await;
        let began = Instant::now();
        script.take(ms(5));
        sleep_ms(14_900).await;
        let proposed: Vec<_> = (0..200).map(|number| propose(&registry, number)).collect();
        let unhealthy = until_not(&registry, "s", "10.0.0.1:80", "healthy", began).await;
        // The commit that is under way, and its own.
        let late_max = LATE_MAX + ms(2 * 6);
        assert!(unhealthy <= ms(15_000) + late_max, "{unhealthy:?}");
        // All are carried out nevertheless.
        for written in proposed {
            written.await.unwrap();
        }
    }
}
