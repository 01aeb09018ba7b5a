//! Checkpoints on their way to the writer: pieces are encoded here, in whoever's task takes the checkpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use beatrix_core::catalog::Piece;
use tokio::sync::{Mutex, Notify};

use crate::journal::{BoxFuture, Checkpoints, JournalError};

use super::codec::frame::{Block, Kind};
use super::codec::piece::put_piece;
use super::queue::{Job, Queue};

/// Whether a checkpoint is wanted.
#[derive(Debug, Default)]
pub struct Wanted {
    wanted: AtomicBool,
    changed: Notify,
}

impl Wanted {
    /// Says whether one is.
    pub fn set(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Release);
        if wanted {
            self.changed.notify_waiters();
        }
    }

    /// Whether one is.
    #[must_use]
    pub fn get(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// Resolves when one is.
    pub async fn wait(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on nothing is missed.
            changed.as_mut().enable();
            if self.get() {
                return;
            }
            changed.await;
        }
    }
}

/// Where the pieces go.
#[derive(Debug)]
pub struct Taker {
    queue: Arc<Queue>,
    wanted: Arc<Wanted>,
    /// The block that is being filled; `None` while there is no checkpoint.
    block: Mutex<Option<Block>>,
}

impl Taker {
    /// One for this queue.
    #[must_use]
    pub fn new(queue: Arc<Queue>, wanted: Arc<Wanted>) -> Self {
        Self {
            queue,
            wanted,
            block: Mutex::new(None),
        }
    }

    async fn take(&self, pieces: Vec<Piece>) -> Result<(), JournalError> {
        let mut slot = self.block.lock().await;
        for piece in pieces {
            if let Piece::Begin { as_of } = &piece {
                *slot = None;
                self.queue.order(Job::Begin(*as_of)).await?;
                *slot = Some(Block::new(Kind::Checkpoint));
            }
            let Some(block) = slot.as_mut() else {
                return Err(JournalError(
                    "the checkpoint has not begun, or was given up".into(),
                ));
            };
            block.add(|out| put_piece(out, &piece));
            if block.is_full() {
                let full = std::mem::replace(block, Block::new(Kind::Checkpoint));
                if let Err(error) = self.queue.order(Job::Block(full.into_bytes(0))).await {
                    *slot = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn finish(&self) -> Result<(), JournalError> {
        let Some(block) = self.block.lock().await.take() else {
            return Err(JournalError(
                "the checkpoint has not begun, or was given up".into(),
            ));
        };
        if !block.is_empty() {
            self.queue.order(Job::Block(block.into_bytes(0))).await?;
        }
        self.queue.order(Job::Finish).await
    }
}

impl Checkpoints for Taker {
    fn wanted(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.wanted.wait())
    }

    fn pieces(&self, pieces: Vec<Piece>) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(self.take(pieces))
    }

    fn finish(&self) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(self.finish())
    }
}
