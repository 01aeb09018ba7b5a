//! Checkpoints, what comes after them, and how long what was is kept.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use beatrix_core::catalog::{Keep, Mutation, Piece, Proposed};
use beatrix_core::model::{Endpoint, Origin, Reason, Revision, ServiceKey, Wall};
use beatrix_engine::journal::embedded::EmbeddedConfig;
use beatrix_engine::journal::embedded::history::HistoryError;
use beatrix_engine::journal::{Journal, Known};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{
    SimDisk, Started, commit, config, endpoint, on, pieces, proposed, service, start, try_start, until,
};

/// Who is there, with the revision that says so: what a catalog would make of it.
#[derive(Debug, Clone, PartialEq, Default)]
struct Naive {
    instances: BTreeMap<(ServiceKey, Endpoint), u64>,
}

impl Naive {
    fn apply(&mut self, mutation: &Mutation) {
        match mutation {
            Mutation::Registered {
                service,
                endpoint,
                lease,
                ..
            } => {
                self.instances
                    .insert((service.clone(), endpoint.clone()), lease.bits());
            }
            Mutation::Removed {
                service, endpoint, ..
            } => {
                self.instances.remove(&(service.clone(), endpoint.clone()));
            }
            other => panic!("{other:?}"),
        }
    }

    fn restore(known: &[Known]) -> Self {
        let mut naive = Self::default();
        let mut current = None;
        for known in known {
            match known {
                Known::Piece(Piece::Begin { .. }) => assert_eq!(naive, Self::default()),
                Known::Piece(Piece::Service(service)) => current = Some(service.key.clone()),
                Known::Piece(Piece::Instances(instances)) => {
                    for instance in instances {
                        let key = (current.clone().unwrap(), instance.endpoint.clone());
                        naive.instances.insert(key, instance.lease.bits());
                    }
                }
                Known::Piece(other) => panic!("{other:?}"),
                Known::Committed(committed) => naive.apply(&committed.mutation),
            }
        }
        naive
    }

    async fn checkpoint(&self, started: &Started, as_of: Revision) {
        let checkpoints = started.checkpoints();
        let mut all = vec![Piece::Begin { as_of }];
        for lease in self.instances.values() {
            all.extend(pieces(lease - 1, as_of));
        }
        for portion in all.chunks(7) {
            checkpoints.pieces(portion.to_vec()).await.unwrap();
        }
        checkpoints.finish().await.unwrap();
    }
}

fn change(random: &mut StdRng) -> Proposed {
    let number = random.random_range(0..60);
    if random.random_bool(0.6) {
        return proposed(number);
    }
    Proposed {
        mutation: Mutation::Removed {
            service: service(number),
            endpoint: endpoint(number),
            reason: Reason::Deregistered,
        },
        by: Origin::REGISTRY,
    }
}

fn state_at(started: &Started, revision: u64) -> Result<Naive, HistoryError> {
    let mut known = Vec::new();
    started
        .journal
        .history()
        .state_at(Revision(revision), |one| known.push(one))?;
    Ok(Naive::restore(&known))
}

/// Claim: a checkpoint with the log after it gives the state that was before, over any number of restarts; and so does
/// each earlier revision that is kept. Random changes, seeded.
#[tokio::test]
async fn a_checkpoint_and_the_log_after_it_are_the_state_as_it_was_at_every_revision() {
    for seed in 0..12 {
        let mut random = StdRng::seed_from_u64(seed);
        let disk = SimDisk::default();
        let mut naive = Naive::default();
        let mut states = vec![naive.clone()];
        for _ in 0..4 {
            let mut started = start(&disk).await;
            assert_eq!(Naive::restore(&started.known), naive, "seed {seed}");
            for _ in 0..random.random_range(1..20) {
                let count = random.random_range(1..12);
                let group: Vec<_> = (0..count).map(|_| change(&mut random)).collect();
                let at = Wall(states.len() as u64);
                let committed = started.journal.commit(group, at, Keep::Behind).await.unwrap();
                for committed in committed {
                    naive.apply(&committed.mutation);
                    states.push(naive.clone());
                    assert_eq!(committed.revision.0 + 1, states.len() as u64);
                }
                if random.random_bool(0.15) {
                    let as_of = Revision(states.len() as u64 - 1);
                    naive.checkpoint(&started, as_of).await;
                }
            }
            // All is written when a durable group is.
            let group = vec![change(&mut random)];
            let committed = started
                .journal
                .commit(group, Wall(0), Keep::Durable)
                .await
                .unwrap();
            naive.apply(&committed[0].mutation);
            states.push(naive.clone());
            for (revision, state) in states.iter().enumerate() {
                assert_eq!(
                    &state_at(&started, revision as u64).unwrap(),
                    state,
                    "seed {seed}, {revision}"
                );
            }
            started.journal.close().await;
        }
    }
}

#[tokio::test]
async fn what_was_committed_is_told_in_order_from_any_revision_and_found_by_time() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    for number in 0..50 {
        let numbers = number * 10..number * 10 + 10;
        commit(&mut started.journal, numbers, Keep::Durable)
            .await
            .unwrap();
    }
    let history = started.journal.history();
    for after in [0, 1, 9, 10, 11, 255, 499, 500, 600] {
        let mut found = Vec::new();
        let each = |committed: beatrix_core::catalog::Committed| {
            found.push(committed.revision.0);
            if found.len() == 25 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        history.committed(Revision(after), each).unwrap();
        let expected: Vec<_> = (after + 1..=500).take(25).collect();
        assert_eq!(found, expected, "after {after}");
    }
    // The group of revisions 1 to 10 was at time 10, and so on.
    for (at, revision) in [
        (9, None),
        (10, Some(10)),
        (19, Some(10)),
        (20, Some(20)),
        (255, Some(250)),
        (9_999, Some(500)),
    ] {
        assert_eq!(
            history.revision_at(Wall(at)).unwrap(),
            revision.map(Revision),
            "at {at}"
        );
    }
}

/// The times of the groups are what makes history old: here a second for each instance.
async fn grow(started: &mut Started, naive: &mut Naive, from: u64, until: u64) -> Revision {
    let mut newest = Revision::ZERO;
    for number in from..until {
        let group = vec![proposed(number)];
        naive.apply(&group[0].mutation);
        let keep = if number + 1 == until {
            Keep::Durable
        } else {
            Keep::Behind
        };
        let committed = started
            .journal
            .commit(group, Wall(number * 1_000), keep)
            .await
            .unwrap();
        newest = committed[0].revision;
    }
    newest
}

/// Claim: history is bounded by age: what is older goes, with the checkpoints that nobody needs, and every state of that
/// age can still be told.
#[tokio::test]
async fn old_log_and_old_checkpoints_go_and_states_within_the_age_can_be_told() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        history_age: Duration::from_secs(100),
        ..config()
    };
    let mut started = try_start(on(&disk, config.clone())).await.unwrap();
    let state = started.journal.state();
    let mut naive = Naive::default();
    let mut newest = Revision::ZERO;
    for round in 0..40 {
        newest = grow(&mut started, &mut naive, round * 10, round * 10 + 10).await;
        naive.checkpoint(&started, newest).await;
    }
    assert_eq!(newest.0, 400);
    // The writer takes away in steps, when it looks around.
    until("the end of what is old", || {
        state.figures().history_from.is_some_and(|from| from.0 > 200)
    })
    .await;
    let figures = state.figures();
    assert!(figures.history_from.unwrap().0 <= 300, "{figures:?}");
    for revision in 300..=400 {
        let count = state_at(&started, revision).unwrap().instances.len();
        assert_eq!(count as u64, revision);
    }
    assert!(matches!(
        state_at(&started, 100),
        Err(HistoryError::TooOld { .. })
    ));
    let error = state_at(&started, 100).unwrap_err().to_string();
    let oldest = started.journal.history().oldest_state().unwrap();
    assert!(error.contains(&format!("revision {oldest}")), "{error}");
    assert_eq!(
        state_at(&started, oldest.0).unwrap().instances.len() as u64,
        oldest.0
    );
    started.journal.close().await;
    drop(started);
    let started = try_start(on(&disk, config)).await.unwrap();
    assert_eq!(Naive::restore(&started.known), naive);
    assert_eq!(started.log(), []);
}

/// Claim: history is bounded by size, whatever its age; what a restart needs is never taken away.
#[tokio::test]
async fn history_is_bounded_by_bytes_and_what_the_newest_checkpoint_needs_stays() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        history_bytes: 20_000,
        ..config()
    };
    let mut started = try_start(on(&disk, config.clone())).await.unwrap();
    let state = started.journal.state();
    let mut naive = Naive::default();
    for number in 0..200 {
        grow(&mut started, &mut naive, number * 5, number * 5 + 5).await;
    }
    // Nothing covers it: all is needed.
    assert!(state.figures().durable.0 == 1_000);
    assert_eq!(
        try_start(on(&disk.after_power_loss(0), config.clone()))
            .await
            .unwrap()
            .log()
            .len(),
        1_000
    );
    naive.checkpoint(&started, Revision(1_000)).await;
    until("the bound", || {
        let figures = state.figures();
        figures.log_bytes > 0 && figures.log_bytes <= 20_000
    })
    .await;
    let left = try_start(on(&disk.after_power_loss(0), config)).await.unwrap();
    assert_eq!(Naive::restore(&left.known), naive);
}

#[tokio::test]
async fn a_checkpoint_is_wanted_after_enough_bytes_and_not_before() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        checkpoint_bytes: 50_000,
        ..config()
    };
    let mut started = try_start(on(&disk, config)).await.unwrap();
    let checkpoints = started.checkpoints();
    commit(&mut started.journal, 0..300, Keep::Durable).await.unwrap();
    let state = started.journal.state();
    assert!(state.figures().log_bytes_since_checkpoint < 50_000);
    tokio::select! {
        biased;
        () = checkpoints.wanted() => panic!("nobody wants one yet"),
        () = std::future::ready(()) => {}
    }
    let newest = commit(&mut started.journal, 300..900, Keep::Durable)
        .await
        .unwrap();
    checkpoints.wanted().await;
    super::checkpoint(&started, newest, 0..900).await.unwrap();
    let figures = state.figures();
    assert_eq!(
        (figures.checkpoint_revision, figures.log_bytes_since_checkpoint),
        (newest, 0)
    );
}

/// What a process left behind that ended during a checkpoint is taken away by the next.
#[tokio::test]
async fn an_unfinished_checkpoint_is_not_used_and_does_not_stay() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let newest = commit(&mut started.journal, 0..20_000, Keep::Durable)
        .await
        .unwrap();
    let checkpoints = started.checkpoints();
    let mut all = vec![Piece::Begin { as_of: newest }];
    all.extend((0..20_000).flat_map(|number| pieces(number, newest)));
    checkpoints.pieces(all).await.unwrap();
    let left = disk.after_power_loss(0);
    let second = start(&left).await;
    assert_eq!((second.pieces().len(), second.log().len()), (0, 20_000));
    let numbers = || {
        let store = beatrix_engine::journal::embedded::store::Store::open(&left.after_power_loss(1)).unwrap();
        store.checkpoint_numbers().unwrap()
    };
    until("the end of what was left", || numbers().is_empty()).await;
}

/// Whoever asks for the newest state is not told an older one as if it were that.
#[tokio::test]
async fn what_is_not_written_in_time_is_not_told_as_settled() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let newest = commit(&mut started.journal, 0..5, Keep::Behind).await.unwrap();
    let history = Journal::history(&started.journal).unwrap();
    history.settle(newest).await.unwrap();
    let error = history.settle(newest.next()).await.unwrap_err().to_string();
    assert!(error.contains("is not written yet"), "{error}");
    // What a checkpoint has need not be in the log.
    disk.fail(Some(std::io::ErrorKind::StorageFull));
    assert!(commit(&mut started.journal, 5..6, Keep::Durable).await.is_err());
    let behind = commit(&mut started.journal, 6..9, Keep::Behind).await.unwrap();
    assert!(history.settle(behind).await.is_err());
    disk.fail(None);
    started.checkpoints().wanted().await;
    super::checkpoint(&started, behind, 0..9).await.unwrap();
    history.settle(behind).await.unwrap();
}

/// Who asks how far back it reaches does not come to the disk: also with one that fails the answer is what it was.
#[tokio::test]
async fn how_far_back_it_reaches_is_told_without_the_disk() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let newest = commit(&mut started.journal, 0..5, Keep::Durable).await.unwrap();
    let history = Journal::history(&started.journal).unwrap();
    // Who waits for a write is told before the figures are.
    history.settle(newest).await.unwrap();
    let before = history.bounds();
    assert_eq!(
        (before.after, before.states_from),
        (Revision::ZERO, Revision::ZERO)
    );
    assert_eq!(before.newest, newest);
    disk.fail(Some(std::io::ErrorKind::StorageFull));
    assert!(commit(&mut started.journal, 5..6, Keep::Durable).await.is_err());
    assert_eq!(history.bounds(), before);
}
