//! Makes views out of what the registry sends.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use beatrix_wire::{Instance, Removal, ServiceDelta, ServiceView};

use super::View;
use super::protect::{self, Told};
use crate::ServiceKey;

/// How many removals a view remembers.
const REMOVALS_MAX: usize = 64;

/// Where an instance is, which is what names it inside its service. The order is that of the registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Ip(IpAddr, u16),
    Name(String, u16),
}

impl Place {
    pub(super) fn of(instance: &Instance) -> Self {
        Self::new(&instance.address, instance.port)
    }

    pub(super) fn of_removal(removal: &Removal) -> Self {
        Self::new(&removal.address, removal.port)
    }

    fn new(address: &str, port: u16) -> Self {
        match address.parse() {
            Ok(ip) => Self::Ip(ip, port),
            Err(_) => Self::Name(address.to_owned(), port),
        }
    }
}

/// The difference does not apply to what is held: ask for the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap;

/// What the registry said last, and what is shown of it. The two differ while a rule of `protect` holds something
/// back; differences apply to the former.
#[derive(Debug)]
pub(crate) struct Mirror {
    base: Option<Base>,
    shown: Arc<View>,
}

#[derive(Debug)]
struct Base {
    epoch: String,
    /// The revision of the service.
    revision: u64,
    /// The state is known to have stayed the same up to this revision, which is that of the service or a later one.
    known_until: u64,
    instances: BTreeMap<Place, Arc<Instance>>,
}

impl Mirror {
    pub(crate) fn new(key: ServiceKey) -> Self {
        Self {
            base: None,
            shown: Arc::new(View::unknown(key)),
        }
    }

    pub(crate) fn shown(&self) -> &Arc<View> {
        &self.shown
    }

    /// Takes the whole service. It is believed even if its revision is lower than the one held: whoever answers
    /// now may have restarted from an older state, and waiting for it to catch up could take for ever.
    pub(crate) fn replace(&mut self, view: ServiceView) -> &Arc<View> {
        let instances = view
            .instances
            .into_iter()
            .map(|instance| (Place::of(&instance), Arc::new(instance)))
            .collect();
        self.base = Some(Base {
            known_until: view.revision,
            epoch: view.epoch,
            revision: view.revision,
            instances,
        });
        let emptied_by = view.emptied_by.as_deref();
        self.show(view.complete, &Told::Whole { emptied_by }, &[])
    }

    /// Applies a difference. One that is held already changes nothing.
    pub(crate) fn apply(&mut self, delta: ServiceDelta) -> Result<&Arc<View>, Gap> {
        let base = self.base.as_mut().ok_or(Gap)?;
        if base.epoch != delta.epoch || delta.from_revision > base.known_until {
            return Err(Gap);
        }
        if delta.revision < base.revision {
            return Ok(&self.shown);
        }
        base.revision = delta.revision;
        base.known_until = base.known_until.max(delta.revision);
        for removal in &delta.removed {
            base.instances.remove(&Place::of_removal(removal));
        }
        // After the removals: what left and came back is in both.
        for instance in delta.upserted {
            base.instances.insert(Place::of(&instance), Arc::new(instance));
        }
        Ok(self.show(
            delta.complete,
            &Told::Difference {
                removed: &delta.removed,
            },
            &delta.removed,
        ))
    }

    /// The registry goes on from this revision, so that up to there nothing is missing. What it sends next may start
    /// there, though the service itself has not changed for long.
    pub(crate) fn resume(&mut self, epoch: &str, revision: u64) {
        if let Some(base) = self.base.as_mut().filter(|base| base.epoch == epoch) {
            base.known_until = base.known_until.max(revision);
        }
    }

    fn show(&mut self, complete: bool, how: &Told<'_>, removed: &[Removal]) -> &Arc<View> {
        let base = self.base.as_ref().expect("both callers have just set it");
        let before = &self.shown;
        let (instances, stale) = protect::shown(&before.instances, &base.instances, complete, how);
        let mut removals = before.removals.clone();
        for removal in removed
            .iter()
            .filter(|removal| !before.removals.contains(removal))
        {
            removals.push(removal.clone());
        }
        removals.drain(..removals.len().saturating_sub(REMOVALS_MAX));
        self.shown = Arc::new(View {
            key: before.key.clone(),
            epoch: base.epoch.clone(),
            revision: base.revision,
            complete,
            known: true,
            stale,
            instances,
            removals,
        });
        &self.shown
    }
}

#[cfg(test)]
mod tests;
