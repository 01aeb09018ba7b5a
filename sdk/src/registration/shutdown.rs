//! Going without failing anybody's request: draining while the process says how much it has left to do, then goodbye.

use std::collections::BTreeMap;
use std::time::Duration;

use beatrix_wire::{BeatRequest, DrainResponse};
use reqwest::Method;
use tokio::time::Instant;

use super::Registration;
use crate::Error;
use crate::transport::Call;

/// How often the registry is told how many requests are in flight, while it waits for that.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// How often it is looked whether requests are in flight, once the registry waits for nobody.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Registration {
    /// As [`drain`](Self::drain), and waits as well until this process has no request in flight: `in_flight` says how
    /// many there are, and is asked again and again. Without callers who acknowledge there is only that to wait for.
    ///
    /// The registry is told by the lease. An instance without one, which is probed or static, cannot tell it; so `in_flight`
    /// is waited for here as well, whatever the registry says. It must not count what is asked for by a probe.
    ///
    /// The answer comes at the deadline, whatever is left; [`DrainResponse::complete`] tells.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    ///
    /// # Cancel safety
    /// The instance stays out of traffic when the future is dropped; only the waiting ends.
    pub async fn drain_with(
        &self,
        deadline: Duration,
        in_flight: impl Fn() -> u64 + Send + Sync,
    ) -> Result<DrainResponse, Error> {
        let until = Instant::now() + deadline;
        // Before it begins, so that the registry knows that there is something to wait for.
        self.report(in_flight()).await;
        let reports = async {
            loop {
                tokio::time::sleep(REPORT_EVERY).await;
                self.report(in_flight()).await;
            }
        };
        let drained = async {
            let mut drained = self.drain(deadline).await?;
            while drained.complete && in_flight() > 0 {
                if Instant::now() >= until {
                    drained.complete = false;
                    break;
                }
                tokio::time::sleep_until(until.min(Instant::now() + LOOK_EVERY)).await;
            }
            Ok(drained)
        };
        tokio::select! {
            drained = drained => drained,
            never = reports => never,
        }
    }

    /// Shuts down in order: out of traffic, everything that was begun is finished, and goodbye. It is deregistered also
    /// when the drain fails or is incomplete at the deadline; how it came out is told.
    ///
    /// ```no_run
    /// # async fn example(registration: beatrix_sdk::Registration) -> Result<(), beatrix_sdk::Error> {
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::Duration;
    ///
    /// let in_flight = Arc::new(AtomicU64::new(0));
    /// // … serve, and count in it …
    /// let count = || in_flight.load(Ordering::Relaxed);
    /// let drained = registration.shut_down(Duration::from_secs(30), count).await?;
    /// if !drained.complete {
    ///     println!("not everybody took note: {:?}", drained.waiting);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the registry could not be told to drain, or to forget the instance.
    ///
    /// # Cancel safety
    /// A future that is dropped before its end is as good as a dropped registration.
    pub async fn shut_down(
        self,
        deadline: Duration,
        in_flight: impl Fn() -> u64 + Send + Sync,
    ) -> Result<DrainResponse, Error> {
        let drained = self.drain_with(deadline, in_flight).await;
        let gone = self.deregister().await;
        let drained = drained?;
        gone.map(|()| drained)
    }

    /// Says how many requests are in flight. If that fails the next one says it.
    async fn report(&self, in_flight: u64) {
        // The lease of now: it may be another one since the last time.
        let Some((cluster_id, lease)) = self.client.keeper().lease(self.id) else {
            return;
        };
        let request = BeatRequest {
            cluster_id,
            leases: vec![lease.clone()],
            in_flight: BTreeMap::from([(lease, in_flight)]),
            ..BeatRequest::default()
        };
        let call = Call::new(Method::POST, "/api/v1/beats").with_json(&request);
        if let Err(error) = self.client.keeper().transport().once(&call).await {
            tracing::debug!(%error, "the registry was not told how many requests are in flight");
        }
    }
}
