//! Invariant 10, through the engine: far too many at once are suspect, not unhealthy and not gone.

use beatrix_core::model::Lease;
use beatrix_engine::journal::Memory;
use beatrix_engine::{EngineConfig, Registry};

use crate::support::follower::told;
use crate::support::{
    EPOCH, beating, deregister, health, key, nth, register, sleep_ms, start, subscribe, try_register,
};

const COUNT: usize = 100;

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
    assert!(status.guard.registry);
    assert_eq!(status.guard.services, [key("s")]);
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
        !status.guard.registry && status.guard.services.is_empty(),
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
    assert!(!registry.status().guard.registry);
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
        (status.guard.registry, status.guard.services),
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
