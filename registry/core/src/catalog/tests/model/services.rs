//! Services as a whole: what is said about them, and what follows from it.

use super::{Instance, Model, Name};
use crate::model::{Existence, Lifetime, ServiceKey, ServicePatch};

/// Since when silence has consequences; `None` while it has none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expires(Option<u64>);

impl Default for Expires {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl Expires {
    pub(super) fn turn(&mut self, on: bool, now: u64) {
        self.0 = on.then(|| self.0.unwrap_or(now));
    }
}

impl Model {
    /// Since when the silence of an instance has consequences in its service; `None` while it has none.
    pub(super) fn expires_since(&self, service: &ServiceKey, instance: &Instance) -> Option<u64> {
        if instance.is_awaited() {
            return self.expire.0;
        }
        let here = self.expire_in.get(service).copied().unwrap_or_default();
        Some(here.0?.max(self.expire.0?))
    }

    /// Whether a registration of this lifetime is taken.
    pub(super) fn takes(&self, name: &Name, lifetime: Lifetime, uniform: bool) -> bool {
        let of = |instance: &Instance| instance.registration.liveness.kind().lifetime();
        let bound = self.settings.get(&name.0).and_then(|settings| settings.lifetime);
        let is_in = self
            .instances
            .get(name)
            .is_some_and(|known| of(known) == lifetime);
        bound.is_none_or(|bound| bound == lifetime)
            && (!uniform || is_in || self.instances_of(&name.0).all(|other| of(other) == lifetime))
    }

    /// Returns whether it may be.
    pub(in super::super) fn declare_service(
        &mut self,
        service: &ServiceKey,
        patch: &ServicePatch,
        must: Existence,
    ) -> bool {
        let there = self.services.contains_key(service);
        let before = self.settings.get(service).cloned().unwrap_or_default();
        let after = before.patched(patch).unwrap();
        if there && must == Existence::Absent || !there && must == Existence::Present {
            return false;
        }
        if there && before == after {
            return true;
        }
        let of = |instance: &Instance| instance.registration.liveness.kind().lifetime();
        if let Some(bound) = after.lifetime
            && self.instances_of(service).any(|instance| of(instance) != bound)
        {
            return false;
        }
        let now = self.now;
        self.expire_in
            .entry(service.clone())
            .or_default()
            .turn(after.expires, now);
        self.settings.insert(service.clone(), after);
        let empty = self.instances_of(service).next().is_none();
        self.services.insert(service.clone(), empty.then_some(now));
        self.revision += 1;
        true
    }

    /// Returns whether it may be.
    pub(in super::super) fn remove_service(&mut self, service: &ServiceKey) -> bool {
        if !self.services.contains_key(service) || self.instances_of(service).next().is_some() {
            return false;
        }
        self.forget(service);
        self.revision += 1;
        true
    }

    pub(super) fn forget(&mut self, service: &ServiceKey) {
        self.services.remove(service);
        self.settings.remove(service);
        self.expire_in.remove(service);
        self.layers.retain(|(of, _), _| of != service);
    }

    pub(in super::super) fn set_expiry(&mut self, on: Option<bool>) {
        // That it is on, and that nothing is said, are different texts.
        if self.said != on {
            self.said = on;
            self.revision += 1;
            self.expire.turn(on.unwrap_or(true), self.now);
        }
    }
}
