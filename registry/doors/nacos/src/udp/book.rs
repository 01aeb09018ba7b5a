//! What was sent and is not acknowledged yet. Time comes in as an argument.
//!
//! Each subscription has at most one datagram here, the newest, and of that only the number: what is sent again is made
//! anew, and so is never out of date. One that nobody answers for costs a few hundred bytes. Its deadline stands in a
//! heap once, and is looked up anew when it fires.
//!
//! A subscription is given up when for twice the time of one acknowledgement there was none at all. Newer datagrams do
//! not begin that time anew, since a service that changes all the time would never stop being sent to nobody. For the
//! same reason the numbers of a few earlier datagrams are kept: who is far away acknowledges those while newer ones are
//! on their way, and he is there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use beatrix_core::model::Revision;
use tokio::time::Instant;

use super::target::Target;

/// How long an acknowledgement may take. Nacos 2.x: the same for both attempts.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// How many datagrams before the newest an acknowledgement may be of: at 20 a second, those of 400 ms.
const EARLIER_MAX: usize = 8;

/// A datagram that was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// What acknowledgements of it name.
    pub(super) id: u64,
    pub(super) target: Target,
    /// The state that it told.
    pub(super) revision: Revision,
}

/// How far sending a datagram once more is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    NotYet,
    Due,
    Done,
}

/// What nobody has acknowledged.
#[derive(Debug)]
struct Waiting {
    sent: Sent,
    /// When the newest is to be sent again.
    due: Instant,
    /// Since when nothing is acknowledged, newer datagrams or not.
    since: Instant,
    /// Whether the newest was sent twice.
    again: Again,
    /// Whether nothing is expected any more. An acknowledgement is still understood.
    given_up: bool,
    /// The last datagrams before the newest, the oldest first.
    earlier: VecDeque<(u64, Revision)>,
}

impl Waiting {
    /// When to look at it.
    fn deadline(&self) -> Instant {
        self.due.min(self.silent_at())
    }

    fn silent_at(&self) -> Instant {
        self.since + 2 * ACK_TIMEOUT
    }
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) subscription: u64,
    /// The state that the client knows now.
    pub(super) revision: Revision,
    /// Whether it was the newest datagram. Otherwise a newer one is on its way.
    pub(super) newest: bool,
}

/// What time demands.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Subscriptions whose newest datagram is to be sent again.
    pub(super) again: Vec<u64>,
    /// Subscriptions that acknowledged nothing for too long.
    pub(super) given_up: Vec<u64>,
}

/// A subscription of which something is known.
#[derive(Debug, Default)]
struct Entry {
    waiting: Option<Waiting>,
    /// Whether it stands in the heap.
    scheduled: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// By subscription.
    entries: HashMap<u64, Entry>,
    by_ack: HashMap<(Target, u64), u64>,
    /// Those who are waited for, by the port that they listen at.
    by_port: HashMap<u16, Vec<u64>>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Book {
    /// Notes a datagram. It supersedes the one before it in the same subscription; that nothing was acknowledged
    /// remains true.
    pub(super) fn sent(&mut self, subscription: u64, sent: Sent, now: Instant) {
        self.put(subscription, sent, now, Again::NotYet);
    }

    /// The state of the newest datagram, if that was to be sent again and still is.
    pub(super) fn to_send_again(&self, subscription: u64) -> Option<Revision> {
        let waiting = self.entries.get(&subscription)?.waiting.as_ref()?;
        (waiting.again == Again::Due && !waiting.given_up).then_some(waiting.sent.revision)
    }

    /// Notes the datagram that was sent in place of the one that is to be sent again.
    pub(super) fn sent_again(&mut self, subscription: u64, sent: Sent, now: Instant) {
        self.put(subscription, sent, now, Again::Done);
    }

    fn put(&mut self, subscription: u64, sent: Sent, now: Instant, again: Again) {
        let entry = self.entries.entry(subscription).or_default();
        let before = entry.waiting.take();
        if before.is_none() {
            let port = sent.target.address().port();
            self.by_port.entry(port).or_default().push(subscription);
        }
        let mut waiting = Waiting {
            due: now + ACK_TIMEOUT,
            since: now,
            again,
            given_up: false,
            earlier: VecDeque::new(),
            sent,
        };
        if let Some(before) = before {
            if !before.given_up {
                waiting.since = before.since;
            }
            waiting.earlier = before.earlier;
            // The same one, if others were to be told the same a moment ago.
            if before.sent.id != waiting.sent.id {
                waiting.earlier.push_back((before.sent.id, before.sent.revision));
            }
            if waiting.earlier.len() > EARLIER_MAX
                && let Some((oldest, _)) = waiting.earlier.pop_front()
            {
                self.by_ack.remove(&(before.sent.target, oldest));
            }
        }
        self.by_ack
            .insert((waiting.sent.target, waiting.sent.id), subscription);
        if !std::mem::replace(&mut entry.scheduled, true) {
            self.due.push(Reverse((waiting.deadline(), subscription)));
        }
        entry.waiting = Some(waiting);
    }

    /// Takes an acknowledgement. `None` if nothing waits for it.
    pub(super) fn acknowledged(&mut self, from: Target, id: u64, now: Instant) -> Option<Answer> {
        let from = if self.by_ack.contains_key(&(from, id)) {
            from
        } else {
            self.of_this_machine(from, id)?
        };
        let subscription = *self.by_ack.get(&(from, id))?;
        let waiting = self.entries.get_mut(&subscription)?.waiting.as_mut()?;
        let Sent {
            id: newest, revision, ..
        } = waiting.sent;
        // What was sent again told the same under another number.
        let earlier = waiting.earlier.iter().find(|(earlier, _)| *earlier == id);
        let told = earlier.map_or(revision, |(_, told)| *told);
        let newest = newest == id || told == revision;
        if newest {
            self.forget(subscription);
        } else {
            waiting.since = now;
            // That one counts once.
            waiting.earlier.retain(|(earlier, _)| *earlier != id);
            self.by_ack.remove(&(from, id));
        }
        Some(Answer {
            subscription,
            revision: told,
            newest,
        })
    }

    /// Whom an acknowledgement over loopback is from, if it can only be one. A registry that listens on loopback hears
    /// from there whatever address of this machine the client has named: clients name the one by which others reach
    /// them. Nobody else can send over loopback. One who has named loopback is heard from just there.
    fn of_this_machine(&self, from: Target, id: u64) -> Option<Target> {
        let there = self.by_port.get(&from.address().port());
        let there = there.filter(|_| from.ip().is_loopback())?;
        let mut waiting = there.iter().filter_map(|subscription| {
            let waiting = self.entries.get(subscription)?.waiting.as_ref()?;
            let sent = waiting.sent.id == id || waiting.earlier.iter().any(|(earlier, _)| *earlier == id);
            let target = waiting.sent.target;
            (sent && !target.ip().is_loopback()).then_some(target)
        });
        let only = waiting.next()?;
        waiting.next().is_none().then_some(only)
    }

    /// Expects nothing more of a subscription.
    pub(super) fn forget(&mut self, subscription: u64) {
        let Some(entry) = self.entries.get_mut(&subscription) else {
            return;
        };
        if let Some(Waiting { sent, earlier, .. }) = entry.waiting.take() {
            let port = sent.target.address().port();
            if let Some(there) = self.by_port.get_mut(&port) {
                there.retain(|other| *other != subscription);
                if there.is_empty() {
                    self.by_port.remove(&port);
                }
            }
            let earlier = earlier.into_iter().map(|(id, _)| id);
            for id in earlier.chain([sent.id]) {
                self.by_ack.remove(&(sent.target, id));
            }
        }
        if !entry.scheduled {
            self.entries.remove(&subscription);
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
            let Some(entry) = self.entries.get_mut(&subscription) else {
                continue;
            };
            entry.scheduled = false;
            let Some(waiting) = &mut entry.waiting else {
                self.entries.remove(&subscription);
                continue;
            };
            if waiting.silent_at() <= now {
                waiting.given_up = true;
                found.given_up.push(subscription);
                continue;
            }
            if waiting.due <= now {
                waiting.due = now + ACK_TIMEOUT;
                if waiting.again == Again::NotYet {
                    waiting.again = Again::Due;
                    found.again.push(subscription);
                }
            }
            entry.scheduled = true;
            self.due.push(Reverse((waiting.deadline(), subscription)));
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
        }
    }

    impl Book {
        /// The numbers of those that are to be sent again, and the subscriptions that are given up.
        fn due_at(&mut self, now: Instant) -> (Vec<u64>, Vec<u64>) {
            let due = self.take_due(now);
            let number = |id| self.entries[id].waiting.as_ref().unwrap().sent.id;
            (due.again.iter().map(number).collect(), due.given_up)
        }

        /// What an acknowledgement from this port tells: the state, if it is of the newest.
        fn ack(&mut self, port: u16, id: u64, now: Instant) -> Option<Option<u64>> {
            let answer = self.acknowledged(target(port), id, now)?;
            assert_eq!(answer.subscription, u64::from(port));
            Some(answer.newest.then_some(answer.revision.0))
        }

        fn is_empty(&self) -> bool {
            self.entries.is_empty()
                && self.by_ack.is_empty()
                && self.by_port.is_empty()
                && self.due.is_empty()
        }
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_once_more_after_10_s_and_given_up_after_20() {
        let mut book = Book::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        book.sent(1, sent(7, 1), start);
        assert_eq!(book.next_due(), Some(at(10_000)));
        assert_eq!(book.due_at(at(9_999)), (vec![], vec![]));
        assert_eq!(book.due_at(at(10_000)), (vec![7], vec![]));
        assert_eq!(book.due_at(at(19_999)), (vec![], vec![]));
        assert_eq!(book.due_at(at(20_000)), (vec![], vec![1]));
        assert_eq!(book.due_at(at(60_000)), (vec![], vec![]));
        assert_eq!(book.next_due(), None);
        // It is never too late to hear of him.
        assert_eq!(book.ack(1, 7, at(60_000)), Some(Some(70)));
        assert!(book.is_empty());
    }

    #[test]
    fn an_acknowledgement_of_an_earlier_datagram_tells_the_state_of_that_one() {
        let mut book = Book::default();
        let now = Instant::now();
        for id in 7..=9 {
            book.sent(1, sent(id, 1), now);
        }
        let answer = |revision, newest| {
            Some(Answer {
                subscription: 1,
                revision: Revision(revision),
                newest,
            })
        };
        assert_eq!(book.acknowledged(target(1), 8, now), answer(80, false));
        assert_eq!(book.acknowledged(target(1), 8, now), None, "it counts once");
        assert_eq!(book.acknowledged(target(1), 9, now), answer(90, true));
        assert_eq!(
            book.acknowledged(target(1), 7, now),
            None,
            "the newest says it all"
        );
    }

    #[test]
    fn over_loopback_a_client_of_this_machine_is_heard_whatever_address_it_named() {
        let mut book = Book::default();
        let now = Instant::now();
        let loopback = Target::new("127.0.0.1", 1).unwrap();
        let elsewhere = Target::new("10.0.0.9", 1).unwrap();
        book.sent(1, sent(7, 1), now);
        book.sent(1, sent(8, 1), now);
        assert_eq!(
            book.acknowledged(elsewhere, 8, now),
            None,
            "not from another machine"
        );
        assert_eq!(book.acknowledged(loopback, 9, now), None);
        let other_port = Target::new("127.0.0.1", 2).unwrap();
        assert_eq!(book.acknowledged(other_port, 8, now), None);
        let answer = book.acknowledged(loopback, 7, now).unwrap();
        assert_eq!((answer.subscription, answer.newest), (1, false));
        // With two of which either may have sent it, nobody has.
        let sent_elsewhere = Sent {
            target: elsewhere,
            ..sent(8, 1)
        };
        book.sent(2, sent_elsewhere, now);
        assert_eq!(book.acknowledged(loopback, 8, now), None);
        book.forget(2);
        assert!(book.acknowledged(loopback, 8, now).unwrap().newest);
        book.take_due(now + 3 * ACK_TIMEOUT);
        assert!(book.is_empty());
    }

    #[test]
    fn what_is_sent_again_may_have_another_number_and_either_is_acknowledged() {
        for acked in [7, 8] {
            let mut book = Book::default();
            let start = Instant::now();
            let at = |seconds| start + Duration::from_secs(seconds);
            book.sent(1, sent(7, 1), start);
            assert_eq!(book.to_send_again(1), None);
            assert_eq!(book.due_at(at(10)), (vec![7], vec![]));
            assert_eq!(book.to_send_again(1), Some(Revision(70)));
            let same = Sent { id: 8, ..sent(7, 1) };
            book.sent_again(1, same, at(10));
            assert_eq!(book.to_send_again(1), None);
            assert_eq!(book.ack(1, acked, at(11)), Some(Some(70)));
            assert_eq!(book.due_at(at(20)), (vec![], vec![]));
            assert!(book.is_empty());
        }
    }

    #[test]
    fn newer_datagrams_do_not_prolong_the_time_that_nothing_is_acknowledged() {
        let mut book = Book::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..20 {
            assert_eq!(book.due_at(at(second)), (vec![], vec![]));
            book.sent(1, sent(second, 1), at(second));
        }
        assert_eq!(book.due_at(at(20)), (vec![], vec![1]));
        // What is sent after that has its own time.
        book.sent(1, sent(100, 1), at(50));
        assert_eq!(book.due_at(at(60)), (vec![100], vec![]));
        assert_eq!(book.due_at(at(70)), (vec![], vec![1]));
        book.forget(1);
        assert!(book.is_empty());
    }

    #[test]
    fn who_acknowledges_what_has_been_superseded_is_there() {
        let mut book = Book::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..60 {
            book.sent(1, sent(second, 1), at(second));
            if second >= 3 {
                assert_eq!(book.ack(1, second - 3, at(second)), Some(None));
                assert_eq!(book.ack(1, second - 3, at(second)), None);
            }
            assert_eq!(book.due_at(at(second)), (vec![], vec![]));
            assert!(book.by_ack.len() <= 4 && book.due.len() == 1);
        }
        assert_eq!(book.ack(1, 59, at(60)), Some(Some(590)));
        assert!(book.by_ack.is_empty());
    }

    #[test]
    fn an_ack_counts_by_number_and_source_and_once() {
        let mut book = Book::default();
        let start = Instant::now();
        book.sent(1, sent(7, 1), start);
        book.sent(2, sent(7, 2), start);
        assert_eq!(book.ack(3, 7, start), None);
        assert_eq!(book.ack(1, 8, start), None);
        assert_eq!(book.ack(1, 7, start), Some(Some(70)));
        assert_eq!(book.ack(1, 7, start), None);
        assert_eq!(book.due_at(start + ACK_TIMEOUT), (vec![7], vec![]));
        // Also the one that was sent again can be acknowledged.
        assert_eq!(book.ack(2, 7, start), Some(Some(70)));
        assert_eq!(book.due_at(start + 2 * ACK_TIMEOUT), (vec![], vec![]));
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
        assert_eq!(
            (book.entries.len(), book.by_ack.len(), book.due.len()),
            (1, 1 + EARLIER_MAX, 1)
        );
        book.sent(1, sent(2_000, 1), at(9));
        assert_eq!(book.ack(1, 900, start), None);
        assert_eq!(book.due_at(at(18)), (vec![], vec![]));
        assert_eq!(book.due_at(at(19)), (vec![2_000], vec![]));
        book.forget(1);
        assert_eq!(book.ack(1, 2_000, start), None);
        assert_eq!(book.due_at(at(29)), (vec![], vec![]));
        assert!(book.is_empty());
    }
}
