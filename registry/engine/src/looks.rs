//! Looking at instances that consumers cannot reach.
//!
//! When enough consumers report an instance the catalog orders a look ([`RecheckOrder`]). One that lives by probes is
//! probed out of turn, which counts as any probe does. Of any other one connection to its address is tried, by the same
//! prober and with the same refusals; what comes of it is shown beside the reports and decides nothing, since the registry
//! may well reach what a consumer cannot.
//!
//! Consumers order looks, so these are bounded: in number, in time, and how often one instance is looked at. An order
//! beyond that is dropped; the mark stands without it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Catalog, RecheckOrder};
use beatrix_core::liveness::{Finding, LivenessClock, ProbeResult, RecheckReading};
use beatrix_core::model::{Endpoint, LivenessKind, Mono, ProbeKind, ProbePlan, ProbeSpec, ServiceKey};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::probing::{Probing, asked};

/// How many orders may wait.
pub(crate) const ORDERS_MAX: usize = 1024;
/// How many instances are looked at at once. The others wait.
pub(crate) const IN_FLIGHT_MAX: usize = 16;
/// How long a look may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// An instance is looked at once within this time.
pub(crate) const ONCE_IN: Duration = Duration::from_secs(5);
/// Of how many instances it is known that they were looked at within that time. While there are so many, no others are.
pub(crate) const RECENT_MAX: usize = 4096;

/// Who looks. See the module.
#[derive(Debug)]
pub(crate) struct Looks {
    pub(crate) catalog: Arc<Mutex<Catalog>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) liveness: Arc<LivenessClock>,
    pub(crate) probing: Arc<dyn Probing>,
    /// Tells the driver of the probes that somebody is to be probed out of turn.
    pub(crate) sooner: Arc<Notify>,
    /// From the owner.
    pub(crate) orders: mpsc::Receiver<RecheckOrder>,
    pub(crate) stop: CancellationToken,
}

type Looked = (ServiceKey, Endpoint, ProbeResult);

impl Looks {
    /// Runs until the registry stops, or its owner is gone. What is in flight then is dropped.
    pub(crate) async fn run(mut self) {
        let mut flying: JoinSet<Looked> = JoinSet::new();
        let mut recent = Recent::default();
        let plan = ProbePlan {
            timeout: Some(TIMEOUT),
            ..ProbePlan::default()
        };
        let spec = match ProbeSpec::new(ProbeKind::Tcp, plan) {
            Ok(spec) => Arc::new(spec),
            Err(invalid) => {
                tracing::error!(%invalid, "nobody looks at what consumers cannot reach");
                return;
            }
        };
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                Some(looked) = flying.join_next() => {
                    if let Ok(looked) = looked {
                        self.keep(looked);
                    }
                }
                order = self.orders.recv(), if flying.len() < IN_FLIGHT_MAX => match order {
                    Some(order) => self.begin(order, &mut recent, &spec, &mut flying),
                    None => return,
                },
            }
        }
    }

    fn begin(
        &self,
        order: RecheckOrder,
        recent: &mut Recent,
        spec: &Arc<ProbeSpec>,
        flying: &mut JoinSet<Looked>,
    ) {
        let RecheckOrder {
            service,
            endpoint,
            liveness,
        } = order;
        let live = self.live();
        if !recent.take((service.clone(), endpoint.clone()), live) {
            return;
        }
        if liveness == LivenessKind::Probe {
            if self.catalog.lock().probe_now(&service, &endpoint, live) {
                self.sooner.notify_one();
            }
            return;
        }
        let (probing, spec) = (Arc::clone(&self.probing), Arc::clone(spec));
        flying.spawn(async move {
            let result = asked(probing, endpoint.clone(), spec).await;
            (service, endpoint, result)
        });
    }

    fn keep(&self, (service, endpoint, result): Looked) {
        let found = RecheckReading {
            at: self.live(),
            good: result.finding == Finding::Good,
            text: format!("tcp: {}", result.text).into(),
        };
        let mut catalog = self.catalog.lock();
        catalog.rechecked(service.borrowed(), &endpoint, found);
    }

    fn live(&self) -> Mono {
        self.liveness.at(self.clock.mono())
    }
}

type Instance = (ServiceKey, Endpoint);

/// Why one may not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It was, lately.
    TooSoon,
    /// So many were that nobody else is.
    TooMany,
}

/// Who was looked at lately; or, elsewhere, was ordered to be probed.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    known: HashSet<Instance>,
    in_order: VecDeque<(Mono, Instance)>,
}

impl Recent {
    /// Whether this one may be looked at now. Then it counts as looked at.
    pub(crate) fn take(&mut self, instance: Instance, now: Mono) -> bool {
        if self.refuses(&instance, now).is_some() {
            return false;
        }
        self.known.insert(instance.clone());
        self.in_order.push_back((now, instance));
        true
    }

    /// Why this one may not be looked at now.
    pub(crate) fn refuses(&mut self, instance: &Instance, now: Mono) -> Option<Refused> {
        while let Some((_, old)) = self.in_order.pop_front_if(|(at, _)| now.since(*at) >= ONCE_IN) {
            self.known.remove(&old);
        }
        if self.known.contains(instance) {
            Some(Refused::TooSoon)
        } else {
            (self.in_order.len() >= RECENT_MAX).then_some(Refused::TooMany)
        }
    }
}
