//! One service, lists of services, and the difference between two of its states.

use serde::{Deserialize, Serialize};

use crate::instance::Instance;

/// One service at one revision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceView {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// The history that `revision` counts in.
    pub epoch: String,
    /// The revision of the last change in this service. Of a service that does not exist, which only a watch tells
    /// of: a revision at which it did not.
    pub revision: u64,
    /// False while the registry may not know all instances yet: keep what you have.
    pub complete: bool,
    /// Why the last instance left, when the service is empty and once was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emptied_by: Option<String>,
    /// How its instances begin to serve, if that was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStart>,
    /// The instances, ordered by address and port.
    pub instances: Vec<Instance>,
}

/// How the instances of a service begin to serve: with a share of their weight that grows to all of it. It applies to
/// who registers, is healthy again, is enabled again, or whose drain ended, while others have served for longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SlowStart {
    /// How long it lasts, in milliseconds, 0 to 3600000; 0 is no slow start.
    pub duration_ms: u64,
    /// How the share grows.
    #[serde(default)]
    pub curve: Curve,
    /// The share to begin with, in percent, 1 to 100. Default 10.
    #[serde(default = "SlowStart::min_percent_default")]
    pub min_percent: u64,
}

impl SlowStart {
    fn min_percent_default() -> u64 {
        10
    }
}

/// How a share grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// By the same in the same time.
    #[default]
    Linear,
    /// Slowly first, then faster: with the square of the time.
    Quadratic,
}

/// The body of `PATCH …/services/{service}`. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ServicePatch {
    /// How instances begin to serve; `null` ends what was said about it.
    #[serde(default, deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Option<SlowStart>>,
}

/// Tells `null`, which says something, from what is absent.
fn said<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// What changed in a service between two revisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceDelta {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// The history that the revisions count in.
    pub epoch: String,
    /// Applies to the state at this revision, or a later one up to `revision`.
    pub from_revision: u64,
    /// Gives the state at this revision.
    pub revision: u64,
    /// False while the registry may not know all instances yet.
    pub complete: bool,
    /// Instances that are new or changed.
    pub upserted: Vec<Instance>,
    /// Instances that are gone.
    pub removed: Vec<Removal>,
}

/// An instance that is gone, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Removal {
    /// Its address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// `deregistered`, `expired`, `session_closed`, `probe_failed` or `operator`.
    pub reason: String,
    /// The revision at which it left.
    pub revision: u64,
}

/// A page of the list of services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceList {
    /// How many services match in all.
    pub total: u64,
    /// The page, from 1.
    pub page: u64,
    /// How many services a page holds.
    pub page_size: u64,
    /// The services of this page, ordered by namespace, group and name.
    pub services: Vec<ServiceSummary>,
}

/// A service in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceSummary {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// How many instances it has.
    pub instances: u64,
    /// How many of them are healthy.
    pub healthy: u64,
    /// How many of them callers should use now.
    pub serving: u64,
    /// The revision of its last change.
    pub revision: u64,
}
