//! Finding instances: by name, by lease, by slot. Reads only.

use crate::model::{Endpoint, Lease, Lifetime, Liveness, Member, ServiceKey, ServiceRef, Timings};

use super::Catalog;
use super::command::Command;
use super::service::Service;
use super::slots::Slot;
use super::subject::Subject;

/// Where an instance stands after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its lease.
    pub lease: Lease,
    /// Its times, if it lives by beats.
    pub timings: Option<Timings>,
}

impl Catalog {
    /// Where an instance stands.
    #[must_use]
    pub fn standing(&self, service: ServiceRef<'_>, endpoint: &Endpoint) -> Option<Standing> {
        let (_, service) = self.service(service)?;
        let member = service.roster.get(endpoint)?;
        let lease = self.beats.cell(member.slot).lease()?;
        let timings = match member.record.registration.liveness {
            Liveness::Beat(timings) => Some(timings),
            _ => None,
        };
        Some(Standing { lease, timings })
    }

    /// The instance of a lease.
    #[must_use]
    pub fn holder(&self, lease: Lease) -> Option<(ServiceKey, Endpoint)> {
        let slot = self.slots.get(self.beats.slot_of_lease(lease)?)?;
        let service = self.services[slot.service as usize].as_ref()?;
        Some((service.key().clone(), slot.endpoint.clone()))
    }

    /// The instance that a command is about, found by lease or slot where it is not named. `None` if it is about
    /// several, or about none that there is.
    #[must_use]
    pub fn subject(&self, command: &Command) -> Option<(ServiceKey, Endpoint)> {
        match command {
            Command::Declare { lease, .. } => self.holder(*lease),
            Command::Returned { slot } => self
                .at_slot(*slot)
                .map(|(slot, service, _)| (service.key().clone(), slot.endpoint.clone())),
            _ => command
                .subject()
                .and_then(Subject::instance)
                .map(|(service, endpoint)| (service.clone(), endpoint.clone())),
        }
    }

    /// Whether a service has instances of this lifetime.
    #[must_use]
    pub fn has_of_lifetime(&self, service: ServiceRef<'_>, lifetime: Lifetime) -> bool {
        self.service(service)
            .is_some_and(|(_, found)| found.has(lifetime))
    }

    pub(super) fn service(&self, service: ServiceRef<'_>) -> Option<(u32, &Service)> {
        let index = self.published.get(service)?.index;
        Some((index, self.services[index as usize].as_ref()?))
    }

    /// The instance of a slot.
    pub(super) fn at_slot(&self, number: u32) -> Option<(&Slot, &Service, &Member)> {
        let (slot, service) = self.slot_and_service(number)?;
        Some((slot, service, service.roster.get(&slot.endpoint)?))
    }

    /// The same without the search for the instance.
    pub(super) fn slot_and_service(&self, number: u32) -> Option<(&Slot, &Service)> {
        let slot = self.slots.get(number)?;
        Some((slot, self.services[slot.service as usize].as_ref()?))
    }
}
