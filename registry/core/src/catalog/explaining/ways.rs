//! What would change an instance.

use super::{BeatFacts, GuardFacts, NotServing, ProbeFacts, Way, is_measured, not_serving, said};
use crate::model::{DeclaredStatus, Health, Liveness, LivenessKind, Marks, Member, Reason};

pub(super) fn ways(
    member: &Member,
    beats: Option<&BeatFacts>,
    probe: Option<&ProbeFacts>,
    guard: &GuardFacts,
) -> Vec<Way> {
    let mut ways = Vec::new();
    for why in not_serving(member) {
        match why {
            NotServing::DisabledByOperator => ways.push(Way::OperatorEnables),
            NotServing::DisabledByClient => ways.extend([Way::RegistersEnabled, Way::OperatorEnables]),
            NotServing::DrainedByOperator => ways.push(Way::OperatorUndrains),
            NotServing::DrainsItself => ways.push(Way::DeclaresUp),
            NotServing::Unhealthy => heal(member, beats, probe, &mut ways),
        }
    }
    let marks = member.state.marks;
    if marks.has(Marks::SUSPECT) {
        let clears = match member.record.registration.liveness {
            Liveness::Probe(_) => Way::ProbeClears,
            Liveness::Session(_) => Way::Registers,
            Liveness::Beat(_) | Liveness::Static => Way::BeatClears,
        };
        ways.extend([clears, Way::OthersReturn, Way::OperatorEndsGuard]);
    }
    if marks.has(Marks::REPORTED) {
        ways.extend([Way::ReportsCease, Way::OperatorEndsReports, Way::Registers]);
    }
    if marks.has(Marks::UNCONFIRMED) {
        match member.record.registration.liveness.kind() {
            LivenessKind::Session if !ways.contains(&Way::Registers) => ways.push(Way::Registers),
            kind if is_measured(kind) => ways.push(Way::Confirms),
            _ => {}
        }
    }
    if member.healthy() {
        harm(member, beats, probe, guard, &mut ways);
    }
    ways
}

/// What makes an unhealthy one healthy.
fn heal(member: &Member, beats: Option<&BeatFacts>, probe: Option<&ProbeFacts>, ways: &mut Vec<Way>) {
    if said(member) == Some(DeclaredStatus::Unhealthy) {
        ways.push(Way::DeclaresUp);
        return;
    }
    let flaps = member.state.marks.has(Marks::FLAPPING);
    if flaps && member.state.reason == Reason::Flapping {
        ways.push(Way::StaysWell);
        return;
    }
    match (&member.record.registration.liveness, probe) {
        (Liveness::Beat(_), _) if beats.is_some() => ways.push(Way::BeatHeals),
        (Liveness::Probe(_), Some(probe)) => ways.push(Way::ProbesPass(probe.rise)),
        _ => ways.extend([Way::OperatorSetsHealth, Way::Registers]),
    }
    if flaps {
        ways.push(Way::StaysWell);
    }
}

/// What makes a healthy one unhealthy, or removes it.
fn harm(
    member: &Member,
    beats: Option<&BeatFacts>,
    probe: Option<&ProbeFacts>,
    guard: &GuardFacts,
    ways: &mut Vec<Way>,
) {
    ways.extend(probe.map(|probe| Way::ProbesFail(probe.fall)));
    // That of one which is known from before a restart is gone already.
    if let Liveness::Session(_) = member.record.registration.liveness
        && !member.state.marks.has(Marks::UNCONFIRMED)
    {
        ways.push(Way::ConnectionCloses);
    }
    let counts = beats.filter(|beats| beats.spared.is_none() && !guard.holds);
    if let Some(beats) = counts.filter(|_| member.state.reason != Reason::Guarded) {
        let timings = beats.timings;
        ways.push(Way::Silence(
            timings.unhealthy_after().min(timings.remove_after()),
        ));
    }
    debug_assert_eq!(member.state.health, Health::Healthy);
}
