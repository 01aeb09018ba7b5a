//! How the hub tells a connection which of its subscriptions has news.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::Outbox;

/// The waker of one subscription. It does not keep its connection: the hub holds it as long as it likes.
pub(super) struct Ring {
    outbox: Weak<Outbox>,
    number: u32,
}

impl Ring {
    pub(super) fn waker(outbox: &Arc<Outbox>, number: u32) -> Waker {
        Waker::from(Arc::new(Self {
            outbox: Arc::downgrade(outbox),
            number,
        }))
    }
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        if let Some(outbox) = self.outbox.upgrade() {
            outbox.ring(self.number);
        }
    }
}
