//! Those who were found silent and beat again are healthy at once, also when all return together.

use beatrix_core::model::{Declared, DeclaredStatus, Lease};
use beatrix_engine::Registry;

use crate::support::journal::Script;
use crate::support::{
    beat, beating, health, ms, nth, reasons, register, registry, sleep_ms, start, try_register, unguarded,
};

async fn fill(registry: &Registry, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    for number in 0..count {
        leases.push(
            try_register(registry, "s", nth(number), beating())
                .await
                .unwrap()
                .lease,
        );
    }
    leases
}

#[tokio::test(start_paused = true)]
async fn a_beat_of_a_silent_one_makes_it_healthy_at_once() {
    let registry = registry().await;
    let lease = register(&registry, "s", "10.0.0.1:80").await.lease;
    sleep_ms(20_000).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    assert!(beat(&registry, lease));
    sleep_ms(1).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "healthy");
    sleep_ms(14_900).await;
    assert_eq!(reasons(&registry), ["registered", "silent", "beat"]);
}

#[tokio::test(start_paused = true)]
async fn all_return_together_in_few_commits_and_one_change_each() {
    const COUNT: usize = 5_000;
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    let leases = fill(&registry, COUNT).await;
    sleep_ms(20_000).await;
    assert_eq!(registry.status().healthy, 0);
    script.take(ms(10));
    let before = script.groups().len();
    // Each of them three times, before the owner has come to the first.
    for _ in 0..3 {
        assert_eq!(registry.beat(&leases, |_| ()).renewed, COUNT);
    }
    sleep_ms(300).await;
    assert_eq!(registry.status().healthy, COUNT);
    let groups = &script.groups()[before..];
    assert_eq!(groups.iter().sum::<usize>(), COUNT);
    assert!(groups.len() <= COUNT / 1_000 + 2, "{groups:?}");
}

/// More than the owner's queue holds. What is dropped there is said again by the next beat.
#[tokio::test(start_paused = true)]
async fn a_storm_beyond_the_queue_is_over_with_the_next_beat() {
    const COUNT: usize = 20_000;
    let registry = registry().await;
    let leases = fill(&registry, COUNT).await;
    sleep_ms(20_000).await;
    registry.beat(&leases, |_| ());
    sleep_ms(100).await;
    let first = registry.status().healthy;
    assert!(first >= 16 * 1_024, "{first}");
    registry.beat(&leases, |_| ());
    sleep_ms(100).await;
    assert_eq!(registry.status().healthy, COUNT);
}

#[tokio::test(start_paused = true)]
async fn who_says_that_it_is_unwell_does_not_return_by_beating() {
    let registry = registry().await;
    let lease = register(&registry, "s", "10.0.0.1:80").await.lease;
    let unwell = Declared::new(DeclaredStatus::Unhealthy, Some("no database")).unwrap();
    registry.declare(lease, Some(unwell)).await.unwrap();
    for _ in 0..4 {
        sleep_ms(10_000).await;
        assert!(beat(&registry, lease));
    }
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    registry.declare(lease, None).await.unwrap();
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "healthy");
}
