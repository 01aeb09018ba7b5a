//! What was measured of an instance that is probed, and what of it stays when it registers again, takes back what it said
//! of itself, or is imported.

use crate::liveness::Finding;
use crate::model::{Health, Liveness, Member, Mono, Probe, Reason, Registration};

use super::Catalog;
use super::command::Mutation;
use super::service::Service;

/// Whether what probes measured of `member` stays when it is registered so. All that it is called was measured, but what
/// it was registered as, what somebody set by hand, and what only it says itself.
pub(super) fn stays_measured(member: &Member, registration: &Registration) -> bool {
    !matches!(member.state.reason, Reason::Registered | Reason::Operator)
        && !only_said(member)
        && asked_alike(&member.record.registration, registration)
}

/// Whether it is the same run of the same instance, probed in the same way: what was asked and counted so far goes on. How
/// its cluster is checked is the cluster's, and does not change by a registration.
pub(super) fn asked_alike(known: &Registration, registration: &Registration) -> bool {
    matches!(known.liveness, Liveness::Probe(_))
        && known.liveness == registration.liveness
        && known.cluster == registration.cluster
        && known.incarnation == registration.incarnation
}

/// Whether it is unhealthy because it says so, and for nothing else that is known.
pub(super) fn only_said(member: &Member) -> bool {
    member.record.unwell() && member.state.reason == Reason::Declared
}

impl Catalog {
    /// What the newest results in a row come to by themselves, as far as they are enough. Not what nobody answered while a
    /// guard holds.
    fn by_results(&self, member: &Member) -> Option<Health> {
        let scheduled = self.probes.schedule.scheduled(member.slot)?;
        let (spec, last) = (scheduled.spec, scheduled.last?);
        let of_cluster = member.record.registration.liveness == Liveness::Probe(Probe::OfCluster);
        let enough = |needed: u8| last.streak >= u32::from(needed);
        match last.result.finding {
            Finding::Good => enough(spec.rise()).then_some(Health::Healthy),
            Finding::Silent if self.held(member.slot) => None,
            Finding::Down if of_cluster => Some(Health::Unhealthy),
            _ => enough(spec.fall()).then_some(Health::Unhealthy),
        }
    }

    /// What follows when one that said that it is not well no longer says so: what its probes come to. `None` if that is
    /// not known, or if something else than its word made it unhealthy.
    pub(super) fn measured_beneath(
        &self,
        service: &Service,
        member: &Member,
        now: Mono,
    ) -> Option<(Health, Mutation)> {
        let health = only_said(member).then(|| self.by_results(member))??;
        let (marks, reason) = (self.flap_mark(member.slot, now), Reason::ProbePassed);
        let (health, reason) = match health {
            // It has yet to be well for a while.
            Health::Healthy if !marks.is_empty() => (Health::Unhealthy, Reason::Flapping),
            Health::Healthy => (health, reason),
            Health::Unhealthy => (health, Reason::ProbeFailed),
        };
        let measured = Mutation::Measured {
            service: service.key().clone(),
            endpoint: member.endpoint.clone(),
            health,
            marks,
            reason,
        };
        Some((health, measured))
    }
}
