//! What a journal still knows of the past.
//!
//! Its log is history as long as it is kept, and a checkpoint is a state that earlier ones can be made from: one at or
//! before a revision, and what was committed about a service from there up to it, give the service as it was then.
//!
//! Readers are few, bounded in number by the façade, and called on threads that may block: an implementation reads its
//! files in place. None of it may hold up a commit.

use beatrix_core::catalog::{Committed, Mutation};
use beatrix_core::model::{Revision, ServiceKey, Wall};

use super::{BoxFuture, JournalError, Sink};

/// Reads what was committed, and what was. See the module.
pub trait History: Send + Sync + 'static {
    /// How far back it reaches.
    fn bounds(&self) -> Bounds;

    /// Resolves when everything that was committed up to this revision can be read.
    ///
    /// # Errors
    /// If it cannot be written, or not in time.
    fn settle(&self, until: Revision) -> BoxFuture<'_, Result<(), JournalError>>;

    /// What was committed, as `query` wants it. It may stop before it has found enough, so that no call reads for long.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn committed<'a>(
        &'a self,
        query: &'a CommittedQuery,
    ) -> BoxFuture<'a, Result<CommittedPage, JournalError>>;

    /// The newest revision that was committed at or before `at`. `None` if all that is known was committed later.
    ///
    /// # Errors
    /// If the log cannot be read.
    fn revision_at(&self, at: Wall) -> BoxFuture<'_, Result<Option<Revision>, JournalError>>;

    /// Tells what `service` was: its pieces in the newest checkpoint that was whole at or before `base`, if it was
    /// there, and then in order everything that was committed about it after that checkpoint began, up to `until`. What
    /// is in the pieces already may be told again.
    ///
    /// # Errors
    /// If the log or the checkpoint cannot be read.
    fn past<'a>(
        &'a self,
        service: &'a ServiceKey,
        base: Revision,
        until: Revision,
        into: Sink<'a>,
    ) -> BoxFuture<'a, Result<(), JournalError>>;
}

/// How far back a journal's history reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// Everything that was committed after this revision is known; 0 when all that ever was is.
    pub after: Revision,
    /// When that was committed; 0 when all that ever was is known.
    pub after_at: Wall,
    /// States are known from this revision on; 0 when all are.
    pub states_from: Revision,
    /// When the first of them was.
    pub states_from_at: Wall,
    /// The newest that can be read.
    pub newest: Revision,
}

/// Which mutations to read.
#[derive(Debug, Clone, Default)]
pub struct CommittedQuery {
    /// Those after this revision,
    pub after: Revision,
    /// up to this one.
    pub until: Revision,
    /// Only of this service.
    pub service: Option<ServiceKey>,
    /// Only those that were committed at or after this time,
    pub since: Option<Wall>,
    /// and at or before this one.
    pub before: Option<Wall>,
    /// From the newest to the oldest, not the other way.
    pub newest_first: bool,
    /// At most so many.
    pub limit: usize,
}

impl CommittedQuery {
    /// Whether it asks for this mutation. Only those about single instances are asked for.
    #[must_use]
    pub fn wants(&self, committed: &Committed) -> bool {
        let Some((service, _)) = committed.mutation.subject().instance() else {
            return false;
        };
        (self.after..=self.until).contains(&committed.revision)
            && committed.revision > self.after
            && self.since.is_none_or(|since| committed.at >= since)
            && self.before.is_none_or(|before| committed.at <= before)
            && self.service.as_ref().is_none_or(|wanted| wanted == service)
    }
}

/// Mutations that were read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommittedPage {
    /// What was found, in the order that was asked for.
    pub found: Vec<Committed>,
    /// How far was looked, if not at all: the last revision that was looked at.
    pub reached: Option<Revision>,
}

/// Whether a mutation says anything about a service.
#[must_use]
pub fn is_about(mutation: &Mutation, service: &ServiceKey) -> bool {
    mutation.subject().service() == Some(service)
}
