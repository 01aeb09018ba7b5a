//! A disk that fails or fills while the journal runs.

use std::io::ErrorKind;

use beatrix_core::catalog::{Keep, Piece};
use beatrix_core::model::Revision;
use beatrix_engine::journal::embedded::EmbeddedConfig;
use beatrix_engine::journal::{Gap, Journal};

use super::{SimDisk, checkpoint, commit, config, on, proposed, start, try_start, until};

/// Claim: with a full disk what cannot be kept is refused, with the reason; what may be lost goes on in memory and is
/// counted; when there is room again a checkpoint makes up for it, and then all survives.
#[tokio::test]
async fn a_full_disk_refuses_what_is_durable_serves_the_rest_and_makes_up_for_it_with_a_checkpoint() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let state = started.journal.state();
    commit(&mut started.journal, 0..10, Keep::Durable).await.unwrap();
    assert_eq!(state.trouble(), None);

    disk.fail(Some(ErrorKind::StorageFull));
    let error = commit(&mut started.journal, 10..11, Keep::Durable)
        .await
        .unwrap_err();
    assert!(
        error.0.contains("the simulated disk cannot be written"),
        "{error}"
    );
    // From now on at once, without a look at the disk.
    let calls = disk.calls();
    let error = commit(&mut started.journal, 10..11, Keep::Durable)
        .await
        .unwrap_err();
    assert!(error.0.contains("cannot be written"), "{error}");
    assert_eq!(disk.calls(), calls);
    let behind = commit(&mut started.journal, 20..30, Keep::Behind).await.unwrap();
    assert!(
        behind > Revision(20),
        "the refused group's revision is not used again"
    );
    let figures = state.figures();
    assert_eq!((figures.not_kept, figures.failures), (10, 1));
    let trouble = figures.trouble.unwrap();
    assert!(!trouble.writes_behind && trouble.since.0 > 0);

    disk.fail(None);
    started.checkpoints().wanted().await;
    // Not before the checkpoint: only memory has what happened meanwhile.
    assert!(commit(&mut started.journal, 10..11, Keep::Durable).await.is_err());
    let during = commit(&mut started.journal, 30..31, Keep::Behind).await.unwrap();
    // One that was captured before the disk worked again does not do.
    let early = started
        .checkpoints()
        .pieces(vec![Piece::Begin { as_of: Revision(10) }])
        .await;
    assert!(early.unwrap_err().0.contains("begins before"));
    let pieces = checkpoint(&started, behind, 0..30).await.unwrap();
    until("the end of the trouble", || state.trouble().is_none()).await;
    assert_eq!(state.figures().not_kept, 0);
    let durable = commit(&mut started.journal, 31..32, Keep::Durable).await.unwrap();

    let second = start(&disk.after_power_loss(7)).await;
    assert_eq!(second.pieces(), pieces);
    let log: Vec<_> = second
        .log()
        .into_iter()
        .map(|one| (one.revision, one.mutation))
        .collect();
    assert_eq!(
        log,
        [(during, proposed(30).mutation), (durable, proposed(31).mutation)]
    );
}

/// The write fails while it is under way: whoever waits for it is told, and a crash then loses nothing that was told
/// otherwise.
#[tokio::test]
async fn a_crash_while_the_disk_fails_leaves_what_was_acknowledged_before() {
    for kind in [
        ErrorKind::Other,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StorageFull,
    ] {
        let disk = SimDisk::default();
        let mut started = start(&disk).await;
        commit(&mut started.journal, 0..10, Keep::Durable).await.unwrap();
        disk.fail(Some(kind));
        assert!(commit(&mut started.journal, 10..11, Keep::Durable).await.is_err());
        let behind = commit(&mut started.journal, 11..12, Keep::Behind).await.unwrap();
        let second = start(&disk.after_power_loss(5)).await;
        assert_eq!(second.log().len(), 10);
        assert!(second.restored.revision >= behind);
        let gap = Gap {
            after: Revision(10),
            until: second.restored.revision,
        };
        assert_eq!(second.restored.gaps, [gap]);
    }
}

#[tokio::test]
async fn a_disk_that_fails_for_long_runs_out_of_reserved_revisions_and_gives_none_beyond() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    disk.fail(Some(ErrorKind::Other));
    assert!(commit(&mut started.journal, 0..1, Keep::Durable).await.is_err());
    let mut newest = Revision::ZERO;
    let error = loop {
        match commit(&mut started.journal, 0..50, Keep::Behind).await {
            Ok(revision) => newest = revision,
            Err(error) => break error,
        }
    };
    assert!(error.0.contains("no revisions are left"), "{error}");
    assert!(start(&disk.after_power_loss(0)).await.restored.revision >= newest);
}

/// Claim: below the reserve what is durable is refused before the store breaks; the rest is still written, and no
/// checkpoint is needed when there is room again.
#[tokio::test]
async fn a_disk_that_is_nearly_full_refuses_what_is_durable_before_the_store_breaks() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        free_reserve: 1_000,
        ..config()
    };
    let mut started = try_start(on(&disk, config)).await.unwrap();
    let state = started.journal.state();
    commit(&mut started.journal, 0..1, Keep::Durable).await.unwrap();
    disk.set_free(999);
    until("the refusal", || state.trouble().is_some()).await;
    let error = commit(&mut started.journal, 1..2, Keep::Durable)
        .await
        .unwrap_err();
    assert!(
        error.0.contains("999 bytes are free, 1000 are kept in reserve"),
        "{error}"
    );
    assert!(state.trouble().unwrap().writes_behind);
    let behind = commit(&mut started.journal, 2..3, Keep::Behind).await.unwrap();
    until("the write", || state.figures().durable == behind).await;
    disk.set_free(1_000);
    until("the end of the trouble", || state.trouble().is_none()).await;
    commit(&mut started.journal, 3..4, Keep::Durable).await.unwrap();
    assert_eq!(state.figures().not_kept, 0);
    let log = start(&disk.after_power_loss(0)).await.log();
    assert_eq!(log.len(), 3);
}

#[tokio::test]
async fn a_checkpoint_during_which_the_disk_fails_is_given_up_and_the_one_before_stays() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let revision = commit(&mut started.journal, 0..5, Keep::Durable).await.unwrap();
    let pieces = checkpoint(&started, revision, 0..5).await.unwrap();
    commit(&mut started.journal, 5..6, Keep::Durable).await.unwrap();
    let checkpoints = started.checkpoints();
    checkpoints
        .pieces(vec![Piece::Begin { as_of: Revision(6) }])
        .await
        .unwrap();
    disk.fail(Some(ErrorKind::StorageFull));
    assert!(checkpoints.finish().await.is_err());
    assert!(checkpoints.finish().await.is_err(), "there is none any more");
    let second = start(&disk.after_power_loss(2)).await;
    assert_eq!(second.pieces(), pieces);
    assert_eq!(second.log().len(), 1);
}

/// Claim: what was refused since it could not be synced may be there after a crash, whole, and the refusal says so; it is
/// taken back once the disk works, if the process lives.
#[tokio::test]
async fn what_could_be_written_and_not_synced_may_be_there_after_a_crash_and_is_taken_back_without_one() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let acknowledged = commit(&mut started.journal, 0..10, Keep::Durable).await.unwrap();
    disk.fail_to_sync(true);
    let error = commit(&mut started.journal, 10..13, Keep::Durable)
        .await
        .unwrap_err();
    assert!(error.0.contains("may be there after the next start"), "{error}");
    // Of what was not even tried that is not said.
    let error = commit(&mut started.journal, 13..14, Keep::Durable)
        .await
        .unwrap_err();
    assert!(!error.0.contains("may be there"), "{error}");

    let mut sizes = vec![start(&disk.after_kill()).await.log().len()];
    for seed in 0..20 {
        sizes.push(start(&disk.after_power_loss(seed)).await.log().len());
    }
    assert!(sizes.iter().all(|size| [10, 13].contains(size)), "{sizes:?}");
    assert!(sizes.contains(&13), "it may: {sizes:?}");

    disk.fail_to_sync(false);
    started.checkpoints().wanted().await;
    assert_eq!(start(&disk.after_kill()).await.log().len(), 10);
    checkpoint(&started, acknowledged, 0..10).await.unwrap();
    commit(&mut started.journal, 14..15, Keep::Durable).await.unwrap();
    let log = start(&disk.after_kill()).await.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].mutation, proposed(14).mutation);
}

/// Claim: a start has to write; on a full disk it is refused with the file's name and what to do, and with room it goes on.
#[tokio::test]
async fn a_start_on_a_full_disk_is_refused_and_says_what_to_do() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    commit(&mut started.journal, 0..10, Keep::Durable).await.unwrap();
    started.journal.close().await;
    drop(started);
    disk.fill(true);
    let error = try_start(on(&disk, config())).await.err().unwrap();
    assert!(
        error.contains("the simulated disk cannot be opened and written to"),
        "{error}"
    );
    assert!(error.contains("Make room"), "{error}");
    disk.fill(false);
    assert_eq!(start(&disk).await.log().len(), 10);
}

/// Claim: below the reserve history goes first, so that checkpoints find room in what it leaves.
#[tokio::test]
async fn below_the_reserve_history_is_given_up_first() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        free_reserve: 1_000,
        ..config()
    };
    let mut started = try_start(on(&disk, config)).await.unwrap();
    let state = started.journal.state();
    for number in 0..3 {
        let numbers = number * 10..(number + 1) * 10;
        let revision = commit(&mut started.journal, numbers, Keep::Durable)
            .await
            .unwrap();
        checkpoint(&started, revision, 0..revision.0).await.unwrap();
    }
    commit(&mut started.journal, 30..31, Keep::Durable).await.unwrap();
    until("the log", || state.figures().history_from == Some(Revision(1))).await;
    disk.set_free(999);
    until("the end of history", || {
        state.figures().history_from == Some(Revision(31))
    })
    .await;
    let second = start(&disk.after_kill()).await;
    assert_eq!((second.pieces().len(), second.log().len()), (61, 1));
}
