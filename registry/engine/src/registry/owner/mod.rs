//! The one owner of the catalog: takes proposals and deadlines, has them committed, applies and publishes them.
//!
//! It works in turns. A turn looks at the clock, decides what silence changes, then takes all proposals that wait, in
//! groups: commands about different instances are decided together and committed at once. The catalog's lock is held
//! to decide a run of proposals, to apply, and to answer a group; never while the journal works.
//!
//! - [`group`]: what is decided together, and what must wait for it.
//! - [`take`]: proposals on their way into groups.
//! - [`commit`]: groups on their way to the journal, into the catalog and back to their proposers.

mod commit;
mod group;
mod take;

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{
    Catalog, Command, GuardBy, GuardEvent, GuardTurn, Keep, Proposed, RecheckOrder, Standing,
};
use beatrix_core::liveness::{GuardReading, LivenessClock};
use beatrix_core::model::{Mono, Origin, Revision, ServiceKey};
use parking_lot::Mutex;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use group::Told;

use super::drain::Drains;
use super::noticed::Noticed;
use super::write::{WriteError, Written};
use crate::clock::Clock;
use crate::hub::{Hub, Topic};
use crate::journal::Journal;
use crate::probing::OwnerBell;

/// How many proposals may wait. When it is full, proposers wait.
pub(super) const QUEUE: usize = 16 * 1024;

/// How many proposals are taken in one turn.
const GROUP_MAX: usize = 1024;

/// How long the end waits for proposals that were begun before it. They need a moment of their task's time at most.
const LAST_WAIT: Duration = Duration::from_secs(1);

pub(super) type Answer = Result<(Written, Option<Standing>), WriteError>;

pub(super) type Forced = Result<GuardReading, WriteError>;

/// What the owner is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// To carry out a command.
    Write {
        command: Box<Command>,
        by: Origin,
        reply: oneshot::Sender<Answer>,
    },
    /// To look at a silent instance that has beaten.
    Returned(u32),
    /// To look at what is due: something is that was not before.
    Look,
    /// To end the guard by hand.
    EndGuard {
        service: Option<ServiceKey>,
        by: Origin,
        reply: oneshot::Sender<bool>,
    },
    /// To have the guard hold by hand.
    ForceGuard {
        service: Option<ServiceKey>,
        lasts: Duration,
        by: Origin,
        reply: oneshot::Sender<Forced>,
    },
}

#[derive(Debug)]
pub(super) struct Owner<J> {
    pub(super) catalog: Arc<Mutex<Catalog>>,
    pub(super) journal: J,
    pub(super) hub: Arc<Hub>,
    /// Who waits for a drain wants to know of every change.
    pub(super) drains: Arc<Drains>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) liveness: Arc<LivenessClock>,
    pub(super) inbox: mpsc::Receiver<Request>,
    /// Tells the driver of the probes that somebody is due sooner than it knows.
    pub(super) sooner: Arc<Notify>,
    /// Tells followers that something was applied.
    pub(super) applied: Arc<Notify>,
    /// Rings when probes have found something that is to be decided.
    pub(super) bell: OwnerBell,
    /// To whoever hands answers to those who wait for them: see [`hand_out`].
    pub(super) answers: mpsc::Sender<Vec<Told>>,
    pub(super) stop: CancellationToken,
    /// All stalls that were told of.
    pub(super) stalled: Duration,
    /// Who looks at instances that consumers cannot reach.
    pub(super) looks: Option<mpsc::Sender<RecheckOrder>>,
    /// Where it leaves what people may want to know.
    pub(super) noticed: Arc<Mutex<Noticed>>,
    /// Topics that changes were noted in and that are not scheduled yet, and since when.
    pub(super) unscheduled: Vec<Arc<Topic>>,
    pub(super) unscheduled_since: Option<Instant>,
    /// How long they may wait: see [`crate::EngineConfig::push_merge_max`].
    pub(super) merge_max: Duration,
}

impl<J: Journal> Owner<J> {
    pub(super) async fn run(mut self) {
        let mut requests = Vec::with_capacity(GROUP_MAX);
        let mut stopping = false;
        loop {
            self.look();
            let wake = self.expire().await;
            if stopping && requests.is_empty() {
                self.schedule();
                self.journal.close().await;
                return;
            }
            if !requests.is_empty() {
                self.take(&mut requests).await;
                continue;
            }
            tokio::select! {
                biased;
                // First, or under load it would never be looked at.
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.take_last(&mut requests).await;
                }
                taken = self.inbox.recv_many(&mut requests, GROUP_MAX), if !stopping => {
                    stopping = taken == 0;
                    self.take_more(&mut requests);
                }
                committed = self.journal.others(), if !stopping => {
                    self.apply(committed.into_iter());
                    self.schedule();
                }
                () = self.bell.heard(), if !stopping => {}
                () = wait_until(wake), if !stopping => {}
            }
        }
    }

    /// Takes what else has been proposed by now. The first proposal wakes this thread, often in the midst of others that
    /// a worker is about to make: where it took the worker's core it hands that back first, or each would be a group, a
    /// commit and two changes of threads of its own. Where the core is idle otherwise this costs next to nothing.
    fn take_more(&mut self, requests: &mut Vec<Request>) {
        std::thread::yield_now();
        while requests.len() < GROUP_MAX
            && let Ok(request) = self.inbox.try_recv()
        {
            requests.push(request);
        }
    }

    /// What was proposed before the end is finished; who proposes after it is told that it is over.
    async fn take_last(&mut self, requests: &mut Vec<Request>) {
        self.inbox.close();
        // The last of them may have a place in the queue, but not be there yet.
        let rest = async {
            while let Some(request) = self.inbox.recv().await {
                requests.push(request);
            }
        };
        if tokio::time::timeout(LAST_WAIT, rest).await.is_err() {
            tracing::warn!("a proposal was begun and not finished; it is not waited for any longer");
        }
    }

    /// Looks at the clock. Whoever found a stall, a beat or the owner, it is told here.
    fn look(&mut self) {
        self.liveness.look(self.clock.mono());
        let stalled = self.liveness.stalled();
        if stalled > self.stalled {
            let stall = stalled - self.stalled;
            self.noticed.lock().stall(stall, stalled, self.clock.wall());
            tracing::warn!(
                stall_ms = stall.as_millis(),
                "the process stood still; all deadlines are extended"
            );
            self.stalled = stalled;
        }
    }

    /// Decides, commits and applies what is due. Returns when to look again.
    async fn expire(&mut self) -> Instant {
        let live = self.live();
        let (mutations, turns, orders, revision) = {
            let mut catalog = self.catalog.lock();
            let due = catalog.next_deadline().is_some_and(|deadline| deadline <= live);
            let (mutations, turns) = if due {
                catalog.due(live)
            } else {
                Default::default()
            };
            let orders = if due { catalog.take_rechecks() } else { Vec::new() };
            (mutations, turns, orders, catalog.version().revision)
        };
        for turn in turns {
            self.notice(turn, Origin::REGISTRY, revision);
        }
        if let Some(looks) = &self.looks {
            for order in orders {
                // It is no more than a look: who waits already is looked at first.
                let _dropped_if_full = looks.try_send(order);
            }
        }
        if !mutations.is_empty() {
            let count = mutations.len();
            let proposed = mutations.into_iter().map(|mutation| Proposed {
                mutation,
                by: Origin::REGISTRY,
            });
            if let Err(error) = self.commit(proposed.collect(), Keep::Behind).await {
                tracing::error!(%error, count, "what is due cannot be committed; it will be tried again");
            }
        }
        // After that: what was applied may have brought a deadline that is nearer, and it took time.
        let next = self.catalog.lock().next_deadline();
        let wait = next.map_or(LivenessClock::LOOK_INTERVAL, |next| next.since(self.live()));
        let now = Instant::now();
        // Very many fall in several turns. They are pushed together when all have, or subscribers would be told in
        // pieces, and making those would keep the catalog from the owner.
        if !wait.is_zero()
            || self
                .unscheduled_since
                .is_some_and(|since| now >= since + self.merge_max)
        {
            self.schedule();
        }
        now + wait.min(LivenessClock::LOOK_INTERVAL)
    }

    /// Keeps and logs what a guard came to. Not under the catalog's lock.
    fn notice(&self, turn: GuardTurn, asked: Origin, revision: Revision) {
        log_guard(&turn, asked);
        let moment = (self.live(), self.clock.wall());
        self.noticed.lock().guard(turn, asked, revision, moment);
    }

    /// Has the hub push what was noted.
    fn schedule(&mut self) {
        self.unscheduled_since = None;
        self.hub.schedule(std::mem::take(&mut self.unscheduled));
    }

    fn live(&self) -> Mono {
        self.liveness.at(self.clock.mono())
    }

    fn tell(&self, told: Vec<Told>) {
        if told.is_empty() {
            return;
        }
        // Where nobody hands out, or not fast enough, each is woken from here.
        if let Err(TrySendError::Full(told) | TrySendError::Closed(told)) = self.answers.try_send(told) {
            told.into_iter().for_each(Told::tell);
        }
    }
}

/// Hands answers to those who wait for them, on their runtime. Were the owner to wake each of them, from its own thread,
/// each would cost a call of the kernel, and often the core under the owner's feet.
pub(super) async fn hand_out(mut answers: mpsc::Receiver<Vec<Told>>) {
    while let Some(told) = answers.recv().await {
        told.into_iter().for_each(Told::tell);
    }
}

/// Waits until `at`. Where that has come already it only lets others have their turn: a timer would take a millisecond.
async fn wait_until(at: Instant) {
    if at <= Instant::now() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep_until(at).await;
    }
}

fn log_guard(turn: &GuardTurn, asked: Origin) {
    let reading = &turn.reading;
    let said = match (&turn.event, turn.by) {
        (GuardEvent::Holds(_), _) => "too many fell silent at once: the mass-expiry guard holds",
        (GuardEvent::Forced(_), _) => "the mass-expiry guard holds: an operator forced it",
        (GuardEvent::Ended(_), GuardBy::Shares) => "the mass-expiry guard has ended: enough have returned",
        (GuardEvent::Ended(_), GuardBy::Time) => "the mass-expiry guard has ended: its time is over",
        (GuardEvent::Ended(_), GuardBy::Operator) => "the mass-expiry guard has ended: an operator ended it",
    };
    tracing::warn!(
        scope = turn
            .event
            .scope()
            .map_or_else(|| "the registry".to_owned(), ToString::to_string),
        silent = reading.silent,
        suspects = reading.suspects,
        population = reading.population,
        surface = asked.surface.as_str(),
        peer = asked.peer.map(tracing::field::display),
        "{said}"
    );
}
