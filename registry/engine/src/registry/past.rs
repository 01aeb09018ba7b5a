//! Services as they were: at an earlier revision or time, and what changed between two.
//!
//! A small catalog of its own is made what the service was at a checkpoint, and what was committed since is applied to
//! it, by the same `apply` as ever. That reads files and takes its time: so it runs on threads that may block, only so
//! many at once, and touches nothing that the living registry uses.

use std::sync::Arc;

use beatrix_core::catalog::{Catalog, CatalogConfig, Committed, InstancePiece, Piece, ServicePiece, View};
use beatrix_core::changes::Change;
use beatrix_core::model::{Epoch, Mono, Revision, ServiceKey, Wall};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Registry;
use crate::journal::{Bounds, CommittedPage, CommittedQuery, History, JournalError, Known, is_about};

/// How many may read the history at once.
pub const HISTORY_READS_MAX: usize = 4;

/// How many changes between two states are told.
const CHANGES_MAX: usize = 10_000;

/// Why an earlier state cannot be told.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PastError {
    /// Nothing is kept of the past.
    #[error(
        "the journal is in memory only: earlier states are not kept, and the change log tells changes, not states"
    )]
    NotKept,
    /// It is from before all that is kept.
    #[error("the history was cut: states are known from revision {oldest} on")]
    TooOld {
        /// The oldest state that is known.
        oldest: Revision,
        /// When that was.
        at: Wall,
    },
    /// It has yet to come.
    #[error("the newest revision is {newest}")]
    NotYet {
        /// The newest revision.
        newest: Revision,
    },
    /// Too many ask.
    #[error("limit history_reads_max of {HISTORY_READS_MAX} is reached")]
    Busy,
    /// The history cannot be read.
    #[error("the history cannot be read: {0}")]
    Unavailable(String),
}

impl From<JournalError> for PastError {
    fn from(JournalError(error): JournalError) -> Self {
        Self::Unavailable(error)
    }
}

/// A moment of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At this revision.
    Revision(Revision),
    /// At this time, by the wall clock of whoever committed.
    At(Wall),
}

/// A service as it was.
#[derive(Debug, Clone)]
pub struct Past {
    /// At which revision of the registry.
    pub at: Revision,
    /// The service; `None` if there was none.
    pub view: Option<Arc<View>>,
}

/// A service at two moments, and what happened in between.
#[derive(Debug, Clone)]
pub struct Difference {
    /// What it was.
    pub from: Past,
    /// What it became.
    pub to: Past,
    /// What changed it, oldest first.
    pub changes: Vec<Change>,
    /// Whether there were more changes: then these are the newest.
    pub truncated: bool,
}

/// Who reads a journal's history, in bounded number.
pub(super) struct Reader {
    history: Arc<dyn History>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(history: Arc<dyn History>) -> Self {
        Self {
            history,
            places: Arc::new(Semaphore::new(HISTORY_READS_MAX)),
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.history.bounds()
    }

    /// Reads, where that may block. Whoever asked may go away; its place is free when the reading has ended.
    async fn read<T: Send + 'static>(
        &self,
        place: OwnedSemaphorePermit,
        job: impl AsyncFnOnce(&dyn History) -> Result<T, PastError> + Send + 'static,
    ) -> Result<T, PastError> {
        let history = Arc::clone(&self.history);
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            let _until_then = place;
            runtime.block_on(job(&*history))
        });
        match read.await {
            Ok(read) => read,
            Err(error) => Err(PastError::Unavailable(error.to_string())),
        }
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, PastError> {
        Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| PastError::Busy)
    }

    pub(super) async fn committed(&self, query: CommittedQuery) -> Result<CommittedPage, PastError> {
        self.read(self.place()?, async move |history| {
            Ok(history.committed(&query).await?)
        })
        .await
    }
}

impl Registry {
    /// A service as it was.
    ///
    /// # Errors
    /// If that is not known, has yet to come, or cannot be read now.
    pub async fn past(&self, service: ServiceKey, when: When) -> Result<Past, PastError> {
        let difference = self.past_difference(service, when, when).await?;
        Ok(difference.to)
    }

    /// A service at two moments, and what happened in between.
    ///
    /// # Errors
    /// As [`Registry::past`].
    pub async fn past_difference(
        &self,
        service: ServiceKey,
        from: When,
        to: When,
    ) -> Result<Difference, PastError> {
        let Some(reader) = &self.inner.history else {
            return Err(PastError::NotKept);
        };
        let (newest, epoch) = (self.version().revision, self.inner.epoch);
        let place = reader.place()?;
        reader
            .read(place, async move |history| {
                // Those who ask for the newest shall find what they were just told is done.
                if newest > history.bounds().newest {
                    history.settle(newest).await?;
                }
                let from = revision(history, from, newest).await?;
                let to = revision(history, to, newest).await?.max(from);
                let mut replay = Replay::new(service.clone(), epoch, from, to);
                history
                    .past(&service, from, to, &mut |known| {
                        known.into_iter().for_each(|known| replay.take(known));
                    })
                    .await?;
                Ok(replay.end())
            })
            .await
    }
}

/// The revision of a moment.
async fn revision(history: &dyn History, when: When, newest: Revision) -> Result<Revision, PastError> {
    let bounds = history.bounds();
    let too_old = PastError::TooOld {
        oldest: bounds.states_from,
        at: bounds.states_from_at,
    };
    let revision = match when {
        When::Revision(revision) if revision > newest => return Err(PastError::NotYet { newest }),
        When::Revision(revision) => revision,
        // Before the first that ever was committed there was nothing.
        When::At(at) => match history.revision_at(at).await? {
            Some(revision) => revision.min(newest),
            None if bounds.after == Revision::ZERO => Revision::ZERO,
            None => return Err(too_old),
        },
    };
    if revision < bounds.states_from {
        return Err(too_old);
    }
    Ok(revision)
}

/// The catalog that is made what a service was.
struct Replay {
    service: ServiceKey,
    from: Revision,
    to: Revision,
    catalog: Catalog,
    /// The service's pieces, until all of them are there.
    pieces: Option<(ServicePiece, Vec<InstancePiece>)>,
    /// What is in the pieces already.
    known: Revision,
    before: Option<Option<Arc<View>>>,
}

impl Replay {
    fn new(service: ServiceKey, epoch: Epoch, from: Revision, to: Revision) -> Self {
        let config = CatalogConfig {
            change_log_max: CHANGES_MAX,
            ..CatalogConfig::default()
        };
        let mut catalog = Catalog::new(config, Mono(0));
        catalog.resume(epoch, Revision::ZERO, Vec::new(), Mono(0));
        Self {
            service,
            from,
            to,
            catalog,
            pieces: None,
            known: Revision::ZERO,
            before: None,
        }
    }

    fn take(&mut self, known: Known) {
        match known {
            Known::Piece(Piece::Service(piece)) if piece.key == self.service => {
                self.known = piece.as_of;
                self.pieces = Some((*piece, Vec::new()));
            }
            Known::Piece(Piece::Instances(instances)) => {
                if let Some((_, all)) = &mut self.pieces {
                    all.extend(instances);
                }
            }
            Known::Piece(_) => {}
            Known::Committed(committed) => self.apply(committed),
        }
    }

    fn apply(&mut self, committed: Committed) {
        self.recall();
        let wanted = committed.revision > self.known && committed.revision <= self.to;
        if !wanted || !is_about(&committed.mutation, &self.service) {
            return;
        }
        if committed.revision > self.from {
            self.note_before();
        }
        self.catalog.apply(committed, Mono(0));
    }

    fn recall(&mut self) {
        if let Some((service, instances)) = self.pieces.take() {
            self.catalog.recall(service, instances);
        }
    }

    fn note_before(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.catalog.view(self.service.borrowed()));
        }
    }

    fn end(mut self) -> Difference {
        self.recall();
        self.note_before();
        let log = self.catalog.log();
        let changes = log.after(self.from).cloned().collect();
        let truncated = log.lost_after(self.from);
        let to = Past {
            at: self.to,
            view: self.catalog.view(self.service.borrowed()),
        };
        Difference {
            from: Past {
                at: self.from,
                view: self.before.flatten(),
            },
            to,
            changes,
            truncated,
        }
    }
}
