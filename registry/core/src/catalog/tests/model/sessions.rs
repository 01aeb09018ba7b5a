//! What lives by connections, and who waits for what another has.

use super::{Instance, Model, Name};
use crate::model::{Endpoint, Health, Lease, Lifetime, Liveness, Registration, ServiceKey, SessionId};

/// What a connection said of an instance that another has.
#[derive(Debug, Clone)]
pub(in super::super) struct Waiting {
    pub(in super::super) session: SessionId,
    registration: Registration,
    health: Health,
    lease: Lease,
}

impl Instance {
    /// The connection that it lives by, if it is one of this process.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self.registration.liveness {
            Liveness::Session(session) if !self.unconfirmed => Some(session),
            _ => None,
        }
    }

    /// Another registration takes its place.
    pub(super) fn taken_over(&mut self, by: &Registration) {
        let had = self
            .session()
            .filter(|had| by.liveness != Liveness::Session(*had));
        self.waiting
            .retain(|waiting| by.liveness != Liveness::Session(waiting.session));
        self.waiting.extend(had.map(|session| Waiting {
            session,
            registration: self.registration.clone(),
            health: self.health,
            lease: self.lease,
        }));
    }
}

impl Model {
    /// It is given up: the latest who waits has it, or nobody. Whoever gave it up does not wait.
    pub(super) fn give_up(&mut self, name: &Name, goodbye: bool) {
        let instance = &self.instances[name];
        let (had, lease) = (instance.session(), instance.lease);
        let Some(next) = instance.waiting.last().cloned() else {
            return self.remove(name, goodbye);
        };
        let holder = self.by_lease(next.lease);
        let free = holder.is_none_or(|holder| holder == *name);
        let fresh = if free { next.lease } else { lease };
        self.take(name.clone(), next.registration, next.health, fresh);
        let instance = self.instances.get_mut(name).unwrap();
        instance.waiting.retain(|waiting| Some(waiting.session) != had);
    }

    fn waits_no_longer(&mut self, session: SessionId, at: impl Fn(&Name) -> bool) {
        for (_, instance) in self.instances.iter_mut().filter(|(name, _)| at(name)) {
            instance.waiting.retain(|waiting| waiting.session != session);
        }
    }

    fn of_session(&self, session: SessionId) -> Vec<Name> {
        let of_session = self
            .instances
            .iter()
            .filter(|(_, instance)| instance.session() == Some(session));
        of_session.map(|(name, _)| name.clone()).collect()
    }

    pub(in super::super) fn close_session(&mut self, session: SessionId) {
        for name in self.of_session(session) {
            self.give_up(&name, false);
        }
        self.waits_no_longer(session, |_| true);
    }

    /// Returns whether it is taken.
    pub(in super::super) fn publish(
        &mut self,
        service: &ServiceKey,
        session: SessionId,
        instances: Vec<(Endpoint, Registration, Health, Lease)>,
    ) -> bool {
        let name = |endpoint: &Endpoint| (service.clone(), endpoint.clone());
        if !instances
            .iter()
            .all(|(endpoint, ..)| self.takes(&name(endpoint), Lifetime::Ephemeral, true))
        {
            return false;
        }
        let named =
            |(of, endpoint): &Name| *of == *service && instances.iter().any(|(named, ..)| named == endpoint);
        for name in self.of_session(session) {
            if name.0 == *service && !named(&name) {
                self.give_up(&name, true);
            }
        }
        self.waits_no_longer(session, |name| name.0 == *service && !named(name));
        for (endpoint, registration, health, lease) in instances {
            self.take(name(&endpoint), registration, health, lease);
        }
        true
    }
}
