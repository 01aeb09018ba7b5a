//! How pushing goes, as operators are shown it: since they last set the count back.

use parking_lot::Mutex;

/// What was pushed, by datagram or over gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pushed {
    /// Pushes that were sent, for the first time each.
    pub(crate) sent: u64,
    /// Those that were acknowledged.
    pub(crate) acknowledged: u64,
}

/// The counts of when they were last set back.
#[derive(Debug, Default)]
pub(crate) struct ShownFrom(Mutex<Pushed>);

impl ShownFrom {
    /// What is shown of `now`; with `reset` nothing of it will be shown again.
    pub(crate) fn show(&self, now: Pushed, reset: bool) -> Pushed {
        let mut from = self.0.lock();
        let sent = now.sent - from.sent;
        let shown = Pushed {
            sent,
            // Some may have been sent before.
            acknowledged: (now.acknowledged - from.acknowledged).min(sent),
        };
        if reset {
            *from = now;
        }
        shown
    }
}
