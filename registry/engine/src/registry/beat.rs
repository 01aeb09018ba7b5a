//! Beats: the path that is taken most.

use std::time::Duration;

use beatrix_core::liveness::Beat;
use beatrix_core::model::{Endpoint, Lease, Mono, ServiceRef};

use super::Registry;
use super::owner::Request;

/// What a batch of beats did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BeatReport {
    /// How many leases were renewed.
    pub renewed: usize,
}

impl Registry {
    /// Renews leases. Calls `unknown` with the position of each that renews nothing: its instance is not there, or
    /// does not live by beats.
    pub fn beat(&self, leases: &[Lease], mut unknown: impl FnMut(usize)) -> BeatReport {
        let now = self.live_now();
        let mut renewed = leases.len();
        self.inner.beats.renew(leases, now, |position, beat| match beat {
            Beat::Renewed => {}
            Beat::Returned(slot) => self.returned(slot),
            Beat::NotBeating | Beat::Unknown => {
                renewed -= 1;
                unknown(position);
            }
        });
        BeatReport { renewed }
    }

    /// Renews the instance at an address. Returns its beat interval, or `None` if there is none that lives by beats.
    #[must_use]
    pub fn beat_at(&self, service: ServiceRef<'_>, endpoint: &Endpoint) -> Option<Duration> {
        let (beat, interval) = self.inner.beats.renew_at(service, endpoint, self.live_now());
        match beat {
            Beat::Renewed => Some(interval),
            Beat::Returned(slot) => {
                self.returned(slot);
                Some(interval)
            }
            Beat::NotBeating | Beat::Unknown => None,
        }
    }

    pub(super) fn live_now(&self) -> Mono {
        self.inner.liveness.at(self.inner.clock.mono())
    }

    /// Tells the owner that a silent instance has beaten. If the owner's queue is full this is dropped: the wheel
    /// looks at silent instances by itself, and the next beat says it again.
    fn returned(&self, slot: u32) {
        let _dropped_if_full = self.inner.owner.try_send(Request::Returned(slot));
    }
}
