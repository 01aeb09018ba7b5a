//! From a command to the mutations that would carry it out. Reads the catalog, and changes nothing that is journaled.

use std::sync::Arc;

use crate::model::{
    Declared, DeclaredStatus, Endpoint, Health, Lease, Marks, Member, Mono, Reason, ServiceKey,
};

use super::Catalog;
use super::command::{Command, Mutation, Publication};
use super::refusal::Refusal;
use super::service::Service;

/// What a command comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It changes nothing: no revision, no push.
    Nothing,
    /// These, in this order.
    Commit(Vec<Mutation>),
}

impl Decision {
    pub(super) fn of(mutations: Vec<Mutation>) -> Self {
        if mutations.is_empty() {
            Self::Nothing
        } else {
            Self::Commit(mutations)
        }
    }
}

impl Catalog {
    /// Decides as if nobody had reported anything: see [`Catalog::decide`].
    pub(super) fn decide_plainly(
        &mut self,
        command: Command,
        reserved: usize,
        now: Mono,
    ) -> Result<Decision, Refusal> {
        let mutation = match command {
            Command::Register {
                service,
                endpoint,
                registration,
                health,
                lease,
                uniform,
            } => {
                let publication = Publication {
                    endpoint,
                    registration,
                    health,
                    lease,
                };
                return self.decide_register(&service, publication, uniform, reserved, now);
            }
            Command::Publish {
                service,
                session,
                instances,
            } => return self.decide_publish(&service, session, instances, reserved, now),
            Command::Deregister {
                service,
                endpoint,
                lease,
                only,
                reason,
            } => {
                let (_, member) = self.find(&service, &endpoint)?;
                if lease.is_some() && self.beats.cell(member.slot).lease() != lease {
                    return Err(Refusal::LeaseMismatch(service, endpoint));
                }
                if !only.is_empty() && !only.contains(&member.record.registration.liveness.kind()) {
                    return Err(Refusal::InstanceNotFound(service, endpoint));
                }
                Mutation::Removed {
                    service,
                    endpoint,
                    reason,
                }
            }
            Command::Operate {
                service,
                endpoint,
                patch,
                ahead,
            } => {
                return self.decide_operate(service, endpoint, &patch, ahead);
            }
            Command::ClearOperator { service, endpoint } => return self.decide_clear(service, endpoint),
            Command::Declare { lease, declared } => return self.decide_declare(lease, declared, now),
            Command::Measure {
                service,
                endpoint,
                health,
                reason,
            } => {
                let (_, member) = self.find(&service, &endpoint)?;
                if member.state.health == health {
                    return Ok(Decision::Nothing);
                }
                // Its client has not shown by that that it lives.
                let unconfirmed = self.is_unconfirmed(member.slot);
                Mutation::Measured {
                    service,
                    endpoint,
                    health,
                    marks: Marks::NONE.with(Marks::UNCONFIRMED, unconfirmed),
                    reason,
                }
            }
            Command::EndReports { service, endpoint } => {
                return self.decide_end_reports(service, endpoint, now);
            }
            Command::Returned { slot } => return Ok(self.decide_returned(slot, now)),
            Command::CloseSession { session } => return Ok(self.decide_close_session(session, now)),
            Command::DeclareService { service, patch, must } => {
                return self.decide_declare_service(service, &patch, must);
            }
            Command::RemoveService { service } => {
                let (_, found) = self
                    .service(service.borrowed())
                    .ok_or_else(|| Refusal::ServiceNotFound(service.clone()))?;
                if !found.roster.is_empty() {
                    return Err(Refusal::ServiceNotEmpty(service));
                }
                Mutation::ServiceRemoved { service }
            }
            Command::DeclareNamespace {
                namespace,
                info,
                must,
            } => return self.decide_declare_namespace(namespace, info, must),
            Command::Import { service, part, lease } => {
                return self.decide_import(service, *part, lease, reserved);
            }
            Command::RemoveNamespace { namespace } => {
                if self.namespace_info(&namespace).is_none() {
                    return Err(Refusal::NamespaceNotFound(namespace));
                }
                Mutation::NamespaceRemoved { namespace }
            }
            Command::Set { name, value } => {
                if !self.settings.check(&name, value.as_deref())? {
                    return Ok(Decision::Nothing);
                }
                Mutation::SettingChanged { name, value }
            }
        };
        Ok(Decision::Commit(vec![mutation]))
    }

    fn decide_declare(
        &self,
        lease: Lease,
        declared: Option<Arc<Declared>>,
        now: Mono,
    ) -> Result<Decision, Refusal> {
        let slot = self.beats.slot_of_lease(lease).ok_or(Refusal::UnknownLease)?;
        let (found, service, member) = self.at_slot(slot).ok_or(Refusal::UnknownLease)?;
        let mut mutations = Vec::new();
        // Its lease was renewed on the way here: one that was silent returns. It does so last, so that one who says
        // that it is not well is at no revision healthy.
        let unwell = declared
            .as_ref()
            .is_some_and(|said| said.status == DeclaredStatus::Unhealthy);
        let returned = self.returned(slot, Some(unwell), now);
        if member.record.declared != declared {
            let (before, after) = self.flaps_by_saying(service, member, unwell, now);
            // Before it takes back that it is not well, or failing probes would be hidden by that.
            let beneath = (!unwell)
                .then(|| self.measured_beneath(service, member, now))
                .flatten()
                .filter(|(health, _)| *health == Health::Unhealthy);
            mutations.extend(beneath.map(|(_, measured)| measured).or(before));
            mutations.push(Mutation::Declared {
                service: service.key().clone(),
                endpoint: found.endpoint.clone(),
                declared,
            });
            mutations.extend(after);
        }
        mutations.extend(returned);
        Ok(Decision::of(mutations))
    }

    /// What a beat changes that came for an instance which was found silent, or is not healthy.
    pub(super) fn decide_returned(&self, number: u32, now: Mono) -> Decision {
        match self.returned(number, None, now) {
            Some(returned) => Decision::Commit(vec![returned]),
            None => Decision::Nothing,
        }
    }

    /// An instance has returned if its last beat is fresh, and is one. `unwell` is what it says itself by then, if
    /// that changes: one that says that it is not well does not become healthy by beating.
    fn returned(&self, number: u32, unwell: Option<bool>, now: Mono) -> Option<Mutation> {
        // The cell and the slot tell most that there is nothing to do: a service that is all suspect is looked at
        // over and over, and its instances shall not be searched for each time.
        let slot = self.slots.get(number)?;
        let timings = slot.timings?;
        let unconfirmed = slot.unconfirmed && self.asks_first_beats();
        let first = timings.unhealthy_after().min(timings.remove_after());
        let last_beat = self.beats.cell(number).last_beat();
        if last_beat <= slot.restarted || now >= last_beat.after(first) {
            return None;
        }
        let (slot, service, member) = self.at_slot(number)?;
        let unwell = unwell.unwrap_or_else(|| member.record.unwell());
        if !unconfirmed
            && !slot
                .phase
                .awaits_beat(&member.state, unwell, self.flaps.is_held(number))
        {
            return None;
        }
        let (health, marks, reason) = self.well(member, unwell, Reason::Beat, now);
        Some(Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health,
            marks,
            reason,
        })
    }

    pub(super) fn find(
        &self,
        service: &ServiceKey,
        endpoint: &Endpoint,
    ) -> Result<(&Service, &Member), Refusal> {
        let (_, found) = self
            .service(service.borrowed())
            .ok_or_else(|| Refusal::ServiceNotFound(service.clone()))?;
        let member = found
            .roster
            .get(endpoint)
            .ok_or_else(|| Refusal::InstanceNotFound(service.clone(), endpoint.clone()))?;
        Ok((found, member))
    }
}
