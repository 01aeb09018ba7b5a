//! Checkpoints that were given up, and what they leave behind.

use beatrix_core::catalog::{Keep, Piece};
use beatrix_engine::journal::Journal;

use super::{SimDisk, checkpoint, commit, config, on, start, try_start};

/// Claim: a process that ended in the midst of a checkpoint leaves blocks behind that are not taken for a part of the next
/// one, however much smaller that is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_checkpoint_that_was_given_up_left_behind_hinders_no_start() {
    let disk = SimDisk::default();
    let mut first = start(&disk).await;
    let revision = commit(&mut first.journal, 0..5, Keep::Durable).await.unwrap();
    let checkpoints = first.checkpoints();
    let begin = vec![Piece::Begin { as_of: revision }];
    checkpoints.pieces(begin.clone()).await.unwrap();
    // Many more blocks than are cleared away before the next checkpoint begins; each of these pieces fills one.
    let large = Piece::Setting {
        name: "large".parse().unwrap(),
        value: "x".repeat(1_000_000).into(),
    };
    for _ in 0..69 {
        checkpoints.pieces(vec![large.clone()]).await.unwrap();
    }
    drop(checkpoints);
    first.journal.close().await;
    drop(first);

    let mut second = start(&disk).await;
    assert_eq!((second.pieces().len(), second.log().len()), (0, 5));
    let pieces = checkpoint(&second, revision, 0..1).await.unwrap();
    second.journal.close().await;
    drop(second);

    let third = try_start(on(&disk, config())).await.unwrap();
    assert_eq!(third.pieces(), pieces);
}
