//! Whom a guard watches: how many there are in its scope, a service or the registry.
//!
//! A guard measures the silent against all who could be. Those who beat or are probed always could; one that lives by a
//! connection only while it has to come back, after a restart or from a backup. Then the others of before belong to the
//! population as well: that they are back speaks for the network, and the last few of very many are no outage. Otherwise
//! connections do not: there may be so many of them that no share of those who beat would ever be large enough. Nor do
//! those that are new since, or a guard that holds for others would end because many come.

use super::Catalog;
use super::slots::Slot;
use crate::liveness::GuardConfig;
use crate::model::Mono;

/// The instances of a scope that its guard watches.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Population {
    /// How many live by beats, and go without them, or are probed.
    pub(super) beating: u32,
    /// How many live by connections, and were known before this process heard of them.
    recalled: u32,
    /// How many of those have yet to come back.
    awaited: u32,
    /// When the last of them went because it did not.
    missed: Option<Mono>,
}

/// How an instance of a connection counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recalled {
    pub(super) recalled: bool,
    pub(super) awaited: bool,
}

impl Population {
    /// How many the guard measures the silent against.
    pub(super) fn watched(&self, now: Mono, config: &GuardConfig) -> u32 {
        // The silence of those who went still counts for a window, and is measured against the same as before.
        let missed = || self.missed.is_some_and(|at| now < at.after(config.window));
        match self.awaited > 0 || missed() {
            true => self.beating + self.recalled,
            false => self.beating,
        }
    }

    pub(super) fn count(&mut self, instance: Recalled, add: bool) {
        let change = |count: &mut u32, by: bool| match add {
            true => *count += u32::from(by),
            false => *count -= u32::from(by),
        };
        change(&mut self.recalled, instance.recalled);
        change(&mut self.awaited, instance.awaited);
    }

    /// Takes a smaller scope in.
    pub(super) fn include(&mut self, part: &Self) {
        self.beating += part.beating;
        self.recalled += part.recalled;
        self.awaited += part.awaited;
        self.missed = self.missed.max(part.missed);
    }

    /// Leaves a smaller scope out.
    pub(super) fn exclude(&mut self, part: &Self) {
        self.beating -= part.beating;
        self.recalled -= part.recalled;
        self.awaited -= part.awaited;
    }

    /// Its counts: those who beat, the recalled, and the awaited of them.
    #[cfg(test)]
    pub(super) fn counts(&self) -> [u32; 3] {
        [self.beating, self.recalled, self.awaited]
    }
}

impl Catalog {
    /// An instance of a service counts otherwise than before.
    pub(super) fn count_recalled(&mut self, index: u32, before: Recalled, after: Recalled) {
        if before == after {
            return;
        }
        for population in self.populations_of(index) {
            population.count(after, true);
            population.count(before, false);
        }
    }

    /// One that was awaited goes because it did not come back.
    pub(super) fn note_missed(&mut self, index: u32, now: Mono) {
        for population in self.populations_of(index) {
            population.missed = Some(now);
        }
    }

    /// How the instance of a slot counts now.
    pub(super) fn recalled(&self, number: u32) -> Recalled {
        self.slots.get(number).map(Slot::counted).unwrap_or_default()
    }

    /// The populations that the instances of a service belong to: its own, and the registry's unless it is spared.
    pub(super) fn populations_of(&mut self, index: u32) -> impl Iterator<Item = &mut Population> {
        let service = self.services[index as usize].as_mut();
        let registry = service
            .as_ref()
            .is_some_and(|service| service.expires())
            .then_some(&mut self.population);
        registry
            .into_iter()
            .chain(service.map(|service| &mut service.population))
    }
}
