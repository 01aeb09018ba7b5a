//! The time after a restart in which the catalog may not know all instances, and how it ends.
//!
//! Until all that was restored is confirmed, or one beat window has passed, views say that they are incomplete. A first
//! beat meanwhile is noted in its cell and nowhere else, and a first answer of a probe in its slot: a million first beats
//! must not become a million changes. At the end all instances are looked at once, in bounded steps: those that were heard
//! of lose their mark, the others tell the owner with their first beat, or are confirmed by the next answer. Then one mutation says that the catalog is complete, and all views are new.

use crate::model::{Endpoint, Liveness, Marks, Mono, Revision};

use super::Catalog;
use super::command::Mutation;
use super::due::{DUE_MAX, LOOK_AGAIN};

/// How far it is.
#[derive(Debug, Default)]
pub(super) enum Warming {
    /// It is over, or there was nothing to restore.
    #[default]
    Over,
    /// Until this time at the longest; `whole`: also if all that is known is confirmed before, since something may have been
    /// lost.
    Until { until: Mono, whole: bool },
    /// It ends: the services before this one have been looked at, and of this one the instances up to the endpoint.
    Looking { service: usize, after: Option<Endpoint> },
    /// All were looked at; its end is to be committed, and comes up again at this time.
    Ending { again: Mono },
}

impl Catalog {
    pub(super) fn begin_warming(&mut self, lost: bool, now: Mono) {
        self.complete = false;
        self.warming = Warming::Until {
            until: now.after(self.config.beat_window),
            whole: lost,
        };
    }

    /// Whether a first beat is to tell the owner: the marks of those who beat before have been taken away.
    pub(super) fn asks_first_beats(&self) -> bool {
        !matches!(self.warming, Warming::Until { .. })
    }

    pub(super) fn next_warming(&self) -> Option<Mono> {
        match &self.warming {
            Warming::Over => None,
            Warming::Until { whole: false, .. } if self.beats.unconfirmed() == 0 => Some(Mono(0)),
            Warming::Until { until, .. } => Some(*until),
            Warming::Looking { .. } => Some(Mono(0)),
            Warming::Ending { again } => Some(*again),
        }
    }

    /// Does the next step, if it is time.
    pub(super) fn warm(&mut self, now: Mono, mutations: &mut Vec<Mutation>) {
        if self.next_warming().is_none_or(|next| now < next) {
            return;
        }
        let (service, after) = match std::mem::take(&mut self.warming) {
            Warming::Looking { service, after } => (service, after),
            Warming::Until { .. } => {
                // From here on, also for those whom the steps have yet to reach.
                self.warming = Warming::Looking {
                    service: 0,
                    after: None,
                };
                (0, None)
            }
            Warming::Ending { .. } => (self.services.len(), None),
            Warming::Over => return,
        };
        self.warming = match self.look_through(service, after) {
            Some((service, after)) => Warming::Looking { service, after },
            None => {
                // Its commit may fail: then it comes up again.
                mutations.push(Mutation::Warmed);
                Warming::Ending {
                    again: now.after(LOOK_AGAIN),
                }
            }
        };
    }

    /// Looks at the next instances. Returns where to go on.
    fn look_through(
        &mut self,
        first: usize,
        mut after: Option<Endpoint>,
    ) -> Option<(usize, Option<Endpoint>)> {
        let mut looked = 0;
        for index in first..self.services.len() {
            let Some(service) = self.services[index].as_mut() else {
                after = None;
                continue;
            };
            looked += 1;
            let mut at = service.roster.chunk_after(after.as_ref());
            after = None;
            while let Some(members) = service.roster.chunks().get(at).map(|chunk| chunk.members()) {
                looked += members.len();
                let last = members.last().map(|member| member.endpoint.clone());
                let mut confirmed = false;
                for member in members {
                    if !member.state.marks.has(Marks::UNCONFIRMED) {
                        continue;
                    }
                    let Some(slot) = self.slots.get_mut(member.slot) else {
                        continue;
                    };
                    if slot.unconfirmed && slot.timings.is_some() {
                        let cell = self.beats.cell(member.slot);
                        let silent = cell.is_silent();
                        // In this order: a beat that comes just now either is seen here or tells the owner.
                        cell.set_silent(true);
                        if !self.beats.confirm(member.slot) {
                            slot.unconfirmed = false;
                            cell.set_silent(silent);
                        }
                    }
                    confirmed |= !slot.unconfirmed;
                }
                // A chunk in which nobody was heard of stays as it is, with what was rendered of it.
                if confirmed {
                    for member in service.roster.chunk_mut(at) {
                        let unconfirmed = self.slots.get(member.slot).is_some_and(|slot| slot.unconfirmed);
                        if !unconfirmed {
                            member.state.marks = member.state.marks.with(Marks::UNCONFIRMED, false);
                        }
                    }
                }
                at += 1;
                if looked >= DUE_MAX {
                    return Some((index, last));
                }
            }
            if looked >= DUE_MAX {
                return Some((index + 1, None));
            }
        }
        None
    }

    /// The end of warming was committed: from `revision` on all views are new, and complete.
    pub(super) fn warmed(&mut self, revision: Revision) {
        if matches!(self.warming, Warming::Ending { .. }) {
            self.warming = Warming::Over;
            self.complete = true;
            self.warmed = revision;
            self.floor.raise(revision);
        }
    }

    /// Something was heard of an instance. To be called before its cell is given away.
    pub(super) fn confirm(&mut self, number: u32) {
        if let Some(slot) = self.slots.get_mut(number).filter(|slot| slot.unconfirmed) {
            slot.unconfirmed = false;
            self.beats.confirm(number);
        }
    }

    pub(super) fn is_unconfirmed(&self, number: u32) -> bool {
        self.slots.get(number).is_some_and(|slot| slot.unconfirmed)
    }

    /// Whether nothing was heard of it by now: of one that beats the cell knows more than the owner, while many are
    /// confirmed.
    pub(super) fn is_unheard(&self, number: u32) -> bool {
        self.marks_by_now(number, Marks::UNCONFIRMED) == Marks::UNCONFIRMED
    }

    /// Nothing was heard of an instance that is there yet, since it is known from elsewhere only. One that lives by a
    /// connection has to come back like one that beats: its connection is not of this process.
    pub(super) fn await_first_sign(&mut self, number: u32, liveness: &Liveness) {
        let Some(slot) = self.slots.get_mut(number) else {
            return;
        };
        slot.unconfirmed = true;
        if matches!(liveness, Liveness::Session(_)) {
            let (index, before) = (slot.service, slot.counted());
            slot.await_return(self.config.returning);
            let after = slot.counted();
            self.count_recalled(index, before, after);
        }
        // Counted for all; of those that are probed no beat tells, but their first answer.
        self.beats.set_unconfirmed(number);
    }

    /// An instance that is being changed shows what is known by now: if it has beaten, it is confirmed.
    pub(super) fn show_confirmed(&mut self, index: u32, endpoint: &Endpoint) {
        let member = self.services[index as usize]
            .as_ref()
            .and_then(|service| service.roster.get(endpoint));
        let Some((number, marks)) = member
            .map(|member| (member.slot, member.state.marks))
            .filter(|(_, marks)| marks.has(Marks::UNCONFIRMED))
        else {
            return;
        };
        let by_now = self.marks_by_now(number, marks);
        if by_now == marks {
            return;
        }
        self.confirm(number);
        let service = self.services[index as usize].as_mut();
        if let Some(member) = service.and_then(|service| service.roster.get_mut(endpoint)) {
            member.state.marks = by_now;
        }
    }

    /// The marks of an instance that is about to be shown anew: it is unconfirmed only if nothing was heard of it by now.
    pub(super) fn marks_by_now(&self, number: u32, marks: Marks) -> Marks {
        let unconfirmed = self.slots.get(number).is_some_and(|slot| {
            slot.unconfirmed
                && (slot.timings.is_none()
                    || self.asks_first_beats()
                    || self.beats.cell(number).is_unconfirmed())
        });
        marks.with(Marks::UNCONFIRMED, unconfirmed && marks.has(Marks::UNCONFIRMED))
    }
}
