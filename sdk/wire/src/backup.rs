//! The lines of a backup, and what an import answers. `registry/BACKUP.md` describes the format for people.
//!
//! A backup is JSON lines: a [`BackupHeader`], then namespaces, settings, and each service with its layers and
//! instances, all in order, and a [`BackupEnd`] by which a cut or changed file is noticed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::probe::ProbeQuestion;
use crate::service::SlowStart;

/// What the header of every backup says it is.
pub const BACKUP_FORMAT: &str = "beatrix-backup";
/// The newest version of the format. Readers refuse newer ones.
pub const BACKUP_VERSION: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BackupLine {
    /// The first line.
    Header(BackupHeader),
    /// A declared namespace.
    Namespace(BackupNamespace),
    /// A setting of the whole registry.
    Setting(BackupSetting),
    /// A service; its layers and instances follow.
    Service(BackupService),
    /// An operator's layer.
    Layer(BackupLayer),
    /// An instance as its client registered it, with what was measured.
    Instance(BackupInstance),
    /// The last line.
    End(BackupEnd),
    /// In what is imported only: takes something away that a backup does not name.
    Remove(BackupRemoval),
}

/// What the backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupHeader {
    /// `beatrix-backup`.
    pub format: String,
    /// The version of the format.
    pub version: u32,
    /// The history of the registry that wrote it.
    pub epoch: String,
    /// Nothing in it is older than this revision; what changed while it was written may be in it or not.
    pub revision: u64,
    /// When it was begun, wall clock.
    pub at_ms: u64,
    /// The namespaces that it is of; absent for all, with the settings of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<Vec<String>>,
}

/// A declared namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupNamespace {
    /// Its id.
    pub namespace: String,
    /// Its name for people.
    #[serde(default)]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
}

/// A setting of the whole registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupSetting {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupService {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// What was declared about it, if anything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<BackupServiceSettings>,
}

/// What was declared about a service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupServiceSettings {
    /// `ephemeral` or `persistent`, where all its instances must be of one kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<String>,
    /// The share of healthy instances at which callers are shown all.
    pub protect_threshold: f64,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The expression of a selector by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Settings of clusters, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clusters: BTreeMap<String, BackupCluster>,
    /// Whether silence has consequences.
    pub expires: bool,
    /// How instances begin to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<SlowStart>,
}

/// What was said about a cluster of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupCluster {
    /// How its instances are asked whether they are well.
    pub checker: BackupChecker,
    /// At which port, if not at the instance's own.
    pub check_port: u16,
    /// Whether at the instance's own port.
    pub use_instance_port: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// How instances are asked whether they are well. It may hold a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BackupChecker {
    /// Not at all.
    None {},
    /// By connecting.
    Tcp {},
    /// By a GET.
    Http {
        /// What to ask for.
        path: String,
        /// What to send along.
        headers: String,
        /// The status that is a good answer.
        expected_status: u16,
    },
    /// By a command to a database.
    Mysql {
        /// Who asks.
        user: String,
        /// His password.
        password: String,
        /// What to ask.
        command: String,
    },
}

/// By hand: a password has no place in a log.
impl std::fmt::Debug for BackupChecker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None {} => "None",
            Self::Tcp {} => "Tcp",
            Self::Http { .. } => "Http",
            Self::Mysql { .. } => "Mysql",
        })
    }
}

/// An operator's layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupLayer {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// The address of the instance that it is for.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Whether it is for the instance's next run, whichever that is, and not for that of `incarnation`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub next_run: bool,
    /// The run that it was set on; absent where that had no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Overrides whether it is switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Overrides the weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Put over the client's labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// It is being emptied of traffic.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Survives deregistration and another incarnation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupInstance {
    /// The namespace.
    pub namespace: String,
    /// The group.
    pub group: String,
    /// The name of the service.
    pub service: String,
    /// IP address or host name; IPv6 without brackets.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its lease, by which its client's beats are known.
    pub lease: String,
    /// The label inside the service.
    pub cluster: String,
    /// Share of the traffic.
    pub weight: f64,
    /// Whether it wants traffic.
    pub enabled: bool,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The region it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The zone inside the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How it proves that it lives.
    pub liveness: BackupLiveness,
    /// Whether silence has consequences.
    pub expires: bool,
    /// Which run of the process it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// What its client calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_id: Option<String>,
    /// What it said about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<BackupDeclared>,
    /// What was measured.
    pub health: crate::Health,
    /// Why.
    pub reason: String,
    /// Since when, wall clock.
    pub since_ms: u64,
    /// Since when it serves, wall clock; absent if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_since_ms: Option<u64>,
}

/// How an instance proves that it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum BackupLiveness {
    /// Periodic beats.
    Beat {
        /// How often, in milliseconds.
        interval_ms: u64,
        /// Silence after which it is unhealthy, in milliseconds.
        unhealthy_after_ms: u64,
        /// Silence after which it is removed, in milliseconds.
        remove_after_ms: u64,
    },
    /// A held connection. It ended with the registry that had it: such an instance is not imported.
    Session {},
    /// The registry asks.
    Probe {
        /// What, with its secrets.
        probe: Box<ProbeQuestion>,
        /// At which port, if not at the registered one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The time from one probe to the next, in milliseconds.
        interval_ms: u64,
        /// How long connecting and answering may take together, in milliseconds.
        timeout_ms: u64,
        /// Good answers in a row that make it healthy.
        rise: u8,
        /// Bad answers in a row that make it unhealthy.
        fall: u8,
    },
    /// The registry asks as the cluster of the instance is checked.
    ClusterProbe {},
    /// Nobody asks.
    Static {},
}

/// What an instance says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupDeclared {
    /// Its status.
    pub status: crate::DeclaredStatus,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The end of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupEnd {
    /// How many namespaces there are in it.
    pub namespaces: u64,
    /// How many settings.
    pub settings: u64,
    /// How many services.
    pub services: u64,
    /// How many layers.
    pub layers: u64,
    /// How many instances.
    pub instances: u64,
    /// CRC-32 (IEEE) of all bytes before this line, as 8 hexadecimal digits.
    pub crc32: String,
}

/// What is to be taken away. Which of its fields are there says what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BackupRemoval {
    /// A setting of the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// A namespace's declaration, or where the others are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The group of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// A service without instances, or where the others are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A persistent instance, as `address:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The operator's layer of this `address:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
}

/// What became of lines that were imported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// How many changed something; with `dry_run` how many were looked at.
    pub changed: u64,
    /// How many changed nothing.
    pub unchanged: u64,
    /// How many were left out: instances that do not outlive their connection, or, if only persistent ones were asked
    /// for, those that beat.
    pub skipped: u64,
    /// Those that were refused; the others stand.
    pub refused: Vec<ImportRefusal>,
}

/// A line that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportRefusal {
    /// Its number in the request, from 1.
    pub line: u64,
    /// Why.
    pub detail: String,
}
