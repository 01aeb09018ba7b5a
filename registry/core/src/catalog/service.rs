//! One service: the part that only the catalog's owner touches, and the part that readers share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;

use crate::changes::Place;
use crate::liveness::Guard;
use crate::model::{
    Endpoint, Health, Lifetime, LivenessKind, Member, Mono, Reason, Revision, ServiceKey, ServiceSettings,
};

use super::Catalog;
use super::clusters::Clusters;
use super::command::Mutation;
use super::due::{DUE_MAX, LOOK_AGAIN};
use super::layering::KeptLayer;
use super::population::Population;
use super::ramping::Ramping;
use super::roster::Roster;
use super::view::View;

/// What readers hold of a service. A read takes no lock while the view is fresh.
#[derive(Debug)]
pub struct Shared {
    pub(super) key: ServiceKey,
    pub(super) index: u32,
    /// The revision of the last change.
    revision: AtomicU64,
    /// No view is of an earlier revision: see [`Floor`]. The view is fresh if it is at the later of the two.
    floor: Floor,
    /// The view of that revision, if somebody has asked for it. One that a change has made stale is let go at once: it
    /// shares chunks with the roster, and the next changes would have to copy them.
    view: ArcSwapOption<View>,
}

/// The revision from which on all views of all services are new, shared by all of them. It grows when something is to be
/// said about every service, however many there are: that lists may lack something after a restart, and that they do not.
#[derive(Debug, Clone, Default)]
pub(super) struct Floor(Arc<AtomicU64>);

impl Floor {
    pub(super) fn raise(&self, revision: Revision) {
        self.0.fetch_max(revision.0, Ordering::AcqRel);
    }
}

impl Shared {
    /// Of a service that comes into being with `revision`. It has no view yet: whoever reads it now waits until it is
    /// what that revision makes it.
    pub(super) fn new(key: ServiceKey, index: u32, revision: Revision, floor: Floor) -> Self {
        Self {
            key,
            index,
            revision: AtomicU64::new(revision.0),
            floor,
            view: ArcSwapOption::empty(),
        }
    }

    /// The view, if nothing has changed since it was made. Otherwise ask the catalog for a new one.
    #[must_use]
    pub fn fresh(&self) -> Option<Arc<View>> {
        let view = self.view.load();
        let view = view.as_ref()?;
        (view.revision == self.revision()).then(|| Arc::clone(view))
    }

    /// The name of the service.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// The newest revision of the service.
    #[must_use]
    pub fn revision(&self) -> Revision {
        let floor = self.floor.0.load(Ordering::Acquire);
        Revision(self.revision.load(Ordering::Acquire).max(floor))
    }

    /// The revision of the last change in the service, or of what is said about it alone.
    pub(super) fn changed(&self) -> Revision {
        Revision(self.revision.load(Ordering::Acquire))
    }

    /// Gives readers the view of the newest revision.
    pub(super) fn publish(&self, view: Arc<View>) {
        self.view.store(Some(view));
    }
}

/// The owner's part of a service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) shared: Arc<Shared>,
    pub(super) roster: Roster,
    pub(super) healthy: usize,
    pub(super) serving: usize,
    /// How many of those that serve are on no ramp: who is new is measured against them.
    pub(super) seasoned: usize,
    /// Those who are new, while there are any.
    pub(super) ramping: Option<Box<Ramping>>,
    /// The last step of their shares.
    pub(super) ramped: Revision,
    /// Whom its guard watches.
    pub(super) population: Population,
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
    /// While the catalog is being restored: up to where what is known of the service is in it already.
    pub(super) as_of: Revision,
    pub(super) clusters: Clusters,
    /// How many instances stay until somebody removes them; the others go with their clients.
    pub(super) persistent: usize,
    /// What was declared about it.
    pub(super) settings: Option<Arc<ServiceSettings>>,
    /// When the consequences of silence were last turned on in this service.
    pub(super) expires_since: Mono,
}

impl Service {
    pub(super) fn new(shared: Arc<Shared>, floor: Revision) -> Self {
        Self {
            shared,
            roster: Roster::default(),
            healthy: 0,
            serving: 0,
            seasoned: 0,
            ramping: None,
            ramped: Revision::ZERO,
            population: Population::default(),
            guard: None,
            layers: BTreeMap::new(),
            emptied_by: None,
            empty_since: None,
            last_change: None,
            floor,
            as_of: Revision::ZERO,
            clusters: Clusters::default(),
            persistent: 0,
            settings: None,
            expires_since: Mono(0),
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
        change(&mut self.seasoned, member.seasoned);
        change(&mut self.persistent, member.persistent);
        let beats = u32::from(member.beats);
        match add {
            true => self.population.beating += beats,
            false => self.population.beating -= beats,
        }
    }

    /// Whether silence has consequences in it.
    pub(super) fn expires(&self) -> bool {
        self.settings.as_ref().is_none_or(|settings| settings.expires)
    }

    /// Whether it has instances of this lifetime.
    pub(super) fn has(&self, lifetime: Lifetime) -> bool {
        match lifetime {
            Lifetime::Ephemeral => self.roster.len() > self.persistent,
            Lifetime::Persistent => self.persistent > 0,
        }
    }

    pub(super) fn layer(&self, endpoint: &Endpoint) -> Option<&KeptLayer> {
        self.layers.get(endpoint)
    }

    /// Whether the counts are those of the roster.
    pub(super) fn counts_agree(&self) -> bool {
        let members = || self.roster.iter();
        self.healthy == members().filter(|member| member.healthy()).count()
            && self.serving == members().filter(|member| member.serving()).count()
            && self.seasoned
                == members()
                    .filter(|member| CountedAs::from(*member).seasoned)
                    .count()
            && self.persistent
                == members()
                    .filter(|member| CountedAs::from(*member).persistent)
                    .count()
    }

    /// Whether the instance lives by a connection.
    pub(super) fn is_of_session(&self, endpoint: &Endpoint) -> bool {
        let member = self.roster.get(endpoint);
        member.is_some_and(|member| member.record.registration.liveness.kind() == LivenessKind::Session)
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
        let floor = Revision(revision.0.saturating_sub(1));
        let floor_of_all = self.floor.clone();
        let shared = Arc::new(Shared::new(key.clone(), index, revision, floor_of_all));
        self.published
            .services
            .pin()
            .insert(key.clone(), Arc::clone(&shared));
        self.count_namespace(&key.namespace, true);
        self.directory.insert(key, index);
        self.services[index as usize] = Some(Service::new(shared, floor));
        index
    }

    /// Ends the services that have been empty for long enough; of very many the first, and the others in the next turn.
    /// It is committed: all nodes, and the next process, must know it.
    pub(super) fn drop_services(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        for _ in 0..DUE_MAX {
            let kept = self.config.empty_service_kept;
            let Some((since, key)) = self
                .emptied
                .first()
                .filter(|(since, _)| now >= since.after(kept))
                .cloned()
            else {
                return;
            };
            self.emptied.pop_first();
            let Some(index) = self.published.get(key.borrowed()).map(|shared| shared.index) else {
                continue;
            };
            let Some(service) = self.services[index as usize].as_mut() else {
                continue;
            };
            // With a layer left the service waits for its end, which enters it here again.
            if service.empty_since != Some(since) || !service.layers.is_empty() {
                continue;
            }
            // Its end may fail to be committed: then it comes up again.
            let kept_for = self.config.empty_service_kept.as_micros() as u64;
            let again = Mono(now.after(LOOK_AGAIN).0.saturating_sub(kept_for));
            service.empty_since = Some(again);
            self.emptied.insert((again, key.clone()));
            mutations.push(Mutation::ServiceRemoved { service: key });
        }
    }

    /// Forgets a service without instances.
    pub(super) fn drop_service(&mut self, index: u32) {
        let Some(service) = self.services[index as usize].take() else {
            return;
        };
        debug_assert!(service.roster.is_empty(), "its instances would be lost");
        let key = service.key();
        if let Some(since) = service.empty_since {
            self.emptied.remove(&(since, key.clone()));
        }
        for (endpoint, kept) in &service.layers {
            if let Some(since) = kept.gone_since {
                self.gone_layers.remove(&(since, key.clone(), endpoint.clone()));
            }
        }
        self.published.services.pin().remove(key);
        self.directory.remove(key);
        self.count_namespace(&key.namespace, false);
        self.holding.remove(&index);
        self.free_services.push(index);
    }
}

/// What of an instance is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedAs {
    healthy: bool,
    serving: bool,
    seasoned: bool,
    persistent: bool,
    /// Whether it lives by beats, and goes without them.
    beats: bool,
}

impl CountedAs {
    /// Whether it lives by beats, and goes without them.
    pub(super) fn beats(&self) -> bool {
        self.beats
    }
}

impl From<&Member> for CountedAs {
    fn from(member: &Member) -> Self {
        let registration = &member.record.registration;
        Self {
            healthy: member.state.health == Health::Healthy,
            serving: member.serving(),
            seasoned: member.serving() && member.state.share.is_full(),
            persistent: registration.liveness.kind().lifetime() == Lifetime::Persistent,
            beats: registration.expires && registration.liveness.kind() == LivenessKind::Beat,
        }
    }
}
