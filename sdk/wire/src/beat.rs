//! The batch that carries the leases of a process.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The body of `POST /api/v1/beats`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BeatRequest {
    /// The cluster that gave the leases; another one refuses the request.
    pub cluster_id: String,
    /// The leases to renew, at most 50000.
    #[serde(default)]
    pub leases: Vec<String>,
    /// What instances say about themselves; each also renews its lease.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<StatusReport>,
    /// How many requests instances have in flight, by lease, at most 1000. The drain of an instance that says so waits
    /// until that is 0. It renews nothing: the lease is to be among the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub in_flight: BTreeMap<String, u64>,
}

/// What an instance says about itself. It stands until it says otherwise or registers again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StatusReport {
    /// Whose status it is.
    pub lease: String,
    /// The status.
    pub status: DeclaredStatus,
    /// Why, for people; at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A status that an instance gives itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeclaredStatus {
    /// Takes traffic.
    Up,
    /// Alive, but wants no new traffic.
    Draining,
    /// Alive, but not well.
    Unhealthy,
}

/// The answer to a batch of beats.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BeatResponse {
    /// How many leases were renewed.
    pub renewed: u64,
    /// Leases that the registry does not know: register those instances again.
    #[serde(default)]
    pub unknown: Vec<String>,
}
