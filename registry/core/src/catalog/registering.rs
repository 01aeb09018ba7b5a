//! What a registration comes to: whether it says anything new, what of an instance stays, and what it becomes.

use crate::model::{Health, Liveness, LivenessKind, Marks, Mono, Reason, ServiceKey, SessionId};

use super::Catalog;
use super::command::{Mutation, Publication};
use super::decide::Decision;
use super::declaring::check_lifetime;
use super::measured::{asked_alike, stays_measured};
use super::refusal::Refusal;
use super::service::Service;
use super::slots::Phase;

/// What one registration comes to.
pub(super) enum Registering {
    /// It says nothing new of the instance of this slot.
    Same(u32),
    /// Nothing but that the instance of this slot lives by another connection from now on. That changes nothing for
    /// anybody: it is done at once, once all else of the command is sure.
    Moves(u32, SessionId),
    /// An instance that was not there. Whether there is room for it is yet to be asked.
    New(Mutation),
    /// One that is there changes.
    Changed(Vec<Mutation>),
}

impl Catalog {
    pub(super) fn decide_register(
        &mut self,
        service: &ServiceKey,
        publication: Publication,
        uniform: bool,
        reserved: usize,
        now: Mono,
    ) -> Result<Decision, Refusal> {
        match self.registering(service, publication, uniform, now)? {
            Registering::Same(number) => {
                self.renew(number, now);
                Ok(Decision::Nothing)
            }
            Registering::Moves(number, session) => {
                self.hand_over(number, session);
                Ok(Decision::Nothing)
            }
            Registering::New(registered) => {
                let found = self.service(service.borrowed()).map(|(_, found)| found);
                self.check_limits(found, 1, reserved, 0)?;
                Ok(Decision::Commit(vec![registered]))
            }
            Registering::Changed(mutations) => Ok(Decision::Commit(mutations)),
        }
    }

    /// A registration that says nothing new begins its silence anew. Nor is it a beat: one that is yet to prove itself
    /// healthy has not done so.
    pub(super) fn renew(&mut self, number: u32, now: Mono) {
        self.beats.cell(number).restart(now);
        if let Some(slot) = self.slots.get_mut(number) {
            slot.restarted = now;
        }
        self.standbys.keeps(number);
    }

    /// Decides one registration, but for the limits.
    pub(super) fn registering(
        &self,
        service: &ServiceKey,
        publication: Publication,
        uniform: bool,
        now: Mono,
    ) -> Result<Registering, Refusal> {
        let Publication {
            endpoint,
            registration,
            health,
            lease: fresh,
        } = publication;
        let found = self.service(service.borrowed()).map(|(_, found)| found);
        if let Some(found) = found {
            check_lifetime(found, &endpoint, &registration, uniform)?;
        }
        let Some((found, member)) = found.and_then(|found| Some((found, found.roster.get(&endpoint)?)))
        else {
            return Ok(Registering::New(Mutation::Registered {
                service: service.clone(),
                endpoint,
                registration,
                health,
                lease: fresh,
            }));
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
            Liveness::Static | Liveness::Probe(_) | Liveness::Session(_) => {
                member.state.reason != Reason::Registered || member.state.health == health
            }
        };
        // By registering it starts anew, also for those who could not reach it.
        let stands = stands && !member.state.marks.has(Marks::REPORTED);
        // One that is known from before a restart is confirmed by it, and shown so.
        let confirms = known.liveness.kind() != LivenessKind::Probe && self.is_unconfirmed(member.slot);
        if stands && !confirms && known.is_alike(&registration) && member.record.declared.is_none() {
            return Ok(match registration.liveness {
                Liveness::Session(session) if known.liveness != registration.liveness => {
                    Registering::Moves(member.slot, session)
                }
                _ => Registering::Same(member.slot),
            });
        }
        let lease = kept.unwrap_or(fresh);
        let alike = asked_alike(known, &registration);
        // What it said of itself goes with its registration, and then what its probes come to counts.
        let beneath = alike.then(|| self.measured_beneath(found, member, now)).flatten();
        let stays = stays_measured(member, &registration);
        let health = match &beneath {
            Some((health, _)) => *health,
            None if stays => member.state.health,
            None => health,
        };
        // Nor is one that flaps healthy by saying so once more.
        let held = match beneath {
            Some((_, measured)) => Some(measured),
            None if !stays => self.flaps_still(found, member, &registration, health, now),
            None => None,
        };
        let flaps = matches!(
            held,
            Some(Mutation::Measured {
                health: Health::Unhealthy,
                ..
            })
        );
        let registered = Mutation::Registered {
            service: service.clone(),
            endpoint,
            registration,
            health: if flaps { Health::Unhealthy } else { health },
            lease,
        };
        Ok(Registering::Changed(
            std::iter::once(registered).chain(held).collect(),
        ))
    }

    /// Whether there is room for `new` instances of one service, beside `reserved` that may be of it as well, once
    /// `leaving` of its instances have gone.
    pub(super) fn check_limits(
        &self,
        service: Option<&Service>,
        new: usize,
        reserved: usize,
        leaving: usize,
    ) -> Result<(), Refusal> {
        let limit = |limit: &'static str, used: usize, max: usize| {
            if used <= max {
                Ok(())
            } else {
                Err(Refusal::Limit { limit, max })
            }
        };
        let more = |there: usize| there + new + reserved - leaving;
        limit("instances_max", more(self.instances()), self.config.instances_max)?;
        if service.is_none() {
            // Those that are reserved may all be of services that do not exist yet.
            limit(
                "services_max",
                self.services() + 1 + reserved,
                self.config.services_max,
            )?;
        }
        // Those that are reserved may all be of this service, also of one that does not exist yet.
        let there = service.map_or(0, |service| service.roster.len());
        limit(
            "instances_per_service_max",
            more(there),
            self.config.instances_per_service_max,
        )
    }
}
