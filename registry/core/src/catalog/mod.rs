//! Which instances there are.
//!
//! One owner changes it, in two steps: [`Catalog::decide`] says what a command would change, and after a journal has
//! committed that, [`Catalog::apply`] does it. `apply` is the one place where membership changes: live commits,
//! replay after a restart and the watch of a shared journal all go through it. [`Catalog::due`] decides what nobody asked
//! for: what silence, probes, reports and the passing of time change.
//!
//! Readers share [`Published`]: a look-up of a service and its view takes no lock while the view is fresh.
//!
//! What is said about services as a whole, namespaces and the registry goes the same way, but is no change of membership:
//! views are made anew, and nobody is told.
//!
//! What always holds after each `apply`:
//! - the counts of a service are those of its roster;
//! - each instance has one slot and one cell, and both name it;
//! - a revision that was applied is never applied again.

mod apply;
mod capture;
mod clusters;
mod command;
mod config;
mod decide;
mod declaring;
mod directory;
mod due;
mod explaining;
mod flapping;
mod flips;
mod guarding;
mod importing;
mod keep;
mod layering;
mod lookup;
mod measured;
mod namespaces;
mod piece;
mod population;
mod probing;
mod publishing;
mod ramping;
mod refusal;
mod registering;
mod reporting;
mod restoring;
mod roster;
mod service;
mod sessions;
mod settings;
mod silence;
mod slots;
mod standby;
mod subject;
mod view;
mod warming;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::changes::{ChangeLog, Gap, Missed};
use crate::liveness::{Beats, Flaps, Guard, Reports, Schedule, Wheel};
use crate::model::{Endpoint, Epoch, Mono, Namespace, Revision, ServiceKey, ServiceRef, Version};

pub use capture::{CaptureWalk, Captured};
pub use command::{Command, Committed, Mutation, Proposed, Publication};
pub use config::CatalogConfig;
pub use decide::Decision;
pub use directory::{DirectoryPage, DirectoryQuery, DirectoryWalk, Summary};
pub use due::DUE_MAX;
pub use explaining::{
    BeatFacts, Deadline, Explained, Explanation, Gone, GuardFacts, NotServing, ProbeFacts, Rule, Spared,
    There, Turn, Way,
};
pub use guarding::{GuardBy, GuardEvent, GuardTurn};
pub use importing::Part;
pub use keep::Keep;
pub use layering::{LAYERS_PER_SERVICE_MAX, LayerInfo};
pub use lookup::Standing;
pub use namespaces::{NAMESPACES_MAX, NamespaceSummary};
pub use piece::{InstancePiece, LayerOf, LayerPiece, Piece, ServicePiece};
pub use probing::{ProbeDone, ProbeReport, ProbeTask};
pub use refusal::Refusal;
pub use reporting::{FailureReport, RecheckOrder, ReportOutcome};
pub use roster::Chunk;
pub(crate) use roster::Roster;
pub use service::Shared;
pub use settings::{EXPIRY, SETTING_BYTES_MAX, SETTINGS_MAX, Settings};
pub use subject::Subject;
pub use view::{FORMATS, Format, Renders, View};

use flips::Probes;
use service::Service;
use slots::Slots;

/// What readers share: services by name.
#[derive(Debug)]
pub struct Published {
    services: papaya::HashMap<ServiceKey, Arc<Shared>, ahash::RandomState>,
}

impl Published {
    /// The service of this name. Takes no lock.
    #[must_use]
    pub fn get(&self, service: ServiceRef<'_>) -> Option<Arc<Shared>> {
        self.services.pin().get(&service).cloned()
    }
}

/// All services and instances. See the module.
#[derive(Debug)]
pub struct Catalog {
    config: CatalogConfig,
    epoch: Epoch,
    revision: Revision,
    complete: bool,
    warming: warming::Warming,
    /// While it is being restored.
    restoring: Option<restoring::Restoring>,
    /// The newest revision of the process before, and the one since which the catalog is complete again.
    restored: Revision,
    warmed: Revision,
    gaps: Arc<[Gap]>,
    floor: service::Floor,
    published: Arc<Published>,
    beats: Arc<Beats>,
    /// By index; freed places are used again.
    services: Vec<Option<Service>>,
    free_services: Vec<u32>,
    /// The service that was changed last. Changes come in runs of one service; the next of a run is not looked up.
    recent: u32,
    /// By name, in the order of lists.
    directory: BTreeMap<ServiceKey, u32>,
    /// Those that have services or are declared.
    namespaces: BTreeMap<Namespace, namespaces::Entry>,
    namespaces_declared: usize,
    settings: Arc<Settings>,
    /// Whether silence has consequences at all, and since when; see [`EXPIRY`].
    expires: bool,
    expires_since: Mono,
    slots: Slots,
    /// Who flips between healthy and unhealthy over and over.
    flaps: Flaps,
    /// When this catalog came into being: what is applied at that very moment is what a journal kept.
    opened: Mono,
    healthy: usize,
    wheel: Wheel,
    /// Who was found due and judged, and waits to be decided.
    judged: VecDeque<u32>,
    /// The registry's guard. Like its population it leaves out those whose services are spared.
    guard: Guard,
    probes: Probes,
    /// Whom it watches.
    population: population::Population,
    /// How many instances are suspect, in spared services as well.
    suspects: u32,
    /// Services whose own guard holds.
    holding: BTreeSet<u32>,
    /// When the first guard ends that an operator forced: with all well nothing else need be due then.
    forced_next: Option<Mono>,
    sessions: sessions::Sessions,
    /// Who else said something of an instance, and has not taken it back.
    standbys: standby::Standbys,
    log: ChangeLog,
    /// Services that became empty, oldest first; each is looked at once after `empty_service_kept`.
    emptied: BTreeSet<(Mono, ServiceKey)>,
    /// Services with instances that are new, and when to look at them next.
    ramps: BTreeSet<(Mono, u32)>,
    /// What consumers say, and whom somebody is to look at for it.
    reports: Reports,
    rechecks: Vec<RecheckOrder>,
    /// Operator's layers whose instance has gone, oldest first.
    gone_layers: BTreeSet<(Mono, ServiceKey, Endpoint)>,
}

impl Catalog {
    /// An empty catalog. It belongs to no history before [`Catalog::resume`] says to which.
    #[must_use]
    pub fn new(mut config: CatalogConfig, now: Mono) -> Self {
        // No more than there are cells for their beats.
        config.instances_max = config.instances_max.min(Beats::CAPACITY);
        let log = ChangeLog::new(config.change_log_max);
        let probes = Probes::new(Schedule::new(config.probes.clone()));
        Self {
            config,
            epoch: Epoch(0),
            revision: Revision::ZERO,
            complete: true,
            warming: warming::Warming::Over,
            restoring: Some(restoring::Restoring::default()),
            restored: Revision::ZERO,
            warmed: Revision::ZERO,
            gaps: Arc::default(),
            floor: service::Floor::default(),
            published: Arc::new(Published {
                services: papaya::HashMap::with_hasher(ahash::RandomState::new()),
            }),
            beats: Arc::default(),
            services: Vec::new(),
            free_services: Vec::new(),
            recent: 0,
            directory: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            namespaces_declared: 0,
            settings: Arc::default(),
            expires: true,
            expires_since: now,
            slots: Slots::default(),
            flaps: Flaps::default(),
            opened: now,
            healthy: 0,
            wheel: Wheel::new(now),
            judged: VecDeque::new(),
            guard: Guard::default(),
            probes,
            population: population::Population::default(),
            suspects: 0,
            holding: BTreeSet::new(),
            forced_next: None,
            sessions: sessions::Sessions::default(),
            standbys: standby::Standbys::default(),
            log,
            emptied: BTreeSet::new(),
            ramps: BTreeSet::new(),
            reports: Reports::default(),
            rechecks: Vec::new(),
            gone_layers: BTreeSet::new(),
        }
    }

    /// The readers' part.
    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        Arc::clone(&self.published)
    }

    /// The table that beats touch.
    #[must_use]
    pub fn beats(&self) -> Arc<Beats> {
        Arc::clone(&self.beats)
    }

    /// The settings of the whole registry.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings)
    }

    /// The newest state.
    #[must_use]
    pub fn version(&self) -> Version {
        Version {
            epoch: self.epoch,
            revision: self.revision,
        }
    }

    /// The revisions of which nobody knows any more what they said. Whoever comes with one of them as what he has seen last
    /// is to be told the whole.
    #[must_use]
    pub fn gaps(&self) -> Arc<[Gap]> {
        Arc::clone(&self.gaps)
    }

    /// False while not all instances may be known yet.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// How many instances there are.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.slots.len()
    }

    /// How many instances are healthy.
    #[must_use]
    pub fn healthy(&self) -> usize {
        self.healthy
    }

    /// How many services there are.
    #[must_use]
    pub fn services(&self) -> usize {
        self.directory.len()
    }

    /// The bounds and times.
    #[must_use]
    pub fn config(&self) -> &CatalogConfig {
        &self.config
    }

    /// The change log.
    #[must_use]
    pub fn log(&self) -> &ChangeLog {
        &self.log
    }

    /// The view of a service, made now if readers' one is stale. `None` if there is no such service.
    pub fn view(&self, service: ServiceRef<'_>) -> Option<Arc<View>> {
        let shared = self.published.get(service)?;
        if let Some(view) = shared.fresh() {
            return Some(view);
        }
        let service = self.services[shared.index as usize].as_ref()?;
        let view = Arc::new(View {
            key: shared.key.clone(),
            epoch: self.epoch,
            revision: shared.revision(),
            complete: self.complete,
            emptied_by: service.emptied_by,
            settings: service.settings.clone(),
            healthy: service.healthy,
            serving: service.serving,
            chunks: service.roster.chunks().into(),
            len: service.roster.len(),
            renders: Renders::default(),
        });
        shared.publish(Arc::clone(&view));
        Some(view)
    }

    /// What changed in a service since `since`, or that only a snapshot can tell.
    #[must_use]
    pub fn missed(&self, service: &ServiceKey, since: Revision) -> Missed {
        if since > self.revision {
            return Missed::TooOld;
        }
        // Whoever was told something after the restart was told that it may be incomplete, and shall hear that it is not.
        let shown_incomplete = self.restored <= since && since < self.warmed;
        match self.service(service.borrowed()) {
            // Also when the log has long dropped the service's last change.
            Some((_, service)) if since >= service.shared.revision() => Missed::Nothing,
            Some(_) if shown_incomplete => Missed::TooOld,
            Some((_, service)) if since >= service.floor => {
                let stepped = service.ramped > since;
                self.log
                    .missed(&service.roster, service.last_change, stepped, since)
            }
            Some(_) => Missed::TooOld,
            // It may have gone since: whether it had instances at `since` is not known any more.
            None if since == self.revision => Missed::Nothing,
            None => Missed::TooOld,
        }
    }
}
