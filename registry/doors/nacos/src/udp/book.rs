//! What was sent and is not acknowledged yet. Time comes in as an argument.
//!
//! Each subscription has at most one datagram here, the newest: so one that nobody answers for costs that much and no
//! more, and what is sent again is never out of date. Its deadline stands in a heap once, and is looked up anew when it
//! fires.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use beatrix_core::model::Revision;
use bytes::Bytes;
use tokio::time::Instant;

use super::target::Target;

/// How long an acknowledgement may take. Nacos 2.x: the same for both attempts.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// A datagram that was sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    /// What acknowledgements of it name.
    pub(super) id: u64,
    pub(super) target: Target,
    /// The state that it told.
    pub(super) revision: Revision,
    pub(super) bytes: Bytes,
}

#[derive(Debug)]
struct Waiting {
    sent: Sent,
    due: Instant,
    /// Whether it was sent twice.
    again: bool,
}

/// What time demands.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// To be sent again.
    pub(super) again: Vec<Sent>,
    /// How many were sent twice and are given up.
    pub(super) given_up: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// By subscription. One that is empty stands in the heap still.
    waiting: HashMap<u64, Option<Waiting>>,
    by_ack: HashMap<(Target, u64), u64>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Book {
    /// Notes a datagram. It supersedes the one before it in the same subscription.
    pub(super) fn sent(&mut self, subscription: u64, sent: Sent, now: Instant) {
        let due = now + ACK_TIMEOUT;
        self.forget(subscription);
        self.by_ack.insert((sent.target, sent.id), subscription);
        let waiting = Waiting {
            sent,
            due,
            again: false,
        };
        if self.waiting.insert(subscription, Some(waiting)).is_none() {
            self.due.push(Reverse((due, subscription)));
        }
    }

    /// Takes an acknowledgement. Names the subscription and the state that its client knows now; `None` if nothing
    /// waits for it.
    pub(super) fn acknowledged(&mut self, from: Target, id: u64) -> Option<(u64, Revision)> {
        let subscription = self.by_ack.remove(&(from, id))?;
        let waiting = self.waiting.get_mut(&subscription)?.take()?;
        Some((subscription, waiting.sent.revision))
    }

    /// Expects nothing more of a subscription.
    pub(super) fn forget(&mut self, subscription: u64) {
        let waiting = self.waiting.get_mut(&subscription).and_then(Option::take);
        if let Some(Waiting { sent, .. }) = waiting {
            self.by_ack.remove(&(sent.target, sent.id));
        }
    }

    /// What nobody acknowledged in time.
    pub(super) fn take_due(&mut self, now: Instant) -> Due {
        let mut found = Due::default();
        while let Some(Reverse((at, subscription))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            match self.waiting.get_mut(&subscription) {
                Some(Some(waiting)) if waiting.due > now => {
                    self.due.push(Reverse((waiting.due, subscription)));
                }
                Some(Some(waiting)) if !waiting.again => {
                    waiting.again = true;
                    waiting.due = now + ACK_TIMEOUT;
                    self.due.push(Reverse((waiting.due, subscription)));
                    found.again.push(waiting.sent.clone());
                }
                Some(Some(_)) => {
                    self.forget(subscription);
                    self.waiting.remove(&subscription);
                    found.given_up += 1;
                }
                Some(None) => {
                    self.waiting.remove(&subscription);
                }
                None => {}
            }
        }
        found
    }

    /// When to look for what is due again.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(port: u16) -> Target {
        Target::new("10.0.0.1", port).unwrap()
    }

    fn sent(id: u64, port: u16) -> Sent {
        Sent {
            id,
            target: target(port),
            revision: Revision(id * 10),
            bytes: Bytes::from_static(b"x"),
        }
    }

    impl Book {
        /// The numbers of those to send again, and how many are given up.
        fn due_at(&mut self, now: Instant) -> (Vec<u64>, u64) {
            let due = self.take_due(now);
            (due.again.iter().map(|sent| sent.id).collect(), due.given_up)
        }

        fn is_empty(&self) -> bool {
            self.waiting.is_empty() && self.by_ack.is_empty() && self.due.is_empty()
        }
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_once_more_after_10_s_and_given_up_after_20() {
        let mut book = Book::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        book.sent(1, sent(7, 1), start);
        assert_eq!(book.next_due(), Some(at(10_000)));
        assert_eq!(book.due_at(at(9_999)), (vec![], 0));
        assert_eq!(book.due_at(at(10_000)), (vec![7], 0));
        assert_eq!(book.due_at(at(19_999)), (vec![], 0));
        assert_eq!(book.due_at(at(20_000)), (vec![], 1));
        assert!(book.is_empty());
        assert_eq!(book.acknowledged(target(1), 7), None);
    }

    #[test]
    fn an_ack_counts_by_number_and_source_and_once() {
        let mut book = Book::default();
        let start = Instant::now();
        book.sent(1, sent(7, 1), start);
        book.sent(2, sent(7, 2), start);
        assert_eq!(book.acknowledged(target(3), 7), None);
        assert_eq!(book.acknowledged(target(1), 8), None);
        assert_eq!(book.acknowledged(target(1), 7), Some((1, Revision(70))));
        assert_eq!(book.acknowledged(target(1), 7), None);
        assert_eq!(book.due_at(start + ACK_TIMEOUT), (vec![7], 0));
        // Also the one that was sent again can be acknowledged.
        assert_eq!(book.acknowledged(target(2), 7), Some((2, Revision(70))));
        assert_eq!(book.due_at(start + 2 * ACK_TIMEOUT), (vec![], 0));
        assert!(book.is_empty());
    }

    #[test]
    fn a_newer_datagram_takes_the_place_of_the_older() {
        let mut book = Book::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for id in 1..=1_000 {
            book.sent(1, sent(id, 1), at(id % 5));
        }
        assert_eq!((book.waiting.len(), book.by_ack.len(), book.due.len()), (1, 1, 1));
        book.sent(1, sent(2_000, 1), at(9));
        assert_eq!(book.acknowledged(target(1), 1_000), None);
        assert_eq!(book.due_at(at(18)), (vec![], 0));
        assert_eq!(book.due_at(at(19)), (vec![2_000], 0));
        book.forget(1);
        assert_eq!(book.acknowledged(target(1), 2_000), None);
        assert_eq!(book.due_at(at(29)), (vec![], 0));
        assert!(book.is_empty());
    }
}
