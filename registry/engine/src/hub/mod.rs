//! Who wants to know of changes, and what they have been told.
//!
//! A subscriber holds *which of its services are dirty*, never payloads: its memory is bounded by the services that
//! it watches, however slow it is, and it costs nobody else anything. What it is then told comes from the newest
//! state when it can take it.
//!
//! The first change of a quiet service is pushed at once; those that follow within [`push_merge_max`] are merged into
//! one push at its end. For each push the difference since the one before is made once, and its bytes are rendered
//! once; all who are up to date share them. Who is behind gets the difference since his own state, which is shared as
//! well among those who are equally behind.
//!
//! [`push_merge_max`]: crate::EngineConfig::push_merge_max
//!
//! Locks: a topic's, then a subscriber's. Under the catalog's a change is noted in its topic, which waits for no other
//! lock; else that and the schedule's are held alone. None is held while something is rendered, and none over an
//! await.

mod asked;
mod peer;
mod subscriber;
mod topic;
mod update;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beatrix_core::catalog::{Catalog, Published, Shared, View};
use beatrix_core::changes::{Gap, Missed};
use beatrix_core::model::{Epoch, Revision, ServiceKey, ServiceRef, Version};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub use peer::Peer;
pub use subscriber::{
    BROKEN_GRACE, Batch, Parting, Resume, Subscribe, SubscribeError, SubscriberInfo, Subscription,
};
pub use update::{Update, UpdateKind};

pub(crate) use asked::Asked;
use subscriber::Subscriber;
pub(crate) use topic::Topic;

/// A topic that waits for the end of its merge window; the earliest first.
type Later = Reverse<(Instant, u64)>;

#[derive(Debug, Default)]
struct Schedule {
    /// Topics to push now.
    now: Vec<Arc<Topic>>,
    /// Topics to push later, and when. The number keeps the order total and finds the topic.
    later: BinaryHeap<Later>,
    waiting: HashMap<u64, Arc<Topic>>,
    next: u64,
}

/// Who wants to know. See the module.
#[derive(Debug)]
pub struct Hub {
    pub(crate) epoch: Epoch,
    catalog: Arc<Mutex<Catalog>>,
    published: Arc<Published>,
    topics: papaya::HashMap<ServiceKey, Arc<Topic>, ahash::RandomState>,
    subscribers: Mutex<HashMap<u64, Arc<Subscriber>>>,
    next_subscriber: AtomicU64,
    schedule: Mutex<Schedule>,
    wake: Notify,
    /// Revisions of which nobody knows any more what they said.
    gaps: Arc<[Gap]>,
    /// Every change up to this revision has been noted in its topic.
    noted: AtomicU64,
    /// Told whenever a subscriber acknowledges or leaves.
    acknowledged: Notify,
    merge_max: Duration,
    subscribers_max: usize,
    services_max: usize,
}

impl Hub {
    pub(crate) fn new(catalog: Arc<Mutex<Catalog>>, config: &crate::EngineConfig) -> Self {
        let (epoch, published, gaps) = {
            let catalog = catalog.lock();
            (catalog.version().epoch, catalog.published(), catalog.gaps())
        };
        Self {
            epoch,
            catalog,
            published,
            topics: papaya::HashMap::with_hasher(ahash::RandomState::new()),
            subscribers: Mutex::default(),
            next_subscriber: AtomicU64::new(1),
            schedule: Mutex::default(),
            wake: Notify::new(),
            gaps,
            noted: AtomicU64::new(0),
            acknowledged: Notify::new(),
            merge_max: config.push_merge_max,
            subscribers_max: config.subscribers_max,
            services_max: config.services_per_subscriber_max,
        }
    }

    /// The current view of a service, if it exists.
    pub(crate) fn view(&self, service: ServiceRef<'_>) -> Option<Arc<View>> {
        let shared = self.published.get(service)?;
        shared.fresh().or_else(|| self.catalog.lock().view(service))
    }

    /// The newest view of a service. One that does not exist is empty at the registry's newest revision: so what a
    /// subscriber is told never goes back, and what he is told of a service that comes into being later is newer.
    fn view_or_absent(&self, key: &ServiceKey) -> Arc<View> {
        let fresh = self
            .published
            .get(key.borrowed())
            .and_then(|shared| shared.fresh());
        fresh.unwrap_or_else(|| self.view_in(&mut self.catalog.lock(), key))
    }

    fn view_in(&self, catalog: &mut Catalog, key: &ServiceKey) -> Arc<View> {
        catalog.view(key.borrowed()).unwrap_or_else(|| {
            let mut absent = View::absent(key.clone(), self.epoch, catalog.complete());
            absent.revision = catalog.version().revision;
            Arc::new(absent)
        })
    }

    /// Notes that a service changed. Returns its topic if that is to be scheduled.
    ///
    /// Called by the owner in order of revisions, while it holds the catalog's lock: so whoever sees a change also
    /// sees that it was noted.
    pub(crate) fn note(&self, service: &Shared, revision: Revision) -> Option<Arc<Topic>> {
        let topics = self.topics.pin();
        let topic = topics.get(&service.key().borrowed())?;
        topic.note(revision).then(|| Arc::clone(topic))
    }

    /// Notes that every service is to be told anew. Returns the topics that are to be scheduled.
    ///
    /// Not under the catalog's lock, since there may be very many: so the owner calls [`Hub::noted`] after it.
    pub(crate) fn note_all(&self, revision: Revision) -> Vec<Arc<Topic>> {
        let topics = self.topics.pin();
        let noted = topics.values().filter(|topic| topic.note(revision));
        noted.cloned().collect()
    }

    /// Whether nobody knows any more what this revision said, so that a state as of it is none to go on from.
    #[must_use]
    pub fn is_lost(&self, revision: Revision) -> bool {
        self.gaps.iter().any(|gap| gap.holds(revision))
    }

    /// Notes that all changes up to `revision` have been noted. Called like [`Hub::note`].
    pub(crate) fn noted(&self, revision: Revision) {
        self.noted.store(revision.0, Ordering::Release);
    }

    /// Schedules the pushes of topics that were noted.
    pub(crate) fn schedule(&self, topics: Vec<Arc<Topic>>) {
        if topics.is_empty() {
            return;
        }
        let due: Vec<_> = topics.iter().map(|topic| topic.later(self.merge_max)).collect();
        let mut schedule = self.schedule.lock();
        for (topic, at) in topics.into_iter().zip(due) {
            match at {
                None => schedule.now.push(topic),
                Some(at) => {
                    schedule.next += 1;
                    let number = schedule.next;
                    schedule.later.push(Reverse((at, number)));
                    schedule.waiting.insert(number, topic);
                }
            }
        }
        drop(schedule);
        self.wake.notify_one();
    }

    /// Pushes what is due, for ever. To be run as one task.
    pub(crate) async fn run(&self) {
        loop {
            let (due, next) = self.take_due(Instant::now());
            for topic in due {
                self.push(&topic);
            }
            let sleep = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep => {}
            }
        }
    }

    fn take_due(&self, now: Instant) -> (Vec<Arc<Topic>>, Option<Instant>) {
        let mut schedule = self.schedule.lock();
        let mut due = std::mem::take(&mut schedule.now);
        while let Some(Reverse((at, number))) = schedule.later.peek().copied() {
            if at > now {
                return (due, Some(at));
            }
            schedule.later.pop();
            due.extend(schedule.waiting.remove(&number));
        }
        (due, None)
    }

    /// Pushes all that waits, also what was to wait longer: nothing will follow.
    pub(crate) fn push_rest(&self) {
        let rest = {
            let mut schedule = self.schedule.lock();
            schedule.later.clear();
            let now = std::mem::take(&mut schedule.now);
            now.into_iter()
                .chain(schedule.waiting.drain().map(|(_, topic)| topic))
                .collect::<Vec<_>>()
        };
        for topic in rest {
            self.push(&topic);
        }
    }

    /// Makes the difference since the last push, and tells all subscribers that there is one.
    fn push(&self, topic: &Topic) {
        topic.begin_push();
        let update = self.update_since(topic, topic.pushed());
        for waker in topic.finish_push(update) {
            waker.wake();
        }
    }

    /// What changed in a service since `since`: a delta where the log reaches back far enough, else a snapshot.
    fn update_since(&self, topic: &Topic, since: Revision) -> Option<Arc<Update>> {
        let key = topic.key();
        let mut catalog = self.catalog.lock();
        let (missed, complete) = (catalog.missed(key, since), catalog.complete());
        match missed {
            Missed::Nothing => None,
            Missed::Delta(delta) => {
                // Under the lock, so that it is the revision that the delta leads to.
                let revision = self.published.get(key.borrowed())?.revision();
                drop(catalog);
                let to = Version {
                    epoch: self.epoch,
                    revision,
                };
                Some(Arc::new(Update::delta(key.clone(), since, to, complete, delta)))
            }
            Missed::TooOld => {
                let view = self.view_in(&mut catalog, key);
                drop(catalog);
                Some(self.snapshot(topic, view))
            }
        }
    }

    fn snapshot(&self, topic: &Topic, view: Arc<View>) -> Arc<Update> {
        topic
            .snapshot_of(&view)
            .unwrap_or_else(|| Arc::new(Update::snapshot(view)))
    }
}
