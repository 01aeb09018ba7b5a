//! Probes: what is asked of an instance, and what is told about it. Passwords and the values of headers are written only:
//! no answer has them, and `Debug` does not show them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A text that is sent and never shown again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl<T: Into<String>> From<T> for Hidden {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProbeQuestion {
    /// Whether the port takes connections.
    Tcp {},
    /// A request by HTTP/1.1.
    Http {
        /// `GET`, `HEAD`, `OPTIONS` or `POST`. Default `GET`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        method: Option<String>,
        /// What to ask for, with a query if there is one. Default `/`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Headers to send along. At most 16. Never shown again.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        headers: BTreeMap<String, Hidden>,
        /// Good statuses: codes and ranges, as in `200-299,404`. Default `200-399`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_status: Option<String>,
        /// By TLS, if given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<ProbeTls>,
    },
    /// The gRPC health protocol, `grpc.health.v1`.
    Grpc {
        /// For which service. Default: for the server as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
        /// By TLS, if given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tls: Option<ProbeTls>,
    },
    /// A database that speaks MySQL's protocol.
    Mysql {
        /// Who asks. Default: nobody logs in, and that the server greets is enough.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// His password. Never shown again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Hidden>,
        /// What to ask. Default `select 1`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
    },
    /// A store that speaks Redis's protocol.
    Redis {
        /// Who asks, if not the default user.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        user: Option<String>,
        /// His password. Never shown again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Hidden>,
    },
}

/// How a probe speaks TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProbeTls {
    /// The name that the certificate must be good for. Without, any certificate will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// What is known about the probes of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeReport {
    /// Whether it is asked as its cluster is checked, not as it says itself.
    pub of_cluster: bool,
    /// What is asked. Absent when nobody asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedProbe>,
    /// In how many milliseconds the next probe is due. Absent while one is in flight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_in_ms: Option<u64>,
    /// The newest result since it was registered as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ProbeResult>,
}

/// What is asked of an instance, without what is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AskedProbe {
    /// `tcp`, `http`, `grpc`, `mysql` or `redis`.
    pub kind: String,
    /// At which port, if not at the registered one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The time from one probe to the next.
    pub interval_ms: u64,
    /// How long connecting and answering may take together.
    pub timeout_ms: u64,
    /// Good answers in a row that make it healthy.
    pub rise: u8,
    /// Bad answers in a row that make it unhealthy.
    pub fall: u8,
    /// The path, by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Good statuses, by HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_status: Option<String>,
    /// The service that is asked for, by gRPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeResult {
    /// Whether it was good.
    pub good: bool,
    /// What came of it in one word, such as `passed`, `refused` or `timed_out`.
    pub outcome: String,
    /// The same for people.
    pub text: String,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// When, wall clock.
    pub at_ms: u64,
    /// How many results in a row, with this one, were as good, or as bad.
    pub streak: u32,
}

/// The answer to an order to probe now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeOrdered {
    /// Whether it is probed now.
    pub ordered: bool,
    /// Why not: it is not probed at all, or was ordered within the last 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Probes of the registry as a whole, since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbeStatus {
    /// Whether anybody is probed.
    pub enabled: bool,
    /// How many instances are.
    pub instances: u64,
    /// How many probes are in flight.
    pub in_flight: u64,
    /// Results that were good.
    pub passed: u64,
    /// Results that were not.
    pub failed: u64,
    /// Results that counted for nothing: of an earlier registration, from across a time in which this process stood
    /// still, or where the registry could not ask.
    pub dropped: u64,
    /// Turns that were missed because probes were behind.
    pub missed: u64,
    /// Results by their outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Half of all probes began at most so late, in milliseconds; a bound, at most twice too large. So are the next two.
    pub late_p50_ms: u64,
    /// Of a hundred probes ninety-nine.
    pub late_p99_ms: u64,
    /// Of a thousand all but one.
    pub late_p999_ms: u64,
    /// The latest began so late, in milliseconds.
    pub late_max_ms: u64,
}
