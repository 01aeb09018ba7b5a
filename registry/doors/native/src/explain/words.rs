//! Each fact as a word for programs and a sentence for people. The words are part of the API.

use beatrix_core::catalog::{Deadline, NotServing, Rule, There, Turn, Way};
use beatrix_core::changes::{Change, ChangeKind};
use beatrix_core::model::{DeclaredStatus, Mono, Reason};
use beatrix_wire::{Coded, Next};

use crate::render::ms;

fn coded(code: &str, text: impl Into<String>) -> Coded {
    Coded {
        code: code.into(),
        text: text.into(),
    }
}

pub(super) fn not_serving(why: NotServing) -> Coded {
    match why {
        NotServing::DisabledByOperator => coded("disabled_by_operator", "an operator switched it off"),
        NotServing::DisabledByClient => coded("disabled_by_client", "its client registered it switched off"),
        NotServing::DrainedByOperator => coded("drained_by_operator", "an operator drains it"),
        NotServing::DrainsItself => coded("drains_itself", "it says itself that it is draining"),
        NotServing::Unhealthy => coded("unhealthy", "it is unhealthy"),
    }
}

/// The rule with its numbers. Its word is that of the reason, or of the mark that is why one asks.
pub(super) fn rule(there: &There, now: Mono) -> Coded {
    let record = &there.member.record;
    match there.rule {
        Rule::Registered => coded("registered", "it is as it was registered"),
        Rule::Beat => coded("beat", "it beats"),
        Rule::Silent { limit, last_beat } => coded(
            "silent",
            format!(
                "no beat for {} ms, last beat {} ms ago",
                ms(limit),
                ms(now.since(last_beat))
            ),
        ),
        Rule::Guarded {
            by_service,
            limit,
            last_beat,
        } => coded(
            "guarded",
            format!(
                "no beat for {} ms, last beat {} ms ago, but so many are silent that the mass-expiry guard of {} holds",
                limit.map_or(0, ms),
                ms(now.since(last_beat)),
                if by_service { "its service" } else { "the registry" },
            ),
        ),
        Rule::GuardedProbe { by_service, needed } => coded(
            "guarded",
            format!(
                "{needed} probes in a row were not answered, but so many are silent that the mass-expiry guard of {} holds",
                if by_service { "its service" } else { "the registry" },
            ),
        ),
        Rule::Declared(status) => {
            let said = match status {
                Some(DeclaredStatus::Unhealthy) => "it says itself that it is not well",
                Some(DeclaredStatus::Draining) => "it says itself that it is draining",
                None => "it took back that it was not well",
            };
            let why = record
                .declared
                .as_ref()
                .and_then(|declared| declared.reason.as_deref());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            coded("declared", format!("{said}{why}"))
        }
        Rule::Probed { good: true, needed } => coded(
            "probe_passed",
            format!("{needed} probes in a row were answered well"),
        ),
        Rule::Probed { good: false, needed } => coded(
            "probe_failed",
            format!("{needed} probes in a row were not answered well"),
        ),
        Rule::Operator => coded("operator", "an operator set its health by hand"),
        Rule::Reported => {
            let (counted, needed) = there
                .reports
                .as_ref()
                .map_or((0, 0), |reports| (reports.counted, reports.needed));
            coded(
                "reported",
                format!(
                    "{counted} consumers cannot reach it, {needed} are needed to say so; it serves on, others are preferred"
                ),
            )
        }
        Rule::Flapping => {
            let hold = there.flap.map_or(0, |flap| ms(flap.hold));
            coded(
                "flapping",
                format!(
                    "its health changed so often that it has to be well for {hold} ms before it is called healthy"
                ),
            )
        }
        Rule::Steady => coded(
            "steady",
            "its health changed often, and was good for long enough since",
        ),
        Rule::Unconfirmed { reason } => coded(
            "unconfirmed",
            format!(
                "it is as it was before the registry's restart ({}), and has not proved since that it lives",
                reason.as_str()
            ),
        ),
        Rule::Other(reason) => coded(reason.as_str(), reason.as_str()),
    }
}

pub(super) fn next(deadline: Deadline, now: Mono) -> Next {
    let (code, text) = match deadline.then {
        Turn::Unhealthy => ("unhealthy", "it becomes unhealthy unless it beats before"),
        Turn::Suspect => (
            "suspect",
            "it becomes suspect unless it beats before: the guard holds",
        ),
        Turn::Removed => ("removed", "it is removed unless it beats before"),
        Turn::ServiceGuardEnds => (
            "service_guard_ends",
            "the guard of its service ends at the latest, and its silence begins anew",
        ),
        Turn::RegistryGuardEnds => (
            "registry_guard_ends",
            "the registry's guard ends at the latest, and its silence begins anew",
        ),
        Turn::HoldEnds => ("hold_ends", "it is called healthy if it is well until then"),
        Turn::ReportsLapse => (
            "reports_lapse",
            "the mark of reports ends unless there are new ones",
        ),
    };
    Next {
        in_ms: ms(deadline.at.since(now)),
        code: code.into(),
        text: text.into(),
    }
}

pub(super) fn way(way: Way) -> Coded {
    match way {
        Way::BeatHeals => coded("beat", "a beat makes it healthy at once"),
        Way::BeatClears => coded("beat", "a beat takes the suspicion from it at once"),
        Way::ProbeClears => coded(
            "probe",
            "a probe that is answered well takes the suspicion from it at once",
        ),
        Way::Confirms => coded("confirm", "a beat, or a probe that is answered, confirms it"),
        Way::Silence(limit) => coded("silence", format!("silence for {} ms ends that", ms(limit))),
        Way::ProbesPass(count) => coded(
            "probes_pass",
            format!("{count} probes in a row that are answered well make it healthy"),
        ),
        Way::ProbesFail(count) => coded(
            "probes_fail",
            format!("{count} probes in a row that are not answered well make it unhealthy"),
        ),
        Way::DeclaresUp => coded("declare_up", "it says that it is up again"),
        Way::Registers => coded("register", "its client registers it again"),
        Way::RegistersEnabled => coded("register_enabled", "its client registers it switched on"),
        Way::OperatorEnables => coded("operator_enables", "an operator switches it on"),
        Way::OperatorUndrains => coded("operator_undrains", "an operator ends the drain"),
        Way::OperatorSetsHealth => coded("operator_sets_health", "an operator sets its health"),
        Way::OthersReturn => coded(
            "others_return",
            "enough of the others beat again, and the guard ends",
        ),
        Way::OperatorEndsGuard => coded("operator_ends_guard", "an operator ends the guard"),
        Way::ReportsCease => coded("reports_cease", "consumers do not report it any more"),
        Way::OperatorEndsReports => coded("operator_ends_reports", "an operator has the reports forgotten"),
        Way::StaysWell => coded("stay_well", "it is well for a while without interruption"),
        Way::ConnectionCloses => coded("connection_closes", "its connection closes, and it goes"),
    }
}

pub(super) fn comes_back() -> Coded {
    coded("register", "its client registers it")
}

/// Why it went, as far as that is remembered.
pub(super) fn gone(last: Option<&Change>) -> Coded {
    let Some(last) = last.filter(|change| change.kind == ChangeKind::Removed) else {
        return coded(
            "never_there",
            "as far as is remembered it never was; an operator's layer waits for it",
        );
    };
    match last.reason {
        Reason::Deregistered => coded("deregistered", "its client said goodbye"),
        Reason::Expired => coded("expired", "no beat came for too long"),
        Reason::SessionClosed => coded("session_closed", "its connection closed"),
        Reason::ProbeFailed => coded("probe_failed", "its probes failed for too long"),
        Reason::Operator => coded("operator", "an operator removed it"),
        reason => coded(reason.as_str(), reason.as_str()),
    }
}
