//! Invariant 10, through the engine: far too many at once are suspect, not unhealthy and not gone.

use std::time::Duration;

use beatrix_core::catalog::{GuardBy, GuardEvent};
use beatrix_core::model::{Lease, Revision, ServiceKey};
use beatrix_engine::journal::Memory;
use beatrix_engine::registry::{EventsPage, EventsQuery, Status};
use beatrix_engine::{EngineConfig, Registry, WriteError};

use crate::support::follower::told;
use crate::support::{
    EPOCH, beating, deregister, health, key, nth, register, sleep_ms, start, subscribe, try_register,
};

const COUNT: usize = 100;

fn holding(status: &Status) -> Vec<ServiceKey> {
    status.guard.services.iter().map(|(key, _)| key.clone()).collect()
}

async fn guarded() -> (Registry, Vec<Lease>) {
    let registry = start(EngineConfig::default(), Memory::new(EPOCH)).await;
    let mut leases = Vec::new();
    for number in 0..COUNT {
        leases.push(
            try_register(&registry, "s", nth(number), beating())
                .await
                .unwrap()
                .lease,
        );
    }
    (registry, leases)
}

#[tokio::test(start_paused = true)]
async fn a_mass_silence_is_held_and_serves_on() {
    let (registry, _) = guarded().await;
    let mut subscription = subscribe(&registry, &["s"], None);
    told(&mut subscription).await;
    sleep_ms(120_000).await;
    let status = registry.status();
    assert_eq!((status.instances, status.healthy), (COUNT, COUNT));
    assert_eq!(registry.view(key("s").borrowed()).unwrap().serving, COUNT);
    assert_eq!(health(&registry, "s", "10.0.0.0:80"), "suspect");
    assert!(status.guard.registry.holding);
    assert_eq!(holding(&status), [key("s")]);
    assert_eq!(status.guard.suspects as usize, COUNT);
    // Its subscribers see that they are suspect.
    assert_eq!(told(&mut subscription).await.updates.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_is_never_held() {
    let (registry, _) = guarded().await;
    sleep_ms(20_000).await;
    for number in 0..50 {
        deregister(&registry, "s", &nth(number).to_string()).await;
    }
    assert_eq!(registry.status().instances, 50);
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_beats_return() {
    let (registry, leases) = guarded().await;
    sleep_ms(20_000).await;
    for _ in 0..10 {
        registry.beat(&leases[..90], |_| ());
        sleep_ms(5_000).await;
    }
    let status = registry.status();
    assert!(
        !status.guard.registry.holding && status.guard.services.is_empty(),
        "{:?}",
        status.guard
    );
    // Those who did not return are judged like anybody else.
    assert_eq!(status.instances, 90);
    assert_eq!(status.healthy, 90);
}

#[tokio::test(start_paused = true)]
async fn an_operator_ends_it_and_the_dead_then_go() {
    let (registry, _) = guarded().await;
    assert!(!registry.end_guard(None).await);
    sleep_ms(20_000).await;
    assert!(registry.end_guard(None).await);
    assert!(!registry.end_guard(None).await);
    assert!(!registry.status().guard.registry.holding);
    // With a fresh deadline: nobody is flipped for the time that it held.
    sleep_ms(14_900).await;
    assert_eq!(registry.status().healthy, COUNT);
    sleep_ms(200).await;
    assert_eq!(registry.status().healthy, 0);
    sleep_ms(15_000).await;
    assert_eq!(registry.status().instances, 0);
}

#[tokio::test(start_paused = true)]
async fn one_service_is_guarded_and_another_is_not() {
    let (registry, _) = guarded().await;
    let mut others = Vec::new();
    for number in 0..COUNT * 4 {
        others.push(
            try_register(&registry, "t", nth(number), beating())
                .await
                .unwrap()
                .lease,
        );
    }
    register(&registry, "t", "10.9.9.9:80").await;
    for _ in 0..8 {
        sleep_ms(5_000).await;
        registry.beat(&others, |_| ());
    }
    // All of `s`, a fifth of the registry, and one of `t`.
    let status = registry.status();
    assert_eq!(
        (status.guard.registry.holding, holding(&status)),
        (false, vec![key("s")])
    );
    assert_eq!(health(&registry, "s", "10.0.0.0:80"), "suspect");
    assert_eq!(health(&registry, "t", "10.9.9.9:80"), "gone");
    assert!(registry.end_guard(Some(key("s"))).await);
    for _ in 0..2 {
        sleep_ms(7_600).await;
        registry.beat(&others, |_| ());
    }
    assert_eq!(health(&registry, "s", "10.0.0.0:80"), "unhealthy");
}

fn events(registry: &Registry, after: Revision, limit: usize) -> EventsPage {
    registry.events(&EventsQuery {
        after,
        limit,
        ..EventsQuery::default()
    })
}

#[tokio::test(start_paused = true)]
async fn an_operator_forces_it_and_then_nobody_goes_until_its_time() {
    let (registry, leases) = guarded().await;
    let minute = Duration::from_secs(60);
    let forced = registry.force_guard(None, Some(minute)).await.unwrap();
    assert!(forced.forced && forced.holding);
    let lasts = forced.until.unwrap().0 - forced.since.unwrap().0;
    assert_eq!(lasts, 60_000);
    for _ in 0..11 {
        sleep_ms(5_000).await;
        registry.beat(&leases[10..], |_| ());
    }
    let status = registry.status();
    assert_eq!(
        (status.instances, status.healthy, status.guard.suspects),
        (COUNT, COUNT, 10)
    );
    assert!(status.guard.registry.forced);
    for _ in 0..8 {
        sleep_ms(5_000).await;
        registry.beat(&leases[10..], |_| ());
    }
    let status = registry.status();
    assert!(
        !status.guard.registry.holding,
        "at its time, though all others were well all the while"
    );
    assert_eq!((status.instances, status.guard.suspects), (COUNT - 10, 0));
    let told: Vec<_> = events(&registry, Revision::ZERO, 1).guards;
    assert_eq!(told, [], "those of later pages are not in the first");
    let told = events(&registry, Revision(COUNT as u64), 1_000).guards;
    let turns: Vec<_> = told
        .iter()
        .map(|it| (it.turn.event.clone(), it.turn.by))
        .collect();
    let expected = [
        (GuardEvent::Forced(None), GuardBy::Operator),
        (GuardEvent::Ended(None), GuardBy::Time),
    ];
    assert_eq!(turns, expected);
    assert_eq!((status.guard.counts.forced, status.guard.counts.ended), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn it_is_forced_in_a_service_that_there_is_and_ended_by_hand() {
    let (registry, _) = guarded().await;
    let refused = registry.force_guard(Some(key("nobody")), None).await;
    assert!(matches!(refused, Err(WriteError::Refused(_))), "{refused:?}");
    let forced = registry.force_guard(Some(key("s")), None).await.unwrap();
    assert_eq!(
        forced.until.unwrap().0 - forced.since.unwrap().0,
        600_000,
        "as one that trips"
    );
    assert_eq!(holding(&registry.status()), [key("s")]);
    assert!(!registry.end_guard(Some(key("t"))).await);
    assert!(registry.end_guard(Some(key("s"))).await);
    assert_eq!(holding(&registry.status()), []);
}

#[tokio::test(start_paused = true)]
async fn those_whom_a_forced_guard_was_late_for_are_protected_too() {
    let (registry, leases) = guarded().await;
    sleep_ms(1_000).await;
    registry.beat(&leases[5..], |_| ());
    sleep_ms(14_500).await;
    assert_eq!(health(&registry, "s", "10.0.0.0:80"), "unhealthy");
    registry.force_guard(None, None).await.unwrap();
    sleep_ms(100).await;
    assert_eq!(health(&registry, "s", "10.0.0.0:80"), "suspect");
}

#[tokio::test(start_paused = true)]
async fn history_tells_each_turn_of_a_guard_once_over_all_pages_in_its_place() {
    let (registry, leases) = guarded().await;
    sleep_ms(20_000).await;
    registry.beat(&leases, |_| ());
    sleep_ms(2_000).await;
    let mut after = Revision::ZERO;
    let mut told = Vec::new();
    for _ in 0..100 {
        let page = events(&registry, after, 7);
        assert!(page.guards.iter().all(|it| it.revision >= after));
        told.extend(page.guards.iter().map(|it| (it.number, it.revision.0)));
        after = page.next;
        // What happened at the newest revision is told until there is a newer one.
        if after == page.version.revision {
            break;
        }
    }
    // All registered; two guards tripped; all suspect, all returned, and both ended on the way, below the threshold.
    let numbers: Vec<_> = told.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [1, 2, 3, 4], "{told:?}");
    assert_eq!((told[0].1, told[1].1), (COUNT as u64, COUNT as u64));
    assert!(told[2].1 > 200 && told[3].1 <= 300, "{told:?}");
}
