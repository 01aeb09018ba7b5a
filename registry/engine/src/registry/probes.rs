//! Probes, as far as doors have to do with them.

use beatrix_core::catalog::ProbeReport;
use beatrix_core::liveness::ProbeCounts;
use beatrix_core::model::{Endpoint, ServiceKey};

use super::Registry;

impl Registry {
    /// Whether instances are probed at all.
    #[must_use]
    pub fn probes(&self) -> bool {
        self.inner.config.catalog.probes.enabled
    }

    /// Has an instance probed now, before its turn. Returns whether it is one that is probed.
    pub fn probe_now(&self, service: &ServiceKey, endpoint: &Endpoint) -> bool {
        let live = self.live_now();
        let ordered = self.inner.catalog.lock().probe_now(service, endpoint, live);
        if ordered {
            self.inner.sooner.notify_one();
        }
        ordered
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
