//! Membership changes, and the state of the registry as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::instance::Instance;
use crate::probe::ProbeStatus;
use crate::report::ReportStatus;
use crate::storage::StorageStatus;

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
    /// Ask for changes after this revision to go on, and later for what is new.
    pub next_after: u64,
    /// Newest first only: ask for changes before this revision to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<u64>,
    /// The changes, in the order that was asked for. Of those from the journal's history a registration is told as
    /// `registered`, also where it replaced another. Among them, in their place, what mass-expiry guards came to since this
    /// process started; those do not count for the limit of a page.
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
    /// Not of an instance: the mass-expiry guard of a service, or of the whole registry, began to hold or ended.
    Guard,
}

/// One membership or health change; or, of kind `guard`, what a mass-expiry guard came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MembershipEvent {
    /// Its revision. What a guard comes to has none of its own, but that of the change before it; so while there is no
    /// further change, who asks for what came after it is told it again.
    pub revision: u64,
    /// When, wall clock.
    pub at_ms: u64,
    /// The namespace. Absent, as group and service, where the guard is that of the whole registry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The service.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub service: String,
    /// The instance's address. Absent, as its port, of a guard.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// The instance's port.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub port: u16,
    /// What happened.
    pub kind: ChangeKind,
    /// Why. Of a guard: `shares` (too many, or few enough, are silent), `time` (its time is over), `operator`.
    pub reason: String,
    /// Who asked for it. Absent in what an older registry says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ChangedBy>,
    /// What the guard came to, where the kind is `guard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardEvent>,
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

fn is_zero(port: &u16) -> bool {
    *port == 0
}

/// What a mass-expiry guard came to, and what it then had counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuardEvent {
    /// Counts what guards came to since this process started: tells an event apart that is told again.
    pub number: u64,
    /// What it came to.
    pub what: GuardChange,
    /// How many fell silent within the window.
    pub silent: u64,
    /// Of how many that live by beats.
    pub population: u64,
    /// How many it protects, or did before its end.
    pub suspects: u64,
    /// When it ends at the latest, wall clock; of one that ended, when it would have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// By which way an operator came; `registry` if nobody asked.
    pub surface: String,
    /// Whose connection that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// What a mass-expiry guard came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GuardChange {
    /// It holds, by itself.
    Tripped,
    /// It holds by an operator's hand.
    Forced,
    /// It ended.
    Ended,
}

/// What became of a service between two revisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceDifference {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// The history that revisions count in.
    pub epoch: String,
    /// The registry's revision of the earlier state.
    pub from_revision: u64,
    /// The registry's revision of the later state.
    pub to_revision: u64,
    /// Whether the service was there before.
    pub existed: bool,
    /// Whether it is there after.
    pub exists: bool,
    /// Instances that came, as they are after.
    pub added: Vec<Instance>,
    /// Instances that went, as they were before.
    pub removed: Vec<Instance>,
    /// Instances that are other than before.
    pub changed: Vec<InstanceDifference>,
    /// What changed the service, oldest first: who, when, and why. At most 10,000.
    pub changes: Vec<MembershipEvent>,
    /// True when there were more changes than are told; these are the newest.
    pub truncated: bool,
}

/// What is other about an instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InstanceDifference {
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The fields that are other, by name.
    pub fields: Vec<FieldDifference>,
}

/// A field of an [`Instance`] that is other than before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldDifference {
    /// Its name; of a label `metadata.` and the label's.
    pub field: String,
    /// What it was; absent if it was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<serde_json::Value>,
    /// What it is; absent if it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<serde_json::Value>,
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
    /// The same in detail.
    #[serde(default)]
    pub stalls: StallStatus,
    /// How many instances are called flapping.
    #[serde(default)]
    pub flapping: u64,
    /// Of how many instances from before a restart nothing was heard yet.
    #[serde(default)]
    pub unconfirmed: u64,
    /// What consumers say about instances that they cannot reach.
    #[serde(default)]
    pub reports: ReportStatus,
    /// Where what happens is kept; absent where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StorageStatus>,
    /// The mass-expiry guard.
    pub guard: GuardStatus,
    /// Probes of instances.
    #[serde(default)]
    pub probes: ProbeStatus,
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
    /// Of how many a scope must be to be guarded.
    #[serde(default)]
    pub population_min: u64,
    /// It holds when more than this share of a scope, in percent, falls silent within the window.
    #[serde(default)]
    pub threshold_percent: u64,
    /// The window, in milliseconds.
    #[serde(default)]
    pub window_ms: u64,
    /// How often guards began to hold by themselves since this process started.
    #[serde(default)]
    pub trips: u64,
    /// The guard of the whole registry, as it stands.
    #[serde(default)]
    pub registry: GuardScope,
    /// Those of services that hold, at most 100.
    #[serde(default)]
    pub services: Vec<GuardScope>,
    /// In how many services one holds.
    #[serde(default)]
    pub services_holding: u64,
}

/// The guard of a service, or of the whole registry, as it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuardScope {
    /// The service as `namespace/group/service`; absent for the whole registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Whether it holds.
    pub holding: bool,
    /// Whether it does so by an operator's hand.
    pub forced: bool,
    /// Since when, wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// When it ends at the latest, wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// How many instances it protects.
    pub suspects: u64,
    /// How many instances of the scope live by beats.
    pub population: u64,
    /// How many of them fell silent within the window.
    pub silent: u64,
}

/// How this process was found to have stood still. Its deadlines were extended by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StallStatus {
    /// How often.
    pub count: u64,
    /// For how long in all, in milliseconds.
    pub total_ms: u64,
    /// For how long the last time, in milliseconds.
    pub last_ms: u64,
    /// When that was over, wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_at_ms: Option<u64>,
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
