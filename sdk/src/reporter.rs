//! Telling the registry which instances cannot be reached.
//!
//! Failures are counted for each instance and sent together: at most one request a second, only if there is something,
//! at no fixed beat. Nobody waits for it, and nothing is kept for a registry that is away: what still fails then is
//! reported anew.

use std::collections::HashMap;
use std::fmt::{Display, Write};
use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::{FailureReport, Instance, ReportRequest, ReportResponse};
use parking_lot::Mutex;
use reqwest::Method;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::ServiceKey;
use crate::transport::{Call, Transport};

/// The shortest time between two requests. The registry takes no more of one consumer for long.
const INTERVAL: Duration = Duration::from_secs(1);
/// By how much of it a request may come later.
const JITTER: f64 = 0.5;
/// How many instances wait to be reported; further ones are not noted.
const PENDING_MAX: usize = 1_000;
/// How many are in one request.
const REPORTS_MAX: usize = 100;
/// How much of an error is told, in bytes.
const ERROR_LEN_MAX: usize = 256;
/// How much of the client's name is told, in bytes. The registry takes ids of 128.
const NAME_LEN_MAX: usize = 100;
/// How far back a report reaches, in milliseconds.
const WINDOW_MS_MAX: u64 = 60_000;

/// Whom a failure is about.
type Subject = (ServiceKey, String, u16);

/// The failures of one instance since the last request.
#[derive(Debug)]
struct Failures {
    count: u32,
    first: Instant,
    error: String,
}

/// Collects failures and sends them.
#[derive(Debug)]
pub(crate) struct Reporter {
    pending: Mutex<HashMap<Subject, Failures>>,
    wake: Notify,
    transport: Arc<Transport>,
    /// Names this client among all that report.
    consumer: String,
}

impl Reporter {
    /// Reports under `name` and something that no other client has.
    pub(crate) fn new(transport: Arc<Transport>, name: Option<&str>) -> Self {
        let own = (transport.dice.unit() * f64::from(u32::MAX)) as u32;
        let consumer = consumer(name.unwrap_or("sdk"), own);
        Self {
            pending: Mutex::default(),
            wake: Notify::new(),
            transport,
            consumer,
        }
    }

    pub(crate) fn failed(&self, service: &ServiceKey, instance: &Instance, error: &dyn Display) {
        let subject = (service.clone(), instance.address.clone(), instance.port);
        let error = shortened(error);
        let mut pending = self.pending.lock();
        if pending.len() >= PENDING_MAX && !pending.contains_key(&subject) {
            return;
        }
        let failures = pending.entry(subject).or_insert_with(|| Failures {
            count: 0,
            first: Instant::now(),
            error: String::new(),
        });
        failures.count = failures.count.saturating_add(1);
        failures.error = error;
        drop(pending);
        self.wake.notify_one();
    }

    /// What failed before was not worth a report.
    pub(crate) fn succeeded(&self, service: &ServiceKey, instance: &Instance) {
        let mut pending = self.pending.lock();
        // Most often there is nothing.
        if !pending.is_empty() {
            pending.remove(&(service.clone(), instance.address.clone(), instance.port));
        }
    }

    /// Sends for as long as it is polled.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            self.wake.notified().await;
            // A moment, so that what fails together is told together, and a success can still take it back.
            let wait = INTERVAL.mul_f64(1.0 + self.transport.dice.unit() * JITTER);
            tokio::time::sleep(wait).await;
            let Some(request) = self.take() else { continue };
            let call = Call::new(Method::POST, "/api/v1/reports").with_json(&request);
            let answer = self.transport.once(&call).await;
            match answer.and_then(|answer| answer.json::<ReportResponse>()) {
                Ok(told) => tracing::debug!(
                    accepted = told.accepted,
                    unknown = told.unknown.len(),
                    "failures reported"
                ),
                Err(error) => tracing::debug!(%error, "failures could not be reported"),
            }
            if !self.pending.lock().is_empty() {
                self.wake.notify_one();
            }
        }
    }

    fn take(&self) -> Option<ReportRequest> {
        let now = Instant::now();
        let mut pending = self.pending.lock();
        let subjects: Vec<Subject> = pending.keys().take(REPORTS_MAX).cloned().collect();
        let reports: Vec<_> = subjects
            .into_iter()
            .filter_map(|subject| pending.remove_entry(&subject))
            .map(|((service, address, port), failures)| FailureReport {
                namespace: service.namespace().into(),
                group: service.group().into(),
                service: service.service().into(),
                address,
                port,
                failures: failures.count,
                window_ms: u64::try_from((now - failures.first).as_millis())
                    .unwrap_or(u64::MAX)
                    .min(WINDOW_MS_MAX),
                last_error: failures.error,
            })
            .collect();
        (!reports.is_empty()).then(|| ReportRequest {
            consumer: self.consumer.clone(),
            reports,
        })
    }
}

/// A name and a number, in as many bytes as the registry takes.
fn consumer(name: &str, own: u32) -> String {
    let mut end = name.len().min(NAME_LEN_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}-{own:08x}", &name[..end])
}

/// As much of an error as is told, in one line.
fn shortened(error: &dyn Display) -> String {
    let mut text = String::new();
    // Writing into memory fails only if the error's own text does; then what there is is told.
    let _what_there_is = write!(text, "{error}");
    let mut short = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if short.len() + c.len_utf8() > ERROR_LEN_MAX {
            break;
        }
        short.push(c);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_consumer_is_cut_by_bytes_and_between_characters() {
        for (name, bytes) in [
            ("orders", 6),
            (&"o".repeat(300), 100),
            (&"🦀".repeat(50), 100),
            (&"日".repeat(64), 99),
        ] {
            let id = consumer(name, 0xabcd);
            assert_eq!(id.len(), bytes + 9, "{id}");
            assert!(id.len() <= 128 && id.ends_with("-0000abcd"));
        }
    }

    #[test]
    fn an_error_is_told_in_one_short_line() {
        assert_eq!(shortened(&"a\nb"), "a b");
        let long = shortened(&"é".repeat(300));
        assert_eq!((long.len(), long.chars().count()), (256, 128));
    }
}
