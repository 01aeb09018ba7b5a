//! One who wants to know: what it is still to be told, and how it takes that.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use beatrix_core::model::{Revision, ServiceKey};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Hub;
use super::peer::Peer;
use super::topic::{Behind, Topic};
use super::update::Update;

/// What somebody wants to be told.
#[derive(Debug, Clone, Default)]
pub struct Subscribe {
    /// Of these services; each at most once.
    pub services: Vec<ServiceKey>,
    /// A name for people; it need not be unique.
    pub name: String,
    /// Whether it acknowledges what it is told. A drain waits for those who do.
    pub acks: bool,
    /// What it means when it leaves.
    pub parting: Parting,
    /// The state that it knows. Without one it is told the whole of each service first.
    pub since: Option<Revision>,
    /// Who it is, for others to see.
    pub peer: Option<Arc<Peer>>,
}

/// What it means when a subscriber leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Parting {
    /// It uses nothing any more of what it was told.
    #[default]
    Known,
    /// It was not heard of for a while. It may go on with what it knew last.
    Lost,
    /// Its connection broke. It may have gone for good, or come back by the same name in a moment and go on meanwhile with
    /// what it knew last. So it counts as lost for [`BROKEN_GRACE`], and as gone from then on.
    Broken,
}

/// How long one whose connection broke may take to come back.
pub const BROKEN_GRACE: Duration = Duration::from_secs(10);

/// When it left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) at: Instant,
    /// Whoever came later has this number or a higher one.
    pub(super) next: u64,
}

/// Why somebody cannot subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// There are too many subscribers.
    #[error("limit subscribers_max of {0} is reached")]
    Subscribers(usize),
    /// It wants too many services.
    #[error("limit services_per_subscriber_max of {0} is exceeded")]
    Services(usize),
}

/// Somebody who is subscribed, as others see him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriberInfo {
    /// Names it for the time that it is subscribed.
    pub id: u64,
    /// Its name for people.
    pub name: String,
    /// Who it is, if its door knows.
    pub peer: Option<Arc<Peer>>,
    /// Whether it acknowledges what it is told.
    pub acks: bool,
    /// Up to where it has acknowledged.
    pub acked: Revision,
    /// Of how many of its services it is to be told something that it has not taken yet.
    pub behind: usize,
}

/// The part that the hub's task and the subscriber share.
#[derive(Debug)]
pub(super) struct Subscriber {
    id: u64,
    name: String,
    peer: Mutex<Option<Arc<Peer>>>,
    acks: bool,
    parting: Parting,
    acked: AtomicU64,
    /// Whether it was sent away, so that it knows that it is told nothing more.
    dismissed: AtomicBool,
    left: OnceLock<Left>,
    dirty: Mutex<Dirty>,
}

/// Which services it is to be told of: at most each once.
#[derive(Debug)]
struct Dirty {
    places: Vec<u32>,
    marked: Box<[bool]>,
    waker: Option<Waker>,
}

impl Subscriber {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Marks a service. Returns whom to wake.
    pub(super) fn mark_dirty(&self, place: u32) -> Option<Waker> {
        let mut dirty = self.dirty.lock();
        if std::mem::replace(&mut dirty.marked[place as usize], true) {
            return None;
        }
        dirty.places.push(place);
        dirty.waker.take()
    }

    fn take_dirty(&self, cx: &Context<'_>, into: &mut Vec<u32>) -> Poll<()> {
        let mut dirty = self.dirty.lock();
        if dirty.places.is_empty() {
            match &mut dirty.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => dirty.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        into.clear();
        std::mem::swap(&mut dirty.places, into);
        for place in &*into {
            dirty.marked[*place as usize] = false;
        }
        Poll::Ready(())
    }

    fn marked(&self) -> Vec<u32> {
        self.dirty.lock().places.clone()
    }

    pub(super) fn describe(&self, peer: Arc<Peer>) {
        *self.peer.lock() = Some(peer);
    }

    pub(super) fn acks(&self) -> bool {
        self.acks
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn parting(&self) -> Parting {
        self.parting
    }

    pub(super) fn acked(&self) -> Revision {
        Revision(self.acked.load(Ordering::Acquire))
    }

    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed.load(Ordering::Acquire)
    }

    pub(super) fn left(&self) -> Option<Left> {
        self.left.get().copied()
    }

    pub(super) fn info(&self) -> SubscriberInfo {
        SubscriberInfo {
            id: self.id,
            name: self.name.clone(),
            peer: self.peer.lock().clone(),
            acks: self.acks,
            acked: Revision(self.acked.load(Ordering::Acquire)),
            behind: self.dirty.lock().places.len(),
        }
    }
}

/// What a subscriber is told at once.
#[derive(Debug)]
pub struct Batch {
    /// What it did not know; at most one for each service.
    pub updates: Vec<Arc<Update>>,
    /// Once it has all of these, it knows everything of its services up to here.
    pub resume: Resume,
}

/// Up to where a subscriber knows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// To where the only update leads; it has just this one service.
    Update,
    /// To this revision.
    Revision(Revision),
}

#[derive(Debug)]
struct Watched {
    topic: Arc<Topic>,
    /// The state that it was told last.
    at: Option<Revision>,
}

/// A subscription, held by whoever is subscribed. Dropped, it ends.
#[derive(Debug)]
pub struct Subscription {
    hub: Arc<Hub>,
    subscriber: Arc<Subscriber>,
    watched: Vec<Watched>,
    /// What was marked when it was last looked at. Kept for its memory.
    places: Vec<u32>,
    /// With all that it was told, it knows everything up to here.
    known: Revision,
}

impl Hub {
    /// Subscribes. The first batch is there at once: the whole of each service, or what was missed since
    /// [`Subscribe::since`], unless that is [lost](Hub::is_lost).
    ///
    /// # Errors
    /// If a limit is reached.
    pub fn subscribe(self: &Arc<Self>, mut wish: Subscribe) -> Result<Subscription, SubscribeError> {
        wish.since = wish.since.filter(|since| !self.is_lost(*since));
        if wish.services.len() > self.services_max {
            return Err(SubscribeError::Services(self.services_max));
        }
        let services = u32::try_from(wish.services.len()).unwrap_or(u32::MAX);
        let subscriber = Arc::new(Subscriber {
            id: self.next_subscriber.fetch_add(1, Ordering::Relaxed),
            name: wish.name,
            peer: Mutex::new(wish.peer),
            acks: wish.acks,
            parting: wish.parting,
            dismissed: AtomicBool::new(false),
            left: OnceLock::new(),
            // It has what it resumes from, and will be told nothing of that again.
            acked: AtomicU64::new(wish.since.unwrap_or_default().0),
            dirty: Mutex::new(Dirty {
                places: (0..services).collect(),
                marked: vec![true; wish.services.len()].into(),
                waker: None,
            }),
        });
        {
            let mut subscribers = self.subscribers.lock();
            if subscribers.len() >= self.subscribers_max {
                return Err(SubscribeError::Subscribers(self.subscribers_max));
            }
            subscribers.insert(subscriber.id, Arc::clone(&subscriber));
        }
        let watched = (0_u32..).zip(wish.services).map(|(place, key)| {
            let topic = self.joined(&key, &subscriber, place);
            Watched {
                topic,
                at: wish.since,
            }
        });
        let watched = watched.collect();
        let known = wish.since.unwrap_or_default();
        Ok(Subscription {
            hub: Arc::clone(self),
            subscriber,
            watched,
            places: Vec::new(),
            known,
        })
    }

    fn joined(&self, key: &ServiceKey, subscriber: &Arc<Subscriber>, place: u32) -> Arc<Topic> {
        loop {
            let at = self
                .published
                .get(key.borrowed())
                .map_or(Revision::ZERO, |shared| shared.revision());
            let topics = self.topics.pin();
            let topic = topics.get_or_insert_with(key.clone(), || Arc::new(Topic::new(key.clone(), at)));
            if topic.join(subscriber, place) {
                return Arc::clone(topic);
            }
            // It is just leaving the map with its last subscriber; a new one takes its place.
            self.remove(topic);
        }
    }

    /// Takes a closed topic out of the map, unless another has taken its place.
    fn remove(&self, topic: &Arc<Topic>) {
        let topics = self.topics.pin();
        let _removed_by_one = topics.remove_if(topic.key(), |_, found| Arc::ptr_eq(found, topic));
    }

    /// Takes an acknowledgement. Returns whether there is such a subscriber.
    pub fn acknowledge(&self, subscriber: u64, up_to: Revision) -> bool {
        let subscriber = self.subscribers.lock().get(&subscriber).cloned();
        let Some(subscriber) = subscriber else {
            return false;
        };
        subscriber.acked.fetch_max(up_to.0, Ordering::AcqRel);
        self.acknowledged.notify_waiters();
        true
    }

    /// Resolves at the next acknowledgement, or when somebody leaves.
    pub(crate) fn acknowledged(&self) -> tokio::sync::futures::Notified<'_> {
        self.acknowledged.notified()
    }

    /// Who watches a service.
    #[must_use]
    pub fn subscribers_of(&self, key: &ServiceKey) -> Vec<SubscriberInfo> {
        let topic = self.topics.pin().get(&key.borrowed()).cloned();
        let subscribers = topic.map(|topic| topic.subscribers()).unwrap_or_default();
        subscribers.iter().map(|subscriber| subscriber.info()).collect()
    }

    /// How many watch a service.
    #[must_use]
    pub fn watching(&self, key: &ServiceKey) -> usize {
        let topics = self.topics.pin();
        topics.get(&key.borrowed()).map_or(0, |topic| topic.watching())
    }

    /// How many are subscribed.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.subscribers.lock().len()
    }

    /// How many services are watched.
    #[must_use]
    pub fn watched(&self) -> usize {
        self.topics.len()
    }
}

impl Subscription {
    /// Names it for acknowledgements.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.subscriber.id
    }

    /// It is sent away: what its parting means is no question then.
    pub fn dismiss(&self) {
        self.subscriber.dismissed.store(true, Ordering::Release);
    }

    /// What it is to be told next, once there is something.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Batch> {
        loop {
            std::task::ready!(self.subscriber.take_dirty(cx, &mut self.places));
            self.places.sort_unstable();
            let mut updates = Vec::with_capacity(self.places.len());
            for place in &self.places {
                let watched = &mut self.watched[*place as usize];
                if let Some(update) = self.hub.update_for(watched) {
                    watched.at = Some(update.to.revision);
                    updates.push(update);
                }
            }
            if updates.is_empty() {
                continue;
            }
            let resume = match self.watched.len() {
                1 => Resume::Update,
                _ => {
                    self.known = self.known.max(self.knows());
                    Resume::Revision(self.known)
                }
            };
            return Poll::Ready(Batch { updates, resume });
        }
    }

    /// Up to where it has been told everything, by now.
    ///
    /// The order matters: a change that has been noted is still pending, or has left a mark, or the mark was taken and
    /// it was told. Neither of the first two counts if it knows the newest state of the service: nothing more may come
    /// that would say so.
    fn knows(&self) -> Revision {
        let noted = Revision(self.hub.noted.load(Ordering::Acquire));
        let pending = self.watched.iter().filter_map(|watched| {
            // It was told all up to `at`, and nothing was noted between that and the first that is pending.
            let first = watched.topic.pending()?;
            Some((
                watched,
                Revision(first.0.saturating_sub(1)).max(watched.at.unwrap_or_default()),
            ))
        });
        let mut pending: Vec<_> = pending.collect();
        for place in self.subscriber.marked() {
            let watched = &self.watched[place as usize];
            pending.push((watched, watched.at.unwrap_or_default()));
        }
        let unknown = pending
            .into_iter()
            .filter(|(watched, _)| !self.hub.knows_newest(watched));
        unknown.map(|(_, known)| known).fold(noted, Revision::min)
    }

    /// [`Subscription::poll_next`] to await.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn next(&mut self) -> Batch {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl Hub {
    fn update_for(&self, watched: &Watched) -> Option<Arc<Update>> {
        let topic = &watched.topic;
        let update = match watched.at {
            Some(at) => {
                let newest = self.published.get(topic.key().borrowed());
                let newest = newest.map(|shared| shared.revision());
                let Behind = match topic.latest_for(at, newest) {
                    Ok(update) => return update,
                    Err(behind) => behind,
                };
                self.update_since(topic, at)?
            }
            // A newcomer is told what readers see now: he may have read it, and not all that changes is pushed.
            None => self.snapshot(topic, self.view_or_absent(topic.key())),
        };
        topic.keep(watched.at, Arc::clone(&update));
        Some(update)
    }

    fn knows_newest(&self, watched: &Watched) -> bool {
        let shared = self.published.get(watched.topic.key().borrowed());
        shared.is_some_and(|shared| watched.at.is_some_and(|at| at >= shared.revision()))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        for watched in &self.watched {
            if watched.topic.leave(self.subscriber.id) {
                self.hub.remove(&watched.topic);
            }
        }
        self.hub.subscribers.lock().remove(&self.subscriber.id);
        let left = Left {
            at: Instant::now(),
            next: self.hub.next_subscriber.load(Ordering::Relaxed),
        };
        let _leaves_once = self.subscriber.left.set(left);
        self.hub.acknowledged.notify_waiters();
    }
}
