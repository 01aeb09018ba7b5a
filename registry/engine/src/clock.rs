//! Time from outside.

use beatrix_core::model::{Mono, Wall};
use tokio::time::Instant;

/// Where the engine takes its time from.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// Monotonic time. Must agree with tokio's timers.
    fn mono(&self) -> Mono;

    /// Wall-clock time.
    fn wall(&self) -> Wall;
}

/// The clocks of the machine. Under paused tokio time the monotonic one is paused, too.
#[derive(Debug)]
pub struct SystemClock {
    began: Instant,
}

impl SystemClock {
    /// Monotonic time begins now.
    #[must_use]
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn mono(&self) -> Mono {
        Mono(u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is where wall time comes in")]
    fn wall(&self) -> Wall {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is shown as 1970: it decides nothing.
        Wall(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }
}
