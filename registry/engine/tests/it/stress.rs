//! Real threads, for what no order of steps on one thread shows. Bounded to a few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beatrix_core::model::{Lease, ServiceKey};
use beatrix_engine::journal::Memory;
use beatrix_engine::{EngineConfig, Registry};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::follower::Follower;
use crate::support::{EPOCH, beating, key, ms, nth, start, subscribe, try_register, unguarded, weighing};

const SERVICES: usize = 6;

fn services() -> Vec<ServiceKey> {
    (0..SERVICES).map(|number| key(&format!("s{number}"))).collect()
}

async fn writes(registry: Registry, seed: u64, count: usize) {
    let mut random = StdRng::seed_from_u64(seed);
    for _ in 0..count {
        let service = format!("s{}", random.random_range(0..SERVICES));
        let member = nth(random.random_range(0..20));
        match random.random_range(0..4) {
            0 | 1 => drop(
                try_register(&registry, &service, member, beating())
                    .await
                    .unwrap(),
            ),
            2 => drop(registry.deregister(key(&service), member, None, &[]).await),
            _ => drop(
                registry
                    .operate(key(&service), member, weighing(random.random_range(1..50)))
                    .await,
            ),
        }
    }
}

/// Follows everything, cuts itself at random, and ends once it knows all.
async fn follows(registry: Registry, seed: u64, done: Arc<AtomicBool>) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut follower = Follower::new(&registry, services());
    loop {
        let batch = tokio::time::timeout(ms(200), follower.subscription.next()).await;
        let ended = done.load(Ordering::Acquire);
        match batch {
            Ok(batch) if !ended && random.random_bool(0.2) => {
                let whole = follower.known.is_empty();
                let events = if whole {
                    batch.updates.len()
                } else {
                    random.random_range(0..=batch.updates.len())
                };
                follower.take(&batch, events);
                follower.reconnect(&registry);
            }
            Ok(batch) => follower.take_all(&batch),
            // Nothing was told for four merge windows since the last write: then nothing is missing, and its id says
            // so, or a drain would wait for it in vain.
            Err(_silence) if ended => {
                assert!(follower.agrees(&registry), "seed {seed}");
                assert_eq!(follower.id, registry.version().revision, "seed {seed}");
                return;
            }
            Err(_silence) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_misses_anything_and_every_id_catches_up() {
    let config = EngineConfig {
        push_merge_max: ms(2),
        ..unguarded()
    };
    let registry = start(config, Memory::new(EPOCH)).await;
    let done = Arc::new(AtomicBool::new(false));
    let followers: Vec<_> = (0..8)
        .map(|seed| tokio::spawn(follows(registry.clone(), seed, Arc::clone(&done))))
        .collect();
    let writers: Vec<_> = (0..4)
        .map(|seed| tokio::spawn(writes(registry.clone(), 100 + seed, 4_000)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    tokio::time::sleep(ms(20)).await;
    done.store(true, Ordering::Release);
    for follower in followers {
        tokio::time::timeout(Duration::from_secs(20), follower)
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!((registry.hub().subscribers(), registry.hub().watched()), (0, 0));
}

/// Topics come into being and end while changes are noted in them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribers_come_and_go_while_services_change() {
    let registry = start(unguarded(), Memory::new(EPOCH)).await;
    let writers: Vec<_> = (0..2)
        .map(|seed| tokio::spawn(writes(registry.clone(), seed, 3_000)))
        .collect();
    let coming: Vec<_> = (0..4)
        .map(|seed| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let mut random = StdRng::seed_from_u64(seed);
                for _ in 0..2_000 {
                    let services = format!("s{}", random.random_range(0..2));
                    let mut subscription = subscribe(&registry, &[&services], None);
                    if random.random_bool(0.5) {
                        let batch = subscription.next().await;
                        assert_eq!(batch.updates.len(), 1);
                    }
                    if random.random_bool(0.1) {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    for task in writers.into_iter().chain(coming) {
        tokio::time::timeout(Duration::from_secs(30), task)
            .await
            .unwrap()
            .unwrap();
    }
    assert_eq!((registry.hub().subscribers(), registry.hub().watched()), (0, 0));
}

/// Beats run beside registrations and removals of the same instances; each lease that a registration returned renews
/// as long as its instance is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beats_run_beside_writers() {
    let registry = start(unguarded(), Memory::new(EPOCH)).await;
    let mut leases: Vec<Lease> = Vec::new();
    for number in 0..1_000 {
        leases.push(
            try_register(&registry, "kept", nth(number), beating())
                .await
                .unwrap()
                .lease,
        );
    }
    let done = Arc::new(AtomicBool::new(false));
    let beating: Vec<_> = (0..2)
        .map(|_| {
            let (registry, leases, done) = (registry.clone(), leases.clone(), Arc::clone(&done));
            tokio::task::spawn_blocking(move || {
                let mut rounds = 0;
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(registry.beat(&leases, |_| ()).renewed, 1_000);
                    rounds += 1;
                }
                rounds
            })
        })
        .collect();
    writes(registry.clone(), 7, 10_000).await;
    done.store(true, Ordering::Relaxed);
    for beating in beating {
        assert!(beating.await.unwrap() > 0);
    }
}
