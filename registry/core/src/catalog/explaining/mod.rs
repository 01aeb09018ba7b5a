//! Why an instance is as it is: what holds of it, since when, which rule said so, and what would change it.
//!
//! Facts and numbers only; doors put them into words. It is made when somebody asks, from what the catalog keeps anyhow:
//! nothing is kept for it but how instances beat: the last gap in the cell that a beat touches, and late beats in a table.

mod facts;
mod gone;
mod ways;

use crate::liveness::{GuardReading, late_from};
use crate::model::{
    DeclaredStatus, Endpoint, Health, Liveness, LivenessKind, Marks, Member, Mono, Reason, ServiceRef,
};

pub use facts::{
    BeatFacts, Deadline, Explained, Explanation, Gone, GuardFacts, NotServing, ProbeFacts, Rule, Spared,
    There, Turn, Way,
};

use super::Catalog;
use super::service::Service;
use super::slots::{Phase, Slot};

impl Catalog {
    /// Explains an instance, also one that is gone as long as the change log remembers it or an operator's layer waits
    /// for it. `None` of one of whom nothing is known.
    #[must_use]
    pub fn explain(&self, service: ServiceRef<'_>, endpoint: &Endpoint, now: Mono) -> Option<Explanation> {
        let explained = match self.there(service, endpoint, now) {
            Some(there) => Explained::There(Box::new(there)),
            None => Explained::Gone(Box::new(self.gone(service, endpoint, now)?)),
        };
        Some(Explanation {
            version: self.version(),
            complete: self.complete(),
            now,
            explained,
        })
    }

    fn there(&self, service: ServiceRef<'_>, endpoint: &Endpoint, now: Mono) -> Option<There> {
        let (_, service) = self.service(service)?;
        let member = service.roster.get(endpoint)?;
        let slot = self.slots.get(member.slot)?;
        let beats = self.beat_facts(service, member, slot);
        let guard = self.guard_facts(service, member, now);
        let reports = self.reports.read(member.slot, now, &self.config.reports);
        let rule = self.rule(member, beats.as_ref(), &guard, now);
        let mut deadlines = deadlines(slot, beats.as_ref(), &guard);
        let flap = self.flap_reading(member.slot, now);
        if member.state.reason == Reason::Flapping {
            let until = flap.and_then(|flap| flap.held_until);
            deadlines.extend(until.map(|at| Deadline {
                at,
                then: Turn::HoldEnds,
            }));
        }
        if member.state.marks.has(Marks::REPORTED) {
            let until = reports.as_ref().and_then(|reports| reports.until);
            deadlines.extend(until.map(|at| Deadline {
                at,
                then: Turn::ReportsLapse,
            }));
        }
        deadlines.sort_unstable_by_key(|deadline| deadline.at);
        let probe = self.probe_facts(member, slot);
        Some(There {
            not_serving: not_serving(member),
            ways: ways::ways(member, beats.as_ref(), probe.as_ref(), &guard),
            probe,
            changes: self.changes_of(service.last_change, service.key().borrowed(), endpoint),
            member: member.clone(),
            rule,
            beats,
            guard,
            flap,
            reports,
            deadlines,
        })
    }

    fn beat_facts(&self, service: &Service, member: &Member, slot: &Slot) -> Option<BeatFacts> {
        let timings = slot.timings?;
        let cell = self.cell(member.slot);
        let awaited = slot.is_awaited();
        let spared = if !slot.expires && !awaited {
            Some(Spared::Instance)
        } else if !service.expires() && !awaited {
            Some(Spared::Service)
        } else if !self.expires {
            Some(Spared::Registry)
        } else {
            None
        };
        Some(BeatFacts {
            timings,
            last: cell.last_beat(),
            silent_since: self.last_sign(member.slot),
            spared,
            late_from: late_from(timings.interval()),
            reading: self.beats.reading(member.slot),
        })
    }

    /// `None` of one that nobody asks.
    fn probe_facts(&self, member: &Member, slot: &Slot) -> Option<ProbeFacts> {
        let scheduled = self.probes.schedule.scheduled(member.slot)?;
        Some(ProbeFacts {
            rise: scheduled.spec.rise(),
            fall: scheduled.spec.fall(),
            against: slot.streak.against(),
            due: scheduled.due,
            last: scheduled.last,
        })
    }

    fn guard_facts(&self, service: &Service, member: &Member, now: Mono) -> GuardFacts {
        let config = &self.config.guard;
        let population = service.population.watched(now, config);
        let none = GuardReading {
            population,
            ..GuardReading::default()
        };
        let own = service.guard.as_ref();
        GuardFacts {
            service: own.map_or(none, |guard| guard.read(population, now, config)),
            registry: self.guard.read(self.watched(now), now, config),
            threshold_percent: config.threshold_percent,
            population_min: config.population_min,
            enabled: config.enabled,
            holds: self.held(member.slot),
        }
    }

    /// Which rule made it what it is. What is marked beside its health comes first: it is why one asks.
    fn rule(&self, member: &Member, beats: Option<&BeatFacts>, guard: &GuardFacts, now: Mono) -> Rule {
        let state = &member.state;
        let silence = |limit| Rule::Silent {
            limit,
            last_beat: beats.map_or(now, |beats| beats.last),
        };
        let timings = beats.map(|beats| beats.timings);
        if state.suspect() && matches!(member.record.registration.liveness, Liveness::Probe(_)) {
            let spec = self.probes.schedule.spec(member.slot);
            return Rule::GuardedProbe {
                by_service: guard.service.since.is_some(),
                needed: spec.map_or(1, |spec| spec.fall()),
            };
        }
        if state.suspect() {
            return Rule::Guarded {
                by_service: guard.service.since.is_some(),
                limit: timings.map(crate::model::Timings::unhealthy_after),
                last_beat: beats.map_or(now, |beats| beats.last),
            };
        }
        if state.health == Health::Healthy && state.marks.has(Marks::REPORTED) {
            return Rule::Reported;
        }
        if state.marks.has(Marks::UNCONFIRMED) {
            return Rule::Unconfirmed { reason: state.reason };
        }
        match (state.reason, timings) {
            (Reason::Silent, Some(timings)) => silence(timings.unhealthy_after()),
            (Reason::Beat, _) => Rule::Beat,
            (Reason::Declared, _) => Rule::Declared(said(member)),
            (Reason::ProbePassed | Reason::ProbeFailed, _) => {
                let good = state.reason == Reason::ProbePassed;
                let spec = self.probes.schedule.spec(member.slot);
                let needed = spec.map_or(1, |spec| if good { spec.rise() } else { spec.fall() });
                Rule::Probed { good, needed }
            }
            (Reason::Flapping, _) => Rule::Flapping,
            (Reason::Steady, _) => Rule::Steady,
            (Reason::Operator, _) => Rule::Operator,
            (Reason::Registered, _) => Rule::Registered,
            (reason, _) => Rule::Other(reason),
        }
    }
}

/// What it says about itself.
fn said(member: &Member) -> Option<DeclaredStatus> {
    member.record.declared.as_ref().map(|declared| declared.status)
}

/// Why callers should not use it; the first decides. Nothing of one that serves.
fn not_serving(member: &Member) -> Vec<NotServing> {
    let record = &member.record;
    let operator = record.operator();
    let by_operator = operator.is_some_and(|layer| layer.enabled == Some(false));
    let drained = operator.is_some_and(|layer| layer.draining);
    let drains = said(member) == Some(DeclaredStatus::Draining);
    [
        (!record.enabled() && by_operator, NotServing::DisabledByOperator),
        (!record.enabled() && !by_operator, NotServing::DisabledByClient),
        (drained, NotServing::DrainedByOperator),
        (drains, NotServing::DrainsItself),
        (!member.healthy(), NotServing::Unhealthy),
    ]
    .into_iter()
    .filter_map(|(holds, why)| holds.then_some(why))
    .collect()
}

/// What happens by itself, and when.
fn deadlines(slot: &Slot, beats: Option<&BeatFacts>, guard: &GuardFacts) -> Vec<Deadline> {
    let mut deadlines = Vec::new();
    if let Some((silent_since, timings)) = beats.and_then(|beats| Some((beats.silent_since?, beats.timings)))
    {
        let unhealthy = silent_since.after(timings.unhealthy_after());
        let remove = silent_since.after(timings.remove_after());
        let mut add = |at, then| deadlines.push(Deadline { at, then });
        match slot.phase {
            // Held: the guard's end is what comes next.
            Phase::Suspect | Phase::Silent if guard.holds => {}
            Phase::Live if guard.holds => add(unhealthy.min(remove), Turn::Suspect),
            Phase::Live | Phase::Suspect if unhealthy < remove => {
                add(unhealthy, Turn::Unhealthy);
                add(remove, Turn::Removed);
            }
            Phase::Live | Phase::Suspect | Phase::Silent => add(remove, Turn::Removed),
        }
    }
    for (reading, then) in [
        (&guard.service, Turn::ServiceGuardEnds),
        (&guard.registry, Turn::RegistryGuardEnds),
    ] {
        if let Some(at) = reading.until.filter(|_| slot.timings.is_some() || slot.probed) {
            deadlines.push(Deadline { at, then });
        }
    }
    deadlines
}

/// Whether it lives by something that the registry hears or asks.
fn is_measured(kind: LivenessKind) -> bool {
    matches!(kind, LivenessKind::Beat | LivenessKind::Probe)
}
