//! Reads: the current view, lists, status.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{
    DirectoryPage, DirectoryQuery, DirectoryWalk, LayerInfo, NamespaceSummary, View,
};
use beatrix_core::model::{Endpoint, OperatorLayer, Revision, ServiceKey, ServiceRef, Version, Wall};
use parking_lot::MutexGuard;

use super::Registry;
use super::guards::GuardScope;
use super::noticed::{GuardCounts, Stalls};
use super::reports::ReportUse;

/// The registry as a whole.
#[derive(Debug, Clone)]
pub struct Status {
    /// The newest state.
    pub version: Version,
    /// When the process started.
    pub started_at: Wall,
    /// False while not all instances may be known.
    pub complete: bool,
    /// How many services there are.
    pub services: usize,
    /// How many instances there are.
    pub instances: usize,
    /// How many of them are healthy.
    pub healthy: usize,
    /// How many subscribers there are.
    pub subscribers: usize,
    /// How long the process stood still, in all.
    pub stalled: Duration,
    /// When it did so.
    pub stalls: Stalls,
    /// How many instances are called flapping.
    pub flapping: usize,
    /// Of how many instances a score of their flips is kept.
    pub flaps_tracked: usize,
    /// What consumers say about instances that they cannot reach.
    pub reports: ReportUse,
    /// Of how many instances from before a restart nothing was heard yet.
    pub unconfirmed: u64,
    /// How many changes are held.
    pub changes_held: usize,
    /// How many probes are in flight.
    pub probes_in_flight: usize,
    /// How many wait for drains.
    pub drains_waiting: usize,
    /// The mass-expiry guard.
    pub guard: GuardState,
}

/// The mass-expiry guard.
#[derive(Debug, Clone, Default)]
pub struct GuardState {
    /// That of the whole registry.
    pub registry: GuardScope,
    /// The services in which a guard of their own holds, the first hundred.
    pub services: Vec<(ServiceKey, GuardScope)>,
    /// In how many services one holds.
    pub services_holding: usize,
    /// How many instances they protect.
    pub suspects: u32,
    /// How often guards came to what, since the start.
    pub counts: GuardCounts,
    /// How many of those turns are kept.
    pub events_held: usize,
}

/// How many services a [`GuardState`] names.
const GUARDED_NAMED_MAX: usize = 100;

/// How many services of a list are looked at before others get the catalog in between.
const DIRECTORY_STEP: usize = 1024;

impl Registry {
    /// The current view of a service. `None` if there is no such service.
    #[must_use]
    pub fn view(&self, service: ServiceRef<'_>) -> Option<Arc<View>> {
        self.inner.hub.view(service)
    }

    /// The newest revision of a service, without making a view. Takes no lock.
    #[must_use]
    pub fn revision_of(&self, service: ServiceRef<'_>) -> Option<Revision> {
        Some(self.inner.published.get(service)?.revision())
    }

    /// A page of the list of services. All services of the namespace, or of its group, are looked at, in steps: the
    /// catalog is not kept from others meanwhile.
    #[must_use]
    pub fn directory(&self, query: DirectoryQuery<'_>) -> DirectoryPage {
        let mut walk = DirectoryWalk::new(query);
        while self.directory_step(&mut walk) {}
        walk.page()
    }

    /// The next step of a list of services, for who does something else between two steps. Returns whether there may be
    /// more.
    pub fn directory_step(&self, walk: &mut DirectoryWalk<'_>) -> bool {
        let catalog = self.inner.catalog.lock();
        let more = catalog.walk(walk, DIRECTORY_STEP);
        // To whoever waits: otherwise this thread would mostly have it again at once.
        MutexGuard::unlock_fair(catalog);
        more
    }

    /// The namespaces that have services or are declared, ordered by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<NamespaceSummary> {
        self.inner.catalog.lock().namespaces()
    }

    /// The operator's layers of a service, ordered by endpoint; also those of instances that are gone or have yet to
    /// come.
    #[must_use]
    pub fn layers(&self, service: ServiceRef<'_>) -> Vec<LayerInfo> {
        self.inner.catalog.lock().layers(service)
    }

    /// The operator's layer of this endpoint, also of an instance that is gone or has yet to come.
    #[must_use]
    pub fn layer(&self, service: ServiceRef<'_>, endpoint: &Endpoint) -> Option<OperatorLayer> {
        self.inner.catalog.lock().layer(service, endpoint)
    }

    /// The value of a setting of the whole registry. Takes no lock.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<Arc<str>> {
        self.inner.settings.get(name)
    }

    /// A number that grows with each change of any setting. What was made of settings that were read after it is good
    /// as long as it stays. Takes no lock.
    #[must_use]
    pub fn settings_version(&self) -> u64 {
        self.inner.settings.version()
    }

    /// The newest state.
    #[must_use]
    pub fn version(&self) -> Version {
        self.inner.catalog.lock().version()
    }

    /// False while not all instances may be known yet.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.inner.catalog.lock().complete()
    }

    /// The wall clock, for answers that tell the time.
    #[must_use]
    pub fn wall(&self) -> Wall {
        self.inner.clock.wall()
    }

    /// The registry as a whole.
    #[must_use]
    pub fn status(&self) -> Status {
        let subscribers = self.inner.hub.subscribers();
        let catalog = self.inner.catalog.lock();
        let (now, wall) = (self.live_now(), self.wall());
        let services = catalog.service_guards(now).take(GUARDED_NAMED_MAX);
        let services = services
            .map(|(key, reading)| (key.clone(), GuardScope::of(reading, now, wall)))
            .collect();
        let noticed = self.inner.noticed.lock();
        Status {
            version: catalog.version(),
            started_at: self.inner.started_at,
            complete: catalog.complete(),
            services: catalog.services(),
            instances: catalog.instances(),
            healthy: catalog.healthy(),
            subscribers,
            stalled: self.inner.liveness.stalled(),
            stalls: noticed.stalls(),
            flapping: catalog.flapping(),
            flaps_tracked: catalog.flaps_tracked(),
            reports: self.report_use(catalog.reports()),
            unconfirmed: self.inner.beats.unconfirmed(),
            changes_held: catalog.log().len(),
            probes_in_flight: catalog.probes_in_flight(),
            drains_waiting: self.inner.drains.waiting_now(),
            guard: GuardState {
                registry: GuardScope::of(catalog.registry_guard(now), now, wall),
                services,
                services_holding: catalog.services_guarded(),
                suspects: catalog.suspects(),
                counts: noticed.counts(),
                events_held: noticed.guards_held(),
            },
        }
    }
}
