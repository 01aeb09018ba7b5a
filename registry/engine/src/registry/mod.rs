//! The one façade. Every protocol is an adapter over it, so what one client registers every other sees.
//!
//! - Beats touch the table of beats and nothing else: no lock, no allocation, no waiting.
//! - Reads take the current view; a look-up takes no lock while nothing has changed.
//! - Writes go one way: propose, commit, apply, publish. One owner does that, for all, in groups.

mod backup;
mod beat;
mod builder;
mod checkpointer;
mod drain;
mod events;
mod follow;
mod guards;
mod noticed;
mod owner;
mod past;
mod probes;
mod read;
mod reports;
mod write;

use std::sync::Arc;

use beatrix_core::catalog::{Catalog, Published, Settings};
use beatrix_core::liveness::{Beats, LivenessClock};
use beatrix_core::model::{Epoch, Origin, Wall};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::config::EngineConfig;
use crate::hub::Hub;
use crate::journal::StorageState;
use crate::looks::Recent;
use crate::random::Random;

pub use backup::{EXPORTS_MAX, Export, IMPORTS_MAX, ImportPlace, Proposal, Wanted};
pub use beat::BeatReport;
pub use builder::RegistryBuilder;
pub use drain::{DRAINS_WAITING_MAX, DrainEnd, Drained, InFlight};
pub use events::{EventsPage, EventsQuery};
pub use follow::{FOLLOWED_MAX, Followed, Follower};
pub use guards::GuardScope;
pub use noticed::{GUARD_EVENTS_MAX, GuardCounts, GuardEntry, Stalls};
pub use past::{Difference, HISTORY_READS_MAX, Past, PastError, When};
pub use probes::{ORDER_ONCE_IN, ProbeOrder};
pub use read::{GuardState, Status};
pub use reports::{ConsumerReport, PACED_MAX, ReportError, ReportUse};
pub use write::{Registered, WriteError, Written};

use drain::Drains;
use noticed::Noticed;
use owner::Request;
use reports::Paces;

/// The registry. A clone is the same registry.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
    /// On whose behalf this handle writes.
    origin: Origin,
}

#[derive(Debug)]
struct Inner {
    config: EngineConfig,
    clock: Arc<dyn Clock>,
    random: Random,
    epoch: Epoch,
    started_at: Wall,
    liveness: Arc<LivenessClock>,
    beats: Arc<Beats>,
    published: Arc<Published>,
    settings: Arc<Settings>,
    /// Short: decide, apply, or make a view. Never over an await.
    catalog: Arc<Mutex<Catalog>>,
    hub: Arc<Hub>,
    /// Taken for a moment, under the catalog's lock or without it; nothing is locked under it.
    noticed: Arc<Mutex<Noticed>>,
    /// Tells the driver of the probes that somebody is due sooner than it knows.
    sooner: Arc<Notify>,
    /// Tells followers that something was applied.
    applied: Arc<Notify>,
    history: Option<past::Reader>,
    storage: Option<Arc<StorageState>>,
    backups: backup::Places,
    owner: mpsc::Sender<Request>,
    drains: Arc<Drains>,
    paces: Paces,
    /// Who was probed out of turn lately. The catalog's lock is taken under it.
    ordered: Mutex<Recent>,
    stop: CancellationToken,
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Registry {
    /// The same registry, for writes on behalf of `origin`.
    #[must_use]
    pub fn on_behalf_of(&self, origin: Origin) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            origin,
        }
    }

    /// On whose behalf this handle writes.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &EngineConfig {
        &self.inner.config
    }

    /// Who wants to know of changes.
    #[must_use]
    pub fn hub(&self) -> &Arc<Hub> {
        &self.inner.hub
    }

    /// How the journal's storage is; `None` where nothing is kept.
    #[must_use]
    pub fn storage(&self) -> Option<&StorageState> {
        self.inner.storage.as_deref()
    }

    /// The history that revisions count in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// Whether the registry is stopping.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.inner.stop.is_cancelled()
    }

    /// Resolves when the registry begins to stop.
    pub fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        self.inner.stop.clone().cancelled_owned()
    }

    /// Stops: writes that were taken are finished, new ones are refused, reads go on.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }

    /// Resolves when the registry has stopped, also if it did so by itself, by a defect: what was written is committed
    /// and pushed. Streams end then, not when it begins to stop, or they would keep the last changes to themselves.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        self.inner.stopped.clone().cancelled_owned()
    }
}
