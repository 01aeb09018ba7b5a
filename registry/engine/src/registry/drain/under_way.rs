//! The drains that are under way: who was asked, and how far each is.
//!
//! Locks: that of all drains, then one drain's, then the catalog's or the reports'. None over an await.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use beatrix_core::model::{Endpoint, Lease, Revision, ServiceKey, Wall};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::in_flight::{InFlight, Reports};
use super::{DRAINS_WAITING_MAX, DrainEnd, Drained};
use crate::hub::{Asked, Hub};
use crate::registry::Registry;

/// From so many on, those whose instance drains no more are looked for.
const LOOK_FROM: usize = 64;

/// All drains. They stay until their instance drains no more, so that one can ask how far they are.
#[derive(Debug, Default)]
pub(in crate::registry) struct Drains {
    under_way: Mutex<UnderWay>,
    reports: Mutex<Reports>,
    /// Told when something was applied or said that a drain may wait for; only while somebody waits.
    news: Notify,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct UnderWay {
    drains: HashMap<(ServiceKey, Endpoint), Arc<Drain>>,
    look_at: usize,
}

/// The drain of one instance.
#[derive(Debug)]
pub(super) struct Drain {
    revision: Revision,
    /// Whose it is. `None`: of one that had gone before it began.
    of: Option<(ServiceKey, Endpoint, Lease)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Who is asked, in the order in which they subscribed.
    asked: BTreeMap<u64, Asked>,
    /// Those of them who are still to be looked at.
    waiting: Vec<u64>,
    /// Those of them who were given up.
    gone: Vec<u64>,
    without_acks: usize,
    /// The newest report of requests in flight when all had acknowledged. Only a later one counts: until then they may
    /// have sent something.
    settled: Option<u64>,
    end: Option<DrainEnd>,
    /// The state of the service in which it was looked for an end.
    looked: Revision,
}

/// Somebody waits, until it is dropped.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drains {
    /// The drain of this run of an instance: the one that is under way, with those who subscribed since, or a new one.
    /// One that is complete is good for being `shown`, while another drain asks anew.
    pub(super) fn joined(
        &self,
        registry: &Registry,
        service: &ServiceKey,
        endpoint: &Endpoint,
        lease: Lease,
        revision: Revision,
        shown: bool,
    ) -> Arc<Drain> {
        let name = (service.clone(), endpoint.clone());
        let mut under_way = self.under_way.lock();
        let found = under_way.drains.get(&name).filter(|drain| drain.is_of(lease));
        if let Some(drain) = found {
            let done = drain.is_done(registry);
            if shown || !done {
                if !done {
                    drain.ask(registry.hub(), service);
                }
                return Arc::clone(drain);
            }
        }
        let drain = Arc::new(Drain {
            revision,
            of: Some((service.clone(), endpoint.clone(), lease)),
            state: Mutex::default(),
        });
        drain.ask(registry.hub(), service);
        under_way.drains.insert(name, Arc::clone(&drain));
        if under_way.drains.len() > under_way.look_at.max(LOOK_FROM) {
            under_way.drains.retain(|_, drain| !drain.has_ended(registry));
            under_way.look_at = 2 * under_way.drains.len();
        }
        drain
    }

    /// Somebody waits from now on, unless too many do.
    pub(super) fn waiting(&self) -> Option<Waiting<'_>> {
        if self.waiting.fetch_add(1, Ordering::AcqRel) >= DRAINS_WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            return None;
        }
        Some(Waiting(&self.waiting))
    }

    /// How many wait.
    pub(in crate::registry) fn waiting_now(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Resolves when something happens that is not an acknowledgement.
    pub(super) fn news(&self) -> Notified<'_> {
        self.news.notified()
    }

    /// Changes were applied. An atomic load where nobody drains.
    pub(in crate::registry) fn applied(&self) {
        if self.waiting.load(Ordering::Acquire) > 0 {
            self.news.notify_waiters();
        }
    }

    pub(super) fn report(&self, said: &[(Lease, u64)], at: Wall, is_known: impl Fn(Lease) -> bool) {
        let mut reports = self.reports.lock();
        for &(lease, count) in said {
            reports.take(lease, InFlight { count, at }, &is_known);
        }
        drop(reports);
        self.applied();
    }
}

impl Drain {
    /// The drain of an instance that has gone.
    pub(super) fn of_nobody(revision: Revision) -> Self {
        let state = State {
            end: Some(DrainEnd::Removed),
            ..State::default()
        };
        Self {
            revision,
            of: None,
            state: Mutex::new(state),
        }
    }

    fn is_of(&self, lease: Lease) -> bool {
        self.of.as_ref().is_some_and(|(.., of)| *of == lease) && self.state.lock().end.is_none()
    }

    /// Asks those who are subscribed now and were not asked yet.
    fn ask(&self, hub: &Hub, service: &ServiceKey) {
        let mut state = self.state.lock();
        let subscribers = hub.asked_of(service);
        let all = subscribers.len();
        let mut acking = 0;
        for asked in subscribers.into_iter().filter(Asked::acks) {
            acking += 1;
            let id = asked.id();
            if state.asked.insert(id, asked).is_none() {
                state.waiting.push(id);
            }
        }
        state.without_acks = all - acking;
        if !state.waiting.is_empty() {
            state.settled = None;
        }
    }

    /// Whether there is nothing more to wait for.
    pub(super) fn is_done(&self, registry: &Registry) -> bool {
        let mut state = self.state.lock();
        self.look(&mut state, registry);
        state.end.is_some() || self.is_quiet(&state, registry)
    }

    fn has_ended(&self, registry: &Registry) -> bool {
        let mut state = self.state.lock();
        self.look_for_end(&mut state, registry);
        state.end.is_some()
    }

    fn look(&self, state: &mut State, registry: &Registry) {
        self.look_for_end(state, registry);
        let State { asked, waiting, .. } = &mut *state;
        waiting.retain(|id| asked.get(id).is_some_and(|asked| !asked.knows(self.revision)));
        if let Some((service, ..)) = &self.of
            && waiting
                .iter()
                .any(|id| asked.get(id).is_some_and(Asked::has_left))
        {
            // He who was lost may have subscribed again since, and have acknowledged that.
            let again = registry.hub().asked_of(service);
            waiting.retain(|id| {
                asked
                    .get(id)
                    .is_some_and(|lost| !again.iter().any(|it| it.is_in_place_of(lost, self.revision)))
            });
        }
        let now = Instant::now();
        let State {
            asked, waiting, gone, ..
        } = &mut *state;
        gone.extend(waiting.extract_if(.., |id| {
            let at = asked.get(id).and_then(Asked::given_up_at);
            at.is_some_and(|at| at <= now)
        }));
        if state.waiting.is_empty() && state.settled.is_none() {
            state.settled = Some(registry.inner.drains.reports.lock().newest());
        }
    }

    /// Whether the instance has gone or drains no more; looked for only where its service changed.
    fn look_for_end(&self, state: &mut State, registry: &Registry) {
        let Some((service, endpoint, lease)) = self.of.as_ref().filter(|_| state.end.is_none()) else {
            return;
        };
        let Some(newest) = registry.revision_of(service.borrowed()) else {
            state.end = Some(DrainEnd::Removed);
            return;
        };
        if newest == state.looked {
            return;
        }
        // Read before the instance is: what changes in between is looked at once more.
        state.looked = newest;
        let standing = registry
            .inner
            .catalog
            .lock()
            .standing(service.borrowed(), endpoint);
        if standing.is_none_or(|standing| standing.lease != *lease) {
            state.end = Some(DrainEnd::Removed);
        } else if registry.draining(service, endpoint).is_none() {
            state.end = Some(DrainEnd::Cancelled);
        }
    }

    /// Whether all have acknowledged, and the instance has said since that it is idle, if it says such things.
    fn is_quiet(&self, state: &State, registry: &Registry) -> bool {
        let Some(settled) = state.settled.filter(|_| state.waiting.is_empty()) else {
            return false;
        };
        self.reported(registry)
            .is_none_or(|(number, said)| said.count == 0 && number > settled)
    }

    fn reported(&self, registry: &Registry) -> Option<(u64, InFlight)> {
        let (.., lease) = self.of.as_ref()?;
        registry.inner.drains.reports.lock().of(*lease)
    }

    /// When the next of those is given up who are waited for. As of the last look.
    pub(super) fn gives_up_at(&self) -> Option<Instant> {
        let state = self.state.lock();
        let waiting = state.waiting.iter().filter_map(|id| state.asked.get(id));
        waiting.filter_map(Asked::given_up_at).min()
    }

    /// How it is now.
    pub(super) fn told(&self, registry: &Registry) -> Drained {
        let mut state = self.state.lock();
        self.look(&mut state, registry);
        let (late, done): (Vec<_>, Vec<_>) =
            state.asked.iter().partition(|(id, _)| state.waiting.contains(id));
        let (gone, done): (Vec<_>, Vec<_>) = done.into_iter().partition(|(id, _)| state.gone.contains(id));
        let names = |asked: Vec<(&u64, &Asked)>| asked.iter().map(|(_, it)| it.name().to_owned()).collect();
        let complete = match state.end {
            Some(end) => end == DrainEnd::Removed,
            None => self.is_quiet(&state, registry),
        };
        Drained {
            revision: self.revision,
            acknowledged: names(done),
            waiting: names(late),
            gone: names(gone),
            without_acks: state.without_acks,
            in_flight: self.reported(registry).map(|(_, said)| said),
            complete,
            ended: state.end,
        }
    }
}
