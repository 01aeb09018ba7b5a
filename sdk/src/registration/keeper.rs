//! The task that keeps all registrations of a client alive, and what registers and deregisters.
//!
//! Per instance there is one registration or deregistration under way at a time (the gate in the book), and a
//! closed entry is looked for again once the gate is passed. So what was deregistered is never registered again,
//! whatever answer to a beat comes in meanwhile.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::{BeatResponse, DeclaredStatus, RegisterResponse, problem};
use parking_lot::Mutex;
use reqwest::Method;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::batch::Batch;
use super::book::{Book, EntryId, Farewell, Work};
use super::entry::Seen;
use super::instance::Prepared;
use crate::Error;
use crate::backoff::Backoff;
use crate::name::encode;
use crate::transport::{Call, Transport};

/// By how much of its interval a beat comes early or late.
const JITTER: f64 = 0.1;
/// How many instances are registered again at the same time; the others wait in the book.
const RECOVERIES_MAX: usize = 16;
const BEAT_RETRY_WAIT_MIN: Duration = Duration::from_millis(100);
const BEAT_RETRY_WAIT_MAX: Duration = Duration::from_secs(5);
const RECOVERY_WAIT_MIN: Duration = Duration::from_millis(100);
const RECOVERY_WAIT_MAX: Duration = Duration::from_secs(10);
/// The shortest time that a beat is given. Below it a busy registry would be asked again and again.
const BEAT_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// The registrations of a client.
#[derive(Debug)]
pub(crate) struct Keeper {
    book: Mutex<Book>,
    /// Something may be due earlier than the task thinks.
    wake: Notify,
    transport: Arc<Transport>,
}

impl Keeper {
    pub(crate) fn new(transport: Arc<Transport>) -> Self {
        Self {
            book: Mutex::default(),
            wake: Notify::new(),
            transport,
        }
    }

    pub(super) fn open(&self, instance: Prepared) -> (EntryId, watch::Receiver<Seen>) {
        self.book.lock().open(instance, Instant::now())
    }

    /// Registers for the first time: attempts until one succeeds, fails for good, or the time for a call is over.
    pub(super) async fn register(&self, id: EntryId) -> Result<(), Error> {
        let Some(work) = self.work(id) else { return Ok(()) };
        let deadline = Instant::now() + self.transport.operation_timeout;
        let mut waits = self.transport.backoff();
        let _turn = work.gate.lock().await;
        loop {
            if !self.book.lock().is_open(id) {
                let rule = "was registered again by this client before its first registration was done";
                return Err(Error::invalid("instance", &*work.instance.authority, rule));
            }
            let Err(error) = self.attempt(id, &work).await else {
                self.wake.notify_one();
                return Ok(());
            };
            let wait = waits.next().unwrap_or_default();
            if !error.is_retryable() || Instant::now() + wait >= deadline {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Deregisters what was closed: attempts until the time for a call is over. The entry is gone afterwards, even
    /// if the registry could not be told; then silence ends the instance.
    pub(super) async fn deregister(&self, id: EntryId) -> Result<(), Error> {
        self.book.lock().close(id);
        let Some(work) = self.work(id) else { return Ok(()) };
        let _turn = work.gate.lock().await;
        let (farewell, is_needed) = {
            let book = self.book.lock();
            (book.farewell(id), book.may_be_registered(id))
        };
        let path = match farewell {
            _ if !is_needed => None,
            Farewell::Superseded => None,
            Farewell::Any => Some(work.instance.path.clone()),
            Farewell::Lease(lease) => Some(format!("{}?lease={}", work.instance.path, encode(&lease))),
        };
        let result = match path {
            Some(path) => self
                .transport
                .repeat(&Call::new(Method::DELETE, path))
                .await
                .map(drop),
            None => Ok(()),
        };
        self.book.lock().remove(id);
        match result {
            // It is gone, or another process has its address: in either case it is no longer ours.
            Err(error) if error.is_not_found() || error.is_kind(problem::kind::LEASE_MISMATCH) => Ok(()),
            other => other,
        }
    }

    /// Ends beats and registrations at once, without telling the registry.
    pub(super) fn close(&self, id: EntryId) {
        self.book.lock().close(id);
    }

    pub(super) fn may_be_registered(&self, id: EntryId) -> bool {
        self.book.lock().may_be_registered(id)
    }

    pub(super) fn forget(&self, id: EntryId) {
        self.book.lock().remove(id);
    }

    pub(super) fn set_status(&self, id: EntryId, status: DeclaredStatus, reason: Option<String>) {
        self.book.lock().set_status(id, status, reason, Instant::now());
        self.wake.notify_one();
    }

    /// The cluster and the lease of a registration that the registry has and that beats.
    pub(super) fn lease(&self, id: EntryId) -> Option<(String, String)> {
        self.book.lock().lease(id)
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Beats and registers again for as long as it is polled.
    pub(crate) async fn run(self: Arc<Self>) {
        let waits = Backoff::new(
            BEAT_RETRY_WAIT_MIN,
            BEAT_RETRY_WAIT_MAX,
            self.transport.dice.clone(),
        );
        let mut failing = Failing { waits, count: 0 };
        let mut recoveries: JoinSet<()> = JoinSet::new();
        loop {
            while recoveries.try_join_next().is_some() {}
            let free = RECOVERIES_MAX - recoveries.len();
            for id in self.book.lock().take_lost(Instant::now(), free) {
                recoveries.spawn(Arc::clone(&self).recover(id));
            }
            let next = self.book.lock().next_due(recoveries.len() < RECOVERIES_MAX);
            let mut due = pin!(sleep_until(next));
            tokio::select! {
                () = self.wake.notified() => {}
                Some(_) = recoveries.join_next() => {}
                () = &mut due => {}
            }
            let batches = self.book.lock().take_due(Instant::now());
            for batch in batches {
                self.beat(&batch, &mut failing).await;
            }
        }
    }

    async fn beat(&self, batch: &Batch, failing: &mut Failing) {
        let sent_at = Instant::now();
        let factor = self.transport.dice.around_one(JITTER);
        let timeout = self
            .transport
            .request_timeout
            .min(batch.interval().max(BEAT_TIMEOUT_MIN));
        let call = Call::new(Method::POST, "/api/v1/beats")
            .with_json(&batch.request())
            .with_timeout(timeout);
        let answer = self
            .transport
            .once(&call)
            .await
            .and_then(|answer| answer.json::<BeatResponse>());
        let now = Instant::now();
        let mut book = self.book.lock();
        match answer {
            Ok(response) => {
                if !response.unknown.is_empty() {
                    tracing::info!(
                        leases = response.unknown.len(),
                        "the registry does not know all leases"
                    );
                }
                book.renewed(batch, &response, sent_at, factor);
                failing.end();
            }
            Err(error) if error.is_kind(problem::kind::WRONG_CLUSTER) => {
                tracing::warn!(%error, "the registry is another one: registering again");
                book.wrong_cluster(batch, now);
            }
            Err(error) => {
                // Never more seldom than the beats would be.
                let wait = failing.next_wait().min(batch.interval());
                if !error.is_retryable() && batch.has_statuses() {
                    tracing::error!(%error, "a beat was refused: the statuses in it are dropped");
                    book.drop_statuses(batch);
                } else {
                    failing.tell(&error, wait);
                }
                book.beat_failed(batch, now + wait);
            }
        }
    }

    /// One attempt to register an instance again.
    async fn recover(self: Arc<Self>, id: EntryId) {
        let Some(work) = self.work(id) else { return };
        let _turn = work.gate.lock().await;
        if !self.book.lock().is_open(id) {
            return;
        }
        match self.attempt(id, &work).await {
            Ok(()) => {
                tracing::info!(service = %work.instance.key, instance = work.instance.authority, "registered again");
            }
            Err(error) => {
                let mut book = self.book.lock();
                let wait = self.recovery_wait(book.attempts(id), &error);
                tracing::warn!(
                    error = error.with_sources(), service = %work.instance.key, instance = work.instance.authority, ?wait,
                    "cannot register again"
                );
                book.recovery_failed(id, Instant::now() + wait);
            }
        }
    }

    fn recovery_wait(&self, attempts: u32, error: &Error) -> Duration {
        let mut waits = Backoff::new(RECOVERY_WAIT_MIN, RECOVERY_WAIT_MAX, self.transport.dice.clone());
        if !error.is_retryable() {
            waits.exhaust();
        }
        // The doubling reaches its end long before 16.
        waits.nth(attempts.min(16) as usize).unwrap_or(RECOVERY_WAIT_MAX)
    }

    /// One attempt to register. Its gate must be held.
    async fn attempt(&self, id: EntryId, work: &Work) -> Result<(), Error> {
        let was_doubtful = self.book.lock().sending(id);
        let call = Call::new(Method::PUT, &*work.instance.path).with_body(work.instance.body.clone());
        let sent_at = Instant::now();
        let answer = self
            .transport
            .once(&call)
            .await
            .and_then(|answer| answer.json::<RegisterResponse>());
        let mut book = self.book.lock();
        match answer {
            Ok(response) => {
                book.registered(id, &response, sent_at, self.transport.dice.around_one(JITTER));
                Ok(())
            }
            Err(error) => {
                if error.has_no_side_effects() {
                    book.not_registered(id, was_doubtful);
                }
                Err(error)
            }
        }
    }

    fn work(&self, id: EntryId) -> Option<Work> {
        self.book.lock().work(id)
    }
}

/// Beats that failed in a row.
#[derive(Debug)]
struct Failing {
    waits: Backoff,
    count: u32,
}

impl Failing {
    fn next_wait(&mut self) -> Duration {
        self.count += 1;
        self.waits.next().unwrap_or(BEAT_RETRY_WAIT_MAX)
    }

    /// Only the first of a row is a warning; the others would say the same again and again.
    fn tell(&self, error: &Error, wait: Duration) {
        if self.count == 1 {
            tracing::warn!(
                error = error.with_sources(),
                ?wait,
                "a beat failed: trying again and again"
            );
        } else {
            tracing::debug!(error = error.with_sources(), ?wait, "a beat failed");
        }
    }

    fn end(&mut self) {
        if self.count > 0 {
            tracing::info!(failed = self.count, "beats arrive again");
        }
        self.count = 0;
        self.waits.reset();
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
