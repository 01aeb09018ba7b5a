//! A naive model of the catalog: maps, and everything recomputed from scratch. It knows neither slots nor wheels nor
//! phases of beats; it says what the rules say. The guard is not in it: `simulation` checks that. Nor is damping, which
//! `flapping` has a model of.

mod importing;
mod services;
mod sessions;
mod time;

use std::collections::BTreeMap;
use std::sync::Arc;

use services::Expires;

use crate::catalog::testing::anonymous;
use crate::model::{
    Declared, DeclaredStatus, Endpoint, Health, Incarnation, Lease, Liveness, OperatorLayer, OperatorPatch,
    Probe, Registration, ServiceKey, ServiceSettings, Timings,
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
    /// Whether its health is another reason's than its registration's.
    measured: bool,
    pub(super) declared: Option<Arc<Declared>>,
    silent: bool,
    last_beat: u64,
    /// When its silence last began without a beat.
    restarted: u64,
    streak: u8,
    /// Whether the newest answers were good, and how many in a row were so.
    row: (bool, u8),
    /// Whether it is shown as known from before a restart only, and whether it was heard of since nevertheless.
    pub(super) unconfirmed: bool,
    heard: bool,
    /// Which connections said something of it and have not taken it back, the latest last.
    pub(super) waiting: Vec<sessions::Waiting>,
}

#[derive(Debug, Clone)]
struct Layer {
    layer: OperatorLayer,
    /// The run that it was set on; `None` if it waits for the next.
    of: Option<Option<Incarnation>>,
    gone_since: Option<u64>,
}

type Name = (ServiceKey, Endpoint);

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) instances: BTreeMap<Name, Instance>,
    layers: BTreeMap<Name, Layer>,
    /// What was declared.
    pub(super) settings: BTreeMap<ServiceKey, ServiceSettings>,
    expire_in: BTreeMap<ServiceKey, Expires>,
    expire: Expires,
    /// Services, with when they became empty.
    pub(super) services: BTreeMap<ServiceKey, Option<u64>>,
    /// What was set about the consequences of silence.
    said: Option<bool>,
    /// How many changes there were that readers can see, and mutations in all.
    pub(super) changes: u64,
    pub(super) revision: u64,
    /// After a restart, until when it is incomplete.
    pub(super) warming: Option<u64>,
}

impl Instance {
    fn timings(&self) -> Option<Timings> {
        match self.registration.liveness {
            Liveness::Beat(timings) => Some(timings),
            // Its connection is gone; it has to come back.
            Liveness::Session(_) if self.is_awaited() => Some(Timings::RETURNING),
            _ => None,
        }
    }

    /// Whether its connection is gone, and it has to come back.
    fn is_awaited(&self) -> bool {
        self.unconfirmed && matches!(self.registration.liveness, Liveness::Session(_))
    }

    fn beats(&self) -> bool {
        matches!(self.registration.liveness, Liveness::Beat(_))
    }

    /// What was heard of it is shown.
    fn show(&mut self) {
        if self.heard {
            (self.unconfirmed, self.heard) = (false, false);
        }
    }

    fn unwell(&self) -> bool {
        is_unwell(self.declared.as_ref())
    }

    fn asked_alike(&self, registration: &Registration) -> bool {
        let known = &self.registration;
        matches!(known.liveness, Liveness::Probe(_))
            && known.liveness == registration.liveness
            && known.cluster == registration.cluster
            && known.incarnation == registration.incarnation
    }

    /// Whether it says the same, whichever connection it lives by.
    fn is_alike(&self, registration: &Registration) -> bool {
        anonymous(&self.registration) == anonymous(registration)
    }

    /// What the newest answers in a row are enough for.
    fn beneath(&self) -> Option<Health> {
        let Liveness::Probe(Probe::Own(spec)) = &self.registration.liveness else {
            return None;
        };
        match self.row {
            (true, count) => (count >= spec.rise()).then_some(Health::Healthy),
            (false, count) => (count >= spec.fall()).then_some(Health::Unhealthy),
        }
    }

    fn set(&mut self, health: Health, because: Because) {
        self.health = health;
        self.because = because;
        self.measured = true;
    }

    /// When it falls silent, or goes; in whole ticks. `since` is when silence began to have consequences.
    fn deadlines(&self, since: u64) -> Option<(u64, u64)> {
        let timings = self
            .timings()
            .filter(|_| self.registration.expires || self.is_awaited())?;
        let silent_since = self.last_beat.max(since);
        let at =
            |after: std::time::Duration| (silent_since + after.as_micros() as u64).next_multiple_of(TICK);
        Some((at(timings.unhealthy_after()), at(timings.remove_after())))
    }

    fn due(&self, since: u64) -> Option<u64> {
        let (unhealthy, remove) = self.deadlines(since)?;
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

    pub(super) fn layers_of<'a>(
        &'a self,
        service: &'a ServiceKey,
    ) -> impl Iterator<Item = (&'a Endpoint, &'a OperatorLayer, bool)> {
        let of_service = self.layers.iter().filter(move |(name, _)| name.0 == *service);
        of_service.map(|(name, kept)| (&name.1, &kept.layer, self.instances.contains_key(name)))
    }

    pub(super) fn instances_of<'a>(&'a self, service: &'a ServiceKey) -> impl Iterator<Item = &'a Instance> {
        let of_service = self.instances.iter().filter(move |(name, _)| name.0 == *service);
        of_service.map(|(_, instance)| instance)
    }

    /// Returns whether it is taken.
    pub(super) fn register(
        &mut self,
        name: Name,
        registration: Registration,
        health: Health,
        fresh: Lease,
        uniform: bool,
    ) -> bool {
        if !self.takes(&name, registration.liveness.kind().lifetime(), uniform) {
            return false;
        }
        self.take(name, registration, health, fresh);
        true
    }

    fn take(&mut self, name: Name, registration: Registration, health: Health, fresh: Lease) {
        let (now, known) = (self.now, self.instances.get_mut(&name));
        let mut lease = fresh;
        let (mut probed, mut stays) = (false, health);
        let (mut beneath, mut streak, mut row) = (None, 0, (false, 0));
        let mut waiting = Vec::new();
        if let Some(known) = known {
            // What probes have measured is not overruled where they go on as before.
            let alike = known.asked_alike(&registration);
            let only_said = known.unwell() && known.because == Because::Declared;
            beneath = known.beneath().filter(|_| alike && only_said);
            probed = known.measured && alike && !only_said;
            if probed {
                stays = known.health;
            }
            stays = beneath.unwrap_or(stays);
            if alike {
                row = known.row;
                if stays == known.health {
                    streak = known.streak;
                }
            }
            let stands = match known.registration.liveness {
                Liveness::Beat(_) => !known.silent && known.health == health,
                Liveness::Static | Liveness::Probe(_) | Liveness::Session(_) => {
                    known.measured || known.health == health
                }
            };
            let is_probe = matches!(known.registration.liveness, Liveness::Probe { .. });
            let confirms = known.unconfirmed && !is_probe;
            let same = known.is_alike(&registration);
            if same && known.declared.is_none() && stands && !confirms {
                known.last_beat = now;
                known.taken_over(&registration);
                known.registration = registration;
                return;
            }
            known.taken_over(&registration);
            waiting = std::mem::take(&mut known.waiting);
            if known.registration.incarnation == registration.incarnation {
                lease = known.lease;
            }
        }
        self.take_layer(&name, &registration);
        self.services.insert(name.0.clone(), None);
        let (because, declared) = (Because::Other, None);
        let fresh = Instance {
            registration,
            lease,
            health: stays,
            because,
            measured: probed || beneath.is_some(),
            declared,
            silent: false,
            last_beat: now,
            restarted: now,
            streak,
            row,
            unconfirmed: false,
            heard: false,
            waiting,
        };
        self.instances.insert(name, fresh);
        self.changed();
        if beneath.is_some() {
            self.changed();
        }
    }

    /// An instance comes to the layer that waits for it, or ends it.
    fn take_layer(&mut self, name: &Name, registration: &Registration) {
        if let Some(kept) = self.layers.get_mut(name) {
            let of = kept.of.replace(registration.incarnation.clone());
            kept.gone_since = None;
            if !kept.layer.sticky && of.is_some_and(|of| of != registration.incarnation) {
                self.layers.remove(name);
            }
        }
    }

    pub(super) fn by_lease(&self, lease: Lease) -> Option<Name> {
        let mut holders = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.lease == lease);
        holders.next().map(|(name, _)| name.clone())
    }

    pub(super) fn beat(&mut self, lease: Lease) {
        let (now, name, warms) = (self.now, self.by_lease(lease), self.warming.is_some());
        let Some(instance) = name.and_then(|name| self.instances.get_mut(&name)) else {
            return;
        };
        if !instance.beats() {
            return;
        }
        instance.last_beat = instance.last_beat.max(now);
        instance.heard |= instance.unconfirmed && warms;
        let unproven = instance.health == Health::Unhealthy && instance.because == Because::Other;
        let confirms = instance.unconfirmed && !warms;
        if (instance.silent || unproven && !instance.unwell() || confirms) && now > instance.restarted {
            instance.silent = false;
            (instance.unconfirmed, instance.heard) = (false, false);
            match instance.unwell() {
                true => instance.set(Health::Unhealthy, Because::Declared),
                false => instance.set(Health::Healthy, Because::Other),
            }
            self.changed();
        }
    }

    pub(super) fn declare(&mut self, lease: Lease, declared: Option<Arc<Declared>>) {
        let Some(name) = self.by_lease(lease) else { return };
        let (now, mut changes, warms) = (self.now, 0, self.warming.is_some());
        let instance = self.instances.get_mut(&name).unwrap();
        let unwell = is_unwell(declared.as_ref());
        let unproven = instance.health == Health::Unhealthy && instance.because == Because::Other;
        let confirms = instance.unconfirmed && !warms;
        let returned = instance.beats()
            && now > instance.restarted
            && (instance.silent || unproven && !unwell || confirms);
        if instance.beats() {
            instance.last_beat = instance.last_beat.max(now);
            instance.heard |= instance.unconfirmed && warms;
        }
        if instance.declared != declared {
            let only_said = instance.unwell() && instance.because == Because::Declared;
            if !unwell && only_said && instance.beneath() == Some(Health::Unhealthy) {
                instance.set(Health::Unhealthy, Because::Other);
                changes += 1;
            }
            instance.declared = declared;
            instance.show();
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
            (instance.unconfirmed, instance.heard) = (false, false);
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
        let Liveness::Probe(Probe::Own(spec)) = &instance.registration.liveness else {
            return;
        };
        // Where silence has no consequences nobody is probed either.
        if self.said == Some(false) {
            return;
        }
        let (rise, fall) = (spec.rise(), spec.fall());
        instance.heard |= instance.unconfirmed;
        let mut changes = instance.heard && self.warming.is_none();
        let count = if instance.row.0 == good { instance.row.1 } else { 0 };
        instance.row = (good, count.saturating_add(1));
        let healthy = instance.health == Health::Healthy;
        instance.streak = if healthy == good { 0 } else { instance.streak + 1 };
        if instance.streak >= if good { rise } else { fall } {
            instance.streak = 0;
            match (good, instance.unwell(), instance.because) {
                (true, true, Because::Declared) => {}
                (good, unwell, _) => {
                    let (health, because) = match (good, unwell) {
                        (false, _) => (Health::Unhealthy, Because::Other),
                        (true, false) => (Health::Healthy, Because::Other),
                        (true, true) => (Health::Unhealthy, Because::Declared),
                    };
                    instance.set(health, because);
                    changes = true;
                }
            }
        }
        if changes {
            instance.show();
            self.changed();
        }
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

    pub(super) fn operate(&mut self, name: &Name, patch: &OperatorPatch, ahead: bool) {
        let instance = self.instances.get(name);
        if instance.is_none() && !(ahead && self.services.contains_key(&name.0)) {
            return;
        }
        let before = self.layer(name).cloned().unwrap_or_default();
        let after = before.patched(patch).unwrap();
        if after == before {
            return;
        }
        let (of, there) = (
            instance.map(|instance| instance.registration.incarnation.clone()),
            instance.is_some(),
        );
        if after == OperatorLayer::default() {
            self.layers.remove(name);
        } else {
            let gone_since = (!there && !after.sticky).then_some(self.now);
            let layer = after;
            let kept = Layer {
                layer,
                of,
                gone_since,
            };
            self.layers.insert(name.clone(), kept);
        }
        self.operated(name);
    }

    fn operated(&mut self, name: &Name) {
        match self.instances.get_mut(name) {
            Some(instance) => {
                instance.show();
                self.changed();
            }
            None => self.revision += 1,
        }
    }

    pub(super) fn clear(&mut self, name: &Name) {
        if self.layers.remove(name).is_some() {
            self.operated(name);
        }
    }
}
