//! A registry and its subscribers under a seed: streams are cut between any two events and resumed with the id of the
//! last that arrived. At every event the subscriber knows all that the id says, and at the end everything.

use beatrix_core::model::{
    Existence, Health, Liveness, Revision, ServiceKey, ServicePatch, SessionId, Threshold,
};
use beatrix_engine::Registry;
use beatrix_engine::journal::Memory;
use beatrix_engine::registry::EventsQuery;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::follower::{Follower, poll};
use crate::support::{
    EPOCH, beating, key, living, ms, nth, settle, start, try_register, unguarded, weighing, with_metadata,
};

const SERVICES: usize = 4;

/// All changes so far, also those that the registry's own log has dropped.
#[derive(Default)]
struct History {
    changes: Vec<(Revision, ServiceKey)>,
    until: Revision,
}

impl History {
    fn follow(&mut self, registry: &Registry) {
        let query = EventsQuery {
            after: self.until,
            limit: usize::MAX,
            ..EventsQuery::default()
        };
        let page = registry.events(&query);
        assert!(!page.truncated, "the test reads often enough");
        self.changes.extend(
            page.changes
                .iter()
                .map(|change| (change.revision, change.service.clone())),
        );
        self.until = page.next;
    }

    /// Whether the follower knows every change up to its id.
    fn is_kept_by(&self, follower: &Follower) -> bool {
        self.changes
            .iter()
            .filter(|(revision, _)| *revision <= follower.id)
            .all(|(revision, service)| {
                follower
                    .known
                    .get(service)
                    .is_none_or(|known| known.at >= *revision)
            })
    }
}

async fn write(registry: &Registry, random: &mut StdRng) {
    let service = format!("s{}", random.random_range(0..SERVICES));
    let member = nth(random.random_range(0..4));
    match random.random_range(0..17) {
        12..16 => {
            // As clients of Nacos do: all that a connection has in a service, at once.
            let session = SessionId(random.random_range(1..4));
            let named = (0..4).filter(|_| random.random_bool(0.4)).collect::<Vec<_>>();
            let instances = named.into_iter().map(|number| {
                let registration = living(Liveness::Session(session));
                let registration =
                    with_metadata(registration, ["one", "two"][(number + session.0 as usize) % 2]);
                (nth(number), registration, Health::Healthy)
            });
            let instances = instances.collect();
            drop(registry.publish(key(&service), session, instances).await);
        }
        16 => {
            let session = SessionId(random.random_range(1..4));
            registry.close_session(session).await.unwrap();
        }
        10 => drop(registry.remove_service(key(&service)).await),
        11 => {
            // No change of membership, which yet moves the service's revision.
            let threshold = Threshold::new(f64::from(random.random_range(0..5))).unwrap();
            let patch = ServicePatch {
                protect_threshold: Some(threshold),
                ..ServicePatch::default()
            };
            drop(
                registry
                    .declare_service(key(&service), patch, Existence::Any)
                    .await,
            );
        }
        0..4 => drop(try_register(registry, &service, member, beating()).await),
        4..7 => drop(registry.deregister(key(&service), member, None, &[]).await),
        _ => {
            let weight = weighing(random.random_range(1..5));
            drop(registry.operate(key(&service), member, weight).await);
        }
    }
}

fn take(follower: &mut Follower, registry: &Registry, history: &mut History, random: &mut StdRng) {
    let Some(batch) = poll(&mut follower.subscription) else {
        return;
    };
    history.follow(registry);
    // Before the first whole batch there is no id that says something.
    let cut = !follower.known.is_empty() && follower.id > Revision::ZERO && random.random_bool(0.3);
    let events = if cut {
        random.random_range(0..=batch.updates.len())
    } else {
        batch.updates.len()
    };
    follower.take(&batch, events);
    assert!(history.is_kept_by(follower), "its id says more than it knows");
    if cut {
        follower.reconnect(registry);
    }
}

async fn simulate(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut config = unguarded();
    // Sometimes the log is too short for those who were away, and services are soon forgotten.
    config.catalog.change_log_max = [40, 100, 65_536][random.random_range(0..3)];
    config.catalog.empty_service_kept = ms([5, 600_000][random.random_range(0..2)]);
    let registry = start(config, Memory::new(EPOCH)).await;
    let services = |count: usize| {
        (0..count)
            .map(|number| key(&format!("s{number}")))
            .collect::<Vec<_>>()
    };
    let mut followers: Vec<_> = [1, 2, 4, 4]
        .into_iter()
        .map(|count| Follower::new(&registry, services(count)))
        .collect();
    let mut history = History::default();
    for _ in 0..400 {
        match random.random_range(0..10) {
            0..5 => write(&registry, &mut random).await,
            5 => tokio::time::sleep(ms(random.random_range(0..80))).await,
            6 => settle().await,
            7 if random.random_bool(0.05) => tokio::time::sleep(ms(16_000)).await,
            _ => {
                let follower = random.random_range(0..followers.len());
                take(&mut followers[follower], &registry, &mut history, &mut random);
            }
        }
        history.follow(&registry);
    }
    tokio::time::sleep(ms(200)).await;
    history.follow(&registry);
    for follower in &mut followers {
        follower.reconnect(&registry);
        while let Some(batch) = poll(&mut follower.subscription) {
            follower.take_all(&batch);
        }
        assert!(history.is_kept_by(follower), "seed {seed}");
        assert!(
            follower.agrees(&registry),
            "seed {seed}: it does not end at the registry's state"
        );
    }
}

#[test]
fn a_cut_and_resumed_subscriber_misses_nothing() {
    for seed in 0..300 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build();
        println!("seed {seed}");
        runtime.unwrap().block_on(simulate(seed));
    }
}
