//! The durable journal.

use beatrix_engine::Registry;
use beatrix_engine::journal::StorageState;

use super::page::Page;

pub(super) fn write(page: &mut Page, registry: &Registry) {
    let storage = registry.storage();
    let kind = if storage.is_some() { "embedded" } else { "memory" };
    page.family("beatrix_storage_info", "gauge", "Where changes are kept, by kind");
    page.sample("beatrix_storage_info", &format!("kind=\"{kind}\""), 1);
    let Some(figures) = storage.map(StorageState::figures) else {
        return;
    };
    let trouble = figures.trouble.as_ref();
    page.gauge(
        "beatrix_storage_trouble",
        "1 while writes that must be durable are refused",
        u8::from(trouble.is_some()),
    );
    page.gauge(
        "beatrix_storage_trouble_since_timestamp_seconds",
        "Since when, by the wall clock; 0 if they are not",
        seconds(trouble.map_or(0, |trouble| trouble.since.0)),
    );
    page.gauge(
        "beatrix_storage_log_bytes",
        "Log that is kept, the history's as well",
        figures.log_bytes,
    );
    page.gauge(
        "beatrix_storage_log_since_checkpoint_bytes",
        "Log after the newest checkpoint, which a restart has to read",
        figures.log_bytes_since_checkpoint,
    );
    page.gauge(
        "beatrix_storage_checkpoint_bytes",
        "The newest checkpoint",
        figures.checkpoint_bytes,
    );
    page.gauge(
        "beatrix_storage_checkpoint_timestamp_seconds",
        "When the newest checkpoint was finished; 0 if there is none",
        seconds(figures.checkpoint_at.map_or(0, |at| at.0)),
    );
    page.gauge(
        "beatrix_storage_durable_revision",
        "Newest revision that is durable",
        figures.durable.0,
    );
    page.gauge(
        "beatrix_storage_pending",
        "Changes that wait to be written",
        figures.pending,
    );
    page.gauge(
        "beatrix_storage_pending_bytes",
        "Their bytes",
        figures.pending_bytes,
    );
    page.gauge(
        "beatrix_storage_not_kept",
        "Changes that are in memory only, since they could not be written, until the next checkpoint",
        figures.not_kept,
    );
    page.counter("beatrix_storage_syncs_total", "Writes with a sync", figures.syncs);
    page.gauge(
        "beatrix_storage_sync_last_seconds",
        "How long the last of them took",
        figures.sync_last.as_secs_f64(),
    );
    page.gauge(
        "beatrix_storage_sync_max_seconds",
        "How long the longest took",
        figures.sync_max.as_secs_f64(),
    );
    page.counter(
        "beatrix_storage_failures_total",
        "How often the disk failed",
        figures.failures,
    );
    if let Some(free) = figures.free_bytes {
        page.gauge(
            "beatrix_storage_free_bytes",
            "Free on the disk of data_dir, as of the last look",
            free,
        );
    }
    if let Some(from) = figures.history_from {
        page.gauge(
            "beatrix_storage_history_oldest_revision",
            "Oldest revision that the history knows",
            from.0,
        );
    }
    if let Some(since) = figures.history_since {
        page.gauge(
            "beatrix_storage_history_oldest_timestamp_seconds",
            "When that happened",
            seconds(since.0),
        );
    }
}

/// Milliseconds of the wall clock as what Prometheus counts in. Written out, not divided: they would not be exact.
fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}
