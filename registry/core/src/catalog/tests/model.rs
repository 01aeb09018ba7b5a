//! A naive model of the catalog: maps, and everything recomputed from scratch. It knows neither slots nor wheels nor
//! phases of beats; it says what the rules say. The guard is not in it: `simulation` checks that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{
    Declared, DeclaredStatus, Endpoint, Health, Incarnation, Lease, Liveness, OperatorLayer, OperatorPatch,
    Registration, ServiceKey, SessionId, Timings,
};

const TICK: u64 = 5_000;
const KEPT: u64 = 600_000_000;

/// Why an instance is unhealthy, as far as that decides anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Because {
    Declared,
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct Instance {
    pub(super) registration: Registration,
    pub(super) lease: Lease,
    pub(super) health: Health,
    because: Because,
    pub(super) declared: Option<Arc<Declared>>,
    silent: bool,
    last_beat: u64,
    /// When its silence last began without a beat.
    restarted: u64,
    streak: u8,
}

#[derive(Debug, Clone)]
struct Layer {
    layer: OperatorLayer,
    incarnation: Option<Incarnation>,
    gone_since: Option<u64>,
}

type Name = (ServiceKey, Endpoint);

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) instances: BTreeMap<Name, Instance>,
    layers: BTreeMap<Name, Layer>,
    /// Services, with when they became empty.
    pub(super) services: BTreeMap<ServiceKey, Option<u64>>,
    ever: BTreeSet<ServiceKey>,
    /// How many changes there were that readers can see, and mutations in all.
    pub(super) changes: u64,
    pub(super) revision: u64,
}

impl Instance {
    fn timings(&self) -> Option<Timings> {
        match self.registration.liveness {
            Liveness::Beat(timings) => Some(timings),
            _ => None,
        }
    }

    fn unwell(&self) -> bool {
        is_unwell(self.declared.as_ref())
    }

    fn set(&mut self, health: Health, because: Because) {
        self.health = health;
        self.because = because;
    }

    /// When it falls silent, or goes; in whole ticks.
    fn deadlines(&self) -> Option<(u64, u64)> {
        let timings = self.timings()?;
        let at =
            |after: std::time::Duration| (self.last_beat + after.as_micros() as u64).next_multiple_of(TICK);
        Some((at(timings.unhealthy_after()), at(timings.remove_after())))
    }

    fn due(&self) -> Option<u64> {
        let (unhealthy, remove) = self.deadlines()?;
        Some(if self.silent {
            remove
        } else {
            unhealthy.min(remove)
        })
    }
}

fn is_unwell(declared: Option<&Arc<Declared>>) -> bool {
    declared.is_some_and(|declared| declared.status == DeclaredStatus::Unhealthy)
}

impl Model {
    fn changed(&mut self) {
        self.changes += 1;
        self.revision += 1;
    }

    pub(super) fn layer(&self, name: &Name) -> Option<&OperatorLayer> {
        self.layers.get(name).map(|kept| &kept.layer)
    }

    pub(super) fn register(&mut self, name: Name, registration: Registration, health: Health, fresh: Lease) {
        let (now, known) = (self.now, self.instances.get_mut(&name));
        let mut lease = fresh;
        if let Some(known) = known {
            let beats = known.timings().is_some();
            let stands = !beats || !known.silent && known.health == health;
            if known.registration == registration && known.declared.is_none() && stands {
                known.last_beat = now;
                return;
            }
            if known.registration.incarnation == registration.incarnation {
                lease = known.lease;
            }
        }
        if let Some(kept) = self.layers.get_mut(&name) {
            if !kept.layer.sticky && kept.incarnation != registration.incarnation {
                self.layers.remove(&name);
            } else {
                kept.gone_since = None;
                kept.incarnation.clone_from(&registration.incarnation);
            }
        }
        self.services.insert(name.0.clone(), None);
        self.ever.insert(name.0.clone());
        let (because, declared) = (Because::Other, None);
        let fresh = Instance {
            registration,
            lease,
            health,
            because,
            declared,
            silent: false,
            last_beat: now,
            restarted: now,
            streak: 0,
        };
        self.instances.insert(name, fresh);
        self.changed();
    }

    pub(super) fn by_lease(&self, lease: Lease) -> Option<Name> {
        let mut holders = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.lease == lease);
        holders.next().map(|(name, _)| name.clone())
    }

    pub(super) fn beat(&mut self, lease: Lease) {
        let (now, name) = (self.now, self.by_lease(lease));
        let Some(instance) = name.and_then(|name| self.instances.get_mut(&name)) else {
            return;
        };
        if instance.timings().is_none() {
            return;
        }
        instance.last_beat = instance.last_beat.max(now);
        let unproven = instance.health == Health::Unhealthy && instance.because == Because::Other;
        if (instance.silent || unproven && !instance.unwell()) && now > instance.restarted {
            instance.silent = false;
            match instance.unwell() {
                true => instance.set(Health::Unhealthy, Because::Declared),
                false => instance.set(Health::Healthy, Because::Other),
            }
            self.changed();
        }
    }

    pub(super) fn declare(&mut self, lease: Lease, declared: Option<Arc<Declared>>) {
        let Some(name) = self.by_lease(lease) else { return };
        let (now, mut changes) = (self.now, 0);
        let instance = self.instances.get_mut(&name).unwrap();
        let unwell = is_unwell(declared.as_ref());
        let unproven = instance.health == Health::Unhealthy && instance.because == Because::Other;
        let returned = instance.timings().is_some()
            && now > instance.restarted
            && (instance.silent || unproven && !unwell);
        if instance.timings().is_some() {
            instance.last_beat = instance.last_beat.max(now);
        }
        if instance.declared != declared {
            instance.declared = declared;
            changes += 1;
            match (unwell, instance.health, instance.because) {
                (true, Health::Healthy, _) => instance.set(Health::Unhealthy, Because::Declared),
                (false, Health::Unhealthy, Because::Declared) => {
                    instance.set(Health::Healthy, Because::Declared);
                }
                _ => {}
            }
        }
        if returned {
            instance.silent = false;
            changes += 1;
            match unwell {
                true => instance.set(Health::Unhealthy, Because::Declared),
                false => instance.set(Health::Healthy, Because::Other),
            }
        }
        for _ in 0..changes {
            self.changed();
        }
    }

    pub(super) fn probed(&mut self, name: &Name, good: bool) {
        let Some(instance) = self.instances.get_mut(name) else {
            return;
        };
        let Liveness::Probe { rise, fall } = instance.registration.liveness else {
            return;
        };
        let healthy = instance.health == Health::Healthy;
        if healthy == good {
            instance.streak = 0;
            return;
        }
        instance.streak += 1;
        if instance.streak < if good { rise } else { fall } {
            return;
        }
        instance.streak = 0;
        match (good, instance.unwell(), instance.because) {
            (false, ..) => instance.set(Health::Unhealthy, Because::Other),
            (true, false, _) => instance.set(Health::Healthy, Because::Other),
            (true, true, Because::Declared) => return,
            (true, true, Because::Other) => instance.set(Health::Unhealthy, Because::Declared),
        }
        self.changed();
    }

    fn remove(&mut self, name: &Name, goodbye: bool) {
        self.instances.remove(name);
        if let Some(kept) = self.layers.get_mut(name)
            && !kept.layer.sticky
        {
            kept.gone_since = Some(self.now);
            if goodbye {
                self.layers.remove(name);
            }
        }
        if !self.instances.keys().any(|(service, _)| *service == name.0) {
            self.services.insert(name.0.clone(), Some(self.now));
        }
        self.changed();
    }

    pub(super) fn deregister(&mut self, name: &Name) {
        if self.instances.contains_key(name) {
            self.remove(name, true);
        }
    }

    pub(super) fn close_session(&mut self, session: SessionId) {
        let of_session =
            |(_, instance): &(&Name, &Instance)| instance.registration.liveness == Liveness::Session(session);
        let gone: Vec<_> = self
            .instances
            .iter()
            .filter(of_session)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.remove(&name, false);
        }
    }

    pub(super) fn operate(&mut self, name: &Name, patch: &OperatorPatch) {
        let Some(instance) = self.instances.get(name) else {
            return;
        };
        let before = self.layer(name).cloned().unwrap_or_default();
        let after = before.patched(patch).unwrap();
        if after == before {
            return;
        }
        let incarnation = instance.registration.incarnation.clone();
        if after == OperatorLayer::default() {
            self.layers.remove(name);
        } else {
            self.layers.insert(
                name.clone(),
                Layer {
                    layer: after,
                    incarnation,
                    gone_since: None,
                },
            );
        }
        self.changed();
    }

    pub(super) fn clear(&mut self, name: &Name) {
        if self.layers.remove(name).is_some() {
            match self.instances.contains_key(name) {
                true => self.changed(),
                false => self.revision += 1,
            }
        }
    }

    /// Lets time pass: what is due first happens first.
    pub(super) fn advance(&mut self, by: u64) {
        let end = self.now + by;
        loop {
            let silences = self
                .instances
                .iter()
                .filter_map(|(name, instance)| Some((instance.due()?, Some(name))));
            let layers = self
                .layers
                .values()
                .filter_map(|kept| Some((kept.gone_since? + KEPT, None)));
            let next = silences.chain(layers).filter(|(at, _)| *at <= end).min();
            let Some((at, name)) = next.map(|(at, name)| (at, name.cloned())) else {
                // Services go last: one with a layer waits for its end.
                self.drop_services(end);
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            match name {
                Some(name) => self.fall(&name),
                None => {
                    let now = self.now;
                    let before = self.layers.len();
                    self.layers
                        .retain(|_, kept| kept.gone_since.is_none_or(|since| since + KEPT > now));
                    self.revision += (before - self.layers.len()) as u64;
                }
            }
        }
    }

    fn fall(&mut self, name: &Name) {
        let now = self.now;
        let instance = self.instances.get_mut(name).unwrap();
        let (_, remove) = instance.deadlines().unwrap();
        if remove <= now {
            self.remove(name, false);
        } else {
            instance.silent = true;
            instance.set(Health::Unhealthy, Because::Other);
            self.changed();
        }
    }

    fn drop_services(&mut self, now: u64) {
        let layers = &self.layers;
        self.services.retain(|service, empty| {
            empty.is_none_or(|since| since + KEPT > now) || layers.keys().any(|(of, _)| of == service)
        });
    }

    /// A restart: what was stays, silences and the times of what is gone begin anew.
    pub(super) fn reopen(&mut self) {
        for instance in self.instances.values_mut() {
            (instance.last_beat, instance.restarted, instance.streak) = (self.now, self.now, 0);
        }
        for kept in self.layers.values_mut() {
            kept.gone_since = kept.gone_since.map(|_| self.now);
        }
        // The whole history is replayed, so that each service that ever was is there again.
        for service in &self.ever {
            let empty = !self.instances.keys().any(|(of, _)| of == service);
            self.services.insert(service.clone(), empty.then_some(self.now));
        }
    }
}
