//! What the writer looks after once a second: free space, history that is too old, whether a checkpoint is wanted.

use std::time::Duration;

use super::{LOOK_AFTER_BYTES, Writer};
use crate::journal::embedded::queue::{Mode, TICK};

impl Writer {
    /// Once a second, and after much was written: free space, what history is too old, whether a checkpoint is wanted.
    pub(super) fn look_around(&mut self) {
        let now = self.clock.mono();
        let due = now.since(self.looked) >= TICK;
        if !due && self.since_look < LOOK_AFTER_BYTES {
            return;
        }
        self.looked = now;
        self.since_look = 0;
        let Some(store) = self.store.clone() else {
            return;
        };
        let is_low = self.look_for_space();
        if self.queue.mode() != Mode::Open {
            return;
        }
        let keeping = self.build.as_ref().map(|build| build.number);
        match self
            .retention
            .step(&store, &self.meta, self.place.at, keeping, is_low)
        {
            Ok(Some((batch, meta))) => {
                if let Err(error) = self.write(&store, &batch) {
                    self.fail(&error.to_string());
                    return;
                }
                if let Some(meta) = meta {
                    self.meta = meta;
                }
                // The next step follows at once, with what waits by then.
                self.since_look = LOOK_AFTER_BYTES;
            }
            Ok(None) => {}
            Err(error) => {
                self.fail(&error.to_string());
                return;
            }
        }
        if self.build.is_none() && self.wants_checkpoint() {
            self.wanted.set(true);
        }
    }

    pub(super) fn wants_checkpoint(&self) -> bool {
        let since = self.place.offset - self.place.checkpoint_offset;
        let last = self.meta.checkpoints.last();
        // A large state is not written anew for every few changes.
        let enough = self
            .config
            .checkpoint_bytes
            .max(last.map_or(0, |last| last.bytes / 2));
        let old = last.is_some_and(|last| {
            let age = Duration::from_millis(self.place.at.0.saturating_sub(last.at.0));
            age >= self.config.checkpoint_every
        });
        since > 0 && (since >= enough || old)
    }

    /// Below the reserve durable writes are refused while the store still works: so it is not broken by them.
    /// Returns whether there is less than that.
    pub(super) fn look_for_space(&mut self) -> bool {
        let free = match self.disk.free() {
            Ok(free) => free,
            Err(error) => {
                tracing::warn!(%error, "the free space of the data folder is not known");
                return false;
            }
        };
        let reserve = self.config.free_reserve;
        let low = (free < reserve).then(|| {
            format!(
                "the disk of {} is nearly full: {free} bytes are free, {reserve} are kept in reserve",
                self.disk.name()
            )
        });
        self.state.update(|figures| figures.free_bytes = Some(free));
        let is_low = low.is_some();
        if self.queue.mode() != Mode::Open {
            return is_low;
        }
        self.queue.refuse(low.clone());
        match low {
            Some(error) => self.trouble(error, true),
            None => self.state.update(|figures| figures.trouble = None),
        }
        is_low
    }
}
