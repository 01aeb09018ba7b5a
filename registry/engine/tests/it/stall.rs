//! Invariant 6: wall time decides nothing, and what the process slept through is nobody's silence.

use std::sync::Arc;

use beatrix_core::model::Lease;
use beatrix_engine::Registry;
use tokio::time::Instant;

use crate::support::journal::Script;
use crate::support::{
    JumpingWall, beat, fixed, health, ms, nth, reasons, register, registry, registry_with_clock, sleep_ms,
    start, try_register, unguarded, until_not,
};

#[tokio::test(start_paused = true)]
async fn nobody_expires_when_the_wall_clock_jumps() {
    let clock = Arc::new(JumpingWall::default());
    let registry = registry_with_clock(Arc::clone(&clock)).await;
    let lease = register(&registry, "s", "10.0.0.1:80").await.lease;
    for hours in [1, -1, -1, 1, 24, -24] {
        clock.jump(hours * 3_600);
        for _ in 0..4 {
            sleep_ms(5_000).await;
            beat(&registry, lease);
        }
    }
    assert_eq!(reasons(&registry), ["registered"]);

    // Nor does one that is silent live longer.
    clock.jump(-3_600);
    let silence = until_not(&registry, "s", "10.0.0.1:80", "healthy", Instant::now()).await;
    assert!(silence >= ms(15_000) && silence < ms(15_030), "{silence:?}");
    assert_eq!(registry.status().stalled, ms(0));
}

/// Ten instances; the first half still beats after the stall, the second is dead.
async fn stalled(seconds: u64) -> (Registry, Vec<Lease>) {
    let registry = registry().await;
    let mut leases = Vec::new();
    for number in 0..10 {
        leases.push(register(&registry, "s", &nth(number).to_string()).await.lease);
    }
    sleep_ms(4_000).await;
    registry.beat(&leases, |_| ());
    tokio::time::advance(ms(seconds * 1_000)).await;
    (registry, leases)
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_40_s_expires_nobody_who_then_beats_in_time() {
    let (registry, leases) = stalled(40).await;
    for _ in 0..4 {
        sleep_ms(14_500).await;
        assert_eq!(registry.beat(&leases, |_| ()).renewed, 10);
    }
    assert!(reasons(&registry).iter().all(|reason| *reason == "registered"));
    let stalled = registry.status().stalled;
    assert!(stalled >= ms(40_000) && stalled <= ms(40_200), "{stalled:?}");
    let stalls = registry.status().stalls;
    assert_eq!((stalls.count, stalls.total, stalls.last), (1, stalled, stalled));
    assert!(stalls.last_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn who_stays_silent_after_a_stall_expires_late_by_the_stall_and_no_more() {
    let (registry, leases) = stalled(40).await;
    let woke = Instant::now();
    let alive = registry.clone();
    let beats = tokio::spawn(async move {
        loop {
            alive.beat(&leases[..5], |_| ());
            sleep_ms(5_000).await;
        }
    });
    // The owner looks at the clock every 200 ms: up to that much before the stall counts as part of it.
    let late_max = ms(200 + 20 + 3);
    for number in 5..10 {
        let address = nth(number).to_string();
        let unhealthy = until_not(&registry, "s", &address, "healthy", woke).await;
        assert!(
            unhealthy >= ms(15_000) && unhealthy <= ms(15_000) + late_max,
            "{unhealthy:?}"
        );
    }
    for number in 5..10 {
        let address = nth(number).to_string();
        let gone = until_not(&registry, "s", &address, "unhealthy", woke).await;
        assert!(gone >= ms(30_000) && gone <= ms(30_000) + late_max, "{gone:?}");
    }
    beats.abort();
    for number in 0..5 {
        assert_eq!(health(&registry, "s", &nth(number).to_string()), "healthy");
    }
}

#[tokio::test(start_paused = true)]
async fn one_stall_after_another_adds_up() {
    let (registry, leases) = stalled(20).await;
    for _ in 0..5 {
        sleep_ms(10_000).await;
        tokio::time::advance(ms(20_000)).await;
    }
    registry.beat(&leases, |_| ());
    // The last beat was 50 s of waking time ago.
    assert_eq!(registry.status().instances, 0);
    let stalled = registry.status().stalled;
    assert!(stalled >= ms(120_000) && stalled <= ms(121_200), "{stalled:?}");
}

/// Beats are taken while the journal works: whoever sends none then is silent.
#[tokio::test(start_paused = true)]
async fn a_slow_journal_is_no_stall() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let from = Instant::now();
    // From now on there is always a commit under way.
    script.take(ms(1_500));
    let writer = registry.clone();
    let load = tokio::spawn(async move {
        for number in 0.. {
            try_register(&writer, "load", nth(number), fixed()).await.unwrap();
        }
    });
    let unhealthy = until_not(&registry, "s", "10.0.0.1:80", "healthy", from).await;
    load.abort();
    assert_eq!(registry.status().stalled, ms(0));
    // It waits for the commit before, and for its own.
    assert!(
        unhealthy >= ms(15_000) && unhealthy <= ms(15_000 + 2 * 1_500 + 25),
        "{unhealthy:?}"
    );
}
