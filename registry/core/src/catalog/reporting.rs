//! What consumers say about instances, and what the catalog makes of it: a mark, and nothing else.
//!
//! Reports are measurements like beats: they are not journalled. That enough of them came, or no more do, is decided when
//! it is due and committed like any other change of an instance's state, so that the mark means the same on every node.
//! It never changes health, and never removes. A restart takes it away with the reports: nobody has said so to the new
//! process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::changes::ChangeKind;
use crate::liveness::{Consumer, RecheckReading, Report, ReportConfig, Reports};
use crate::model::{
    Endpoint, Health, LivenessKind, Marks, Member, Mono, Reason, ServiceKey, ServiceRef, State,
};

use super::Catalog;
use super::apply::Moment;
use super::command::{Command, Mutation};
use super::decide::Decision;
use super::due::LOOK_AGAIN;
use super::refusal::Refusal;
use super::service::Shared;

/// How many instances may wait for somebody to look at them.
const RECHECKS_MAX: usize = 1024;

/// What a consumer says about one instance.
#[derive(Debug, Clone, Copy)]
pub struct FailureReport<'a> {
    /// The service.
    pub service: ServiceRef<'a>,
    /// The instance.
    pub endpoint: &'a Endpoint,
    /// How many attempts failed.
    pub failures: u32,
    /// Within which time before now.
    pub within: Duration,
    /// What the last of them failed with.
    pub error: &'a str,
    /// How many consumers are known to use the service.
    pub consumers: usize,
}

/// What came of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// There is no such instance: nothing changed.
    Unknown,
    /// It was noted.
    Noted,
    /// It was noted, and something may be due by it now.
    Due,
}

/// An instance that somebody should look at, since consumers cannot reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecheckOrder {
    /// The service.
    pub service: ServiceKey,
    /// The instance.
    pub endpoint: Endpoint,
    /// How it lives.
    pub liveness: LivenessKind,
}

impl Catalog {
    /// Takes what a consumer says about an instance.
    pub fn report(&mut self, by: &Consumer, report: FailureReport<'_>, now: Mono) -> ReportOutcome {
        let Some((index, service)) = self.service(report.service) else {
            return ReportOutcome::Unknown;
        };
        let Some(member) = service.roster.get(report.endpoint) else {
            return ReportOutcome::Unknown;
        };
        let (slot, instances) = (member.slot, service.roster.len());
        let report = Report {
            failures: report.failures,
            within: report.within,
            error: report.error,
            instances,
            consumers: report.consumers,
        };
        let config = &self.config.reports;
        if self.reports.note(slot, index, by, report, now, config) {
            ReportOutcome::Due
        } else {
            ReportOutcome::Noted
        }
    }

    /// Keeps what came of a look at an instance that consumers cannot reach. It is shown and decides nothing.
    pub fn rechecked(&mut self, service: ServiceRef<'_>, endpoint: &Endpoint, found: RecheckReading) {
        let slot = self
            .service(service)
            .and_then(|(_, service)| service.roster.get(endpoint))
            .map(|member| member.slot);
        if let Some(slot) = slot {
            self.reports.rechecked(slot, found);
        }
    }

    /// Who is to be looked at since the last call.
    pub fn take_rechecks(&mut self) -> Vec<RecheckOrder> {
        std::mem::take(&mut self.rechecks)
    }

    /// The reports that are kept.
    #[must_use]
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// Decides `command` as of now.
    ///
    /// Several commands may be decided before the first of them is applied, as long as no two have the same
    /// [`Command::subject`]. What a connection [has](Catalog::instances_of) is changed by one of them only, and counts as
    /// named by a command about the connection. One that [stands alone](Command::stands_alone) is decided
    /// with no other; and two registrations of different lifetimes in one service are not decided together if the
    /// later is to be uniform. `reserved` is how many registrations were decided so, and counts against the limits.
    ///
    /// A registration that changes nothing renews: that is a measurement, not a change. Nor is it one whose connection an
    /// instance lives by, and who waits for it: that is done here as well, unless the command is refused.
    ///
    /// # Errors
    /// Why the command cannot be carried out; nothing has changed.
    pub fn decide(&mut self, command: Command, reserved: usize, now: Mono) -> Result<Decision, Refusal> {
        let ends_reports = matches!(command, Command::EndReports { .. });
        let mut decision = self.decide_plainly(command, reserved, now)?;
        if let Decision::Commit(mutations) = &mut decision
            && !ends_reports
        {
            self.keep_reported(mutations);
        }
        Ok(decision)
    }

    /// Whatever else is measured of one that is reported, it stays so: the rules of beats, probes and guards need not
    /// know of reports.
    pub(super) fn keep_reported(&self, mutations: &mut [Mutation]) {
        if !self.reports.any_marked() {
            return;
        }
        for mutation in mutations {
            if let Mutation::Measured {
                service,
                endpoint,
                marks,
                ..
            } = mutation
                && let Ok((_, member)) = self.find(service, endpoint)
                && self.reports.is_marked(member.slot)
            {
                *marks = marks.with(Marks::REPORTED, true);
            }
        }
    }

    /// Looks at those about whom enough was said, or no more is, and at those from whom the mark is to be taken. Who is
    /// changed in this turn already is looked at again in a second: what is decided here builds on the state before.
    pub(super) fn review_reports(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        if self.reports.next().is_none_or(|next| next > now) {
            return;
        }
        let mut changed = Vec::new();
        self.reports
            .due(now, LOOK_AGAIN, &self.config.reports, |slot, marked| {
                changed.push((slot, marked));
            });
        let busy: HashSet<_> = mutations
            .iter()
            .filter_map(|mutation| mutation.subject().instance())
            .map(|(service, endpoint)| (service.clone(), endpoint.clone()))
            .collect();
        for (number, marked) in changed {
            let Some((slot, service, member)) = self.at_slot(number) else {
                continue;
            };
            let subject = (service.key().clone(), slot.endpoint.clone());
            if busy.contains(&subject) {
                continue;
            }
            let liveness = member.record.registration.liveness.kind();
            let reason = if marked {
                Reason::Reported
            } else {
                reason_without(&member.state, liveness)
            };
            let (service, endpoint) = subject;
            let measured = Mutation::Measured {
                service: service.clone(),
                endpoint: endpoint.clone(),
                health: member.state.health,
                marks: member.state.marks.with(Marks::REPORTED, marked),
                reason,
            };
            mutations.push(measured);
            if marked && self.rechecks.len() < RECHECKS_MAX {
                self.rechecks.push(RecheckOrder {
                    service,
                    endpoint,
                    liveness,
                });
            }
        }
    }

    pub(super) fn decide_end_reports(
        &mut self,
        service: ServiceKey,
        endpoint: Endpoint,
        now: Mono,
    ) -> Result<Decision, Refusal> {
        let (_, member) = self.find(&service, &endpoint)?;
        let (slot, state) = (member.slot, member.state);
        self.reports.forget(slot, now);
        if !state.marks.has(Marks::REPORTED) {
            return Ok(Decision::Nothing);
        }
        Ok(Decision::Commit(vec![Mutation::Measured {
            service,
            endpoint,
            health: state.health,
            marks: state.marks.with(Marks::REPORTED, false),
            reason: Reason::Operator,
        }]))
    }

    /// Applies a change of the mark alone. `None` if more is measured than that. Silence and its phases have no part in
    /// it, and what an unhealthy one is unhealthy for stays its reason.
    pub(super) fn measure_reported(
        &mut self,
        key: &ServiceKey,
        endpoint: &Endpoint,
        health: Health,
        marks: Marks,
        reason: Reason,
        moment: Moment,
    ) -> Option<Arc<Shared>> {
        let index = self.index_of(key)?;
        let service = self.services[index as usize].as_mut()?;
        let before = service.roster.get(endpoint)?.state;
        let marked = marks.has(Marks::REPORTED);
        let alone = before.health == health && before.marks.with(Marks::REPORTED, marked) == marks;
        if before.marks == marks || !alone {
            return None;
        }
        let member: &mut Member = service.roster.get_mut(endpoint)?;
        let liveness = member.record.registration.liveness.kind();
        member.state.reason = if !marked {
            reason_without(&before, liveness)
        } else if health == Health::Healthy && !before.suspect() {
            Reason::Reported
        } else {
            before.reason
        };
        member.state.marks = marks;
        member.state.revision = moment.revision;
        let number = member.slot;
        self.note_reported(number, index, marked, moment.now);
        Some(self.changed(index, endpoint.clone(), ChangeKind::Health, reason, moment))
    }

    /// Keeps in step with what was applied.
    pub(super) fn note_reported(&mut self, number: u32, index: u32, marked: bool, now: Mono) {
        if marked || self.reports.is_marked(number) {
            self.reports
                .mark(number, index, marked, now, &self.config.reports);
        }
    }

    /// When consumers are believed.
    #[must_use]
    pub fn report_config(&self) -> &ReportConfig {
        &self.config.reports
    }
}

/// Why the health is what it is, reports aside.
pub(super) fn reason_without(state: &State, liveness: LivenessKind) -> Reason {
    if state.reason != Reason::Reported {
        return state.reason;
    }
    match liveness {
        LivenessKind::Beat => Reason::Beat,
        LivenessKind::Probe => Reason::ProbePassed,
        LivenessKind::Session | LivenessKind::Static => Reason::Registered,
    }
}
