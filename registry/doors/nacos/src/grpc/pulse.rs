//! When a client was last heard of, and what follows from its silence.
//!
//! Nacos 2.x: who says nothing for 20 s is asked whether he lives, and is gone if he does not say so within 5 s. It looks
//! every 3 s; here each connection is looked at when it is due.
//!
//! A sign of life is a call that got as far as the connection's set-up, or any answer on the stream; it is one store of
//! a number. Time is the runtime's, and comes in as an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Silence after which a client is asked, and in which one has to set its connection up.
pub(super) const ASKED_AFTER: Duration = Duration::from_secs(20);
/// How long it may take to answer.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may leave unread what waits for it. Nacos 2.x: 300 s.
pub(super) const UNREAD_MAX: Duration = Duration::from_secs(300);
/// A look that comes so much too late comes late because this process stood still, and so says nothing of the client.
const STALL: Duration = Duration::from_secs(1);

/// No time.
const NEVER: u64 = u64::MAX;

/// What a look at a connection comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Nothing is due before this.
    Again(Instant),
    /// It is to be asked whether it lives, and looked at again by then.
    Ask(Instant),
    /// It is gone.
    Gone(&'static str),
}

/// See the module. Times are milliseconds since it began.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// The last sign of life.
    heard: AtomicU64,
    /// When it was asked, if it has not answered yet.
    asked: AtomicU64,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            began: now,
            heard: AtomicU64::new(0),
            asked: AtomicU64::new(NEVER),
        }
    }

    /// It gave a sign of life.
    pub(super) fn heard(&self, now: Instant) {
        self.heard.store(self.at(now), Ordering::Relaxed);
    }

    /// For how long nothing was heard of it, in milliseconds.
    pub(super) fn quiet_for_ms(&self) -> u64 {
        let heard = self.heard.load(Ordering::Relaxed);
        self.at(Instant::now()).saturating_sub(heard)
    }

    /// It answered that it lives.
    pub(super) fn answered(&self, now: Instant) {
        self.asked.store(NEVER, Ordering::Relaxed);
        self.heard(now);
    }

    /// Looks at `now`, for which it was to be looked at at `due`. `set_up` says whether it can be asked, and `unread` since
    /// when something waits that it does not read.
    pub(super) fn look(&self, now: Instant, due: Instant, set_up: bool, unread: Option<Instant>) -> Look {
        let late = now.saturating_duration_since(due);
        if late > STALL {
            self.excuse(late, now);
        }
        let (heard, asked) = (
            self.heard.load(Ordering::Relaxed),
            self.asked.load(Ordering::Relaxed),
        );
        if unread.is_some_and(|since| now >= since + UNREAD_MAX) {
            return Look::Gone("it does not read what it is sent");
        }
        let quiet = self.time(heard) + ASKED_AFTER;
        if now < quiet {
            // Another sign of life than an answer is as good as one.
            self.asked.store(NEVER, Ordering::Relaxed);
            return Look::Again(quiet);
        }
        if !set_up {
            return Look::Gone("it was not set up in time");
        }
        if asked == NEVER {
            self.asked.store(self.at(now), Ordering::Relaxed);
            return Look::Ask(now + ANSWER_WITHIN);
        }
        let until = self.time(asked) + ANSWER_WITHIN;
        if now < until {
            Look::Again(until)
        } else {
            Look::Gone("it does not answer")
        }
    }

    /// What this process has slept is not the client's silence. Who was asked has all of his time again: his answer may
    /// lie where nobody has read it yet.
    fn excuse(&self, slept: Duration, now: Instant) {
        let (slept, now) = (millis(slept), self.at(now));
        let moved = |at| (at != NEVER).then(|| at + slept);
        let _always = self
            .heard
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
        let again = |at| (at != NEVER).then_some(now);
        let _unless_never = self
            .asked
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, again);
    }

    fn at(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.began))
    }

    fn time(&self, at: u64) -> Instant {
        self.began + Duration::from_millis(at)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_who_is_silent_is_asked_and_gone_if_he_does_not_answer() {
        let began = Instant::now();
        let at = |seconds: u32| began + SECOND * seconds;
        let pulse = Pulse::new(began);
        let look = |seconds| pulse.look(at(seconds), at(seconds), true, None);
        assert_eq!(look(0), Look::Again(at(20)));
        pulse.heard(at(7));
        assert_eq!(look(20), Look::Again(at(27)));
        assert_eq!(look(27), Look::Ask(at(32)));
        assert_eq!(look(30), Look::Again(at(32)));
        pulse.answered(at(31));
        assert_eq!(look(32), Look::Again(at(51)));
        assert_eq!(look(51), Look::Ask(at(56)));
        assert!(matches!(look(56), Look::Gone(_)));
    }

    #[test]
    fn a_call_is_as_good_as_an_answer() {
        let began = Instant::now();
        let at = |seconds: u32| began + SECOND * seconds;
        let pulse = Pulse::new(began);
        assert_eq!(pulse.look(at(20), at(20), true, None), Look::Ask(at(25)));
        pulse.heard(at(24));
        assert_eq!(pulse.look(at(25), at(25), true, None), Look::Again(at(44)));
        assert_eq!(pulse.look(at(44), at(44), true, None), Look::Ask(at(49)));
    }

    #[test]
    fn what_this_process_slept_is_not_the_clients_silence() {
        let began = Instant::now();
        let at = |seconds: u32| began + SECOND * seconds;
        let pulse = Pulse::new(began);
        assert_eq!(pulse.look(at(20), at(20), true, None), Look::Ask(at(25)));
        // It was to be looked at at 25, and the process slept until 85.
        assert_eq!(pulse.look(at(85), at(25), true, None), Look::Again(at(90)));
        assert!(matches!(pulse.look(at(90), at(90), true, None), Look::Gone(_)));
    }

    #[test]
    fn one_who_is_not_set_up_or_does_not_read_is_gone() {
        let began = Instant::now();
        let at = |seconds: u32| began + SECOND * seconds;
        let pulse = Pulse::new(began);
        assert!(matches!(pulse.look(at(20), at(20), false, None), Look::Gone(_)));
        pulse.heard(at(300));
        let unread = |seconds| pulse.look(at(seconds), at(seconds), true, Some(at(1)));
        assert_eq!(unread(300), Look::Again(at(320)));
        assert!(matches!(unread(301), Look::Gone(_)));
        assert_eq!(pulse.look(at(301), at(301), true, None), Look::Again(at(320)));
    }
}
