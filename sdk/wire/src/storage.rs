//! Where the registry keeps what happens, and how that is.

use serde::{Deserialize, Serialize};

/// The durable journal, as part of the registry's status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StorageStatus {
    /// Which journal it is: `embedded`.
    pub kind: String,
    /// What is wrong; absent while all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<StorageTrouble>,
    /// Bytes of log that are kept, the history's among them.
    pub log_bytes: u64,
    /// Bytes of log after the newest checkpoint, which a restart has to read.
    pub log_bytes_since_checkpoint: u64,
    /// Bytes of the newest checkpoint.
    pub checkpoint_bytes: u64,
    /// A restart needs the log after this revision.
    pub checkpoint_revision: u64,
    /// When the newest checkpoint was finished, wall clock; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_at_ms: Option<u64>,
    /// The newest revision that is durable.
    pub durable_revision: u64,
    /// Changes that wait to be written.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Changes that were acknowledged and could not be kept: they are in memory only, until the next checkpoint.
    pub not_kept: u64,
    /// How many writes there were since this process started.
    pub syncs: u64,
    /// How long the last write with its sync took, in microseconds.
    pub sync_last_us: u64,
    /// How long the longest took, in microseconds.
    pub sync_max_us: u64,
    /// How often the disk failed since this process started.
    pub failures: u64,
    /// Free bytes of the disk, as of the last look; absent where it does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// The oldest revision that the history knows; absent while it knows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_from_revision: Option<u64>,
    /// When that happened, wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history_since_ms: Option<u64>,
}

/// What is wrong while not everything can be kept. What must be durable is refused meanwhile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StorageTrouble {
    /// What, for people.
    pub error: String,
    /// Since when, wall clock.
    pub since_ms: u64,
    /// Whether what need not be durable is still written. If not it is in memory only.
    pub writes_behind: bool,
}
