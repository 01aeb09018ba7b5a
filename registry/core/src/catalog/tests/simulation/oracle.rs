//! What must be true of each instance, kept apart from the catalog: it is told of beats, of what was committed and of
//! what the guards did, and knows the rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::{GuardEvent, Mutation};
use crate::model::{Endpoint, Health, Liveness, Marks, Reason, ServiceKey, Timings};

pub(super) const TICK: u64 = 5_000;

/// Where an instance stands, as what was committed says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Live,
    Silent,
    Suspect,
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) timings: Timings,
    pub(super) stand: Stand,
    /// In liveness time.
    pub(super) last_beat: u64,
    /// When its silence last began without a beat.
    pub(super) restarted: u64,
    /// When it took its stand.
    pub(super) since: u64,
    /// When silence last began to have consequences for it again.
    pub(super) spared: u64,
    /// Its last beat in the time that the registry was awake, by the simulation's own count; or when it was spared last.
    pub(super) last_beat_awake: u64,
}

pub(super) type Name = (ServiceKey, Endpoint);

#[derive(Debug, Default)]
pub(super) struct Oracle {
    pub(super) known: BTreeMap<Name, Known>,
    pub(super) holding: BTreeSet<ServiceKey>,
    pub(super) everywhere: bool,
    /// Who fell silent and was not protected: when, in which service. Whoever returns or says goodbye is taken out.
    pub(super) fell: Vec<(u64, Name)>,
    /// Who of them was removed for it, with when it fell.
    pub(super) lost: Vec<(u64, Name)>,
    /// All who were removed for their silence: when, from which service.
    pub(super) expired: Vec<(u64, ServiceKey)>,
    /// Where silence has no consequences; `None` is everywhere.
    pub(super) off: BTreeSet<Option<ServiceKey>>,
    /// When each guard last ended; `None` is the registry's.
    pub(super) ended: BTreeMap<Option<ServiceKey>, u64>,
}

impl Known {
    fn silent_since(&self) -> u64 {
        self.last_beat.max(self.spared)
    }

    pub(super) fn unhealthy_at(&self) -> u64 {
        self.silent_since() + self.timings.unhealthy_after().as_micros() as u64
    }

    pub(super) fn removed_at(&self) -> u64 {
        self.silent_since() + self.timings.remove_after().as_micros() as u64
    }

    /// Whether its last beat proves at `now` that it lives.
    pub(super) fn beats(&self, now: u64) -> bool {
        let first = self.timings.unhealthy_after().min(self.timings.remove_after());
        self.last_beat > self.restarted && now < self.last_beat + first.as_micros() as u64
    }

    fn stands(&mut self, stand: Stand, now: u64) {
        if self.stand != stand {
            (self.stand, self.since) = (stand, now);
        }
    }
}

impl Oracle {
    pub(super) fn held(&self, service: &ServiceKey) -> bool {
        self.everywhere || self.holding.contains(service)
    }

    /// Whether silence has no consequences in a service.
    pub(super) fn is_off(&self, service: &ServiceKey) -> bool {
        self.off.contains(&None) || self.off.contains(&Some(service.clone()))
    }

    /// Turns the consequences of silence off or on, in a service or everywhere.
    pub(super) fn turn(&mut self, scope: Option<ServiceKey>, on: bool, now: u64, awake: u64) {
        if !on {
            self.off.insert(scope);
        } else if self.off.remove(&scope) {
            for ((service, _), known) in &mut self.known {
                if scope.as_ref().is_none_or(|scope| scope == service) {
                    (known.spared, known.last_beat_awake) = (now, awake);
                }
            }
        }
    }

    pub(super) fn beat(&mut self, name: &Name, now: u64, awake: u64) {
        if let Some(known) = self.known.get_mut(name) {
            known.last_beat = known.last_beat.max(now);
            known.last_beat_awake = awake;
        }
    }

    pub(super) fn guard(&mut self, event: &GuardEvent, now: u64) {
        match event {
            GuardEvent::Holds(Some(service)) => drop(self.holding.insert(service.clone())),
            GuardEvent::Holds(None) => self.everywhere = true,
            GuardEvent::Ended(Some(service)) => {
                self.holding.remove(service);
                self.ended.insert(Some(service.clone()), now);
                self.let_go(now);
            }
            GuardEvent::Ended(None) => {
                self.everywhere = false;
                self.ended.insert(None, now);
                self.let_go(now);
            }
        }
    }

    /// An operator ended all guards.
    pub(super) fn ended_by_hand(&mut self, now: u64) {
        for service in std::mem::take(&mut self.holding) {
            self.ended.insert(Some(service), now);
        }
        if std::mem::take(&mut self.everywhere) {
            self.ended.insert(None, now);
        }
        self.let_go(now);
    }

    /// The silence of all who are not protected any more begins anew, if they were: those whose silence began anew
    /// though they were not would be late, which `invariant_3` finds.
    fn let_go(&mut self, now: u64) {
        if self.everywhere {
            return;
        }
        let ended: BTreeSet<_> = self
            .ended
            .iter()
            .filter(|(_, at)| **at == now)
            .map(|(of, _)| of.clone())
            .collect();
        for ((service, _), known) in &mut self.known {
            let here = ended.contains(&None) || ended.contains(&Some(service.clone()));
            if here && known.stand != Stand::Live && !self.holding.contains(service) {
                known.restarted = now;
                known.last_beat = known.last_beat.max(now);
            }
        }
    }

    pub(super) fn restart(&mut self, now: u64, awake: u64) {
        self.holding.clear();
        self.everywhere = false;
        self.fell.clear();
        self.lost.clear();
        self.ended.clear();
        for known in self.known.values_mut() {
            (known.last_beat, known.restarted, known.last_beat_awake) = (now, now, awake);
            // No guard holds yet.
            if known.stand == Stand::Suspect {
                known.stands(Stand::Live, now);
            }
        }
    }

    pub(super) fn applied(&mut self, mutation: &Mutation, now: u64, awake: u64) {
        let Some((service, endpoint)) = mutation.subject().instance() else {
            return;
        };
        let name = (service.clone(), endpoint.clone());
        match mutation {
            Mutation::Registered { registration, .. } => {
                let Liveness::Beat(timings) = registration.liveness else {
                    return;
                };
                self.forget(&name);
                let known = Known {
                    timings,
                    stand: Stand::Live,
                    last_beat: now,
                    restarted: now,
                    since: now,
                    spared: 0,
                    last_beat_awake: awake,
                };
                self.known.insert(name, known);
            }
            Mutation::Removed { reason, .. } => {
                let known = self.known.remove(&name).expect("only what is there is removed");
                if *reason != Reason::Expired {
                    self.forget(&name);
                } else {
                    self.expired.push((now, name.0.clone()));
                    if known.stand == Stand::Live {
                        self.fell.push((now, name.clone()));
                    }
                    let fell = self.fell.iter().rfind(|(_, fell)| *fell == name);
                    self.lost.extend(fell.cloned());
                }
            }
            Mutation::Measured {
                health,
                marks,
                reason,
                ..
            } => {
                let known = self.known.get_mut(&name).expect("only what is there is measured");
                match (reason, marks.has(Marks::SUSPECT)) {
                    (Reason::Silent, _) => {
                        if known.stand == Stand::Live {
                            self.fell.push((now, name));
                        }
                        known.stands(Stand::Silent, now);
                    }
                    (_, true) => known.stands(Stand::Suspect, now),
                    _ => {
                        assert_eq!((*health, *reason), (Health::Healthy, Reason::Beat));
                        known.stands(Stand::Live, now);
                        self.forget(&name);
                    }
                }
            }
            other => {
                assert!(matches!(
                    other,
                    Mutation::Declared { .. } | Mutation::Operated { .. }
                ));
            }
        }
    }

    fn forget(&mut self, name: &Name) {
        self.fell.retain(|(_, fell)| fell != name);
    }
}
