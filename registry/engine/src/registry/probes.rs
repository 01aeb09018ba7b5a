//! Probes, as far as doors have to do with them.

use std::time::Duration;

use beatrix_core::catalog::ProbeReport;
use beatrix_core::liveness::ProbeCounts;
use beatrix_core::model::{Endpoint, ServiceKey};

use super::Registry;
use crate::looks::{ONCE_IN, Refused};

/// An instance is probed out of turn once within this time, for those who order that.
pub const ORDER_ONCE_IN: Duration = ONCE_IN;

/// What came of an order to probe an instance now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOrder {
    /// It is probed.
    Ordered,
    /// There is no such instance, or it does not live by probes.
    NotProbed,
    /// It was ordered within [`ORDER_ONCE_IN`].
    TooSoon,
    /// So many were ordered within that time that no others are.
    TooMany,
}

impl From<Refused> for ProbeOrder {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooSoon => Self::TooSoon,
            Refused::TooMany => Self::TooMany,
        }
    }
}

impl Registry {
    /// Whether instances are probed at all.
    #[must_use]
    pub fn probes(&self) -> bool {
        self.inner.config.catalog.probes.enabled
    }

    /// Has an instance probed now, before its turn; each once in [`ORDER_ONCE_IN`], since strangers order.
    pub fn probe_now(&self, service: &ServiceKey, endpoint: &Endpoint) -> ProbeOrder {
        let live = self.live_now();
        let instance = (service.clone(), endpoint.clone());
        let mut recent = self.inner.ordered.lock();
        if let Some(refused) = recent.refuses(&instance, live) {
            return refused.into();
        }
        if !self.inner.catalog.lock().probe_now(service, endpoint, live) {
            return ProbeOrder::NotProbed;
        }
        recent.take(instance, live);
        drop(recent);
        self.inner.sooner.notify_one();
        ProbeOrder::Ordered
    }

    /// What is known about the probes of an instance. `None` if there is no such instance, or it does not live by them.
    #[must_use]
    pub fn probe_report(&self, service: &ServiceKey, endpoint: &Endpoint) -> Option<ProbeReport> {
        let live = self.live_now();
        self.inner.catalog.lock().probe_report(service, endpoint, live)
    }

    /// What came of all probes so far.
    #[must_use]
    pub fn probe_counts(&self) -> ProbeCounts {
        self.inner.catalog.lock().probe_counts()
    }
}
