//! What an outcome says about the instance, for whoever counts and judges.

use beatrix_core::liveness::{Finding, ProbeResult};

use crate::outcome::{ProbeOutcome, Verdict};

impl ProbeOutcome {
    /// What it means. Nacos 2.x tells apart what is certain (a refused connection, an HTTP status but 302 and 503, an error
    /// of the database) from what may pass; we tell apart as well what may be the network's fault, here or between.
    #[must_use]
    pub fn finding(&self) -> Finding {
        match self {
            Self::Passed => Finding::Good,
            Self::Refused
            | Self::NotServing
            | Self::UnknownService
            | Self::Unimplemented
            | Self::AuthFailed
            | Self::MysqlError(_)
            | Self::ReadOnly
            | Self::RedisError => Finding::Down,
            Self::BadStatus(status) if !matches!(status, 302 | 503) => Finding::Down,
            Self::BadStatus(_)
            | Self::Closed
            | Self::TlsFailed(_)
            | Self::BadAnswer(_)
            | Self::GrpcStatus(_)
            | Self::Loading
            | Self::MasterDown
            | Self::Forbidden(_)
            | Self::NoPort => Finding::Bad,
            // Also a name that does not exist: the system's lookup tells that apart from a name server that is silent, but
            // the standard library hands on no code of it, only a text.
            Self::Unreachable | Self::TimedOut | Self::Unresolved => Finding::Silent,
            Self::OwnTrouble(_) => Finding::Unasked,
        }
    }
}

/// As the engine counts it.
impl From<Verdict> for ProbeResult {
    fn from(verdict: Verdict) -> Self {
        let text = match verdict.what {
            // The one that nearly all are costs no allocation.
            ProbeOutcome::Passed => "the answer was good".into(),
            what => what.to_string().into(),
        };
        Self {
            finding: verdict.what.finding(),
            word: verdict.what.word(),
            text,
            took: verdict.took,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_certain_what_may_pass_and_what_may_be_our_own_fault_are_told_apart() {
        for (what, finding) in [
            (ProbeOutcome::Passed, Finding::Good),
            (ProbeOutcome::Refused, Finding::Down),
            (ProbeOutcome::BadStatus(500), Finding::Down),
            (ProbeOutcome::BadStatus(204), Finding::Down),
            (ProbeOutcome::BadStatus(503), Finding::Bad),
            (ProbeOutcome::BadStatus(302), Finding::Bad),
            (ProbeOutcome::MysqlError(1045), Finding::Down),
            (ProbeOutcome::TimedOut, Finding::Silent),
            (ProbeOutcome::Unresolved, Finding::Silent),
            (ProbeOutcome::OwnTrouble("x"), Finding::Unasked),
        ] {
            assert_eq!(what.finding(), finding, "{what:?}");
        }
    }

    #[test]
    fn a_verdict_is_good_where_its_finding_is_and_counts_where_it_does() {
        for what in [
            ProbeOutcome::Passed,
            ProbeOutcome::Closed,
            ProbeOutcome::OwnTrouble("x"),
        ] {
            let verdict = Verdict {
                good: what == ProbeOutcome::Passed,
                took: Duration::from_millis(3),
                what,
            };
            let result = ProbeResult::from(verdict);
            assert_eq!(result.finding == Finding::Good, verdict.good);
            assert_eq!(result.finding != Finding::Unasked, verdict.counts());
            assert_eq!((result.word, &*result.text), (what.word(), &*what.to_string()));
        }
    }
}
