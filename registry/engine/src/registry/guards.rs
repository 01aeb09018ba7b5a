//! The mass-expiry guard in an operator's hand, and as people see it.

use std::time::Duration;

use beatrix_core::liveness::{FORCE_MAX, GuardReading};
use beatrix_core::model::{Mono, ServiceKey, Wall};
use tokio::sync::oneshot;

use super::Registry;
use super::noticed::shown;
use super::owner::Request;
use super::write::WriteError;

/// A guard as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuardScope {
    /// Whether it holds.
    pub holding: bool,
    /// Whether it does so because an operator forced it.
    pub forced: bool,
    /// Since when it holds.
    pub since: Option<Wall>,
    /// When it ends at the latest.
    pub until: Option<Wall>,
    /// How many instances it protects.
    pub suspects: u32,
    /// How many instances there are that live by beats, with those who were removed within the window.
    pub population: u32,
    /// How many of them fell silent within the window.
    pub silent: u32,
}

impl GuardScope {
    pub(super) fn of(reading: GuardReading, now: Mono, wall: Wall) -> Self {
        let shown = |at: Mono| shown(at, now, wall);
        Self {
            holding: reading.since.is_some(),
            forced: reading.forced,
            since: reading.since.map(shown),
            until: reading.until.map(shown),
            suspects: reading.suspects,
            population: reading.population,
            silent: reading.silent,
        }
    }
}

impl Registry {
    /// Ends the mass-expiry guard by hand, in one service or everywhere. Returns whether it held.
    pub async fn end_guard(&self, service: Option<ServiceKey>) -> bool {
        let (reply, answer) = oneshot::channel();
        let by = self.origin;
        let request = Request::EndGuard { service, by, reply };
        if self.inner.owner.send(request).await.is_err() {
            return false;
        }
        answer.await.unwrap_or(false)
    }

    /// Has the mass-expiry guard hold by hand, in one service or in the whole registry, for so long or, if that is not
    /// said, for as long as one holds at most that trips; at most for [`FORCE_MAX`]. A restart of the registry ends it.
    ///
    /// # Errors
    /// If there is no such service, or the registry is stopping.
    pub async fn force_guard(
        &self,
        service: Option<ServiceKey>,
        lasts: Option<Duration>,
    ) -> Result<GuardScope, WriteError> {
        let lasts = lasts
            .unwrap_or(self.inner.config.catalog.guard.hold_max)
            .min(FORCE_MAX);
        let (reply, answer) = oneshot::channel();
        let request = Request::ForceGuard {
            service,
            lasts,
            by: self.origin,
            reply,
        };
        let sent = self.inner.owner.send(request).await;
        sent.map_err(|_| WriteError::Stopping)?;
        let reading = answer.await.unwrap_or(Err(WriteError::Stopping))?;
        Ok(GuardScope::of(reading, self.live_now(), self.wall()))
    }
}
