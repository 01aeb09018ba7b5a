//! What one connection watches by patterns: what it is still to be told, and what it has not acknowledged.
//!
//! Bounded by the services of its patterns: each waits once, whatever became of it meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beatrix_core::model::ServiceKey;
use tokio::time::Instant;

use super::notice::{Batch, BatchOf, change};
use crate::grpc::message::Outgoing;
use crate::limits::GRPC_FUZZY_PATTERNS_PER_CONNECTION_MAX;

/// After the answer, so that what follows does not overtake it.
const FIRST_AFTER: Duration = Duration::from_millis(100);
/// Nacos 3.x: what is not acknowledged within this is said again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);
/// Nacos 3.x: what a client could not take is said again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Nacos 3.x: so many services are told at once.
const BATCH: usize = 10;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::grpc) struct Patterns {
    watched: BTreeMap<String, Watched>,
    /// What was said and not acknowledged, by its number.
    said: HashMap<u64, Said>,
    /// By when it is to be acknowledged.
    overdue: BTreeSet<(Instant, u64)>,
}

/// One pattern.
#[derive(Debug)]
struct Watched {
    batches: VecDeque<Batch>,
    /// How many batches are not acknowledged.
    unanswered: usize,
    /// Whether it is to be told once it has all.
    finish: bool,
    /// Which services came or went since.
    changes: BTreeMap<ServiceKey, bool>,
    /// The newest notice about each service, while it is not acknowledged. An older one is not said again.
    newest: BTreeMap<ServiceKey, u64>,
    /// Which services went while batches are not acknowledged: they are not in one that is sent again.
    went: BTreeSet<ServiceKey>,
    /// Nothing is said before this.
    not_before: Instant,
}

#[derive(Debug)]
struct Said {
    pattern: String,
    what: What,
    by: Instant,
}

#[derive(Debug)]
enum What {
    Batch(Batch),
    Change(ServiceKey, bool),
}

impl Patterns {
    /// Whether one more may be watched, or it is watched already.
    pub(super) fn may_watch(&self, pattern: &str) -> bool {
        self.watched.contains_key(pattern) || self.watched.len() < GRPC_FUZZY_PATTERNS_PER_CONNECTION_MAX
    }

    /// A client begins to watch, or says again that it does: `came` it does not know of yet, and `went` it knows of
    /// though they are gone.
    pub(super) fn watch(
        &mut self,
        pattern: &str,
        begins: bool,
        came: &[ServiceKey],
        went: Vec<ServiceKey>,
        now: Instant,
    ) {
        self.forget(pattern);
        let of = if begins {
            BatchOf::Begin
        } else {
            BatchOf::Difference
        };
        let total = came.len().div_ceil(BATCH);
        let batches = (1..).zip(came.chunks(BATCH)).map(|(number, services)| Batch {
            of,
            services: services.to_vec(),
            number,
            total,
        });
        let watched = Watched {
            batches: batches.collect(),
            unanswered: 0,
            finish: begins,
            changes: went.into_iter().map(|service| (service, false)).collect(),
            newest: BTreeMap::new(),
            went: BTreeSet::new(),
            not_before: now + FIRST_AFTER,
        };
        self.watched.insert(pattern.to_owned(), watched);
    }

    /// It watches no more.
    pub(super) fn forget(&mut self, pattern: &str) {
        if self.watched.remove(pattern).is_none() {
            return;
        }
        let overdue = &mut self.overdue;
        self.said.retain(|request, said| {
            let kept = said.pattern != pattern;
            if !kept {
                overdue.remove(&(said.by, *request));
            }
            kept
        });
    }

    /// A service came or went.
    pub(super) fn changed(&mut self, pattern: &str, service: &ServiceKey, there: bool) {
        let Some(watched) = self.watched.get_mut(pattern) else {
            return;
        };
        watched.changes.insert(service.clone(), there);
        if there {
            watched.went.remove(service);
        } else if watched.has_batches() {
            watched.went.insert(service.clone());
        }
    }

    /// What to say next, if there is anything to say now.
    pub(in crate::grpc) fn step(&mut self, now: Instant, requests: &AtomicU64) -> Option<Outgoing> {
        while let Some((by, request)) = self.overdue.first().copied().filter(|(by, _)| *by <= now) {
            self.overdue.remove(&(by, request));
            self.say_again(request, now);
        }
        let (pattern, watched) = self
            .watched
            .iter_mut()
            .find(|(_, watched)| watched.not_before <= now && watched.has_news())?;
        let what = watched.next()?;
        let request = requests.fetch_add(1, Ordering::Relaxed);
        let message = match &what {
            What::Batch(batch) => batch.message(pattern, request),
            What::Change(service, there) => {
                watched.newest.insert(service.clone(), request);
                change(service, *there, request)
            }
        };
        let by = now + ACKNOWLEDGED_WITHIN;
        let pattern = pattern.clone();
        self.said.insert(request, Said { pattern, what, by });
        self.overdue.insert((by, request));
        Some(message)
    }

    /// When there may be something to say.
    pub(in crate::grpc) fn next(&self) -> Option<Instant> {
        let due = self.watched.values().filter(|watched| watched.has_news());
        let overdue = self.overdue.first().map(|(by, _)| *by);
        due.map(|watched| watched.not_before).chain(overdue).min()
    }

    /// Takes an answer. Returns whether it was one to something that was said here.
    pub(in crate::grpc) fn answered(&mut self, request: u64, well: bool, now: Instant) -> bool {
        let Some(said) = self.said.get(&request) else {
            return false;
        };
        self.overdue.remove(&(said.by, request));
        if !well {
            self.say_again(request, now + AGAIN_AFTER);
            return true;
        }
        let Some(Said { pattern, what, .. }) = self.said.remove(&request) else {
            return true;
        };
        let Some(watched) = self.watched.get_mut(&pattern) else {
            return true;
        };
        match what {
            What::Batch(_) => {
                watched.unanswered -= 1;
                if !watched.has_batches() {
                    watched.went.clear();
                }
            }
            What::Change(service, _) => {
                watched.is_newest(&service, request);
            }
        }
        true
    }

    fn say_again(&mut self, request: u64, not_before: Instant) {
        let Some(Said { pattern, what, .. }) = self.said.remove(&request) else {
            return;
        };
        let Some(watched) = self.watched.get_mut(&pattern) else {
            return;
        };
        match what {
            What::Batch(mut batch) => {
                watched.unanswered -= 1;
                batch.services.retain(|service| !watched.went.contains(service));
                match batch.of {
                    BatchOf::Finish => watched.finish = true,
                    BatchOf::Begin | BatchOf::Difference => watched.batches.push_front(batch),
                }
            }
            // Unless something else became of it meanwhile.
            What::Change(service, there) => {
                if watched.is_newest(&service, request) {
                    watched.changes.entry(service).or_insert(there);
                }
            }
        }
        watched.not_before = watched.not_before.max(not_before);
    }
}

impl Watched {
    fn has_news(&self) -> bool {
        !self.batches.is_empty() || self.may_finish() || !self.changes.is_empty()
    }

    fn has_batches(&self) -> bool {
        !self.batches.is_empty() || self.unanswered > 0
    }

    /// Whether this was the newest notice about a service. It is not waited for any more.
    fn is_newest(&mut self, service: &ServiceKey, request: u64) -> bool {
        let newest = self.newest.get(service) == Some(&request);
        if newest {
            self.newest.remove(service);
        }
        newest
    }

    /// It is told that it has all once it has acknowledged all.
    fn may_finish(&self) -> bool {
        self.finish && self.batches.is_empty() && self.unanswered == 0
    }

    fn next(&mut self) -> Option<What> {
        if let Some(batch) = self.batches.pop_front() {
            self.unanswered += 1;
            return Some(What::Batch(batch));
        }
        if self.may_finish() {
            self.finish = false;
            self.unanswered += 1;
            return Some(What::Batch(Batch {
                of: BatchOf::Finish,
                services: Vec::new(),
                number: 1,
                total: 1,
            }));
        }
        let (service, there) = self.changes.pop_first()?;
        Some(What::Change(service, there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(count: usize) -> Vec<ServiceKey> {
        (0..count)
            .map(|number| format!("public/g/s{number:02}").parse().unwrap())
            .collect()
    }

    fn text(message: &Outgoing) -> String {
        String::from_utf8(message.pieces.concat()).unwrap()
    }

    #[test]
    fn one_who_begins_is_told_in_batches_and_the_end_once_all_are_acknowledged() {
        let (requests, now) = (AtomicU64::new(1), Instant::now());
        let mut patterns = Patterns::default();
        patterns.watch("p", true, &services(12), Vec::new(), now);
        assert!(patterns.step(now, &requests).is_none(), "the answer goes first");
        let now = patterns.next().unwrap();
        let (first, second) = (
            patterns.step(now, &requests).unwrap(),
            patterns.step(now, &requests).unwrap(),
        );
        assert!(text(&first).contains("\"totalBatch\":2,\"currentBatch\":1"));
        assert!(text(&second).contains("s11"));
        assert!(patterns.step(now, &requests).is_none());
        assert!(patterns.answered(1, true, now));
        assert!(patterns.step(now, &requests).is_none());
        assert!(patterns.answered(2, true, now));
        let finish = text(&patterns.step(now, &requests).unwrap());
        assert!(finish.contains("FINISH_FUZZY_WATCH_INIT_NOTIFY") && finish.contains("\"contexts\":[]"));
        assert!(patterns.answered(3, true, now));
        assert_eq!((patterns.next(), patterns.said.len()), (None, 0));
    }

    #[test]
    fn what_is_not_acknowledged_is_said_again_as_it_is_by_then() {
        let (requests, now) = (AtomicU64::new(1), Instant::now());
        let mut patterns = Patterns::default();
        patterns.watch("p", false, &[], Vec::new(), now);
        assert_eq!(patterns.next(), None);
        let service = &services(1)[0];
        patterns.changed("p", service, true);
        let now = patterns.next().unwrap();
        assert!(text(&patterns.step(now, &requests).unwrap()).contains("ADD_SERVICE"));
        patterns.changed("p", service, false);
        assert!(text(&patterns.step(now, &requests).unwrap()).contains("DELETE_SERVICE"));
        // Of the two only the newer is said again.
        assert!(patterns.answered(2, false, now));
        assert!(!patterns.answered(2, true, now));
        let later = now + ACKNOWLEDGED_WITHIN;
        let again = text(&patterns.step(later, &requests).unwrap());
        assert!(again.contains("DELETE_SERVICE"), "{again}");
        assert!(patterns.answered(3, true, later));
        assert!(patterns.step(later, &requests).is_none());
        assert_eq!(patterns.next(), None);
        assert!(patterns.watched["p"].newest.is_empty());
        patterns.forget("p");
        assert_eq!((patterns.said.len(), patterns.overdue.len()), (0, 0));
        assert_eq!(patterns.next(), None);
    }

    #[test]
    fn a_service_that_went_is_not_in_a_batch_that_is_sent_again() {
        let (requests, now) = (AtomicU64::new(1), Instant::now());
        let mut patterns = Patterns::default();
        let services = services(2);
        patterns.watch("p", true, &services, Vec::new(), now);
        let now = patterns.next().unwrap();
        assert!(text(&patterns.step(now, &requests).unwrap()).contains("s00"));
        patterns.changed("p", &services[0], false);
        assert!(text(&patterns.step(now, &requests).unwrap()).contains("DELETE_SERVICE"));
        assert!(patterns.answered(2, true, now));
        let later = now + ACKNOWLEDGED_WITHIN;
        let again = text(&patterns.step(later, &requests).unwrap());
        assert!(!again.contains("s00") && again.contains("s01"), "{again}");
        assert!(patterns.answered(3, true, later));
        assert!(patterns.watched["p"].went.is_empty());
    }
}
