//! What consumers say about instances that they cannot reach.

use serde::{Deserialize, Serialize};

/// The body of `POST /api/v1/reports`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// Names the process that reports, the same in each of its requests; 1 to 128 bytes without control characters.
    pub consumer: String,
    /// At most 100.
    pub reports: Vec<FailureReport>,
}

/// One instance that could not be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FailureReport {
    /// The namespace. Default `public`.
    #[serde(default = "public", skip_serializing_if = "is_public")]
    pub namespace: String,
    /// The group. Default `DEFAULT_GROUP`.
    #[serde(default = "default_group", skip_serializing_if = "is_default_group")]
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// The instance's address.
    pub address: String,
    /// The instance's port.
    pub port: u16,
    /// How many attempts failed, 1 or more.
    pub failures: u32,
    /// Within which time before the request, in milliseconds, 0 to 60000. It is told; when the request comes decides.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_ms: u64,
    /// What the last of them failed with, such as `connect: refused`; at most 256 bytes without control characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last_error: String,
}

/// The answer to reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportResponse {
    /// How many were noted.
    pub accepted: u64,
    /// The places, from 0, of those that are about no instance there is.
    #[serde(default)]
    pub unknown: Vec<u64>,
}

/// What all consumers say, as far as it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportStatus {
    /// Of how many instances reports are kept.
    pub instances: u64,
    /// How many reporters are kept, each once for each instance.
    pub reports: u64,
    /// How many consumers the registry keeps the pace of, or about.
    pub paces: u64,
    /// How many reports were forgotten before their time, for want of room, since this process started.
    pub forgotten: u64,
}

fn public() -> String {
    "public".into()
}

fn default_group() -> String {
    "DEFAULT_GROUP".into()
}

fn is_public(namespace: &str) -> bool {
    namespace == "public"
}

fn is_default_group(group: &str) -> bool {
    group == "DEFAULT_GROUP"
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
