//! Hearing of all changes of the registry, in order, for whoever must know of services that nobody has named yet.
//!
//! A follower keeps where it is in the change log and nothing else: it costs the owner one notice after what it applied,
//! and however slow it is nobody waits for it. One that is slower than the log is long is told so.

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::Catalog;
use beatrix_core::changes::Change;
use beatrix_core::model::Revision;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Registry;

/// How many changes are told at once: they are cloned under the catalog's lock. Of more the rest follows without a wait.
pub const FOLLOWED_MAX: usize = 1_024;

/// How long changes are gathered. The first after a quiet time is told at once.
const MERGE: Duration = Duration::from_millis(50);

/// What a follower is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The next changes, oldest first.
    Changes(Vec<Change>),
    /// The change log no longer holds the next changes. Whatever is read from now on has them in it; what comes after
    /// them is told again.
    Lost,
}

/// Hears of all changes since it was made.
#[derive(Debug)]
pub struct Follower {
    catalog: Arc<Mutex<Catalog>>,
    applied: Arc<Notify>,
    /// Everything up to here was told.
    since: Revision,
    /// When something was told last, and whether there is more.
    told: Option<Instant>,
    more: bool,
}

impl Registry {
    /// Follows all changes from now on.
    #[must_use]
    pub fn follow(&self) -> Follower {
        Follower {
            catalog: Arc::clone(&self.inner.catalog),
            applied: Arc::clone(&self.inner.applied),
            since: self.inner.catalog.lock().version().revision,
            told: None,
            more: false,
        }
    }
}

impl Follower {
    /// Waits for the next changes, and tells them 50 ms after the first of them at the latest. Once the registry has
    /// stopped it waits for ever.
    ///
    /// Nothing is lost if the wait is dropped before it is over.
    pub async fn next(&mut self) -> Followed {
        if let Some(told) = self.told.filter(|_| !self.more) {
            tokio::time::sleep_until(told + MERGE).await;
        }
        let applied = Arc::clone(&self.applied);
        loop {
            // Before it looks, so that what is applied in between wakes it.
            let mut notice = std::pin::pin!(applied.notified());
            notice.as_mut().enable();
            if let Some(followed) = self.take() {
                return followed;
            }
            notice.await;
        }
    }

    /// What there is by now.
    fn take(&mut self) -> Option<Followed> {
        let catalog = self.catalog.lock();
        let newest = catalog.version().revision;
        let followed = if catalog.log().lost_after(self.since) {
            (self.since, self.more) = (newest, false);
            Followed::Lost
        } else {
            let next = catalog.log().after(self.since).take(FOLLOWED_MAX);
            let changes: Vec<_> = next.cloned().collect();
            self.more = changes.len() == FOLLOWED_MAX;
            // What is no change of membership has a revision, too.
            self.since = match changes.last() {
                Some(last) if self.more => last.revision,
                _ => newest,
            };
            if changes.is_empty() {
                return None;
            }
            Followed::Changes(changes)
        };
        drop(catalog);
        self.told = Some(Instant::now());
        Some(followed)
    }
}
