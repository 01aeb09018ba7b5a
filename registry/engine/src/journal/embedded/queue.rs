//! What waits to be written: the place where proposers and the writer meet.
//!
//! Mutations are encoded straight into blocks under one short lock; the writer takes all blocks at once. So while one
//! write runs, all that comes makes up the next one. The queue has bounds: beyond [`QUEUE_BYTES_MAX`] a commit waits for
//! the writer.

use std::time::Duration;

use beatrix_core::catalog::{Keep, Proposed};
use beatrix_core::model::{Mono, Revision, Wall};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use crate::clock::Clock;
use crate::journal::JournalError;

use super::codec::frame::{Block, Kind};
use super::codec::record::put_record;
use super::state::StorageState;

/// How long what may be written behind waits for more to come. Half of what is promised: the other half is for the write.
pub const LINGER: Duration = Duration::from_millis(50);
/// How often the writer looks around when there is nothing to write.
pub const TICK: Duration = Duration::from_secs(1);
/// What is said of a write that failed under way.
const MAY_BE_THERE: &str =
    "if the registry ends before the disk works again, the change may be there after the next start";
/// How many bytes may wait.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Whether what is committed is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Open,
    /// The disk has failed: nothing is written, and what may be written behind is in memory only.
    Failed,
    /// The disk works again, and a whole checkpoint is under way or wanted. What is committed meanwhile waits for it: what
    /// is before it in the log is not enough to make sense of it.
    Recovering(Lost),
}

/// What the log does not have, since the disk failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The newest revision that was acknowledged: the checkpoint is to have it.
    pub acknowledged: Revision,
    /// The newest that was given. What was given after the one above was refused, and nobody has it: a checkpoint cannot.
    pub given: Revision,
}

/// Something that the writer does for a checkpoint.
#[derive(Debug)]
pub enum Job {
    /// A checkpoint begins; the log is needed after this revision.
    Begin(Revision),
    /// Its next block.
    Block(Vec<u8>),
    /// It is whole, and nothing in it is of a later revision than the newest of now.
    Finish,
}

/// A job with who waits for it.
#[derive(Debug)]
pub struct Ordered {
    /// The job.
    pub job: Job,
    /// Whom to tell.
    pub reply: oneshot::Sender<Result<(), JournalError>>,
}

/// A block with its first revision.
#[derive(Debug)]
pub struct First {
    /// The revision of its first record.
    pub first: Revision,
    /// The block.
    pub block: Block,
}

/// Who waits for his group to be durable.
#[derive(Debug)]
pub struct Waiter {
    /// How many mutations.
    pub count: u64,
    /// Whom to tell.
    pub reply: oneshot::Sender<Result<(), JournalError>>,
}

/// What the writer takes.
#[derive(Debug, Default)]
pub struct Work {
    /// Blocks to write.
    pub blocks: Vec<First>,
    /// How many of the mutations in them are acknowledged only when they are written.
    pub unacknowledged: u64,
    /// A job for a checkpoint.
    pub job: Option<Ordered>,
    /// Up to where revisions are to be reserved, if more are.
    pub reserve: Option<Revision>,
    /// The newest revision that was given.
    pub newest: Revision,
    /// It is to end.
    pub stop: bool,
}

/// The part under the lock.
#[derive(Debug)]
struct Waiting {
    mode: Mode,
    /// Why durable writes are refused, if they are.
    refused: Option<String>,
    blocks: Vec<First>,
    bytes: usize,
    waiters: Vec<Waiter>,
    /// Who waits for what the writer has taken.
    in_flight: Vec<Waiter>,
    /// Since when the writer has been at what it does; `None` while it waits for work.
    busy_since: Option<Mono>,
    job: Option<Ordered>,
    newest: Revision,
    /// The newest revision that was acknowledged, or will be whatever the disk does.
    acknowledged: Revision,
    ceiling: Revision,
    /// How many revisions are reserved at once.
    reserved: u64,
    /// How many the largest group needs that waits for them.
    wished: u64,
    stop: bool,
    /// The writer has ended.
    ended: bool,
}

impl Waiting {
    /// Before half of what is reserved is used.
    fn wants_revisions(&self) -> bool {
        let left = self.ceiling.0.saturating_sub(self.newest.0);
        self.mode == Mode::Open && left < (self.reserved / 2).max(self.wished)
    }

    fn is_urgent(&self) -> bool {
        self.stop || !self.waiters.is_empty() || self.job.is_some() || self.wants_revisions()
    }

    fn writes(&self) -> bool {
        self.mode == Mode::Open && !self.blocks.is_empty()
    }

    fn lost(&self) -> Lost {
        Lost {
            acknowledged: self.acknowledged,
            given: self.newest,
        }
    }

    fn records(&self) -> u64 {
        self.blocks.iter().map(|first| first.block.records()).sum()
    }

    /// Forgets what waits; returns how many mutations that were acknowledged.
    fn forget(&mut self, error: &str) -> u64 {
        // What became of these nobody knows until it is taken back.
        let unsure = JournalError(format!("{error}; {MAY_BE_THERE}"));
        tell(std::mem::take(&mut self.in_flight), &Err(unsure));
        let waiters = std::mem::take(&mut self.waiters);
        let refused: u64 = waiters.iter().map(|waiter| waiter.count).sum();
        tell(waiters, &Err(JournalError(error.into())));
        let forgotten = self.records() - refused;
        self.blocks = Vec::new();
        self.bytes = 0;
        forgotten
    }

    /// The disk has failed. Returns how many acknowledged mutations were waiting.
    fn fail(&mut self, error: &str) -> u64 {
        self.mode = Mode::Failed;
        self.refused = Some(error.into());
        if let Some(ordered) = self.job.take() {
            let _gone_if_nobody_waits = ordered.reply.send(Err(JournalError(error.into())));
        }
        self.forget(error)
    }
}

fn tell(waiters: Vec<Waiter>, outcome: &Result<(), JournalError>) {
    for waiter in waiters {
        let _gone_if_nobody_waits = waiter.reply.send(outcome.clone());
    }
}

/// What came of a wish to commit.
#[derive(Debug)]
pub enum Pushed {
    /// It is committed with the revisions from this one on.
    Behind(Revision),
    /// The same once the writer says so.
    Durable(Revision, oneshot::Receiver<Result<(), JournalError>>),
    /// There is no room yet.
    Later,
}

/// See the module.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes commits that wait for room.
    room: Notify,
    /// Wakes whoever watches the writer when that has ended.
    ended: Condvar,
}

impl Queue {
    /// An empty one, whose next revision is above `newest`.
    #[must_use]
    pub fn new(newest: Revision, ceiling: Revision, reserved: u64) -> Self {
        Self {
            waiting: Mutex::new(Waiting {
                mode: Mode::Open,
                refused: None,
                blocks: Vec::new(),
                bytes: 0,
                waiters: Vec::new(),
                in_flight: Vec::new(),
                busy_since: None,
                job: None,
                newest,
                acknowledged: newest,
                ceiling,
                reserved,
                wished: 0,
                stop: false,
                ended: false,
            }),
            work: Condvar::new(),
            room: Notify::new(),
            ended: Condvar::new(),
        }
    }

    /// Waits until a commit that was told to come later may try again.
    pub async fn room(
        &self,
        try_again: impl FnOnce() -> Result<Pushed, JournalError>,
    ) -> Result<Pushed, JournalError> {
        let room = self.room.notified();
        tokio::pin!(room);
        // From here on nothing is missed.
        room.as_mut().enable();
        let pushed = try_again();
        if matches!(pushed, Ok(Pushed::Later)) {
            room.await;
        }
        pushed
    }

    /// Gives revisions to `group` and has it written. All of it or nothing is taken.
    ///
    /// # Errors
    /// If it cannot be kept as it must be.
    pub fn push(
        &self,
        group: &[Proposed],
        at: Wall,
        keep: Keep,
        state: &StorageState,
    ) -> Result<Pushed, JournalError> {
        let count = group.len() as u64;
        let mut waiting = self.waiting.lock();
        if waiting.stop {
            return Err(JournalError("it is closed".into()));
        }
        if keep == Keep::Durable
            && let Some(refused) = &waiting.refused
        {
            return Err(JournalError(refused.clone()));
        }
        if waiting.newest.0 + count > waiting.ceiling.0 {
            return match (&waiting.mode, &waiting.refused) {
                (Mode::Open, _) => {
                    waiting.wished = waiting.wished.max(count);
                    self.work.notify_one();
                    Ok(Pushed::Later)
                }
                (_, refused) => Err(JournalError(format!(
                    "no revisions are left until the disk works again: {}",
                    refused.as_deref().unwrap_or("it has failed")
                ))),
            };
        }
        if waiting.mode == Mode::Open && waiting.bytes > QUEUE_BYTES_MAX {
            return Ok(Pushed::Later);
        }
        let first = waiting.newest.next();
        if waiting.mode == Mode::Failed {
            waiting.newest.0 += count;
            waiting.acknowledged = waiting.newest;
            state.update(|figures| figures.not_kept += count);
            return Ok(Pushed::Behind(first));
        }
        let waiting = &mut *waiting;
        let was_urgent = waiting.is_urgent();
        let was_empty = waiting.blocks.is_empty();
        for Proposed { mutation, by } in group {
            let revision = waiting.newest.next();
            waiting.newest = revision;
            if waiting.blocks.last().is_none_or(|last| last.block.is_full()) {
                waiting.blocks.push(First {
                    first: revision,
                    block: Block::new(Kind::Log),
                });
            }
            if let Some(First { block, .. }) = waiting.blocks.last_mut() {
                let before = block.len();
                block.add_at(revision, at, |out| put_record(out, revision, at, *by, mutation));
                waiting.bytes += block.len() - before;
            }
        }
        if keep == Keep::Behind {
            waiting.acknowledged = waiting.newest;
        }
        if waiting.bytes > QUEUE_BYTES_MAX && matches!(waiting.mode, Mode::Recovering(_)) {
            // The checkpoint takes too long: what waits for it cannot grow without bound. The next one has it.
            let forgotten = waiting.forget("");
            waiting.mode = Mode::Recovering(waiting.lost());
            state.update(|figures| figures.not_kept += forgotten);
        }
        let durable = (keep == Keep::Durable).then(|| {
            let (reply, done) = oneshot::channel();
            waiting.waiters.push(Waiter { count, reply });
            done
        });
        if was_empty || (waiting.is_urgent() && !was_urgent) {
            self.work.notify_one();
        }
        Ok(match durable {
            Some(done) => Pushed::Durable(first, done),
            None => Pushed::Behind(first),
        })
    }

    /// Has the writer do something for a checkpoint, and tells when it is done.
    ///
    /// # Errors
    /// If it cannot be done.
    pub async fn order(&self, job: Job) -> Result<(), JournalError> {
        let (reply, done) = oneshot::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.stop || waiting.job.is_some() {
                return Err(JournalError(
                    "it is closed, or another checkpoint is being taken".into(),
                ));
            }
            waiting.job = Some(Ordered { job, reply });
            self.work.notify_one();
        }
        done.await.map_err(|_| JournalError("it was closed".into()))?
    }

    /// Waits for work. What may wait does so for [`LINGER`] at most. What is there already came while the writer was busy,
    /// which it was for `busy`: so long it has waited, at most.
    pub fn take(&self, busy: Duration, clock: &dyn Clock) -> Work {
        let mut waiting = self.waiting.lock();
        waiting.busy_since = None;
        let linger = if waiting.writes() {
            LINGER.saturating_sub(busy)
        } else {
            LINGER
        };
        if !waiting.is_urgent() && !waiting.writes() {
            self.work.wait_for(&mut waiting, TICK);
        }
        if !waiting.is_urgent() && waiting.writes() {
            self.work
                .wait_while_for(&mut waiting, |waiting| !waiting.is_urgent(), linger);
        }
        let waiting = &mut *waiting;
        let mut work = Work {
            job: waiting.job.take(),
            reserve: waiting
                .wants_revisions()
                .then(|| Revision(waiting.newest.0 + waiting.wished + waiting.reserved)),
            newest: waiting.newest,
            stop: waiting.stop,
            ..Work::default()
        };
        waiting.wished = 0;
        let finishes = work
            .job
            .as_ref()
            .is_some_and(|ordered| matches!(ordered.job, Job::Finish));
        if waiting.mode == Mode::Open || (finishes && matches!(waiting.mode, Mode::Recovering(_))) {
            work.blocks = std::mem::take(&mut waiting.blocks);
            waiting.in_flight = std::mem::take(&mut waiting.waiters);
            work.unacknowledged = waiting.in_flight.iter().map(|waiter| waiter.count).sum();
            waiting.bytes = 0;
        }
        waiting.busy_since = Some(clock.mono());
        work
    }

    /// Whether what is committed is written.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.waiting.lock().mode.clone()
    }

    /// The newest revision that was given.
    #[must_use]
    pub fn newest(&self) -> Revision {
        self.waiting.lock().newest
    }

    /// What waits: bytes and mutations.
    #[must_use]
    pub fn load(&self) -> (u64, u64) {
        let waiting = self.waiting.lock();
        (waiting.bytes as u64, waiting.records())
    }

    /// All that was taken is written, up to `written`, and revisions up to `ceiling` are reserved. If it `opens` the queue
    /// all is written again from now on. Returns whether it comes in time; if not it is as if it were not written, since
    /// who waited for it was told so. See [`Self::fail_if_overdue`].
    #[must_use]
    pub fn written(&self, written: Revision, ceiling: Revision, opens: bool, now: Mono) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.mode == Mode::Failed {
            return false;
        }
        if opens {
            waiting.mode = Mode::Open;
            waiting.refused = None;
        }
        tell(std::mem::take(&mut waiting.in_flight), &Ok(()));
        waiting.busy_since = Some(now);
        waiting.acknowledged = waiting.acknowledged.max(written);
        waiting.ceiling = ceiling;
        drop(waiting);
        self.room.notify_waiters();
        true
    }

    /// The disk has failed. Returns how many acknowledged mutations were waiting, which are in memory only now.
    pub fn fail(&self, error: &str) -> u64 {
        let forgotten = self.waiting.lock().fail(error);
        self.room.notify_waiters();
        forgotten
    }

    /// The same, if the writer has been at one thing for `max`: nobody shall wait for a disk that does not answer. When
    /// the writer comes back after all it finds that it has failed. `say` says so, before anybody who waits is told. Returns
    /// `None` if it has not been so long.
    pub fn fail_if_overdue(&self, now: Mono, max: Duration, error: &str, say: impl FnOnce()) -> Option<u64> {
        let mut waiting = self.waiting.lock();
        let since = waiting.busy_since?;
        if waiting.mode == Mode::Failed || now.since(since) < max {
            return None;
        }
        say();
        let forgotten = waiting.fail(error);
        drop(waiting);
        self.room.notify_waiters();
        Some(forgotten)
    }

    /// The writer goes on to the next thing.
    pub fn goes_on(&self, now: Mono) {
        self.waiting.lock().busy_since = Some(now);
    }

    /// The writer has ended. Nobody is left waiting, should it have ended by a defect.
    pub fn end(&self) {
        let mut waiting = self.waiting.lock();
        waiting.stop = true;
        waiting.fail("its writer has ended");
        waiting.ended = true;
        waiting.busy_since = None;
        drop(waiting);
        self.room.notify_waiters();
        self.ended.notify_all();
    }

    /// Waits for so long, or until the writer has ended. Returns whether it has.
    pub fn wait_for_end(&self, max: Duration) -> bool {
        let mut waiting = self.waiting.lock();
        self.ended
            .wait_while_for(&mut waiting, |waiting| !waiting.ended, max);
        waiting.ended
    }

    /// The disk works again, and a checkpoint has to include all that was acknowledged until now. Returns how many
    /// acknowledged mutations were waiting, which are in memory only until then.
    pub fn recover(&self, ceiling: Revision) -> u64 {
        let mut waiting = self.waiting.lock();
        let forgotten = waiting.forget("the disk has failed");
        waiting.mode = Mode::Recovering(waiting.lost());
        waiting.ceiling = ceiling;
        forgotten
    }

    /// From now on durable writes are refused, for this reason; or they are not any more.
    pub fn refuse(&self, why: Option<String>) {
        let mut waiting = self.waiting.lock();
        if waiting.mode == Mode::Open {
            waiting.refused = why;
        }
    }

    /// No more is taken; what waits is written, and then the writer ends.
    pub fn stop(&self) {
        self.waiting.lock().stop = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }
}
