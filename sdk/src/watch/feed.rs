//! One service, fed by a stream and read by handles.

use std::sync::Arc;

use beatrix_wire::{ServiceDelta, ServiceView};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::view::{Gap, Mirror};
use crate::{ServiceKey, View};

/// Only the stream of the shard that the service is in writes to it.
#[derive(Debug)]
pub(super) struct Feed {
    key: ServiceKey,
    state: Mutex<State>,
    shown: watch::Sender<Arc<View>>,
}

#[derive(Debug)]
struct State {
    mirror: Mirror,
    /// What is held is the state at the last event of the stream. Not so before the first snapshot, and not so
    /// between the start of a stream that was not resumed and the snapshot in it.
    is_synced: bool,
}

impl Feed {
    pub(super) fn new(key: ServiceKey) -> Self {
        let mirror = Mirror::new(key.clone());
        let (shown, _) = watch::channel(Arc::clone(mirror.shown()));
        Self {
            key,
            state: Mutex::new(State {
                mirror,
                is_synced: false,
            }),
            shown,
        }
    }

    pub(super) fn key(&self) -> &ServiceKey {
        &self.key
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<View>> {
        self.shown.subscribe()
    }

    pub(super) fn is_synced(&self) -> bool {
        self.state.lock().is_synced
    }

    /// A snapshot is needed before the stream can be resumed.
    pub(super) fn unsync(&self) {
        self.state.lock().is_synced = false;
    }

    /// The stream goes on after this event.
    pub(super) fn resume(&self, epoch: &str, revision: u64) {
        self.state.lock().mirror.resume(epoch, revision);
    }

    pub(super) fn replace(&self, view: ServiceView) {
        let mut state = self.state.lock();
        state.is_synced = true;
        let shown = Arc::clone(state.mirror.replace(view));
        self.show(shown);
    }

    pub(super) fn apply(&self, delta: ServiceDelta) -> Result<(), Gap> {
        let mut state = self.state.lock();
        let shown = state.mirror.apply(delta).map(Arc::clone);
        match shown {
            Ok(view) => {
                self.show(view);
                Ok(())
            }
            Err(gap) => {
                state.is_synced = false;
                Err(gap)
            }
        }
    }

    /// Replaces the view; wakes readers only if it tells them anything new.
    fn show(&self, view: Arc<View>) {
        self.shown.send_if_modified(|shown| {
            let is_news = view.is_news_to(shown);
            *shown = view;
            is_news
        });
    }
}
