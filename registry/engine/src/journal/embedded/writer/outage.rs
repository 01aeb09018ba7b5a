//! What the writer does while its disk fails. See the parent.

use std::sync::Arc;

use beatrix_core::model::Revision;

use super::{Writer, tell};
use crate::journal::JournalError;
use crate::journal::embedded::meta::Meta;
use crate::journal::embedded::queue::{Mode, Ordered, TICK, Work};
use crate::journal::embedded::state::Trouble;
use crate::journal::embedded::store::{Batch, Store, StoreError};

impl Writer {
    /// The disk has failed: nothing is written until it can be opened again.
    pub(super) fn fail(&mut self, error: &str) -> JournalError {
        let error = format!("{} cannot be written: {error}", self.disk.name());
        tracing::error!(
            error,
            "the journal has failed; what is durable is refused, the rest is in memory only"
        );
        self.store = None;
        self.open.set(None);
        self.build = None;
        // The watchdog may have said so before.
        let known = self.queue.mode() == Mode::Failed;
        self.state.update(|figures| figures.failures += u64::from(!known));
        self.trouble(error.clone(), false);
        // After that: who is told that it failed may ask why.
        let lost = self.queue.fail(&error);
        self.lose(lost, 0);
        self.looked = self.clock.mono();
        JournalError(error)
    }

    pub(super) fn lose(&self, records: u64, refused: u64) {
        self.state
            .update(|figures| figures.not_kept += records.saturating_sub(refused));
    }

    pub(super) fn trouble(&self, error: String, writes_behind: bool) {
        let now = self.clock.wall();
        self.state.update(|figures| {
            let since = figures.trouble.as_ref().map_or(now, |trouble| trouble.since);
            figures.trouble = Some(Trouble {
                error,
                since,
                writes_behind,
            });
        });
    }

    /// Tries, once a second, to open the store again.
    pub(super) fn without_store(&mut self, work: Work) {
        let error = JournalError("the disk has failed".into());
        if let Some(Ordered { reply, .. }) = work.job {
            tell(reply, Err(error));
        }
        if self.clock.mono().since(self.looked) < TICK {
            return;
        }
        self.looked = self.clock.mono();
        match self.reopen() {
            Ok(store) => {
                self.store = Some(Arc::clone(&store));
                self.open.set(Some(store));
                self.recover_again();
                tracing::info!("the disk works again; a checkpoint is to be written");
            }
            Err(error) => self.trouble(error, false),
        }
    }

    /// Opens the store and sees that it can be written to. What may have become of the write that failed is taken away:
    /// nobody was told that it was kept.
    pub(super) fn reopen(&mut self) -> Result<Arc<Store>, String> {
        let free = self.disk.free().map_err(|error| error.to_string())?;
        let reserve = self.config.free_reserve;
        if free < reserve {
            return Err(format!("{free} bytes are free, {reserve} are kept in reserve"));
        }
        let open = || -> Result<(Arc<Store>, Meta), StoreError> {
            let store = Store::open(&*self.disk)?;
            let mut meta = self.meta.clone();
            meta.ceiling = Revision(self.queue.newest().0 + self.config.revisions_reserved);
            store.write(&Batch {
                cut_after: Some(self.place.written),
                meta: Some(meta.encode()),
                ..Batch::default()
            })?;
            Ok((Arc::new(store), meta))
        };
        let (store, meta) = open().map_err(|error| format!("{}: {error}", self.disk.name()))?;
        self.meta = meta;
        Ok(store)
    }

    /// A whole checkpoint is needed, of a state that has all that was acknowledged until now.
    pub(super) fn recover_again(&mut self) {
        let lost = self.queue.recover(self.meta.ceiling);
        self.lose(lost, 0);
        self.build = None;
        self.wanted.set(true);
    }

    /// The checkpoint has all that was not written.
    pub(super) fn recovered(&mut self) {
        self.state.update(|figures| {
            figures.trouble = None;
            figures.not_kept = 0;
        });
        tracing::info!("the journal keeps everything again");
    }
}
