//! What is damaged: a torn end is cut and reported, all else is refused and nothing is left out in silence.

use beatrix_core::catalog::Keep;
use beatrix_core::model::Revision;
use beatrix_engine::journal::Journal;
use beatrix_engine::journal::embedded::disk::Disk;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::{SimDisk, checkpoint, commit, config, on, proposed, start, try_start};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const CHECKPOINTS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("checkpoints");
const META: TableDefinition<'_, u8, &[u8]> = TableDefinition::new("meta");

fn open(disk: &SimDisk) -> redb::Database {
    disk.open(&mut redb::Builder::new()).unwrap()
}

/// The blocks of the log, each with its first revision.
fn blocks(disk: &SimDisk) -> Vec<(u64, Vec<u8>)> {
    let database = open(disk);
    let table = database.begin_read().unwrap().open_table(LOG).unwrap();
    let entries = table.iter().unwrap().map(Result::unwrap);
    entries
        .map(|(first, block)| (first.value(), block.value().to_vec()))
        .collect()
}

/// Puts `block` in the place of another; `None` takes it away.
fn replace(disk: &SimDisk, first: u64, block: Option<&[u8]>) {
    let database = open(disk);
    let transaction = database.begin_write().unwrap();
    {
        let mut log = transaction.open_table(LOG).unwrap();
        match block {
            Some(block) => log.insert(first, block).unwrap(),
            None => log.remove(first).unwrap(),
        };
    }
    transaction.commit().unwrap();
}

/// A journal of three blocks of `each` records, closed in order if `closed`, else as a crash leaves it.
async fn three_blocks(each: u64, closed: bool) -> SimDisk {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    for number in 0..3 {
        let numbers = number * each..(number + 1) * each;
        commit(&mut started.journal, numbers, Keep::Durable)
            .await
            .unwrap();
    }
    if closed {
        started.journal.close().await;
        return disk;
    }
    disk.after_power_loss(0)
}

/// Claim: a torn end is cut and reported, at every position of the last block; what was before it is all there.
#[tokio::test]
async fn a_last_block_that_is_cut_anywhere_loses_its_end_only_and_says_how_much() {
    let disk = three_blocks(3, false).await;
    let (first, block) = blocks(&disk).pop().unwrap();
    assert_eq!(first, 7);
    let mut sizes = Vec::new();
    for end in 0..block.len() {
        replace(&disk, first, Some(&block[..end]));
        let left = disk.after_power_loss(0);
        let mut started = start(&left).await;
        let log = started.log();
        assert!((6..9).contains(&log.len()), "cut at {end}: {}", log.len());
        for (committed, number) in log.iter().zip(0..) {
            assert_eq!(committed.mutation, proposed(number).mutation, "cut at {end}");
        }
        let report = started.journal.report().clone();
        assert!(report.cut_records > 0, "cut at {end}: {report:?}");
        if end >= 40 {
            assert_eq!(report.cut_records, 9 - log.len() as u64, "cut at {end}");
        }
        sizes.push(log.len());
        // It goes on behind the gap, and the next start finds nothing wrong.
        assert_eq!(started.restored.gaps[0].after.0, log.len() as u64);
        let revision = commit(&mut started.journal, 100..101, Keep::Durable)
            .await
            .unwrap();
        assert_eq!(revision, started.restored.revision.next());
        started.journal.close().await;
        let again = start(&left).await;
        assert_eq!(again.log().len(), log.len() + 1);
        assert_eq!(
            (
                again.journal.report().cut_bytes,
                again.journal.report().cut_records
            ),
            (0, 0)
        );
    }
    sizes.dedup();
    assert_eq!(sizes, [6, 7, 8], "each record is kept as long as it is whole");
}

#[tokio::test]
async fn a_flipped_byte_anywhere_in_the_last_block_is_cut_and_never_becomes_something_else() {
    let disk = three_blocks(2, false).await;
    let (first, block) = blocks(&disk).pop().unwrap();
    for at in 0..block.len() {
        let mut bad = block.clone();
        bad[at] ^= 0x20;
        replace(&disk, first, Some(&bad));
        let started = start(&disk.after_power_loss(0)).await;
        let log = started.log();
        assert!((4..6).contains(&log.len()), "byte {at}: {}", log.len());
        assert!(started.journal.report().cut_bytes > 0, "byte {at}");
        for (committed, number) in log.iter().zip(0..) {
            assert_eq!(committed.mutation, proposed(number).mutation, "byte {at}");
        }
    }
}

/// Claim: where nothing can have been torn damage at the end is refused, too: after a stop in order, and before what a
/// checkpoint was finished with. Nothing that was acknowledged is cut off in silence.
#[tokio::test]
async fn damage_at_the_end_of_what_was_safely_written_is_refused() {
    let stopped = three_blocks(2, true).await;
    let after_checkpoint = {
        let disk = SimDisk::default();
        let mut started = start(&disk).await;
        let early = commit(&mut started.journal, 0..2, Keep::Durable).await.unwrap();
        commit(&mut started.journal, 2..4, Keep::Durable).await.unwrap();
        checkpoint(&started, early, 0..2).await.unwrap();
        disk.after_power_loss(0)
    };
    for (disk, is_last) in [(stopped, 5), (after_checkpoint, 3)] {
        let (first, block) = blocks(&disk).pop().unwrap();
        assert_eq!(first, is_last);
        for at in (0..block.len()).step_by(5) {
            let mut bad = block.clone();
            bad[at] ^= 0x20;
            for bad in [&bad[..], &block[..at]] {
                replace(&disk, first, Some(bad));
                let error = try_start(on(&disk, config())).await.err().unwrap();
                assert!(
                    error.contains("the simulated disk is damaged"),
                    "byte {at}: {error}"
                );
                assert!(error.contains("is missing"), "byte {at}: {error}");
            }
        }
        replace(&disk, first, Some(&block));
        start(&disk).await;
    }
}

/// Claim: damage in the middle is refused, with the file, the place and what to do; nothing is skipped.
#[tokio::test]
async fn a_flipped_byte_in_the_middle_of_the_log_is_refused_and_told() {
    let disk = three_blocks(2, true).await;
    let (first, block) = blocks(&disk).swap_remove(1);
    for at in 0..block.len() {
        let mut bad = block.clone();
        bad[at] ^= 1;
        replace(&disk, first, Some(&bad));
        let error = try_start(on(&disk, config())).await.err().unwrap();
        assert!(
            error.contains("the simulated disk is damaged"),
            "byte {at}: {error}"
        );
        assert!(error.contains("begins with revision 3"), "byte {at}: {error}");
        assert!(error.contains("beatrix import"), "byte {at}: {error}");
    }
    // It was refused, and not changed: with the block as it was all is there.
    replace(&disk, first, Some(&block));
    assert_eq!(start(&disk).await.log().len(), 6);
}

#[tokio::test]
async fn a_block_that_is_missing_is_noticed_wherever_it_was() {
    for missing in 0..3 {
        let disk = three_blocks(2, true).await;
        replace(&disk, missing * 2 + 1, None);
        let error = try_start(on(&disk, config())).await.err().unwrap();
        assert!(error.contains("is missing"), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_checkpoint_is_refused_and_so_is_damage_of_what_the_journal_knows_about_itself() {
    let disk = SimDisk::default();
    let mut started = start(&disk).await;
    let revision = commit(&mut started.journal, 0..20, Keep::Durable).await.unwrap();
    checkpoint(&started, revision, 0..20).await.unwrap();
    started.journal.close().await;
    drop(started);
    let good = |disk: &SimDisk| {
        let database = open(disk);
        let table = database.begin_read().unwrap().open_table(CHECKPOINTS).unwrap();
        table.get((1, 0)).unwrap().unwrap().value().to_vec()
    };
    let set = |disk: &SimDisk, block: Option<&[u8]>| {
        let database = open(disk);
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(CHECKPOINTS).unwrap();
            match block {
                Some(block) => table.insert((1, 0), block).unwrap(),
                None => table.remove((1, 0)).unwrap(),
            };
        }
        transaction.commit().unwrap();
    };
    let block = good(&disk);
    for at in (0..block.len()).step_by(7) {
        let mut bad = block.clone();
        bad[at] ^= 4;
        set(&disk, Some(&bad));
        let error = try_start(on(&disk, config())).await.err().unwrap();
        assert!(error.contains("block 0 of checkpoint 1"), "byte {at}: {error}");
    }
    set(&disk, None);
    let error = try_start(on(&disk, config())).await.err().unwrap();
    assert!(error.contains("block 0 of checkpoint 1 is missing"), "{error}");
    set(&disk, Some(&block));

    let database = open(&disk);
    let meta = database.begin_read().unwrap().open_table(META).unwrap();
    let mut bytes = meta.get(0).unwrap().unwrap().value().to_vec();
    bytes[60] ^= 1;
    drop(meta);
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(META)
        .unwrap()
        .insert(0, bytes.as_slice())
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = try_start(on(&disk, config())).await.err().unwrap();
    assert!(error.contains("what the journal knows about itself"), "{error}");
}

#[tokio::test]
async fn a_record_of_another_revision_is_damage_even_if_its_checksum_is_right() {
    let disk = three_blocks(2, true).await;
    let blocks = blocks(&disk);
    replace(&disk, 3, Some(&blocks[0].1));
    let error = try_start(on(&disk, config())).await.err().unwrap();
    assert!(error.contains("is damaged"), "{error}");
    assert_eq!(Revision(3), Revision(blocks[1].0));
}
