//! Membership changes, and the state of the registry as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A page of membership changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventsPage {
    /// The history that revisions count in.
    pub epoch: String,
    /// The oldest revision that is still held; 0 when there is none.
    pub oldest_revision: u64,
    /// The newest revision of the registry.
    pub revision: u64,
    /// True when changes after the one asked for are no longer held.
    pub truncated: bool,
    /// Ask for changes after this revision to go on.
    pub next_after: u64,
    /// The changes, oldest first.
    pub events: Vec<MembershipEvent>,
}

/// What happened to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Registered,
    /// Its registration changed.
    Updated,
    /// An operator's layer changed.
    Operator,
    /// Its health or its own status changed.
    Health,
    /// It is gone.
    Removed,
}

/// One membership or health change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MembershipEvent {
    /// Its revision.
    pub revision: u64,
    /// When, wall clock.
    pub at_ms: u64,
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The service.
    pub service: String,
    /// The instance's address.
    pub address: String,
    /// The instance's port.
    pub port: u16,
    /// What happened.
    pub kind: ChangeKind,
    /// Why.
    pub reason: String,
    /// Who asked for it. Absent in what an older registry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ChangedBy>,
}

/// Who asked for a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangedBy {
    /// By which way: `native`, `nacos_http`, `nacos_grpc`, `import`, or `registry` for what silence, probes, the guard
    /// or time did.
    pub surface: String,
    /// The address and port of the connection, if it came over one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// The state of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegistryStatus {
    /// Version of the software.
    pub version: String,
    /// The cluster.
    pub cluster_id: String,
    /// The history that revisions count in.
    pub epoch: String,
    /// The newest revision.
    pub revision: u64,
    /// When the process started, wall clock.
    pub started_at_ms: u64,
    /// False while the registry may not know all instances yet.
    pub complete: bool,
    /// How many services there are.
    pub services: u64,
    /// How many instances there are.
    pub instances: u64,
    /// How many of them are healthy.
    pub healthy: u64,
    /// How many subscribers are connected.
    pub subscribers: u64,
    /// How long this process was found to have stood still, in all, in milliseconds.
    pub stalled_ms: u64,
    /// The mass-expiry guard.
    pub guard: GuardStatus,
    /// Every limit with its use, by name.
    pub limits: BTreeMap<String, LimitUse>,
}

/// The mass-expiry guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuardStatus {
    /// Whether it is switched on.
    pub enabled: bool,
    /// Whether it holds removals in the whole registry.
    pub holding_registry: bool,
    /// The services in which it holds removals, as `namespace/group/service`, at most 100.
    pub holding_services: Vec<String>,
    /// How many instances it protects.
    pub suspects: u64,
}

/// The answer to an operator who ends the mass-expiry guard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuardEnded {
    /// Whether it held.
    pub held: bool,
}

/// A limit and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitUse {
    /// The limit.
    pub limit: u64,
    /// Its use, where it is a stock and not a bound on one request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
}
