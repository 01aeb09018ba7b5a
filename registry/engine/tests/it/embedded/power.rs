//! Losing power: at any moment, and after a stop in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use beatrix_core::catalog::Keep;
use beatrix_core::model::Revision;
use beatrix_engine::journal::{Gap, Journal};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{SimDisk, checkpoint, commit, proposed, start, until};

/// Claim: what was acknowledged as durable survives a loss of power at any moment, nothing is invented, and no revision is
/// used again. Each seed is another moment, other groups, and another part of what was not synced that reaches the disk.
#[tokio::test]
async fn durable_after_ack_survives_a_loss_of_power_at_any_moment_and_nothing_is_invented() {
    let mut torn = 0;
    for seed in 0..150 {
        let disk = SimDisk::default();
        let mut first = start(&disk).await;
        let acked = Arc::new(AtomicU64::new(0));
        let left: Arc<Mutex<Option<(SimDisk, u64)>>> = Arc::default();
        let (at_cut, told) = (Arc::clone(&left), Arc::clone(&acked));
        let mut random = StdRng::seed_from_u64(seed);
        disk.cut_after(random.random_range(0..300), seed, move |disk| {
            *at_cut.lock() = Some((disk, told.load(Ordering::SeqCst)));
        });
        let mut next = 0;
        while left.lock().is_none() {
            let count = random.random_range(1..40);
            let keep = if random.random_bool(0.5) {
                Keep::Durable
            } else {
                Keep::Behind
            };
            let revision = commit(&mut first.journal, next..next + count, keep)
                .await
                .unwrap();
            next += count;
            assert_eq!(revision.0, next);
            if keep == Keep::Durable {
                acked.store(next, Ordering::SeqCst);
            }
            if random.random_bool(0.1) {
                checkpoint(&first, revision, 0..next).await.unwrap();
            }
        }
        let (disk, acked) = left.lock().take().unwrap();
        let second = start(&disk).await;
        let pieces = second.pieces().len() as u64 / 2;
        let log = second.log();
        let known = log.last().map_or(pieces, |last| last.revision.0);
        assert!(
            known >= acked,
            "seed {seed}: {known} of {acked} that were acknowledged"
        );
        assert!(known <= next, "seed {seed}: {known} of {next}");
        assert_eq!(
            log.len() as u64,
            known - pieces,
            "seed {seed}: something is missing"
        );
        for (committed, number) in log.iter().zip(pieces..) {
            assert_eq!(committed.revision.0, number + 1, "seed {seed}");
            assert_eq!(committed.mutation, proposed(number).mutation, "seed {seed}");
        }
        assert!(
            second.restored.revision.0 >= next,
            "seed {seed}: revisions are used again"
        );
        torn += u64::from(known < next);
    }
    assert!(
        torn > 50,
        "only {torn} of 150 lost anything: the test does not test"
    );
}

#[tokio::test]
async fn a_crash_leaves_a_gap_up_to_what_was_reserved_and_the_next_revision_is_above_it() {
    let disk = SimDisk::default();
    let mut first = start(&disk).await;
    commit(&mut first.journal, 0..10, Keep::Durable).await.unwrap();
    // In memory when the power goes: within the 50 ms that it may wait.
    let lost = commit(&mut first.journal, 10..20, Keep::Behind).await.unwrap();
    let left = disk.after_power_loss(1);
    let mut second = start(&left).await;
    assert_eq!(second.restored.epoch, super::EPOCH);
    let gap = Gap {
        after: Revision(10),
        until: second.restored.revision,
    };
    assert_eq!(second.restored.gaps, [gap]);
    assert!(gap.until >= lost && gap.until.0 <= 1_010, "{gap:?}");
    let next = commit(&mut second.journal, 20..21, Keep::Durable).await.unwrap();
    assert_eq!(next, second.restored.revision.next());
    second.journal.close().await;

    // The gap is no damage, and stays known.
    let third = start_of(&left, second).await;
    assert_eq!(third.restored.gaps, [gap]);
    assert_eq!(third.restored.revision, next);
    assert_eq!(third.log().len(), 11);
}

/// Reads the log of a journal that was closed: from another one on the same disk.
async fn start_of(disk: &SimDisk, closed: super::Started) -> super::Started {
    drop(closed);
    start(disk).await
}

#[tokio::test]
async fn a_stop_in_order_leaves_no_gap_and_loses_nothing_that_was_written_behind() {
    let disk = SimDisk::default();
    let mut revision = Revision::ZERO;
    for round in 0..3_u64 {
        let mut started = start(&disk).await;
        assert_eq!(started.restored.revision, revision);
        assert_eq!(started.restored.gaps, []);
        assert_eq!(started.log().len() as u64, round * 10);
        assert_eq!(started.journal.report().closed, round > 0);
        let numbers = round * 10..round * 10 + 10;
        revision = commit(&mut started.journal, numbers, Keep::Behind).await.unwrap();
        assert_eq!(revision.0, round * 10 + 10);
        started.journal.close().await;
        assert!(commit(&mut started.journal, 0..1, Keep::Behind).await.is_err());
    }
}

#[tokio::test]
async fn crashes_in_a_row_before_anything_is_written_are_one_gap() {
    let mut disk = SimDisk::default();
    for seed in 0..5 {
        let started = start(&disk).await;
        assert!(started.restored.gaps.len() <= 1, "{:?}", started.restored.gaps);
        assert_eq!(started.restored.revision.0, seed * 1_000);
        disk = disk.after_power_loss(seed);
    }
}

/// Claim: what a beat brings is durable at most 100 ms after it. The promise is about real time, so this is the one test
/// that takes it.
#[tokio::test]
async fn what_is_written_behind_is_durable_within_100_ms() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let state = started.journal.state();
    for number in 0..5 {
        let revision = commit(&mut started.journal, number..number + 1, Keep::Behind)
            .await
            .unwrap();
        let began = tokio::time::Instant::now();
        until("the write", || state.figures().durable >= revision).await;
        let took = began.elapsed();
        assert!(took.as_millis() < 100, "{took:?}");
        let second = start(&disk.after_power_loss(number)).await;
        assert_eq!(second.log().last().unwrap().revision, revision);
    }
}

#[tokio::test]
async fn a_durable_group_takes_with_it_all_that_was_before_it() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    commit(&mut started.journal, 0..10, Keep::Behind).await.unwrap();
    commit(&mut started.journal, 10..11, Keep::Durable).await.unwrap();
    assert_eq!(start(&disk.after_power_loss(3)).await.log().len(), 11);
}

#[tokio::test]
async fn revisions_are_reserved_again_before_they_are_used_up() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    for number in 0..50 {
        let numbers = number * 100..(number + 1) * 100;
        let revision = commit(&mut started.journal, numbers, Keep::Behind).await.unwrap();
        let left = start(&disk.after_power_loss(number)).await;
        assert!(
            left.restored.revision >= revision,
            "{:?} < {revision:?}",
            left.restored
        );
    }
}

#[tokio::test]
async fn a_group_that_is_larger_than_what_is_reserved_at_once_has_its_revisions_all_the_same() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let revision = commit(&mut started.journal, 0..2_500, Keep::Durable)
        .await
        .unwrap();
    assert_eq!(revision, Revision(2_500));
    let left = start(&disk.after_power_loss(0)).await;
    assert_eq!(left.log().len(), 2_500);
    assert!(left.restored.revision >= revision);
}
