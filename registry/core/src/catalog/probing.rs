//! Probes at work: who is to be probed, and what the results come to.
//!
//! Results are counted here as they come and cost no proposal. One that completes a streak is not decided here either: it
//! waits for the owner's next turn ([`Catalog::due`]), in which all who failed together are judged by the mass-expiry
//! guard before any of them is flipped, just as silence is. The guard hears only of probes that nobody answered: where a
//! connection is refused or an answer is bad, it is not our network that is at fault.
//!
//! What could not be committed is decided again with the next result that says the same.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::liveness::{Ended, Finding, ProbeCounts, ProbeResult, Scheduled, Ticket, observe};
use crate::model::{
    Endpoint, Health, Liveness, Marks, Mono, Probe, ProbeSpec, Reason, ServiceKey, ServiceSettings, Wall,
};

use super::Catalog;
use super::command::Mutation;
use super::due::{DUE_MAX, LOOK_AGAIN};
use super::flips::Flip;
use super::slots::Phase;

/// A probe that is to be made.
#[derive(Debug, Clone)]
pub struct ProbeTask {
    /// To be given back with the result.
    pub ticket: Ticket,
    /// Whom to ask.
    pub endpoint: Endpoint,
    /// What.
    pub spec: Arc<ProbeSpec>,
}

/// A probe that has ended; without a result if it was given up.
#[derive(Debug)]
pub struct ProbeDone {
    /// What it was begun with.
    pub ticket: Ticket,
    /// What came of it.
    pub result: Option<ProbeResult>,
}

/// What is known about the probes of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether it is asked as its cluster is checked.
    pub of_cluster: bool,
    /// What is asked, when next, and what came of it last. `None` if nobody asks.
    pub scheduled: Option<Scheduled>,
    /// The time by which `scheduled` counts.
    pub now: Mono,
}

impl Catalog {
    /// Begins the next probes that are due at `now`, in liveness time, as far as there is room for them, and at most `max`.
    /// `stalled` is all that the process has slept through so far.
    pub fn probes_due(&mut self, now: Mono, stalled: Duration, max: usize) -> Vec<ProbeTask> {
        let mut tasks = Vec::new();
        // Nacos 2.x: the switch that turns the consequences of silence off stops active checks as well.
        while self.expires
            && tasks.len() < max
            && let Some((ticket, spec)) = self.probes.schedule.take(now, self.expires_since, stalled)
        {
            match self.slots.get(ticket.slot) {
                Some(slot) => tasks.push(ProbeTask {
                    ticket,
                    endpoint: slot.endpoint.clone(),
                    spec,
                }),
                None => debug_assert!(false, "who is gone is not probed"),
            }
        }
        tasks
    }

    /// When the next probe is due. `None` while nobody is to be probed, or as many are as may be.
    #[must_use]
    pub fn next_probe(&self) -> Option<Mono> {
        self.probes.schedule.next().filter(|_| self.expires)
    }

    /// Whether somebody has come to be due sooner than all others since this was last asked.
    pub fn probe_sooner(&mut self) -> bool {
        self.probes.schedule.came_sooner()
    }

    /// Takes results into account. Returns whether the owner has something to decide now.
    pub fn probed(
        &mut self,
        done: impl IntoIterator<Item = ProbeDone>,
        now: Mono,
        at: Wall,
        stalled: Duration,
    ) -> bool {
        for ProbeDone { ticket, result } in done {
            let ended = self
                .probes
                .schedule
                .end(ticket, result.as_ref(), now, at, stalled);
            if let (Ended::Counts, Some(result)) = (ended, result) {
                self.count_probe(ticket.slot, result.finding);
            }
        }
        let at_once = Some(Mono(0));
        self.probes.next_deadline() == at_once || self.next_warming() == at_once
    }

    /// Has an instance probed now, before its turn. Returns whether it is one that is probed.
    pub fn probe_now(&mut self, service: &ServiceKey, endpoint: &Endpoint, now: Mono) -> bool {
        let slot = self.find(service, endpoint).map(|(_, member)| member.slot);
        slot.is_ok_and(|slot| self.probes.schedule.order(slot, now))
    }

    /// What is known about the probes of an instance. `None` if there is no such instance, or it does not live by them.
    #[must_use]
    pub fn probe_report(&self, service: &ServiceKey, endpoint: &Endpoint, now: Mono) -> Option<ProbeReport> {
        let (_, member) = self.find(service, endpoint).ok()?;
        let Liveness::Probe(probe) = &member.record.registration.liveness else {
            return None;
        };
        Some(ProbeReport {
            of_cluster: *probe == Probe::OfCluster,
            scheduled: self.probes.schedule.scheduled(member.slot),
            now,
        })
    }

    /// How many probes are in flight.
    #[must_use]
    pub fn probes_in_flight(&self) -> usize {
        self.probes.schedule.in_flight()
    }

    /// What came of all probes so far.
    #[must_use]
    pub fn probe_counts(&self) -> ProbeCounts {
        self.probes.schedule.counts()
    }

    /// Counts one result. What it says is compared with the health that stands.
    fn count_probe(&mut self, number: u32, finding: Finding) {
        let Some((slot, _, member)) = self.at_slot(number) else {
            return;
        };
        let Some(spec) = self.probes.schedule.spec(number) else {
            return;
        };
        let good = finding == Finding::Good;
        let (health, phase, counted) = (member.state.health, slot.phase, slot.fell.get().is_some());
        // While many are confirmed that is shown at the end, for all.
        let unconfirmed = member.state.marks.has(Marks::UNCONFIRMED) && self.asks_first_beats();
        // One that is held down has to be well without interruption: the first bad answer is one.
        // It is so at once, whatever comes of its commit, and also where a guard holds.
        let held = self.flaps.is_held(number) || member.state.reason == Reason::Flapping;
        let interrupted = !good && held;
        let of_cluster = member.record.registration.liveness == Liveness::Probe(Probe::OfCluster);
        let at_once = of_cluster && finding == Finding::Down;
        let (rise, fall) = (spec.rise(), if at_once { 1 } else { spec.fall() });
        self.confirm(number);
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        let completed = observe(&mut slot.streak, health, good, rise, fall).is_some();
        let falls = match finding {
            Finding::Silent => Flip::Doubted,
            _ => Flip::Falls,
        };
        if interrupted {
            self.flaps.interrupt(number);
        }
        let again = self.probes.flips.get(&number).map(|(flip, _)| *flip);
        let flip = match again {
            _ if completed && good => Some(Flip::Rises),
            _ if completed || interrupted => Some(falls),
            // One good answer ends a doubt.
            _ if good && phase == Phase::Suspect => Some(Flip::Rises),
            Some(Flip::Rises) if good && health == Health::Unhealthy => Some(Flip::Rises),
            Some(Flip::Falls | Flip::Doubted) if !good && health == Health::Healthy => Some(falls),
            _ if unconfirmed => Some(Flip::Confirmed),
            _ => None,
        };
        match flip {
            Some(flip) => self.probes.flip(number, flip),
            None => self.probes.settle(number),
        }
        // It was counted silent, but that was not applied, and now it answers.
        if good && phase == Phase::Live && counted {
            self.forget_silence(number, false);
        }
    }

    /// Those of whom nothing was heard as often as it takes, for the guard to be judged with.
    pub(super) fn doubted_probes(&mut self) -> Vec<u32> {
        let doubted = std::mem::take(&mut self.probes.doubted);
        let still = doubted
            .into_iter()
            .filter(|number| matches!(self.probes.flips.get(number), Some((Flip::Doubted, true))));
        let mut still: Vec<u32> = still.collect();
        still.sort_unstable();
        still.dedup();
        still
    }

    /// What became of one who was doubted, now that the guard has been judged: it is suspect where the guard holds, and
    /// unhealthy otherwise.
    pub(super) fn doubted(&mut self, number: u32, now: Mono) -> Option<Mutation> {
        self.probes.unqueue(number, true)?;
        let (slot, service, member) = self.at_slot(number)?;
        // One that is held down is unhealthy already: nothing is protected there, and it is not well.
        if !self.held(number) || member.state.reason == Reason::Flapping {
            return self.probe_fell(number, now);
        }
        let doubted = member.state.health == Health::Healthy && !member.state.suspect();
        if !doubted {
            return self.probe_confirmed(number);
        }
        Some(Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health: member.state.health,
            marks: self
                .marks_by_now(number, member.state.marks)
                .with(Marks::SUSPECT, true),
            reason: Reason::Guarded,
        })
    }

    /// Decides what completed streaks come to, of very many the first, and when to look at the guards again.
    pub(super) fn decide_probes(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        for _ in 0..DUE_MAX {
            let Some(number) = self.probes.decided.pop_front() else {
                break;
            };
            let Some(flip) = self.probes.unqueue(number, false) else {
                continue;
            };
            let decided = match flip {
                Flip::Rises => self.probe_rose(number, now),
                Flip::Falls | Flip::Doubted => self.probe_fell(number, now),
                Flip::Confirmed => None,
            };
            // An answer that changes nothing else still confirms.
            match decided.or_else(|| self.probe_confirmed(number)) {
                Some(mutation) => mutations.push(mutation),
                None => self.probes.settle(number),
            }
        }
        let holding = self.guard.holding() || !self.holding.is_empty();
        let look = holding && !self.probes.schedule.is_empty();
        self.probes.look_again = look.then(|| now.after(LOOK_AGAIN));
    }

    /// What good answers change: it is healthy, or no longer doubted. What it says itself they do not overrule, but then
    /// only that keeps it unhealthy; and one that is held down already is well by its time alone. Doubted it is no longer.
    fn probe_rose(&self, number: u32, now: Mono) -> Option<Mutation> {
        let (slot, service, member) = self.at_slot(number)?;
        let state = &member.state;
        let unwell = member.record.unwell();
        let stays = unwell && state.reason == Reason::Declared || self.flaps.is_held(number);
        if stays && !state.suspect() {
            return None;
        }
        let (health, marks, reason) = self.well(member, unwell, Reason::ProbePassed, now);
        Some(Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health,
            marks,
            reason,
        })
    }

    fn probe_fell(&self, number: u32, now: Mono) -> Option<Mutation> {
        let (slot, service, member) = self.at_slot(number)?;
        let falls = member.state.health == Health::Healthy || member.state.reason == Reason::Flapping;
        falls.then(|| Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health: Health::Unhealthy,
            marks: self.mark_if_flipped(number, now),
            reason: Reason::ProbeFailed,
        })
    }

    /// What was heard of it alone changes: that it is confirmed. While the catalog warms nothing, since that is shown at
    /// the end for all.
    fn probe_confirmed(&self, number: u32) -> Option<Mutation> {
        let (slot, service, member) = self.at_slot(number)?;
        let state = &member.state;
        let marks = self.marks_by_now(number, state.marks);
        let shown = marks == state.marks || !self.asks_first_beats();
        (!shown).then(|| Mutation::Measured {
            service: service.key().clone(),
            endpoint: slot.endpoint.clone(),
            health: state.health,
            marks,
            reason: state.reason,
        })
    }

    /// Enters an instance into the schedule, if it is to be probed, and takes it out otherwise. What was begun before is
    /// of no account any more.
    pub(super) fn schedule_probe(&mut self, number: u32, now: Mono) {
        self.unschedule_probe(number);
        let Some((slot, service, member)) = self.at_slot(number) else {
            return;
        };
        let registration = &member.record.registration;
        let Liveness::Probe(probe) = &registration.liveness else {
            return;
        };
        if !self.config.probes.enabled {
            return;
        }
        let Some(spec) = probe.spec(&registration.cluster, service.settings.as_deref()) else {
            return;
        };
        let (index, address) = (slot.service, address_number(&slot.endpoint));
        self.probes.schedule.enter(number, spec, address, now);
        self.count_probed(index, true);
    }

    pub(super) fn unschedule_probe(&mut self, number: u32) {
        self.probes.settle(number);
        if self.probes.schedule.leave(number)
            && let Some(index) = self.slots.get(number).map(|slot| slot.service)
        {
            self.count_probed(index, false);
        }
    }

    /// Other things are said about the clusters of a service than before: who is asked otherwise begins anew. Looks at all
    /// of its instances.
    pub(super) fn reschedule_probes(&mut self, index: u32, before: Option<&ServiceSettings>, now: Mono) {
        let Some(service) = self.services[index as usize].as_ref() else {
            return;
        };
        let none = Default::default();
        let clusters =
            |settings: Option<&ServiceSettings>| settings.map(|settings| settings.clusters.clone());
        let before = clusters(before).unwrap_or_else(|| std::collections::BTreeMap::clone(&none));
        let after = clusters(service.settings.as_deref()).unwrap_or(none);
        if before == after || service.persistent == 0 {
            return;
        }
        let concerned: Vec<u32> = service
            .roster
            .iter()
            .filter(|member| {
                let registration = &member.record.registration;
                let cluster = &registration.cluster;
                registration.liveness == Liveness::Probe(Probe::OfCluster)
                    && before.get(cluster) != after.get(cluster)
            })
            .map(|member| member.slot)
            .collect();
        for number in concerned {
            if let Some(slot) = self.slots.get_mut(number) {
                slot.streak = Default::default();
            }
            self.schedule_probe(number, now);
            // Whoever is doubted and asked by nobody any more is not to be doubted for ever.
            let doubted = self
                .slots
                .get(number)
                .is_some_and(|slot| slot.phase == Phase::Suspect);
            if doubted && self.probes.schedule.spec(number).is_none() {
                self.probes.flip(number, Flip::Rises);
            }
        }
    }

    /// The guards count those who are probed among those who may fall silent.
    fn count_probed(&mut self, index: u32, add: bool) {
        for population in self.populations_of(index) {
            match add {
                true => population.beating += 1,
                false => population.beating -= 1,
            }
        }
    }
}

/// A number that stands for an address without its port. Two that share one by chance share a bound, no more.
fn address_number(endpoint: &Endpoint) -> u64 {
    let mut hasher = ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    match endpoint {
        Endpoint::V4(ip, _) => ip.hash(&mut hasher),
        Endpoint::V6(ip, _) => ip.hash(&mut hasher),
        Endpoint::Name(name, _) => name.hash(&mut hasher),
    }
    hasher.finish()
}
