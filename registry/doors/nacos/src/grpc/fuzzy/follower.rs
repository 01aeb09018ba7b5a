//! The changes of the registry, one after another.

use std::time::Duration;

use beatrix_core::changes::Change;
use beatrix_core::model::Revision;
use beatrix_engine::Registry;
use beatrix_engine::registry::EventsQuery;
use tokio::time::sleep;

const EVERY: Duration = Duration::from_millis(50);
const PIECE: usize = 1_024;

pub(super) enum Followed {
    Changes(Vec<Change>),
    Lost,
}

pub(super) struct Follower {
    registry: Registry,
    after: Revision,
}

impl Follower {
    pub(super) fn new(registry: Registry) -> Self {
        let after = registry.version().revision;
        Self { registry, after }
    }

    pub(super) async fn next(&mut self) -> Followed {
        loop {
            let query = EventsQuery {
                after: self.after,
                limit: PIECE,
                ..EventsQuery::default()
            };
            let page = self.registry.events(&query);
            if page.truncated {
                self.after = page.version.revision;
                return Followed::Lost;
            }
            self.after = page.next;
            if !page.changes.is_empty() {
                return Followed::Changes(page.changes);
            }
            sleep(EVERY).await;
        }
    }
}
