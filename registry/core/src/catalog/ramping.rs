//! Slow start: who begins to serve in a service with a ramp gets a share of its weight that grows from step to step.
//!
//! A ramp moves by itself, while views change by mutations only. So it is cut into steps, and a step is a mutation with
//! a revision of its own: what a reader sees is the state at one revision, also in the middle of a ramp, and the same on
//! every node and after a replay. All of a service step together, in one mutation. It is no change of membership: the
//! change log holds nothing of it, or a few hundred new instances would push out of it what readers have missed. What
//! was missed is found by the revisions of the instances themselves.
//!
//! - No timer for an instance: the catalog holds one time for each service that has new instances, and those are a map
//!   of the service. Services without a ramp cost a pointer.
//! - An instance is *seasoned* when its ramp is over. If nobody is, nobody ramps: of a service that starts as a whole,
//!   or of which all seasoned instances went, all get their whole weight, since only the ratio of weights means
//!   anything, and one that came a minute earlier must not get all the traffic. Who so began at its whole weight keeps
//!   it ([`Share::EARLY`]).
//! - Steps are those of the service: of two that began within one step the later one steps a little early in its ramp,
//!   by the share that its own time gives, and ends with the first step after its end.
//! - After a restart nobody ramps again. Whoever was on a ramp is at its end with the first turn; that is a step like
//!   others, since readers hold his old share.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Endpoint, Mono, ServiceKey, Share, SlowStart};

use super::Catalog;
use super::apply::Moment;
use super::command::Mutation;
use super::due::{DUE_MAX, LOOK_AGAIN};
use super::service::{CountedAs, Service, Shared};

/// The new instances of a service.
#[derive(Debug)]
pub(super) struct Ramping {
    /// By slot, and since when they serve, in liveness time; `None`: from before a restart.
    new: BTreeMap<u32, Option<Mono>>,
    /// When they are looked at next; the entry in the catalog's queue.
    due: Mono,
    /// How far a step is that is not done yet, since they are so many: the time that it is of, and the next slot.
    going: Option<(Mono, u32)>,
    /// Whether nobody is seasoned.
    alone: bool,
}

impl Service {
    /// How its instances begin to serve, if not all at once.
    pub(super) fn slow_start(&self) -> Option<SlowStart> {
        let slow_start = self.settings.as_ref()?.slow_start?;
        (!slow_start.duration().is_zero()).then_some(slow_start)
    }

    /// The share of one that begins to serve now.
    pub(super) fn begin_share(&self) -> Share {
        match self.slow_start() {
            None => Share::FULL,
            Some(_) if self.seasoned == 0 => Share::EARLY,
            Some(ramp) => ramp.share_at(std::time::Duration::ZERO),
        }
    }
}

impl Catalog {
    /// Keeps the queue after an instance changed and was counted. `share` is its share now, which is full if it is gone
    /// or does not serve; `began`: it begins to serve now.
    pub(super) fn follow_ramp(&mut self, index: u32, number: u32, share: Share, began: bool, now: Mono) {
        let Some(service) = self.services[index as usize].as_mut() else {
            return;
        };
        if service.ramping.is_none() && share.is_full() {
            return;
        }
        let alone = service.seasoned == 0;
        let step = service.slow_start().map_or(LOOK_AGAIN, |ramp| ramp.step());
        let ramping = service.ramping.get_or_insert_with(|| {
            let due = now.after(step);
            self.ramps.insert((due, index));
            Box::new(Ramping {
                new: BTreeMap::new(),
                due,
                going: None,
                alone,
            })
        });
        if share.is_full() {
            ramping.new.remove(&number);
        } else if began {
            ramping.new.insert(number, Some(now));
        } else {
            ramping.new.entry(number).or_insert(Some(now));
        }
        if ramping.new.is_empty() {
            self.ramps.remove(&(ramping.due, index));
            service.ramping = None;
            return;
        }
        // The last who was seasoned has gone.
        if !std::mem::replace(&mut ramping.alone, alone) && alone {
            self.ramp_due(index, now);
        }
    }

    /// Has the new instances of a service looked at now.
    pub(super) fn ramp_due(&mut self, index: u32, now: Mono) {
        let service = self.services[index as usize].as_mut();
        if let Some(ramping) = service.and_then(|service| service.ramping.as_mut())
            && ramping.due > now
        {
            self.ramps.remove(&(ramping.due, index));
            ramping.due = now;
            self.ramps.insert((now, index));
        }
    }

    /// The steps that are due; of very many instances the first, and the others in the next turn. What cannot be
    /// committed comes up again with the next step.
    pub(super) fn step_ramps(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        let mut left = DUE_MAX;
        while left > 0
            && let Some((_, index)) = self.ramps.first().copied().filter(|(at, _)| *at <= now)
        {
            self.ramps.pop_first();
            let taken = self.services[index as usize]
                .as_mut()
                .and_then(|service| service.ramping.take());
            let (Some(mut ramping), Some(service)) = (taken, self.services[index as usize].as_ref()) else {
                continue;
            };
            let ramp = service.slow_start();
            let (as_of, from) = ramping.going.take().unwrap_or((now, 0));
            let mut shares = Vec::new();
            let mut last = None;
            for (number, since) in ramping.new.range(from..).take(left) {
                left -= 1;
                last = Some(*number);
                let slot = self.slots.get(*number);
                let Some(member) = slot.and_then(|slot| service.roster.get(&slot.endpoint)) else {
                    continue;
                };
                let share = match (ramp, since) {
                    (Some(ramp), Some(since)) => ramp.share_at(as_of.since(*since)),
                    _ => Share::FULL,
                };
                let whole = ramping.alone || member.state.share == Share::EARLY;
                let share = if whole && !share.is_full() {
                    Share::EARLY
                } else {
                    share
                };
                if share != member.state.share {
                    shares.push((member.endpoint.clone(), share));
                }
            }
            let next = last.and_then(|last| last.checked_add(1));
            let more = next.filter(|next| ramping.new.range(next..).next().is_some());
            ramping.due = match more {
                Some(_) => now,
                None => now.after(ramp.map_or(LOOK_AGAIN, |ramp| ramp.step())),
            };
            ramping.going = more.map(|next| (as_of, next));
            self.ramps.insert((ramping.due, index));
            if !shares.is_empty() {
                let service = service.key().clone();
                mutations.push(Mutation::Ramped { service, shares });
            }
            if let Some(service) = self.services[index as usize].as_mut() {
                service.ramping = Some(ramping);
            }
        }
    }

    /// Gives new instances their shares. Those that have gone since, or do not serve, have none.
    pub(super) fn ramp(
        &mut self,
        key: &ServiceKey,
        shares: Vec<(Endpoint, Share)>,
        moment: Moment,
    ) -> Option<Arc<Shared>> {
        let index = self.index_of(key)?;
        let mut stepped = false;
        for (endpoint, share) in shares {
            let service = self.services[index as usize].as_mut()?;
            let member = service.roster.get(&endpoint);
            // Looked at before it is copied to be changed.
            if member.is_none_or(|member| !member.serving() || member.state.share == share) {
                continue;
            }
            let Some(member) = service.roster.get_mut(&endpoint) else {
                continue;
            };
            let counted = CountedAs::from(&*member);
            member.state.share = share;
            member.state.revision = moment.revision;
            let (number, now_counted) = (member.slot, CountedAs::from(&*member));
            stepped = true;
            self.recount(index, Some(counted), Some(now_counted));
            self.follow_ramp(index, number, share, false, moment.now);
        }
        let service = self.services[index as usize].as_mut()?;
        stepped.then(|| {
            service.ramped = moment.revision;
            service.touch(moment.revision);
            Arc::clone(&service.shared)
        })
    }

    /// After a restart: whoever was on a ramp is at its end with the first turn.
    pub(super) fn end_ramps(&mut self) {
        for index in 0..self.services.len() {
            let Some(service) = self.services[index].as_mut() else {
                continue;
            };
            // Of most services nobody is looked at.
            if service.serving == service.seasoned {
                continue;
            }
            let new = service
                .roster
                .iter()
                .filter(|member| member.serving() && !member.state.share.is_full())
                .map(|member| (member.slot, None));
            let new = new.collect();
            let alone = service.seasoned == 0;
            let index = u32::try_from(index).expect("the limit of services is below 2^32");
            let due = Mono(0);
            let before = service.ramping.replace(Box::new(Ramping {
                new,
                due,
                going: None,
                alone,
            }));
            if let Some(before) = before {
                self.ramps.remove(&(before.due, index));
            }
            self.ramps.insert((due, index));
        }
    }
}
