//! Draining: taking an instance out of traffic, and knowing when nobody sends to it any more.
//!
//! The mark itself is the operator's layer: it stands until an operator ends it, also over a restart and whoever stops
//! waiting. What is here is the waiting. A drain is complete when
//!
//! - everybody who was subscribed to the service and acknowledges has acknowledged the revision of the mark, and then
//! - the instance, if it ever said how many requests it has in flight, has said that there are none; or
//! - the instance has gone.
//!
//! It ends incomplete at each asker's own deadline, or when the mark is taken off. Those who drain the same instance
//! share one drain. Nothing runs for one that nobody waits for: how far it is is found when somebody asks.
//!
//! # Doors
//!
//! A door takes part by what it tells the hub, and nothing else: it subscribes with [`Subscribe::acks`], says by
//! [`Subscribe::parting`] what it means when the subscriber leaves, gives him a name that says which door he is behind,
//! and calls [`Hub::acknowledge`] with the revision of whatever he has acknowledged. The watch stream and UDP push of
//! Nacos do. A door over connections that acknowledges pushes (gRPC) does as the watch stream: its subscribers leave with
//! their connection, and a push response is the acknowledgement of the revision that was pushed.
//!
//! A connection that breaks says nothing: whoever was behind it may come back in a moment, and sends to the instance
//! meanwhile. So he is waited for until he comes back by his name and acknowledges, at most [`BROKEN_GRACE`]; then he is
//! taken to be gone, and named. Who broke off before the drain began is not asked at all.
//!
//! [`BROKEN_GRACE`]: crate::hub::BROKEN_GRACE
//!
//! Clients that only poll cannot acknowledge, and the registry does not keep who polls: they are not counted among those
//! without acknowledgements either. They know at their next poll.
//!
//! [`Subscribe::acks`]: crate::hub::Subscribe::acks
//! [`Subscribe::parting`]: crate::hub::Subscribe::parting
//! [`Hub::acknowledge`]: crate::hub::Hub::acknowledge

mod in_flight;
mod under_way;

use std::sync::Arc;
use std::time::Duration;

use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Endpoint, Lease, OperatorPatch, Revision, ServiceKey};

use super::Registry;
use super::write::{WriteError, Written};
use under_way::Drain;

pub use in_flight::InFlight;
pub(super) use under_way::Drains;

/// How many may wait for drains at once. Each looks again at whatever is applied.
pub const DRAINS_WAITING_MAX: usize = 1_024;

/// How a drain came out, or how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// The revision that subscribers have to acknowledge.
    pub revision: Revision,
    /// Names of those who acknowledged it, or left and so use the instance no more.
    pub acknowledged: Vec<String>,
    /// Names of those who have not.
    pub waiting: Vec<String>,
    /// Names of those whose connection broke and who did not come back in time: taken to be gone.
    pub gone: Vec<String>,
    /// How many subscribers never acknowledge anything.
    pub without_acks: usize,
    /// How many requests the instance said last that it has in flight, if it ever did.
    pub in_flight: Option<InFlight>,
    /// Whether nobody sends to the instance any more, as far as is known.
    pub complete: bool,
    /// What ended it, if that was something else.
    pub ended: Option<DrainEnd>,
}

/// What ends a drain before everybody has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainEnd {
    /// The instance has gone: it deregistered, expired, or another run has taken its place.
    Removed,
    /// The mark was taken off.
    Cancelled,
}

impl DrainEnd {
    /// The end as one word; part of the native API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Registry {
    /// Marks an instance draining, and answers when the drain is complete, or at the deadline. It stays draining until an
    /// operator ends that.
    ///
    /// # Errors
    /// If there is no such instance, or [`DRAINS_WAITING_MAX`] wait already; then nothing is marked.
    ///
    /// # Cancel safety
    /// Once the mark is set it stays, also when the future is dropped; only the waiting ends.
    pub async fn drain(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        deadline: Duration,
    ) -> Result<Drained, WriteError> {
        let deadline = tokio::time::Instant::now() + deadline;
        let drains = &self.inner.drains;
        let Some(_waiting) = drains.waiting() else {
            let (limit, max) = ("drains_waiting_max", DRAINS_WAITING_MAX);
            return Err(Refusal::Limit { limit, max }.into());
        };
        self.mark(&service, &endpoint, true).await?;
        let drain = match self.draining(&service, &endpoint) {
            Some((lease, revision)) => drains.joined(self, &service, &endpoint, lease, revision, false),
            // It has gone already.
            None => Arc::new(Drain::of_nobody(self.version().revision)),
        };
        loop {
            let (acknowledged, news) = (self.hub().acknowledged(), drains.news());
            tokio::pin!(acknowledged, news);
            // Registered before looking, so that what happens in between is not missed.
            acknowledged.as_mut().enable();
            news.as_mut().enable();
            let over = tokio::time::Instant::now() >= deadline || self.is_stopping();
            if drain.is_done(self) || over {
                return Ok(drain.told(self));
            }
            let look_at = drain.gives_up_at().map_or(deadline, |at| at.min(deadline));
            // Whichever it is, it looks again.
            tokio::select! {
                () = acknowledged => {}
                () = news => {}
                () = self.stopping() => {}
                () = tokio::time::sleep_until(look_at) => {}
            }
        }
    }

    /// How far the drain of an instance is. `None` if it does not drain.
    ///
    /// # Errors
    /// If there is no such instance.
    pub fn drain_progress(
        &self,
        service: &ServiceKey,
        endpoint: &Endpoint,
    ) -> Result<Option<Drained>, WriteError> {
        let Some(view) = self.view(service.borrowed()) else {
            return Err(Refusal::ServiceNotFound(service.clone()).into());
        };
        if view.get(endpoint).is_none() {
            return Err(Refusal::InstanceNotFound(service.clone(), endpoint.clone()).into());
        }
        let Some((lease, revision)) = self.draining(service, endpoint) else {
            return Ok(None);
        };
        let drain = self
            .inner
            .drains
            .joined(self, service, endpoint, lease, revision, true);
        Ok(Some(drain.told(self)))
    }

    /// Takes the mark off: the instance gets traffic again, and whoever waits for its drain is told.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn cancel_drain(&self, service: ServiceKey, endpoint: Endpoint) -> Result<Written, WriteError> {
        self.mark(&service, &endpoint, false).await
    }

    /// Takes how many requests an instance has in flight, as it says itself. Returns whether there is such a lease.
    pub fn report_in_flight(&self, lease: Lease, count: u64) -> bool {
        self.report_all_in_flight(vec![(lease, count)]) == 1
    }

    /// The same for many. Returns how many of the leases there are.
    pub fn report_all_in_flight(&self, mut said: Vec<(Lease, u64)>) -> usize {
        if said.is_empty() {
            return 0;
        }
        {
            // Locked once for all, and not under the lock of the reports.
            let catalog = self.inner.catalog.lock();
            said.retain(|(lease, _)| catalog.holder(*lease).is_some());
        }
        if !said.is_empty() {
            let is_known = |lease| self.inner.catalog.lock().holder(lease).is_some();
            self.inner.drains.report(&said, self.wall(), is_known);
        }
        said.len()
    }

    async fn mark(
        &self,
        service: &ServiceKey,
        endpoint: &Endpoint,
        draining: bool,
    ) -> Result<Written, WriteError> {
        let patch = OperatorPatch {
            draining: Some(draining),
            ..OperatorPatch::default()
        };
        self.operate(service.clone(), endpoint.clone(), patch).await
    }

    /// The lease of an instance that an operator drains, and the revision of its last change: if it drained already the
    /// one of then is enough.
    fn draining(&self, service: &ServiceKey, endpoint: &Endpoint) -> Option<(Lease, Revision)> {
        // Together, or they might be of two runs of the process.
        let catalog = self.inner.catalog.lock();
        let standing = catalog.standing(service.borrowed(), endpoint)?;
        let view = catalog.view(service.borrowed())?;
        let member = view.get(endpoint)?;
        let draining = member.record.operator().is_some_and(|layer| layer.draining);
        draining.then_some((standing.lease, member.state.revision))
    }
}
