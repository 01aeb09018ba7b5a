//! Errors as RFC 9457 (`application/problem+json`) describes them.

use serde::{Deserialize, Serialize};

/// Media type of a [`Problem`].
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong, for programs (`type`) and for people (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// Names the kind of error: `urn:beatrix:problem:` and a word that never changes its meaning.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of error, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This error, for people.
    pub detail: String,
    /// The field, parameter or path segment at fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The rule that it breaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

/// Start of every [`Problem::kind`].
pub const KIND_PREFIX: &str = "urn:beatrix:problem:";

/// The words behind [`KIND_PREFIX`].
pub mod kind {
    /// A value breaks a rule; `field` and `rule` say which.
    pub const INVALID_VALUE: &str = "invalid-value";
    /// The body is not JSON, or not of the right shape.
    pub const INVALID_BODY: &str = "invalid-body";
    /// A limit is reached; `rule` names it.
    pub const LIMIT_EXCEEDED: &str = "limit-exceeded";
    /// No such service.
    pub const SERVICE_NOT_FOUND: &str = "service-not-found";
    /// No such instance.
    pub const INSTANCE_NOT_FOUND: &str = "instance-not-found";
    /// No such namespace.
    pub const NAMESPACE_NOT_FOUND: &str = "namespace-not-found";
    /// The instance does not drain.
    pub const DRAIN_NOT_FOUND: &str = "drain-not-found";
    /// No such subscriber.
    pub const SUBSCRIBER_NOT_FOUND: &str = "subscriber-not-found";
    /// No such path.
    pub const NOT_FOUND: &str = "not-found";
    /// The path is there, the method is not.
    pub const METHOD_NOT_ALLOWED: &str = "method-not-allowed";
    /// The instance is there, but under another lease.
    pub const LEASE_MISMATCH: &str = "lease-mismatch";
    /// The service is for instances of another lifetime.
    pub const OTHER_LIFETIME: &str = "other-lifetime";
    /// It is there already, or not empty yet.
    pub const CONFLICT: &str = "conflict";
    /// The request was meant for another cluster.
    pub const WRONG_CLUSTER: &str = "wrong-cluster";
    /// The registry cannot take the write now; try again.
    pub const UNAVAILABLE: &str = "unavailable";
    /// What is asked for is from before all that is kept.
    pub const HISTORY_TOO_OLD: &str = "history-too-old";
    /// Nothing is kept of the past.
    pub const HISTORY_NOT_KEPT: &str = "history-not-kept";
    /// A backup cannot be read.
    pub const INVALID_BACKUP: &str = "invalid-backup";
    /// A defect of the registry.
    pub const INTERNAL: &str = "internal";
}
