//! The one owner of the catalog: takes proposals and deadlines, has them committed, applies and publishes them.
//!
//! It works in turns. A turn looks at the clock, decides what silence changes, then takes all proposals that wait, in
//! groups: commands about different instances are decided together and committed at once. The catalog's lock is held
//! to decide and to apply, not while the journal works.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{
    Catalog, Command, Committed, Decision, GuardEvent, Mutation, Refusal, Shared, Standing, Subject,
};
use beatrix_core::liveness::LivenessClock;
use beatrix_core::model::{Endpoint, Lifetime, Mono, ServiceKey};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::write::{WriteError, Written};
use crate::clock::Clock;
use crate::hub::{Hub, Topic};
use crate::journal::{Journal, JournalError};

/// How many proposals may wait. When it is full, proposers wait.
pub(super) const QUEUE: usize = 16 * 1024;

/// How many proposals are taken in one turn.
const GROUP_MAX: usize = 1024;

/// How many mutations are applied before readers get the lock in between.
const APPLY_MAX: usize = 4096;

/// How long the end waits for proposals that were begun before it. They need a moment of their task's time at most.
const LAST_WAIT: Duration = Duration::from_secs(1);

pub(super) type Answer = Result<(Written, Option<Standing>), WriteError>;

/// What the owner is asked.
#[derive(Debug)]
pub(super) enum Request {
    /// To carry out a command.
    Write {
        command: Box<Command>,
        reply: oneshot::Sender<Answer>,
    },
    /// To look at a silent instance that has beaten.
    Returned(u32),
    /// To end the guard by hand.
    EndGuard {
        service: Option<ServiceKey>,
        reply: oneshot::Sender<bool>,
    },
}

#[derive(Debug)]
pub(super) struct Owner<J> {
    pub(super) catalog: Arc<Mutex<Catalog>>,
    pub(super) journal: J,
    pub(super) hub: Arc<Hub>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) liveness: Arc<LivenessClock>,
    pub(super) inbox: mpsc::Receiver<Request>,
    pub(super) stop: CancellationToken,
    /// All stalls that were told of.
    pub(super) stalled: Duration,
    /// Topics that changes were noted in and that are not scheduled yet, and since when.
    pub(super) unscheduled: Vec<Arc<Topic>>,
    pub(super) unscheduled_since: Option<Instant>,
    /// How long they may wait: see [`crate::EngineConfig::push_merge_max`].
    pub(super) merge_max: Duration,
}

/// A proposal that is decided and waits for its commit.
struct Decided {
    reply: Option<oneshot::Sender<Answer>>,
    /// Whose lease to tell, if it was a registration.
    registered: Option<(ServiceKey, Endpoint)>,
    mutations: Vec<Mutation>,
}

/// What was decided and not committed yet, all in one commit.
#[derive(Default)]
struct Group {
    decided: Vec<Decided>,
    /// Whose mutations are in it: a later command about one of them must see the earlier one applied.
    subjects: HashSet<(ServiceKey, Endpoint), ahash::RandomState>,
    /// Whether an instance may come into being: then a connection may have more than the catalog knows.
    registers: BTreeSet<Lifetime>,
    /// Whether what is in it stands alone.
    alone: bool,
}

impl Group {
    fn touches(&self, mutations: &[Mutation]) -> bool {
        mutations.iter().any(|mutation| {
            let subject = mutation.subject().instance();
            subject.is_some_and(|(service, endpoint)| {
                self.subjects.contains(&(service.clone(), endpoint.clone()))
            })
        })
    }

    fn add(&mut self, decided: Decided) {
        for mutation in &decided.mutations {
            match mutation.subject() {
                Subject::Instance(service, endpoint) => {
                    self.subjects.insert((service.clone(), endpoint.clone()));
                }
                _ => self.alone = true,
            }
            if let Mutation::Registered { registration, .. } = mutation {
                self.registers.insert(registration.liveness.kind().lifetime());
            }
        }
        self.decided.push(decided);
    }
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
                }
                committed = self.journal.others(), if !stopping => {
                    self.apply(committed.into_iter());
                    self.schedule();
                }
                () = wait_until(wake), if !stopping => {}
            }
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
            let stall_ms = (stalled - self.stalled).as_millis();
            tracing::warn!(stall_ms, "the process stood still; all deadlines are extended");
            self.stalled = stalled;
        }
    }

    /// Decides, commits and applies what is due. Returns when to look again.
    async fn expire(&mut self) -> Instant {
        let live = self.live();
        let (mutations, events) = {
            let mut catalog = self.catalog.lock();
            let due = catalog.next_deadline().is_some_and(|deadline| deadline <= live);
            if due {
                catalog.due(live)
            } else {
                Default::default()
            }
        };
        for event in events {
            log_guard(&event);
        }
        if !mutations.is_empty() {
            let count = mutations.len();
            if let Err(error) = self.commit(mutations).await {
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

    /// Has the hub push what was noted.
    fn schedule(&mut self) {
        self.unscheduled_since = None;
        self.hub.schedule(std::mem::take(&mut self.unscheduled));
    }

    async fn take(&mut self, requests: &mut Vec<Request>) {
        let mut group = Group::default();
        let mut returned: HashSet<u32, ahash::RandomState> = HashSet::default();
        for request in requests.drain(..) {
            let (command, reply) = match request {
                Request::Write { command, reply } => (*command, Some(reply)),
                // It may have beaten often while the journal worked; once tells it.
                Request::Returned(slot) if !returned.insert(slot) => continue,
                Request::Returned(slot) => (Command::Returned { slot }, None),
                Request::EndGuard { service, reply } => {
                    self.finish(&mut group).await;
                    let ended = self.catalog.lock().end_guard(service.as_ref(), self.live());
                    let _gone_if_nobody_waits = reply.send(ended);
                    continue;
                }
            };
            // A command about the same instance as an earlier one of the group must see that applied. A connection
            // has no single one, and is looked at below; other commands without one are about nothing that there is.
            let subject = self.catalog.lock().subject(&command);
            let same = subject.is_some_and(|subject| group.subjects.contains(&subject));
            let session = matches!(command, Command::CloseSession { .. });
            let mixed = match &command {
                Command::Register {
                    registration,
                    uniform: true,
                    ..
                } => group
                    .registers
                    .contains(&registration.liveness.kind().lifetime().other()),
                _ => false,
            };
            let alone = group.alone || command.stands_alone();
            if same || mixed || alone || session && !group.registers.is_empty() {
                self.finish(&mut group).await;
            }
            let registered = match &command {
                Command::Register {
                    service, endpoint, ..
                } => Some((service.clone(), endpoint.clone())),
                _ => None,
            };
            let reserved = group.decided.len();
            let unsure = session || registered.is_some() && self.near_limits(reserved);
            let again = (reserved > 0 && unsure).then(|| command.clone());
            let mut decision = self.decide(command, reserved);
            if let Some(again) = again {
                let too_early = match &decision {
                    // Not all that is in the group registers.
                    Err(Refusal::Limit { .. }) => true,
                    Ok(Decision::Commit(mutations)) => group.touches(mutations),
                    _ => false,
                };
                if too_early {
                    self.finish(&mut group).await;
                    decision = self.decide(again, 0);
                }
            }
            match decision {
                Ok(Decision::Commit(mutations)) => group.add(Decided {
                    reply,
                    registered,
                    mutations,
                }),
                Ok(Decision::Nothing) => answer(reply, Ok(self.written(false, registered))),
                Err(refusal) => answer(reply, Err(WriteError::Refused(refusal))),
            }
        }
        self.finish(&mut group).await;
    }

    fn decide(&self, command: Command, reserved: usize) -> Result<Decision, Refusal> {
        let live = self.live();
        self.catalog.lock().decide(command, reserved, live)
    }

    /// Whether `reserved` more could reach a limit. Roughly, but never false if they could.
    fn near_limits(&self, reserved: usize) -> bool {
        let catalog = self.catalog.lock();
        let config = catalog.config();
        let instances_max = config.instances_max.min(config.instances_per_service_max);
        catalog.instances() + reserved >= instances_max
            || catalog.services() + reserved >= config.services_max
    }

    fn written(
        &self,
        changed: bool,
        registered: Option<(ServiceKey, Endpoint)>,
    ) -> (Written, Option<Standing>) {
        let catalog = self.catalog.lock();
        let standing =
            registered.and_then(|(service, endpoint)| catalog.standing(service.borrowed(), &endpoint));
        (
            Written {
                revision: catalog.version().revision,
                changed,
            },
            standing,
        )
    }

    /// Commits a group, applies it and answers.
    async fn finish(&mut self, group: &mut Group) {
        let Group { mut decided, .. } = std::mem::take(group);
        if decided.is_empty() {
            return;
        }
        let mutations = decided
            .iter_mut()
            .flat_map(|decided| std::mem::take(&mut decided.mutations))
            .collect();
        let outcome = self.commit(mutations).await;
        self.schedule();
        for Decided {
            reply, registered, ..
        } in decided
        {
            let result = match &outcome {
                Ok(()) => Ok(self.written(true, registered)),
                Err(error) => Err(WriteError::Unavailable(error.clone())),
            };
            answer(reply, result);
        }
    }

    /// Commit, apply, publish.
    async fn commit(&mut self, mutations: Vec<Mutation>) -> Result<(), String> {
        let committed = self
            .committed(mutations)
            .await
            .map_err(|error| error.to_string())?;
        let mut committed = committed.into_iter().peekable();
        while committed.peek().is_some() {
            self.apply(committed.by_ref().take(APPLY_MAX));
            self.look();
        }
        Ok(())
    }

    /// Has the journal commit. The owner goes on looking at the clock meanwhile: a slow journal is no stall, or under
    /// a steady load on a slow one nobody would ever expire.
    async fn committed(&mut self, mutations: Vec<Mutation>) -> Result<Vec<Committed>, JournalError> {
        let (clock, liveness) = (Arc::clone(&self.clock), Arc::clone(&self.liveness));
        let commit = self.journal.commit(mutations, self.clock.wall());
        tokio::pin!(commit);
        loop {
            tokio::select! {
                biased;
                committed = &mut commit => return committed,
                () = tokio::time::sleep(LivenessClock::LOOK_INTERVAL) => {
                    liveness.look(clock.mono());
                }
            }
        }
    }

    fn apply(&mut self, committed: impl Iterator<Item = Committed>) {
        let live = self.live();
        let mut topics = Vec::new();
        // Noted once for a run of changes of one service: 100,000 instances that fall together are one.
        let mut last: Option<Arc<Shared>> = None;
        let mut newest = None;
        let mut catalog = self.catalog.lock();
        for committed in committed {
            let revision = committed.revision;
            newest = Some(revision);
            if let Some(shared) = catalog.apply(committed, live)
                && last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &shared))
            {
                topics.extend(self.hub.note(&shared, revision));
                last = Some(shared);
            }
        }
        if let Some(newest) = newest {
            self.hub.noted(newest);
        }
        drop(catalog);
        if !topics.is_empty() {
            self.unscheduled_since.get_or_insert_with(Instant::now);
            self.unscheduled.append(&mut topics);
        }
    }

    fn live(&self) -> Mono {
        self.liveness.at(self.clock.mono())
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

/// Whoever asked may have gone; what was done stays done.
fn answer(reply: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(reply) = reply {
        let _gone_if_nobody_waits = reply.send(answer);
    }
}

fn log_guard(event: &GuardEvent) {
    let scope = |service: &Option<ServiceKey>| {
        service
            .as_ref()
            .map_or_else(|| "the registry".to_owned(), ToString::to_string)
    };
    match event {
        GuardEvent::Holds(service) => {
            tracing::warn!(
                scope = scope(service),
                "too many fell silent at once: the mass-expiry guard holds"
            );
        }
        GuardEvent::Ended(service) => {
            tracing::warn!(scope = scope(service), "the mass-expiry guard has ended");
        }
    }
}
