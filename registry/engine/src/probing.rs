//! The driver of the probes: takes who is due from the catalog's schedule, has them asked, and hands in what they said.
//!
//! One task takes and hands in; each probe in flight runs in a task of its own, in bounded number, since it is mostly
//! waiting. Who is due, and what a result means, is the catalog's to say ([`beatrix_core::catalog`]); how one asks is
//! behind [`Probing`], so that the engine knows neither HTTP nor TLS, and tests need no network.
//!
//! The catalog's lock is held to take and to hand in, for all that can be at that moment, and never while anybody is asked.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Catalog, ProbeDone, ProbeTask};
use beatrix_core::liveness::{Finding, LivenessClock, ProbeResult};
use beatrix_core::model::{Endpoint, Mono, ProbeSpec};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// Beyond its own timeout a probe is given this long to notice that. Then it is given up.
const GRACE: Duration = Duration::from_secs(2);

/// How many results are handed in, or probes begun, in one hold of the lock: others wait for it meanwhile.
const BATCH_MAX: usize = 256;

/// A probe that is being made.
pub type Asking = Pin<Box<dyn Future<Output = ProbeResult> + Send>>;

/// Asks instances how they are.
pub trait Probing: std::fmt::Debug + Send + Sync + 'static {
    /// Asks `endpoint` what `spec` says. Ends by the spec's timeout. Is dropped when nobody wants to know any more.
    fn probe(&self, endpoint: Endpoint, spec: Arc<ProbeSpec>) -> Asking;
}

/// The driver. See the module.
#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) catalog: Arc<Mutex<Catalog>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) liveness: Arc<LivenessClock>,
    pub(crate) probing: Arc<dyn Probing>,
    /// Somebody came to be due sooner than was known.
    pub(crate) sooner: Arc<Notify>,
    /// Tells the owner that it has something to decide.
    pub(crate) owner: OwnerBell,
    pub(crate) stop: CancellationToken,
}

/// Rings when the owner has something to decide about probes. Rings that nobody heard yet are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct OwnerBell(Arc<Notify>);

impl OwnerBell {
    fn ring(&self) {
        self.0.notify_one();
    }

    /// Resolves when it has rung since this last resolved.
    pub(crate) async fn heard(&self) {
        self.0.notified().await;
    }
}

impl Driver {
    /// Runs until the registry stops. What is in flight then is dropped.
    pub(crate) async fn run(self) {
        let mut flying: JoinSet<ProbeDone> = JoinSet::new();
        loop {
            let next = self.begin(&mut flying);
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                Some(done) = flying.join_next() => self.hand_in(done.ok(), &mut flying),
                () = self.sooner.notified() => {}
                () = self.until(next) => {}
            }
        }
    }

    /// Begins all that is due. Returns when the next is.
    fn begin(&self, flying: &mut JoinSet<ProbeDone>) -> Option<Mono> {
        loop {
            let live = self.live();
            let (due, next) = {
                let mut catalog = self.catalog.lock();
                let due = catalog.probes_due(live, self.liveness.stalled(), BATCH_MAX);
                (due, catalog.next_probe())
            };
            let all = due.len() < BATCH_MAX;
            for task in due {
                flying.spawn(ask(Arc::clone(&self.probing), task));
            }
            if all {
                return next;
            }
        }
    }

    /// Hands in what has come to an end by now.
    fn hand_in(&self, first: Option<ProbeDone>, flying: &mut JoinSet<ProbeDone>) {
        let mut done: Vec<ProbeDone> = first.into_iter().collect();
        while done.len() < BATCH_MAX
            && let Some(next) = flying.try_join_next()
        {
            done.extend(next.ok());
        }
        // In this order: whoever looks at the clock finds the stall that there was.
        let live = self.live();
        let (at, stalled) = (self.clock.wall(), self.liveness.stalled());
        let decide = self.catalog.lock().probed(done, live, at, stalled);
        if decide {
            self.owner.ring();
        }
    }

    async fn until(&self, next: Option<Mono>) {
        match next {
            Some(next) => tokio::time::sleep(next.since(self.live())).await,
            None => std::future::pending().await,
        }
    }

    fn live(&self) -> Mono {
        self.liveness.at(self.clock.mono())
    }
}

/// Makes one probe of the schedule.
async fn ask(probing: Arc<dyn Probing>, task: ProbeTask) -> ProbeDone {
    ProbeDone {
        ticket: task.ticket,
        result: Some(asked(probing, task.endpoint, task.spec).await),
    }
}

/// Makes one probe. It ends in any case, also if who asks does not, or panics: its place in the schedule would be lost.
pub(crate) async fn asked(
    probing: Arc<dyn Probing>,
    endpoint: Endpoint,
    spec: Arc<ProbeSpec>,
) -> ProbeResult {
    let limit = spec.timeout() + GRACE;
    let asked = std::panic::catch_unwind(AssertUnwindSafe(|| probing.probe(endpoint, spec)));
    let asking = async move {
        match asked {
            Ok(asking) => Caught(asking).await,
            Err(_) => None,
        }
    };
    let result = tokio::time::timeout(limit, asking).await.ok().flatten();
    result.unwrap_or_else(given_up)
}

fn given_up() -> ProbeResult {
    ProbeResult {
        finding: Finding::Unasked,
        word: "given_up",
        text: "the registry could not ask: the probe did not end".into(),
        took: Duration::ZERO,
    }
}

/// A future whose panic is the end of it, and `None`.
struct Caught(Asking);

impl Future for Caught {
    type Output = Option<ProbeResult>;

    fn poll(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<ProbeResult>> {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)));
        match polled {
            Ok(polled) => polled.map(Some),
            // What panicked is not polled again: the task ends with this.
            Err(_) => std::task::Poll::Ready(None),
        }
    }
}
