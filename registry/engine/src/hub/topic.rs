//! One service that somebody watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use beatrix_core::catalog::View;
use beatrix_core::model::{Revision, ServiceKey};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::subscriber::Subscriber;
use super::update::Update;

/// No change waits to be pushed.
const NONE: u64 = u64::MAX;

/// How many updates for subscribers who are behind are kept to be shared.
const BEHIND_KEPT: usize = 8;

/// One watched service.
#[derive(Debug)]
pub(crate) struct Topic {
    key: ServiceKey,
    /// The first change that was noted and not pushed yet.
    pending: AtomicU64,
    /// The first change of the push that is being made: no longer pending, but nobody is marked yet.
    pushing: AtomicU64,
    /// Whether a change was noted while somebody had the state: what is kept of views is let go by whoever has it next.
    overtaken: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By subscriber; with the place that the service has in its list.
    subscribers: HashMap<u64, (Arc<Subscriber>, u32), ahash::RandomState>,
    /// When it was last pushed.
    last_push: Option<Instant>,
    /// The state that the last push led to.
    pushed: Revision,
    /// The last push.
    latest: Option<Arc<Update>>,
    /// Updates for those who are behind, newest last. They start at other states than the last push did.
    behind: Vec<(Option<Revision>, Arc<Update>)>,
    /// Whether nobody watches it any more: it is out of the hub's map, and a newcomer must make a new one.
    closed: bool,
}

impl State {
    /// Takes out the snapshots that are kept to be shared. They are overtaken, and while somebody holds the views in
    /// them every change must copy the chunk that it touches.
    fn take_views(&mut self) -> Vec<Arc<Update>> {
        let behind = self.behind.extract_if(.., |(_, update)| update.is_snapshot());
        let taken = behind.map(|(_, update)| update);
        taken
            .chain(self.latest.take_if(|latest| latest.is_snapshot()))
            .collect()
    }
}

impl Topic {
    pub(super) fn new(key: ServiceKey, at: Revision) -> Self {
        let state = State {
            subscribers: HashMap::default(),
            last_push: None,
            pushed: at,
            latest: None,
            behind: Vec::new(),
            closed: false,
        };
        Self {
            key,
            pending: AtomicU64::new(NONE),
            pushing: AtomicU64::new(NONE),
            overtaken: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    pub(super) fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// Adds a subscriber, unless the topic is closed.
    pub(super) fn join(&self, subscriber: &Arc<Subscriber>, place: u32) -> bool {
        let mut state = self.state.lock();
        if !state.closed {
            state
                .subscribers
                .insert(subscriber.id(), (Arc::clone(subscriber), place));
        }
        !state.closed
    }

    /// Takes a subscriber out. Returns whether it was the last; the topic is closed then.
    pub(super) fn leave(&self, subscriber: u64) -> bool {
        let mut state = self.state.lock();
        state.subscribers.remove(&subscriber);
        state.closed = state.subscribers.is_empty();
        state.closed
    }

    /// Notes a change. Returns whether none waited: then the topic is to be scheduled. Waits for no lock: the owner has
    /// the catalog's meanwhile, and a push has the topic's while it marks all subscribers.
    pub(super) fn note(&self, revision: Revision) -> bool {
        let first = self
            .pending
            .compare_exchange(NONE, revision.0, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if first {
            let taken = self.state.try_lock().map(|mut state| state.take_views());
            if taken.is_none() {
                self.overtaken.store(true, Ordering::Release);
            }
        }
        first
    }

    /// The state, without what was overtaken.
    fn current(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock();
        if self.overtaken.load(Ordering::Acquire) && self.overtaken.swap(false, Ordering::AcqRel) {
            state.take_views();
        }
        state
    }

    /// Whether an update may be kept to be shared: a snapshot only while no change waits, which may have overtaken it.
    fn is_to_be_kept(&self, update: &Update) -> bool {
        !update.is_snapshot() || self.pending.load(Ordering::Acquire) == NONE
    }

    /// When to push what was noted, unless it is now.
    pub(super) fn later(&self, merge_max: Duration) -> Option<Instant> {
        let quiet_from = self.state.lock().last_push? + merge_max;
        (quiet_from > Instant::now()).then_some(quiet_from)
    }

    /// The first change that subscribers have not been marked for yet, if any.
    pub(super) fn pending(&self) -> Option<Revision> {
        // In this order: what is no longer pending is being pushed, or its marks are there.
        let pending = self.pending.load(Ordering::Acquire);
        let pushing = self.pushing.load(Ordering::Acquire);
        let first = pending.min(pushing);
        (first != NONE).then_some(Revision(first))
    }

    pub(super) fn pushed(&self) -> Revision {
        self.state.lock().pushed
    }

    /// A push begins: changes that are noted from here on are the next one's. Those that are applied already are in
    /// both, which does no harm.
    pub(super) fn begin_push(&self) {
        self.current().last_push = Some(Instant::now());
        self.pushing
            .store(self.pending.load(Ordering::Acquire), Ordering::Release);
        self.pending.store(NONE, Ordering::Release);
    }

    /// Marks all subscribers dirty. Returns whom to wake once no lock is held.
    pub(super) fn finish_push(&self, update: Option<Arc<Update>>) -> Vec<Waker> {
        let mut state = self.current();
        let mut wakers = Vec::with_capacity(state.subscribers.len());
        let mut overtaken = (None, Vec::new());
        if let Some(update) = update {
            wakers.extend(
                state
                    .subscribers
                    .values()
                    .filter_map(|(subscriber, place)| subscriber.mark_dirty(*place)),
            );
            state.pushed = update.to.revision;
            let latest = Some(update).filter(|update| self.is_to_be_kept(update));
            overtaken = (
                std::mem::replace(&mut state.latest, latest),
                std::mem::take(&mut state.behind),
            );
        }
        // After the marks: who finds nothing pending finds the marks.
        self.pushing.store(NONE, Ordering::Release);
        drop(state);
        // They may hold the last of large views.
        drop(overtaken);
        wakers
    }

    /// The last push, if it tells something to somebody whose state is `at`; `Err` if he is behind it. `newest` is the
    /// service's revision, if there is the service: a snapshot is good only if it has all.
    pub(super) fn latest_for(
        &self,
        at: Revision,
        newest: Option<Revision>,
    ) -> Result<Option<Arc<Update>>, Behind> {
        let state = self.current();
        let is_good = |update: &Update| {
            let has_all = newest.is_some_and(|newest| update.to.revision >= newest);
            has_all || !update.is_snapshot()
        };
        match &state.latest {
            Some(latest) if at >= latest.to.revision => Ok(None),
            Some(latest) if latest.applies_to(at) && is_good(latest) => Ok(Some(Arc::clone(latest))),
            _ => state
                .behind
                .iter()
                .rfind(|(from, update)| *from == Some(at) && is_good(update))
                .map(|(_, update)| Some(Arc::clone(update)))
                .ok_or(Behind),
        }
    }

    /// A snapshot of this state that was made already. Who needs the whole needs it from wherever he is, so
    /// that all share it.
    pub(super) fn snapshot_of(&self, view: &View) -> Option<Arc<Update>> {
        let state = self.current();
        let made = state.behind.iter().map(|(_, update)| update).chain(&state.latest);
        made.filter(|update| update.is_snapshot_of(view))
            .last()
            .map(Arc::clone)
    }

    /// Keeps an update for somebody who was behind, for others who are just as far behind. Not if it has been
    /// overtaken by a push: whoever joins after that is not marked for it, and would miss what it told.
    pub(super) fn keep(&self, from: Option<Revision>, update: Arc<Update>) {
        let mut state = self.current();
        let kept = |(of, kept): &(Option<Revision>, Arc<Update>)| *of == from && Arc::ptr_eq(kept, &update);
        let overtaken = update.to.revision < state.pushed || !self.is_to_be_kept(&update);
        if overtaken || state.behind.iter().any(kept) {
            return;
        }
        if state.behind.len() == BEHIND_KEPT {
            state.behind.remove(0);
        }
        state.behind.push((from, update));
    }

    pub(super) fn watching(&self) -> usize {
        self.state.lock().subscribers.len()
    }

    pub(super) fn subscribers(&self) -> Vec<Arc<Subscriber>> {
        self.state
            .lock()
            .subscribers
            .values()
            .map(|(subscriber, _)| Arc::clone(subscriber))
            .collect()
    }
}

/// The last push does not apply to his state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind;

#[cfg(test)]
mod tests {
    use beatrix_core::changes::Delta;
    use beatrix_core::model::Epoch;

    use super::*;

    fn snapshot(revision: u64) -> Arc<Update> {
        let mut view = View::absent("public/g/s".parse().unwrap(), Epoch(1), true);
        view.revision = Revision(revision);
        Arc::new(Update::snapshot(Arc::new(view)))
    }

    /// Whoever joins after the push is not marked for it: from an older update he would never learn of it.
    #[test]
    fn an_update_that_a_push_has_overtaken_is_not_kept() {
        let topic = Topic::new("public/g/s".parse().unwrap(), Revision(3));
        topic.keep(Some(Revision(1)), snapshot(4));
        assert!(topic.latest_for(Revision(1), Some(Revision(4))).is_ok());
        // Nobody pushes what is said about the service since.
        assert_eq!(
            topic.latest_for(Revision(1), Some(Revision(5))).unwrap_err(),
            Behind
        );
        assert_eq!(topic.latest_for(Revision(1), None).unwrap_err(), Behind);

        // Made before the push to 5, kept after it.
        let slow = snapshot(4);
        assert!(topic.note(Revision(5)) && !topic.note(Revision(6)));
        topic.begin_push();
        assert_eq!(topic.pending(), Some(Revision(5)));
        let to = snapshot(5).to;
        let delta = Update::delta(topic.key().clone(), Revision(3), to, true, Delta::default());
        topic.finish_push(Some(Arc::new(delta)));
        assert_eq!(topic.pending(), None);
        topic.keep(Some(Revision(1)), slow);
        assert_eq!(
            topic.latest_for(Revision(1), Some(Revision(6))).unwrap_err(),
            Behind
        );
    }

    fn is_held(update: &Arc<Update>) -> bool {
        Arc::strong_count(update) > 1
    }

    #[test]
    fn a_snapshot_that_a_change_has_overtaken_is_let_go() {
        let topic = Topic::new("public/g/s".parse().unwrap(), Revision(3));
        let (kept, pushed, late) = (snapshot(4), snapshot(5), snapshot(5));
        topic.keep(None, Arc::clone(&kept));
        assert!(is_held(&kept));
        topic.note(Revision(5));
        assert!(!is_held(&kept));
        // Nor is one kept that was made within a burst, or is pushed into one.
        topic.keep(None, Arc::clone(&late));
        assert!(!is_held(&late));
        topic.begin_push();
        topic.note(Revision(6));
        topic.finish_push(Some(Arc::clone(&pushed)));
        assert!(!is_held(&pushed));
        assert_eq!(topic.pushed(), Revision(5));
        assert_eq!(
            topic.latest_for(Revision(3), Some(Revision(6))).unwrap_err(),
            Behind
        );
        topic.begin_push();
        topic.finish_push(Some(Arc::clone(&pushed)));
        assert!(is_held(&pushed));
    }

    /// The owner notes with the catalog's lock in its hand, and a push marks very many.
    #[test]
    fn to_note_a_change_waits_for_nobody() {
        let topic = Arc::new(Topic::new("public/g/s".parse().unwrap(), Revision(3)));
        let kept = snapshot(4);
        topic.keep(None, Arc::clone(&kept));
        let pushing = topic.state.lock();
        let (noted, told) = std::sync::mpsc::channel();
        let noting = Arc::clone(&topic);
        let owner = std::thread::spawn(move || noted.send(noting.note(Revision(5))));
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(true));
        drop(pushing);
        owner.join().unwrap().unwrap();
        // Whoever has the topic next lets go in its place.
        topic.begin_push();
        assert!(!is_held(&kept));
    }
}
