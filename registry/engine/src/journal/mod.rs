//! The seam behind which commits become durable.
//!
//! The owner hands over a group of mutations and gets them back committed, each with its revision; only then are they
//! applied and published. What a journal must keep:
//!
//! - **Group commit.** All mutations that wait are one call, so that one flush makes all of them durable.
//! - **Revisions.** The journal gives them, since a shared one (etcd) cannot do otherwise. They strictly grow within
//!   an epoch, also over restarts, and are not reused.
//! - **Order.** What is returned is to be applied in the order in which it stands. A shared journal puts there what
//!   other nodes committed, too.
//! - **Others.** What other nodes commit while this one proposes nothing comes by [`Journal::others`], and goes the
//!   same way.
//! - **All or nothing.** After an error nothing of the group is committed in this process, nor in one that follows on a stop
//!   in order. A journal may not know what became of a write that failed under way: it takes it back as soon as it can. Should
//!   the process end before that, the next start may find the group: then all of what a proposer was refused, or nothing.
//!
//! | journal | durable when acknowledged | after a restart |
//! | --- | --- | --- |
//! | [`Memory`] | nothing | a new epoch, nothing known |
//! | [`Embedded`] | what is to be durable; the rest 100 ms later | the same epoch, all that was written |

pub mod embedded;
mod history;
mod memory;

use std::future::Future;
use std::sync::Arc;

use beatrix_core::catalog::{Committed, Keep, Piece, Proposed};
use beatrix_core::model::{Epoch, Revision, Wall};

pub use beatrix_core::changes::Gap;
pub use embedded::state::{StorageFigures, StorageState, Trouble};
pub use embedded::{Embedded, EmbeddedConfig};
pub use history::{Bounds, CommittedPage, CommittedQuery, History, is_about};
pub use memory::Memory;

/// Where what a journal still knew goes, in order: first pieces of a checkpoint, then what was committed after it.
pub type Sink<'a> = &'a mut (dyn FnMut(Vec<Known>) + Send);

/// What a journal still knew. It comes in batches, since there may be millions.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// A part of the newest checkpoint.
    Piece(Piece),
    /// What was committed. Some of it may be in the checkpoint already; see [`Piece`].
    Committed(Committed),
}

/// The history that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its name.
    pub epoch: Epoch,
    /// The newest revision that may have been given out: the next is above it.
    pub revision: Revision,
    /// Revisions of which it is not known any more what changed with them, oldest first.
    pub gaps: Vec<Gap>,
}

/// Why a group was not committed. Nothing of it will be while this process lives; see the module for what may be found
/// after it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal cannot take writes: {0}")]
pub struct JournalError(pub String);

/// Makes mutations durable and gives them revisions. See the module.
pub trait Journal: Send + 'static {
    /// Tells what it knows from before. Called once, before anything else.
    ///
    /// # Errors
    /// If what it kept cannot be read.
    fn restore(&mut self, into: Sink<'_>) -> impl Future<Output = Result<Restored, JournalError>> + Send;

    /// Commits a group that was proposed at `at`; `keep` is the strictest that one of them asks for.
    ///
    /// # Errors
    /// If it cannot; then nothing of the group is committed, as the module says it.
    fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> impl Future<Output = Result<Vec<Committed>, JournalError>> + Send;

    /// What others committed to a shared journal since the last call of either, in order; resolves when there is
    /// something. A journal of one node has no others.
    ///
    /// # Cancel safety
    /// Nothing may be lost when the future is dropped before it is ready.
    fn others(&mut self) -> impl Future<Output = Vec<Committed>> + Send {
        std::future::pending()
    }

    /// Where checkpoints go, if it wants any. Asked once, after it has restored.
    fn checkpoints(&self) -> Option<Box<dyn Checkpoints>> {
        None
    }

    /// What it still knows of the past, if it keeps any. Asked once, after it has restored.
    fn history(&self) -> Option<Arc<dyn History>> {
        None
    }

    /// How its storage is, if it has any.
    fn storage(&self) -> Option<Arc<StorageState>> {
        None
    }

    /// Ends it in order: what was committed is written, and the next start knows that nothing is missing.
    fn close(&mut self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// Takes the whole state now and then, so that a journal need not keep all that ever happened.
pub trait Checkpoints: Send + Sync + 'static {
    /// Resolves when it wants a checkpoint.
    fn wanted(&self) -> BoxFuture<'_, ()>;

    /// Takes the next pieces of the checkpoint, in order; the first of all is [`Piece::Begin`].
    ///
    /// # Errors
    /// If they cannot be kept. The checkpoint is given up then; it will want another one.
    fn pieces(&self, pieces: Vec<Piece>) -> BoxFuture<'_, Result<(), JournalError>>;

    /// The checkpoint is whole. Without this call the one before stays the newest.
    ///
    /// # Errors
    /// If it cannot be kept.
    fn finish(&self) -> BoxFuture<'_, Result<(), JournalError>>;
}

/// A future behind a pointer.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
