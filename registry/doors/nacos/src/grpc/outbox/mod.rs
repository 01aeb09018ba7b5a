//! What is to be sent on a connection's stream: the words of the registry itself, and the lists of subscribed services.
//!
//! Of a list nothing is kept but that it is to be told: it is made when the transport takes it, from the state that
//! there is then. So a client that does not read costs no memory but what its transport holds, and reads the newest
//! state when it reads again.
//!
//! Under the lock nothing is rendered and nothing is sent; the hub's locks may be taken under it, and never the other way
//! round, since the hub wakes with no lock held.

mod ring;
mod step;
mod watch;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context, Waker};
use std::time::Duration;

use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::hub::{Hub, Peer, Subscribe};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::fuzzy;
use super::message::Outgoing;
use crate::limits::GRPC_SUBSCRIPTIONS_PER_CONNECTION_MAX;
use ring::Ring;
pub(super) use step::{Acknowledged, Step, Told, WatchError};
use watch::{Answered, Sent, Watch};

/// How long after its subscription a client is told the list by a push as well. Nacos 2.x does so after 500 ms, and
/// Java's and Rust's clients rely on it after they have reconnected. Not at once: the push would overtake the answer.
const FIRST_PUSH_AFTER: Duration = Duration::from_millis(100);
/// Nacos 2.x: a push that is not acknowledged within this is made again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(5);
/// Nacos 2.x: one that a client could not take is made again after this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How many words may wait for a client that does not read. It is asked whether it lives, once at a time, and operators
/// may tell it to leave; what is more is not said.
const WORDS_MAX: usize = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Why the stream is to end, if it is.
    ending: Option<&'static str>,
    /// Why it is to end once nothing waits any more.
    finishing: Option<&'static str>,
    /// What the registry says by itself.
    words: VecDeque<Outgoing>,
    watches: HashMap<u32, Watch>,
    by_service: HashMap<ServiceKey, u32>,
    next: u32,
    /// Which watches are to be looked at, each once.
    line: VecDeque<u32>,
    /// When which of them is to be looked at.
    due: BTreeSet<(Instant, u32)>,
    /// Which push has which number.
    sent: HashMap<u64, u32>,
    patterns: fuzzy::Patterns,
    /// Who sends, while he waits.
    sender: Option<Waker>,
    /// Since when something waits for him.
    unread: Option<Instant>,
}

impl Outbox {
    /// Subscribes to a service, or changes the clusters of a subscription. Nacos 2.x: there is one for each service.
    ///
    /// # Errors
    /// If a limit is reached, or the connection has ended.
    pub(super) fn watch(
        self: &Arc<Self>,
        hub: &Arc<Hub>,
        service: ServiceKey,
        peer: Peer,
        wish: Subscribe,
    ) -> Result<(), WatchError> {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        if state.is_over() {
            return Err(WatchError::Ended);
        }
        let clusters: Arc<str> = peer.cluster.as_str().into();
        let peer = Arc::new(peer);
        if let Some(watch) = state
            .by_service
            .get(&service)
            .and_then(|number| state.watches.get_mut(number))
        {
            watch.clusters = clusters;
            watch.again(Instant::now() + FIRST_PUSH_AFTER);
            hub.describe(watch.subscription.id(), peer);
            return Ok(());
        }
        if state.watches.len() >= GRPC_SUBSCRIPTIONS_PER_CONNECTION_MAX {
            return Err(WatchError::TooMany);
        }
        let subscription = hub.subscribe(Subscribe {
            services: vec![service.clone()],
            peer: Some(peer),
            ..wish
        })?;
        let number = state.next;
        state.next += 1;
        let due = Instant::now() + FIRST_PUSH_AFTER;
        let waker = Ring::waker(self, number);
        let watch = Watch::new(service.clone(), clusters, subscription, waker, due);
        state.watches.insert(number, watch);
        state.by_service.insert(service, number);
        state.due.insert((due, number));
        wake(guard);
        Ok(())
    }

    /// Ends a subscription. Nacos 2.x: one that is not there is no mistake.
    pub(super) fn unwatch(&self, service: &ServiceKey) {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let Some(number) = state.by_service.remove(service) else {
            return;
        };
        let watch = state.watches.remove(&number);
        if let Some(watch) = &watch {
            state.forget(number, watch);
            // It said so itself: it uses nothing any more of what it was told.
            watch.subscription.dismiss();
            if watch.rung {
                state.line.retain(|waiting| *waiting != number);
            }
        }
        drop(guard);
        drop(watch);
    }

    /// Says something of the registry itself.
    pub(super) fn say(&self, message: Outgoing) {
        let mut state = self.0.lock();
        if state.is_over() || state.words.len() >= WORDS_MAX {
            return;
        }
        state.words.push_back(message);
        state.wait_for_sender();
        wake(state);
    }

    /// Ends the stream, and all subscriptions. Returns whether it had not ended yet.
    pub(super) fn end(&self, why: &'static str) -> bool {
        let mut state = self.0.lock();
        if state.ending.is_some() {
            return false;
        }
        let ended = std::mem::replace(
            &mut *state,
            State {
                ending: Some(why),
                ..State::default()
            },
        );
        drop(state);
        if let Some(sender) = ended.sender {
            sender.wake();
        }
        true
    }

    /// Ends the stream once what waits has been sent.
    pub(super) fn finish(&self, why: &'static str) {
        let mut state = self.0.lock();
        state.finishing = Some(why);
        wake(state);
    }

    /// Since when something waits for a sender who does not come.
    pub(super) fn unread(&self) -> Option<Instant> {
        self.0.lock().unread
    }

    /// A watch has news.
    fn ring(&self, number: u32) {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        state.line_up(number);
        wake(guard);
    }

    /// Takes the answer to the push or notice with this number. Returns what it acknowledges of a service.
    pub(super) fn answered(&self, request: u64, well: bool) -> Option<Acknowledged> {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let Some(number) = state.sent.remove(&request) else {
            if state.patterns.answered(request, well, Instant::now()) {
                wake(guard);
            }
            return None;
        };
        let watch = state.watches.get_mut(&number)?;
        match watch.answered(request, well) {
            Answered::Nothing => None,
            Answered::Refused => {
                state.put_off(number, Instant::now() + AGAIN_AFTER);
                wake(guard);
                None
            }
            Answered::Acknowledged {
                revision,
                newest,
                requests,
            } => {
                let subscriber = watch.subscription.id();
                if newest && let Some(due) = watch.due.take() {
                    state.due.remove(&(due, number));
                }
                for request in requests {
                    state.sent.remove(&request);
                }
                Some(Acknowledged { subscriber, revision })
            }
        }
    }

    /// What to do next; whoever asks is the sender. `requests` gives numbers to what is to be answered.
    pub(super) fn step(&self, cx: &Context<'_>, now: Instant, requests: &AtomicU64) -> Step {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        state.unread = None;
        if let Some(why) = state.ending {
            return Step::End(why);
        }
        if let Some(word) = state.words.pop_front() {
            state.waits_still(now);
            return Step::Say(word);
        }
        if let Some(notice) = state.patterns.step(now, requests) {
            state.waits_still(now);
            return Step::Say(notice);
        }
        while let Some((_, number)) = state.due.first().copied().filter(|(due, _)| *due <= now) {
            state.due.pop_first();
            state.line_up(number);
        }
        while let Some(number) = state.line.pop_front() {
            let Some(watch) = state.watches.get_mut(&number) else {
                continue;
            };
            watch.rung = false;
            watch.look();
            let to_tell = watch.to_tell(now);
            if let Some(due) = watch.due.filter(|due| *due <= now) {
                watch.due = None;
                state.due.remove(&(due, number));
            }
            if to_tell.is_none()
                && let Some(until) = watch.held_until(now)
            {
                state.put_off(number, until);
                continue;
            }
            if let Some(news) = to_tell {
                let (service, clusters) = (watch.service.clone(), Arc::clone(&watch.clusters));
                state.waits_still(now);
                return Step::Tell(Told {
                    watch: number,
                    service,
                    clusters,
                    news,
                });
            }
        }
        if let Some(why) = state.finishing {
            return Step::End(why);
        }
        match &mut state.sender {
            Some(sender) => sender.clone_from(cx.waker()),
            None => state.sender = Some(cx.waker().clone()),
        }
        let due = state.due.first().map(|(due, _)| *due);
        Step::Wait([due, state.patterns.next()].into_iter().flatten().min())
    }

    /// Notes that a state is told by this push. Returns whether that is still wanted.
    pub(super) fn told(&self, number: u32, request: u64, revision: Revision) -> bool {
        let mut guard = self.0.lock();
        let state = &mut *guard;
        let Some(watch) = state.watches.get_mut(&number) else {
            return false;
        };
        if let Some(forgotten) = watch.told(Sent { request, revision }) {
            state.sent.remove(&forgotten);
        }
        state.sent.insert(request, number);
        state.put_off(number, Instant::now() + ACKNOWLEDGED_WITHIN);
        true
    }

    /// Looks at, or changes, what is watched by patterns. `None` if the connection has ended.
    pub(super) fn patterns<T>(&self, change: impl FnOnce(&mut fuzzy::Patterns) -> T) -> Option<T> {
        let mut state = self.0.lock();
        if state.is_over() {
            return None;
        }
        let changed = change(&mut state.patterns);
        wake(state);
        Some(changed)
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.ending.is_some() || self.finishing.is_some()
    }

    /// What is sent now is not all.
    fn waits_still(&mut self, now: Instant) {
        if !self.words.is_empty() || !self.line.is_empty() {
            self.unread = Some(now);
        }
    }

    /// Puts a watch at the end of the line, unless it stands there.
    fn line_up(&mut self, number: u32) {
        let Some(watch) = self.watches.get_mut(&number) else {
            return;
        };
        if !std::mem::replace(&mut watch.rung, true) {
            self.line.push_back(number);
            self.wait_for_sender();
        }
    }

    fn wait_for_sender(&mut self) {
        self.unread.get_or_insert_with(Instant::now);
    }

    fn put_off(&mut self, number: u32, until: Instant) {
        if let Some(watch) = self.watches.get_mut(&number) {
            if let Some(due) = watch.due.replace(until) {
                self.due.remove(&(due, number));
            }
            self.due.insert((until, number));
        }
    }

    fn forget(&mut self, number: u32, watch: &Watch) {
        if let Some(due) = watch.due {
            self.due.remove(&(due, number));
        }
        for request in watch.requests() {
            self.sent.remove(&request);
        }
    }
}

/// Wakes the sender, if he waits: with no lock held, since that may run what it wakes.
fn wake(mut state: MutexGuard<'_, State>) {
    let sender = state.sender.take();
    drop(state);
    if let Some(sender) = sender {
        sender.wake();
    }
}
