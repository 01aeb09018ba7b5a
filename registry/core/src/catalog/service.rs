//! One service: the part that only the catalog's owner touches, and the part that readers share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::changes::Place;
use crate::liveness::Guard;
use crate::model::{
    Cluster, Endpoint, Health, Incarnation, Member, Mono, OperatorLayer, Reason, Revision, ServiceKey,
};

use super::Catalog;
use super::roster::Roster;
use super::view::View;

/// How many cluster names a service keeps to share them between its instances. More are merely not shared.
const CLUSTERS_SHARED_MAX: usize = 16;

/// What readers hold of a service. A read takes no lock while the view is fresh.
#[derive(Debug)]
pub struct Shared {
    pub(super) key: ServiceKey,
    pub(super) index: u32,
    /// The revision of the last change. The view is fresh if it is at this revision.
    revision: AtomicU64,
    /// The view of that revision, if somebody has asked for it. One that a change has made stale is let go at once: it
    /// shares chunks with the roster, and the next changes would have to copy them.
    view: ArcSwapOption<View>,
}

impl Shared {
    pub(super) fn new(index: u32, view: View) -> Self {
        let revision = AtomicU64::new(view.revision.0);
        Self {
            key: view.key.clone(),
            index,
            revision,
            view: ArcSwapOption::from_pointee(view),
        }
    }

    /// The view, if nothing has changed since it was made. Otherwise ask the catalog for a new one.
    #[must_use]
    pub fn fresh(&self) -> Option<Arc<View>> {
        let view = self.view.load();
        let view = view.as_ref()?;
        (view.revision.0 == self.revision.load(Ordering::Acquire)).then(|| Arc::clone(view))
    }

    /// The name of the service.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// The newest revision of the service.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// Gives readers the view of the newest revision.
    pub(super) fn publish(&self, view: Arc<View>) {
        self.view.store(Some(view));
    }
}

/// An operator's layer with what is needed to end it.
#[derive(Debug, Clone)]
pub(super) struct KeptLayer {
    pub(super) layer: OperatorLayer,
    /// The run of the process that it was set on.
    pub(super) incarnation: Option<Incarnation>,
    /// Since when there is no such instance.
    pub(super) gone_since: Option<Mono>,
}

/// The owner's part of a service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) shared: Arc<Shared>,
    pub(super) roster: Roster,
    pub(super) healthy: usize,
    pub(super) serving: usize,
    /// How many instances live by beats: the guard's population.
    pub(super) beating: u32,
    pub(super) guard: Option<Box<Guard>>,
    /// Also those of instances that are gone.
    pub(super) layers: BTreeMap<Endpoint, KeptLayer>,
    pub(super) emptied_by: Option<Reason>,
    /// When the service became empty, or was made without instances.
    pub(super) empty_since: Option<Mono>,
    /// Place of the last change in the change log, and the revision before the service began: no delta can start
    /// before it.
    pub(super) last_change: Option<Place>,
    pub(super) floor: Revision,
    clusters: Vec<Cluster>,
}

impl Service {
    pub(super) fn new(shared: Arc<Shared>, floor: Revision) -> Self {
        Self {
            shared,
            roster: Roster::default(),
            healthy: 0,
            serving: 0,
            beating: 0,
            guard: None,
            layers: BTreeMap::new(),
            emptied_by: None,
            empty_since: None,
            last_change: None,
            floor,
            clusters: Vec::new(),
        }
    }

    pub(super) fn key(&self) -> &ServiceKey {
        &self.shared.key
    }

    /// Tells readers that their view is stale.
    pub(super) fn touch(&self, revision: Revision) {
        self.shared.revision.store(revision.0, Ordering::Release);
        if self.shared.view.load().is_some() {
            self.shared.view.store(None);
        }
    }

    /// Adds an instance to the counts, or takes it out. To be called around every change of it.
    pub(super) fn count(&mut self, member: &CountedAs, add: bool) {
        let change = |count: &mut usize, by: bool| {
            if by {
                *count = if add { *count + 1 } else { *count - 1 };
            }
        };
        change(&mut self.healthy, member.healthy);
        change(&mut self.serving, member.serving);
        if member.beats {
            self.beating = if add { self.beating + 1 } else { self.beating - 1 };
        }
    }

    /// The same cluster name, shared with other instances of the service.
    pub(super) fn share_cluster(&mut self, cluster: &Cluster) -> Cluster {
        if let Some(known) = self.clusters.iter().find(|known| *known == cluster) {
            return known.clone();
        }
        if self.clusters.len() < CLUSTERS_SHARED_MAX {
            self.clusters.push(cluster.clone());
        }
        cluster.clone()
    }

    pub(super) fn layer(&self, endpoint: &Endpoint) -> Option<&KeptLayer> {
        self.layers.get(endpoint)
    }

    /// Whether the counts are those of the roster.
    pub(super) fn counts_agree(&self) -> bool {
        let members = || self.roster.iter();
        self.healthy == members().filter(|member| member.healthy()).count()
            && self.serving == members().filter(|member| member.serving()).count()
    }
    pub(super) fn guard(&mut self) -> &mut Guard {
        self.guard.get_or_insert_default()
    }
}

impl Catalog {
    /// The index of a service, which comes into being with its first instance.
    pub(super) fn service_or_new(&mut self, key: ServiceKey, revision: Revision) -> u32 {
        if let Some(shared) = self.published.get(key.borrowed()) {
            return shared.index;
        }
        let index = self.free_services.pop().unwrap_or_else(|| {
            self.services.push(None);
            u32::try_from(self.services.len() - 1).expect("the limit of services is below 2^32")
        });
        // Whatever was there under this name before is forgotten: no delta can start before this change.
        let floor = Revision(revision.0 - 1);
        let shared = Arc::new(Shared::new(
            index,
            View::absent(key.clone(), self.epoch, self.complete),
        ));
        self.published
            .services
            .pin()
            .insert(key.clone(), Arc::clone(&shared));
        self.directory.insert(key, index);
        self.services[index as usize] = Some(Service::new(shared, floor));
        index
    }

    /// Drops the services that have been empty for long enough.
    pub(super) fn drop_services(&mut self, now: Mono) {
        while let Some((since, _)) = self.emptied.first()
            && now >= since.after(self.config.empty_service_kept)
        {
            let Some((since, key)) = self.emptied.pop_first() else {
                return;
            };
            let Some((index, service)) = self.service(key.borrowed()) else {
                continue;
            };
            // With a layer left the service waits for its end, which enters it here again.
            if service.empty_since != Some(since) || !service.layers.is_empty() {
                continue;
            }
            self.published.services.pin().remove(&key);
            self.directory.remove(&key);
            self.services[index as usize] = None;
            self.holding.remove(&index);
            self.free_services.push(index);
        }
    }
}

/// What of an instance is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedAs {
    healthy: bool,
    serving: bool,
    beats: bool,
}

impl From<&Member> for CountedAs {
    fn from(member: &Member) -> Self {
        Self {
            healthy: member.state.health == Health::Healthy,
            serving: member.serving(),
            beats: matches!(
                member.record.registration.liveness,
                crate::model::Liveness::Beat(_)
            ),
        }
    }
}
