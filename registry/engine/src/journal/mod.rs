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
//! - **All or nothing.** After an error nothing of the group is or becomes committed.
//!
//! | journal | durable when acknowledged | after a restart |
//! | --- | --- | --- |
//! | [`Memory`] | nothing | a new epoch, nothing known |

mod memory;

use std::future::Future;

use beatrix_core::catalog::{Committed, Mutation};
use beatrix_core::model::{Epoch, Wall};

pub use memory::Memory;

/// What a journal still knew.
#[derive(Debug)]
pub struct Restored {
    /// The history that goes on.
    pub epoch: Epoch,
    /// What led to its newest state, in order.
    pub committed: Vec<Committed>,
}

/// Why a group was not committed. Nothing of it will be.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the journal cannot take writes: {0}")]
pub struct JournalError(pub String);

/// Makes mutations durable and gives them revisions. See the module.
pub trait Journal: Send + 'static {
    /// What it knows from before. Called once, before anything else.
    ///
    /// # Errors
    /// If what it kept cannot be read.
    fn restore(&mut self) -> impl Future<Output = Result<Restored, JournalError>> + Send;

    /// Commits a group that was proposed at `at`.
    ///
    /// # Errors
    /// If it cannot; then nothing of the group is committed.
    fn commit(
        &mut self,
        group: Vec<Mutation>,
        at: Wall,
    ) -> impl Future<Output = Result<Vec<Committed>, JournalError>> + Send;

    /// What others committed to a shared journal since the last call of either, in order; resolves when there is
    /// something. A journal of one node has no others.
    ///
    /// # Cancel safety
    /// Nothing may be lost when the future is dropped before it is ready.
    fn others(&mut self) -> impl Future<Output = Vec<Committed>> + Send {
        std::future::pending()
    }
}
