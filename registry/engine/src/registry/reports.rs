//! What consumers say about instances that they cannot reach.
//!
//! A report is a measurement like a beat: it is noted at once, and is no write. Only when enough of them have come is the
//! owner woken, who has the mark committed like any other change.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::{Command, Explanation, FailureReport, ReportOutcome};
use beatrix_core::liveness::{Consumer, RecheckReading, Reports};
use beatrix_core::model::{Endpoint, ServiceKey, ServiceRef};

use super::Registry;
use super::owner::Request;
use super::write::{WriteError, Written};
use crate::config::ReportPace;
use crate::pace::Pace;

/// How many consumers, and how many addresses, the pace is kept of.
pub const PACED_MAX: u64 = 100_000;

/// What a consumer says about one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerReport {
    /// The service.
    pub service: ServiceKey,
    /// The instance.
    pub endpoint: Endpoint,
    /// How many attempts failed.
    pub failures: u32,
    /// Within which time before the report.
    pub within: Duration,
    /// What the last of them failed with; doors keep it short.
    pub error: Box<str>,
}

/// Why nobody listened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// This consumer reports too often.
    #[error("this consumer reports too often: wait {0:?}")]
    Consumer(Duration),
    /// All consumers at this address together do.
    #[error("too many reports from this address: wait {0:?}")]
    Address(Duration),
}

/// Who may report how often.
#[derive(Debug)]
pub(super) struct Paces {
    consumers: Pace<Consumer>,
    addresses: Pace<IpAddr>,
}

impl Paces {
    pub(super) fn new(pace: &ReportPace) -> Self {
        Self {
            consumers: Pace::new(pace.per_consumer, pace.per_consumer_burst, PACED_MAX),
            addresses: Pace::new(pace.per_address, pace.per_address_burst, PACED_MAX),
        }
    }
}

/// How much of what consumers may say is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportUse {
    /// Of how many instances reports are kept.
    pub instances: usize,
    /// How many reporters are kept, each once for each instance.
    pub reports: usize,
    /// How many were forgotten before their time, for want of room.
    pub forgotten: u64,
    /// How many consumers the pace is kept of, or about.
    pub paced: u64,
}

impl Registry {
    /// Takes what a consumer says, which is known by its id and the address of this handle's peer. Returns the places of
    /// those reports that are about no instance there is; they change nothing.
    ///
    /// # Errors
    /// If it, or all at its address, report too often. Then nothing was noted.
    pub fn report_failures(
        &self,
        consumer: Arc<str>,
        reports: &[ConsumerReport],
    ) -> Result<Vec<usize>, ReportError> {
        // Without a connection, as in a test, all are at one address.
        let peer = self.origin.peer.map(|peer| peer.ip());
        let by = Consumer {
            id: consumer,
            address: peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let now = self.inner.clock.mono();
        let paces = &self.inner.paces;
        paces
            .addresses
            .take(by.address, now)
            .map_err(ReportError::Address)?;
        paces
            .consumers
            .take(by.clone(), now)
            .map_err(ReportError::Consumer)?;

        let watching: Vec<usize> = reports
            .iter()
            .map(|report| self.inner.hub.watching(&report.service))
            .collect();
        let (mut unknown, mut due) = (Vec::new(), false);
        let now = self.live_now();
        let mut catalog = self.inner.catalog.lock();
        for (place, report) in reports.iter().enumerate() {
            let said = FailureReport {
                service: report.service.borrowed(),
                endpoint: &report.endpoint,
                failures: report.failures,
                within: report.within,
                error: &report.error,
                consumers: watching[place],
            };
            match catalog.report(&by, said, now) {
                ReportOutcome::Unknown => unknown.push(place),
                ReportOutcome::Noted => {}
                ReportOutcome::Due => due = true,
            }
        }
        drop(catalog);
        if due {
            // Should its queue be full it looks soon by itself.
            let _dropped_if_full = self.inner.owner.try_send(Request::Look);
        }
        Ok(unknown)
    }

    /// Forgets what consumers say about an instance, by an operator's hand.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn end_reports(&self, service: ServiceKey, endpoint: Endpoint) -> Result<Written, WriteError> {
        self.write(Command::EndReports { service, endpoint }).await
    }

    /// Tells what came of a look at an instance that consumers cannot reach, for who looks beside the registry itself.
    pub fn rechecked(&self, service: ServiceRef<'_>, endpoint: &Endpoint, good: bool, text: &str) {
        let found = RecheckReading {
            at: self.live_now(),
            good,
            text: text.into(),
        };
        self.inner.catalog.lock().rechecked(service, endpoint, found);
    }

    /// Why an instance is as it is, or was. `None` of one of whom nothing is known.
    #[must_use]
    pub fn explain(&self, service: ServiceRef<'_>, endpoint: &Endpoint) -> Option<Explanation> {
        let now = self.live_now();
        self.inner.catalog.lock().explain(service, endpoint, now)
    }

    pub(super) fn report_use(&self, reports: &Reports) -> ReportUse {
        ReportUse {
            instances: reports.instances(),
            reports: reports.len(),
            forgotten: reports.forgotten(),
            paced: self.inner.paces.consumers.keys(),
        }
    }
}
