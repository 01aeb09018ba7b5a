//! What came of a probe, as a word for programs and a line for people.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::targets;

/// What came of a probe, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the answer was good.
    pub good: bool,
    /// From the start, name lookup included, to the answer or to the moment at which there was nothing more to wait for.
    pub took: Duration,
    /// What came of it.
    pub what: ProbeOutcome,
}

impl Verdict {
    /// Whether it says something about the instance. If it does not, nobody was asked because this side could not ask:
    /// such a verdict is not good, and must not count against anybody.
    #[must_use]
    pub fn counts(&self) -> bool {
        !matches!(self.what, ProbeOutcome::OwnTrouble(_))
    }
}

/// What came of a probe. Small and `Copy`; nothing of it is the other side's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ProbeOutcome {
    /// The answer was good.
    Passed,
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// There was no whole answer by the timeout.
    TimedOut,
    /// The connection was closed before there was an answer.
    Closed,
    /// TLS did not come about; why, in our words.
    TlsFailed(&'static str),
    /// HTTP: a status that is not expected.
    BadStatus(u16),
    /// An answer that breaks the protocol, or that is not what was asked for; how, in our words.
    BadAnswer(&'static str),
    /// gRPC: the health is `NOT_SERVING`.
    NotServing,
    /// gRPC: the server does not know the service.
    UnknownService,
    /// gRPC: the server has no health service.
    Unimplemented,
    /// gRPC: the call failed with this code.
    GrpcStatus(i32),
    /// The login was refused, or one is needed.
    AuthFailed,
    /// MySQL: an error packet with this code.
    MysqlError(u16),
    /// MySQL: the database takes no writes. Only if the check command asks for it.
    ReadOnly,
    /// Redis: the data set is being loaded.
    Loading,
    /// Redis: a replica that has lost its master.
    MasterDown,
    /// Redis: an error that is none of the others.
    RedisError,
    /// The address may not be dialled. Nobody was asked.
    Forbidden(IpAddr),
    /// The host name has no address. Nobody was asked.
    Unresolved,
    /// The instance has no port. Nobody was asked.
    NoPort,
    /// This side could not ask; why, in our words. It says nothing about the instance: see [`Verdict::counts`].
    OwnTrouble(&'static str),
}

impl ProbeOutcome {
    /// The outcome as one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::TlsFailed(_) => "tls_failed",
            Self::BadStatus(_) => "bad_status",
            Self::BadAnswer(_) => "bad_answer",
            Self::NotServing => "not_serving",
            Self::UnknownService => "unknown_service",
            Self::Unimplemented => "unimplemented",
            Self::GrpcStatus(_) => "grpc_status",
            Self::AuthFailed => "auth_failed",
            Self::MysqlError(_) => "mysql_error",
            Self::ReadOnly => "read_only",
            Self::Loading => "loading",
            Self::MasterDown => "master_down",
            Self::RedisError => "redis_error",
            Self::Forbidden(_) => "forbidden",
            Self::Unresolved => "unresolved",
            Self::NoPort => "no_port",
            Self::OwnTrouble(_) => "own_trouble",
        }
    }
}

/// A line for people, of at most some hundred bytes.
impl fmt::Display for ProbeOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed => f.write_str("the answer was good"),
            Self::Refused => f.write_str("the connection was refused"),
            Self::Unreachable => f.write_str("the address cannot be reached"),
            Self::TimedOut => f.write_str("no whole answer came in time"),
            Self::Closed => f.write_str("the connection was closed before there was an answer"),
            Self::TlsFailed(why) => write!(f, "TLS failed: {why}"),
            Self::BadStatus(status) => write!(f, "the status was {status}, which is not expected"),
            Self::BadAnswer(how) => f.write_str(how),
            Self::NotServing => f.write_str("the service says that it is not serving"),
            Self::UnknownService => f.write_str("the server does not know the service"),
            Self::Unimplemented => f.write_str("the server has no health service"),
            Self::GrpcStatus(code) => write!(f, "the call failed with gRPC status {code}"),
            Self::AuthFailed => f.write_str("the login was refused, or one is needed"),
            Self::MysqlError(code) => write!(f, "the server said error {code}"),
            Self::ReadOnly => f.write_str("the database is read-only"),
            Self::Loading => f.write_str("the server is loading its data"),
            Self::MasterDown => f.write_str("the replica has lost its master"),
            Self::RedisError => f.write_str("the server answered with an error"),
            Self::Forbidden(ip) => {
                let why = targets::refusal(*ip).unwrap_or("it is not allowed");
                write!(f, "{ip} is not dialled: {why}")
            }
            Self::Unresolved => f.write_str("the host name has no address"),
            Self::NoPort => f.write_str("the instance has no port to ask at"),
            Self::OwnTrouble(why) => write!(f, "the registry could not ask: {why}"),
        }
    }
}

/// How the steps of a probe answer: the first that goes wrong says what came of all.
pub(crate) type Step<T = ()> = Result<T, ProbeOutcome>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_small() {
        assert!(size_of::<ProbeOutcome>() <= 24);
    }

    #[test]
    fn only_our_own_trouble_counts_for_nothing() {
        let verdict = |what| Verdict {
            good: false,
            took: Duration::ZERO,
            what,
        };
        assert!(!verdict(ProbeOutcome::OwnTrouble("x")).counts());
        assert!(verdict(ProbeOutcome::Refused).counts());
        assert!(verdict(ProbeOutcome::Forbidden([169, 254, 169, 254].into())).counts());
    }

    #[test]
    fn who_is_refused_reads_why() {
        let forbidden = ProbeOutcome::Forbidden([169, 254, 1, 1].into());
        assert_eq!(
            forbidden.to_string(),
            "169.254.1.1 is not dialled: link-local address"
        );
    }
}
