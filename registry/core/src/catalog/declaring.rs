//! What is said about a service as a whole, and what follows from it: which instances it takes, and whether their
//! silence has consequences.

use std::sync::Arc;

use crate::model::{
    Endpoint, Existence, Lifetime, Mono, Registration, ServiceKey, ServicePatch, ServiceSettings, SettingName,
};

use super::Catalog;
use super::apply::Moment;
use super::command::Mutation;
use super::decide::Decision;
use super::refusal::Refusal;
use super::service::Service;
use super::settings::EXPIRY;

/// Whether a service takes a registration: what was declared binds all, what is there binds those that are to be
/// uniform. Where somebody has mixed a service already, those who are in it may go on registering as they are.
pub(super) fn check_lifetime(
    service: &Service,
    endpoint: &Endpoint,
    registration: &Registration,
    uniform: bool,
) -> Result<(), Refusal> {
    let wanted = registration.liveness.kind().lifetime();
    let declared = service.settings.as_ref().and_then(|settings| settings.lifetime);
    let renews = || {
        let member = service.roster.get(endpoint);
        member.is_some_and(|member| member.record.registration.liveness.kind().lifetime() == wanted)
    };
    let there = uniform && service.has(wanted.other()) && !renews();
    match declared.or(there.then(|| wanted.other())) {
        Some(lifetime) if lifetime != wanted => Err(Refusal::OtherLifetime {
            service: service.key().clone(),
            lifetime,
        }),
        _ => Ok(()),
    }
}

impl Catalog {
    pub(super) fn decide_declare_service(
        &self,
        key: ServiceKey,
        patch: &ServicePatch,
        must: Existence,
    ) -> Result<Decision, Refusal> {
        let found = self.service(key.borrowed()).map(|(_, found)| found);
        match (found, must) {
            (None, Existence::Present) => return Err(Refusal::ServiceNotFound(key)),
            (Some(_), Existence::Absent) => return Err(Refusal::ServiceExists(key)),
            (None, _) if self.services() >= self.config.services_max => {
                return Err(Refusal::Limit {
                    limit: "services_max",
                    max: self.config.services_max,
                });
            }
            _ => {}
        }
        let nothing_said = ServiceSettings::default();
        let before = found
            .and_then(|found| found.settings.as_deref())
            .unwrap_or(&nothing_said);
        let after = before.patched(patch)?;
        if let Some(found) = found {
            if *before == after {
                return Ok(Decision::Nothing);
            }
            // Its instances could not register anew.
            if let Some(other) = after.lifetime.map(Lifetime::other)
                && found.has(other)
            {
                return Err(Refusal::OtherLifetime {
                    service: key,
                    lifetime: other,
                });
            }
        }
        Ok(Decision::Commit(vec![Mutation::ServiceDeclared {
            service: key,
            settings: Box::new(after),
        }]))
    }

    pub(super) fn declare_service(&mut self, key: ServiceKey, settings: ServiceSettings, moment: Moment) {
        let index = self.service_or_new(key, moment.revision);
        let service = self.services[index as usize]
            .as_mut()
            .expect("found or made above");
        let expired = service.expires();
        let slow_start = service.slow_start();
        let before = service.settings.replace(Arc::new(settings));
        let other_ramp = service.slow_start() != slow_start;
        let expires = service.expires();
        if expires && !expired {
            service.expires_since = moment.now;
        }
        // One without instances is kept for a while from now on.
        if service.roster.is_empty() {
            let key = service.key().clone();
            if let Some(since) = service.empty_since.replace(moment.now) {
                self.emptied.remove(&(since, key.clone()));
            }
            self.emptied.insert((moment.now, key));
        }
        service.touch(moment.revision);
        if expires != expired {
            self.count_in_registry(index, expires);
        }
        if other_ramp {
            self.ramp_due(index, moment.now);
        }
        self.reschedule_probes(index, before.as_deref(), moment.now);
    }

    /// Another node may have registered an instance before this was committed: then the service stays.
    pub(super) fn remove_service(&mut self, key: &ServiceKey) {
        if let Some((index, service)) = self.service(key.borrowed())
            && service.roster.is_empty()
        {
            self.drop_service(index);
        }
    }

    pub(super) fn change_setting(&mut self, name: SettingName, value: Option<Arc<str>>, now: Mono) {
        let is_expiry = name.as_str() == EXPIRY;
        self.settings.set(name, value);
        if is_expiry {
            let before = std::mem::replace(&mut self.expires, self.settings.expiry());
            if self.expires && !before {
                self.expires_since = now;
            }
        }
    }
}
