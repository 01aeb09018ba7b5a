//! What is remembered of an instance: its last changes, and an operator's layer that waits for it.

use super::Gone;
use crate::catalog::Catalog;
use crate::changes::{Change, Place};
use crate::model::{Endpoint, Mono, ServiceRef};

/// How many changes of an instance are told.
const CHANGES_TOLD: usize = 8;
/// How many changes are looked at to find them: the catalog is not kept from others for longer.
const CHANGES_LOOKED_AT: usize = 20_000;

impl Catalog {
    pub(super) fn gone(&self, service: ServiceRef<'_>, endpoint: &Endpoint, now: Mono) -> Option<Gone> {
        let found = self.service(service).map(|(_, found)| found);
        let kept = found.and_then(|found| found.layer(endpoint));
        let last = found.and_then(|found| found.last_change);
        let changes = self.changes_of(last, service, endpoint);
        if changes.is_empty() && kept.is_none() {
            return None;
        }
        let ends = kept.and_then(|kept| kept.gone_since);
        Some(Gone {
            changes,
            layer: kept.map(|kept| kept.layer.clone()),
            layer_ends: ends.map(|since| since.after(self.config.layer_kept).max(now)),
        })
    }

    /// The last changes of an instance, newest first. Those of its service are linked; of one that is itself gone all
    /// are looked at.
    pub(super) fn changes_of(
        &self,
        last: Option<Place>,
        service: ServiceRef<'_>,
        endpoint: &Endpoint,
    ) -> Vec<Change> {
        let of_it = |change: &&Change| change.service.borrowed() == service && change.endpoint == *endpoint;
        match last {
            Some(last) => {
                let first = self.log.get(last);
                let linked = std::iter::successors(first, |change| self.log.get(change.previous?));
                let looked_at = linked.take(CHANGES_LOOKED_AT);
                looked_at.filter(of_it).take(CHANGES_TOLD).cloned().collect()
            }
            None => {
                let looked_at = self.log.newest_first().take(CHANGES_LOOKED_AT);
                looked_at.filter(of_it).take(CHANGES_TOLD).cloned().collect()
            }
        }
    }
}
