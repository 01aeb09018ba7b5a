//! A log line for each change, written beside the path of writes and in bounded number.
//!
//! A line in the owner's path would make a mass expiry as slow as the terminal. So this reads the change log a few
//! times a second, writes the first changes one by one, and the rest as a number.

use std::time::Duration;

use beatrix_engine::Registry;
use beatrix_engine::registry::EventsQuery;

const EVERY: Duration = Duration::from_millis(250);
const LINES_MAX: usize = 50;

/// Logs changes until the registry stops.
pub(crate) async fn run(registry: Registry) {
    let stopped = registry.stopped();
    tokio::pin!(stopped);
    let mut after = registry.version().revision;
    let mut last_look = false;
    while !last_look {
        last_look = tokio::select! {
            () = &mut stopped => true,
            () = tokio::time::sleep(EVERY) => false,
        };
        if registry.version().revision == after {
            continue;
        }
        let page = registry.events(&EventsQuery {
            after,
            limit: LINES_MAX,
            ..EventsQuery::default()
        });
        for change in &page.changes {
            let key = &change.service;
            tracing::info!(
                namespace = %key.namespace,
                group = %key.group,
                service = %key.name,
                instance = %change.endpoint,
                revision = change.revision.0,
                reason = change.reason.as_str(),
                by = change.by.surface.as_str(),
                peer = change.by.peer.map(tracing::field::display),
                "{}",
                word(change.kind),
            );
        }
        let last = page.changes.last().map_or(after, |change| change.revision);
        after = page.version.revision;
        let more = after.0 - last.0;
        if more > 0 {
            tracing::info!(
                more,
                revision = after.0,
                "further changes; /api/v1/events has them"
            );
        }
    }
}

fn word(kind: beatrix_core::changes::ChangeKind) -> &'static str {
    use beatrix_core::changes::ChangeKind;
    match kind {
        ChangeKind::Registered => "registered",
        ChangeKind::Updated => "updated",
        ChangeKind::Operator => "operator",
        ChangeKind::Health => "health",
        ChangeKind::Removed => "removed",
    }
}
