//! Sees when the writer's disk does not answer. The writer cannot: it hangs in the call.
//!
//! Then the disk counts as failed, though the call is not over: who waits is told so, durable writes are refused, and the
//! rest goes on in memory. It touches no file, and so never hangs itself.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::journal::embedded::Open;
use crate::journal::embedded::disk::Disk;
use crate::journal::embedded::queue::Queue;
use crate::journal::embedded::state::{StorageState, Trouble};

/// How often it looks.
const EVERY: Duration = Duration::from_millis(250);

/// See the module.
#[derive(Debug)]
pub struct Watchdog {
    /// Whose disk may hang.
    pub disk: Arc<dyn Disk>,
    /// How long it may.
    pub max: Duration,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// What knows since when the writer has been busy.
    pub queue: Arc<Queue>,
    /// Where trouble is told.
    pub state: Arc<StorageState>,
    /// The store, which readers would hang on as well.
    pub open: Arc<Open>,
}

impl Watchdog {
    /// Watches until the writer has ended.
    pub fn run(self) {
        while !self.queue.wait_for_end(EVERY) {
            let error = format!(
                "{} does not answer: a write has taken more than {} ms",
                self.disk.name(),
                self.max.as_millis()
            );
            let say = || {
                self.open.set(None);
                let now = self.clock.wall();
                self.state.update(|figures| {
                    figures.failures += 1;
                    let since = figures.trouble.as_ref().map_or(now, |trouble| trouble.since);
                    figures.trouble = Some(Trouble {
                        error: error.clone(),
                        since,
                        writes_behind: false,
                    });
                });
            };
            let overdue = self
                .queue
                .fail_if_overdue(self.clock.mono(), self.max, &error, say);
            let Some(lost) = overdue else { continue };
            self.state.update(|figures| figures.not_kept += lost);
            tracing::error!(
                error,
                "the journal's disk hangs; what is durable is refused, the rest is in memory only"
            );
        }
    }
}
