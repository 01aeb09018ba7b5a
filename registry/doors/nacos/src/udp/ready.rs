//! How the hub tells the one task which of its subscriptions have news.
//!
//! A task for each subscription would do the same with a timer and a stack frame for each; here one wake is a number
//! in a list.

use std::sync::Arc;
use std::task::{Wake, Waker};

use beatrix_core::model::ServiceKey;
use beatrix_engine::hub::Subscription;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Whom to look at.
#[derive(Debug, Default)]
pub(super) struct News {
    /// New subscriptions, each of one service.
    pub(super) arrived: Vec<(Subscription, ServiceKey)>,
    /// Subscriptions that may have news.
    pub(super) woken: Vec<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Ready {
    news: Mutex<News>,
    there_is: Notify,
}

/// The waker of one subscription.
struct Waking {
    id: u64,
    ready: Arc<Ready>,
}

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        self.ready.woken(self.id);
    }
}

impl Ready {
    pub(super) fn waker(self: &Arc<Self>, id: u64) -> Waker {
        Waker::from(Arc::new(Waking {
            id,
            ready: Arc::clone(self),
        }))
    }

    pub(super) fn arrived(&self, subscription: Subscription, service: ServiceKey) {
        self.news.lock().arrived.push((subscription, service));
        self.there_is.notify_one();
    }

    /// Somebody is to be looked at: he has news, or may be told again.
    pub(super) fn woken(&self, id: u64) {
        self.news.lock().woken.push(id);
        self.there_is.notify_one();
    }

    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *self.news.lock())
    }

    /// Resolves when there is news that was not taken.
    pub(super) async fn wait(&self) {
        self.there_is.notified().await;
    }
}
