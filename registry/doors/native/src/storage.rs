//! How the durable journal is, as part of the registry's status.

use std::time::Duration;

use beatrix_engine::Registry;
use beatrix_engine::journal::StorageFigures;
use beatrix_wire as wire;

/// `None` where nothing is kept.
pub(crate) fn status(registry: &Registry) -> Option<wire::StorageStatus> {
    registry.storage().map(|storage| shown(storage.figures()))
}

fn shown(figures: StorageFigures) -> wire::StorageStatus {
    wire::StorageStatus {
        kind: "embedded".into(),
        trouble: figures.trouble.map(|trouble| wire::StorageTrouble {
            error: trouble.error,
            since_ms: trouble.since.0,
            writes_behind: trouble.writes_behind,
        }),
        log_bytes: figures.log_bytes,
        log_bytes_since_checkpoint: figures.log_bytes_since_checkpoint,
        checkpoint_bytes: figures.checkpoint_bytes,
        checkpoint_revision: figures.checkpoint_revision.0,
        checkpoint_at_ms: figures.checkpoint_at.map(|at| at.0),
        durable_revision: figures.durable.0,
        pending: figures.pending,
        pending_bytes: figures.pending_bytes,
        not_kept: figures.not_kept,
        syncs: figures.syncs,
        sync_last_us: us(figures.sync_last),
        sync_max_us: us(figures.sync_max),
        failures: figures.failures,
        free_bytes: figures.free_bytes,
        history_from_revision: figures.history_from.map(|from| from.0),
        history_since_ms: figures.history_since.map(|since| since.0),
    }
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
