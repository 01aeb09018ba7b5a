//! From a command to the mutations that would carry it out. Reads the catalog, changes nothing.

use std::sync::Arc;

use crate::model::{
    Declared, DeclaredStatus, Endpoint, Health, Lease, Liveness, LivenessKind, Marks, Member, Mono, Reason,
    Registration, ServiceKey,
};

use super::Catalog;
use super::command::{Command, Mutation};
use super::declaring::check_lifetime;
use super::measured::{asked_alike, stays_measured};
use super::refusal::Refusal;
use super::service::Service;
use super::slots::Phase;

/// What a command comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It changes nothing: no revision, no push.
    Nothing,
    /// These, in this order.
    Commit(Vec<Mutation>),
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
                return self.decide_register(
                    service,
                    endpoint,
                    registration,
                    health,
                    lease,
                    uniform,
                    reserved,
                    now,
                );
            }
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
            Command::CloseSession { session } => {
                let slots = self.sessions.get(&session).into_iter().flatten();
                let gone = slots.filter_map(|slot| {
                    let (slot, service, _) = self.at_slot(*slot)?;
                    Some(Mutation::Removed {
                        service: service.key().clone(),
                        endpoint: slot.endpoint.clone(),
                        reason: Reason::SessionClosed,
                    })
                });
                let gone: Vec<_> = gone.collect();
                return Ok(if gone.is_empty() {
                    Decision::Nothing
                } else {
                    Decision::Commit(gone)
                });
            }
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

    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of one command, taken apart once"
    )]
    fn decide_register(
        &mut self,
        service: ServiceKey,
        endpoint: Endpoint,
        registration: Box<Registration>,
        health: Health,
        fresh: Lease,
        uniform: bool,
        reserved: usize,
        now: Mono,
    ) -> Result<Decision, Refusal> {
        let found = self.service(service.borrowed()).map(|(_, found)| found);
        if let Some(found) = found {
            check_lifetime(found, &endpoint, &registration, uniform)?;
        }
        let Some(member) = found.and_then(|found| found.roster.get(&endpoint)) else {
            self.check_limits(found, reserved)?;
            return Ok(Decision::Commit(vec![Mutation::Registered {
                service,
                endpoint,
                registration,
                health,
                lease: fresh,
            }]));
        };
        let known = &member.record.registration;
        let same_run = known.incarnation == registration.incarnation;
        let kept = same_run.then(|| self.beats.cell(member.slot).lease()).flatten();
        // What a probe or a beat measured is not overruled by a registration that says nothing new.
        let stands = match known.liveness {
            Liveness::Beat(_) => {
                let live = self
                    .slots
                    .get(member.slot)
                    .is_some_and(|slot| slot.phase == Phase::Live);
                live && (member.state.health == health || self.flaps.is_held(member.slot))
            }
            // Unless its health was measured since, or somebody has set it, it is as it is registered.
            Liveness::Static | Liveness::Probe(_) => {
                member.state.reason != Reason::Registered || member.state.health == health
            }
            Liveness::Session(_) => true,
        };
        // By registering it starts anew, also for those who could not reach it.
        let stands = stands && !member.state.marks.has(Marks::REPORTED);
        // One that is known from before a restart is confirmed by it, and shown so.
        let confirms = known.liveness.kind() != LivenessKind::Probe && self.is_unconfirmed(member.slot);
        if stands && !confirms && *known == *registration && member.record.declared.is_none() {
            let number = member.slot;
            self.beats.cell(number).restart(now);
            // Nor is it a beat: one that is yet to prove itself healthy has not done so.
            if let Some(slot) = self.slots.get_mut(number) {
                slot.restarted = now;
            }
            return Ok(Decision::Nothing);
        }
        let lease = kept.unwrap_or(fresh);
        let alike = asked_alike(known, &registration);
        // What it said of itself goes with its registration, and then what its probes come to counts.
        let beneath = found
            .filter(|_| alike)
            .and_then(|found| self.measured_beneath(found, member, now));
        let stays = stays_measured(member, &registration);
        let health = match &beneath {
            Some((health, _)) => *health,
            None if stays => member.state.health,
            None => health,
        };
        // Nor is one that flaps healthy by saying so once more.
        let held = match (found, beneath) {
            (_, Some((_, measured))) => Some(measured),
            (Some(found), None) if !stays => self.flaps_still(found, member, &registration, health, now),
            _ => None,
        };
        let flaps = matches!(
            held,
            Some(Mutation::Measured {
                health: Health::Unhealthy,
                ..
            })
        );
        let registered = Mutation::Registered {
            service,
            endpoint,
            registration,
            health: if flaps { Health::Unhealthy } else { health },
            lease,
        };
        Ok(Decision::Commit(
            std::iter::once(registered).chain(held).collect(),
        ))
    }

    pub(super) fn check_limits(&self, service: Option<&Service>, reserved: usize) -> Result<(), Refusal> {
        let limit = |limit: &'static str, used: usize, max: usize| {
            if used + reserved < max {
                Ok(())
            } else {
                Err(Refusal::Limit { limit, max })
            }
        };
        limit("instances_max", self.instances(), self.config.instances_max)?;
        if service.is_none() {
            limit("services_max", self.services(), self.config.services_max)?;
        }
        // Those that are reserved may all be of this service, also of one that does not exist yet.
        let there = service.map_or(0, |service| service.roster.len());
        limit(
            "instances_per_service_max",
            there,
            self.config.instances_per_service_max,
        )
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
        Ok(if mutations.is_empty() {
            Decision::Nothing
        } else {
            Decision::Commit(mutations)
        })
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
