//! Putting a catalog together again: from the pieces of a checkpoint, and from what was committed after it.
//!
//! A million instances must be there within about a second: rosters are built in order, nothing enters the change log,
//! and the wheel holds nobody before the end.

use std::sync::Arc;

use crate::changes::Gap;
use crate::model::{Epoch, Health, Liveness, Marks, Member, Mono, Reason, Record, Revision};

use super::Catalog;
use super::command::Committed;
use super::layering::KeptLayer;
use super::piece::{InstancePiece, Piece, ServicePiece};
use super::population::Population;
use super::reporting::reason_without;
use super::service::CountedAs;
use super::slots::{Phase, Slot};
use super::subject::Subject;

/// What is known while the catalog is being restored.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    /// Everything up to here is in the pieces.
    as_of: Revision,
    /// The service that instances belong to.
    service: Option<u32>,
}

impl Catalog {
    /// Takes the next piece of a checkpoint. All of them come before what was committed since, and before anybody reads.
    ///
    /// Instances without their service before them are left out; so is one that is there already.
    pub fn restore(&mut self, piece: Piece, now: Mono) {
        match piece {
            Piece::Begin { as_of } => {
                self.log.lacks_until(as_of);
                self.restoring = Some(Restoring { as_of, service: None });
            }
            Piece::Namespace { namespace, info } => self.declare_namespace(namespace, info),
            Piece::Setting { name, value } => self.change_setting(name, Some(value), now),
            Piece::Service(service) => self.restore_service(*service),
            Piece::Instances(instances) => self.restore_instances(instances, now),
        }
    }

    pub(super) fn restore_service(&mut self, piece: ServicePiece) {
        self.log.lacks_until(piece.as_of);
        let index = self.service_or_new(piece.key, piece.revision);
        if let Some(service) = self.services[index as usize].as_mut() {
            service.as_of = piece.as_of;
            // Of what was before its last change nothing is known, and after that nothing happened.
            service.floor = piece.revision;
            service.settings = piece.settings;
            service.emptied_by = piece.emptied_by;
            service.layers = piece
                .layers
                .into_iter()
                .map(|piece| {
                    let kept = KeptLayer {
                        layer: piece.layer,
                        of: piece.of,
                        gone_since: None,
                    };
                    (piece.endpoint, kept)
                })
                .collect();
        }
        self.restoring.get_or_insert_default().service = Some(index);
    }

    pub(super) fn restore_instances(&mut self, instances: Vec<InstancePiece>, now: Mono) {
        let index = self.restoring.as_ref().and_then(|restoring| restoring.service);
        let Some((index, service)) = index.and_then(|index| {
            let service = self.services[index as usize].as_mut()?;
            Some((index, service))
        }) else {
            return;
        };
        let (healthy, beating) = (service.healthy, service.population.beating);
        for piece in instances {
            let InstancePiece {
                endpoint,
                lease,
                mut registration,
                declared,
                state,
            } = piece;
            // Out of order only if somebody has tampered with it.
            let in_order = service.roster.is_last(&endpoint);
            if !in_order && service.roster.get(&endpoint).is_some() {
                continue;
            }
            registration.cluster = service.clusters.enter(&registration.cluster);
            let mut slot = Slot::new(index, endpoint.clone());
            slot.begin(&registration.liveness, registration.expires, now);
            let number = self.slots.insert(slot);
            let interval = match registration.liveness {
                Liveness::Beat(timings) => Some(timings.interval()),
                _ => None,
            };
            let identity = self.beats.identity(service.shared.key.borrowed(), &endpoint);
            self.beats.occupy(number, identity, lease, interval, now);
            let layer = match service.layers.is_empty() {
                true => None,
                false => service.layers.get(&endpoint).map(|kept| &kept.layer),
            };
            let record = Arc::new(Record::new(registration, layer, declared));
            let member = Member {
                endpoint,
                slot: number,
                state,
                record,
            };
            service.count(&CountedAs::from(&member), true);
            match in_order {
                true => service.roster.push(member),
                false => service.roster.insert(member),
            }
        }
        self.healthy = self.healthy + service.healthy - healthy;
        if service.expires() {
            self.population.beating = self.population.beating + service.population.beating - beating;
        }
    }

    /// Whether what was committed is in the pieces already.
    pub(super) fn is_restored(&self, committed: &Committed) -> bool {
        let Some(restoring) = &self.restoring else {
            return false;
        };
        committed.revision <= restoring.as_of
            || match committed.mutation.subject() {
                Subject::Instance(key, _) | Subject::Service(key) => self
                    .service(key.borrowed())
                    .is_some_and(|(_, service)| committed.revision <= service.as_of),
                Subject::Namespace(_) | Subject::Setting(_) | Subject::Registry => false,
            }
    }

    /// Begins or goes on with a history: the next revision is above `revision`. `gaps` are those of its revisions of which
    /// nobody knows any more what they said. Once, after all that is known was restored, and before anybody reads.
    ///
    /// All that was restored begins anew: deadlines are whole from `now` on, no guard holds, nobody is reported, who flaps
    /// has the least score with which one does, probes are scheduled from the beginning, nobody ramps, and who has to show
    /// that he lives is unconfirmed until he does. If anything was restored, or may have been lost, the catalog is incomplete from
    /// here on: until all are confirmed or one beat window has passed.
    pub fn resume(&mut self, epoch: Epoch, revision: Revision, gaps: Vec<Gap>, now: Mono) {
        debug_assert!(revision >= self.revision, "revisions are not used again");
        self.epoch = epoch;
        self.revision = revision;
        self.restored = revision;
        let lost = gaps.last().is_some_and(|gap| gap.until >= revision);
        self.gaps = gaps.into();
        self.restoring = None;
        self.sessions.clear();
        self.standbys = super::standby::Standbys::default();
        self.judged.clear();
        self.holding.clear();
        self.guard = crate::liveness::Guard::default();
        (self.population, self.suspects) = (Population::default(), 0);
        self.flaps = crate::liveness::Flaps::default();
        self.reports = crate::liveness::Reports::default();
        self.rechecks.clear();
        if !self.directory.is_empty() || lost {
            self.floor.raise(revision);
            self.begin_warming(lost, now);
        }
        for index in self.directory.values().copied().collect::<Vec<_>>() {
            self.begin_anew(index, now);
        }
        self.end_ramps();
    }

    /// The same for a service.
    fn begin_anew(&mut self, index: u32, now: Mono) {
        let Some(service) = self.services[index as usize].as_mut() else {
            return;
        };
        (service.guard, service.population) = (None, Population::default());
        service.expires_since = now;
        let (mut marked, mut awaited, mut probed) = (false, Vec::new(), Vec::new());
        let mut flapped = Vec::new();
        for at in 0..service.roster.chunks().len() {
            for member in service.roster.chunk_mut(at) {
                let liveness = &member.record.registration.liveness;
                if matches!(liveness, Liveness::Probe(_)) {
                    probed.push(member.slot);
                }
                let unconfirmed = !matches!(liveness, Liveness::Static);
                let before = member.state.marks;
                let flapping = before.has(Marks::FLAPPING);
                let marks = Marks::NONE
                    .with(Marks::UNCONFIRMED, unconfirmed)
                    .with(Marks::FLAPPING, flapping);
                // What the guard and the consumers of the process before said goes. Nobody is told by a change; whoever
                // had seen all of that process is told with the end of warming.
                marked |= before.and(marks) != marks;
                member.state.marks = marks;
                member.state.reason = reason_without(&member.state, liveness.kind());
                if flapping {
                    flapped.push(member.slot);
                }
                let silent =
                    member.state.health == Health::Unhealthy && member.state.reason == Reason::Silent;
                if let Some(slot) = self.slots.get_mut(member.slot) {
                    slot.recalled = false;
                    slot.begin(liveness, member.record.registration.expires, now);
                    slot.fell.take();
                    slot.unconfirmed = unconfirmed;
                    if matches!(liveness, Liveness::Session(_)) {
                        slot.await_return(self.config.returning);
                        service.population.count(slot.counted(), true);
                    }
                    if silent && slot.timings.is_some() {
                        slot.phase = Phase::Silent;
                    }
                    awaited.push((member.slot, slot.timings.is_some()));
                }
                service.population.beating += u32::from(CountedAs::from(&*member).beats());
            }
        }
        if marked {
            service.floor = self.restored;
        }
        if service.expires() {
            self.population.include(&service.population);
        }
        let key = service.key().clone();
        if service.roster.is_empty() {
            if let Some(since) = service.empty_since.replace(now) {
                self.emptied.remove(&(since, key.clone()));
            }
            self.emptied.insert((now, key.clone()));
        }
        let roster = &service.roster;
        for (endpoint, kept) in &mut service.layers {
            if let Some(since) = kept.gone_since.take() {
                self.gone_layers.remove(&(since, key.clone(), endpoint.clone()));
            }
            if !kept.layer.sticky && roster.get(endpoint).is_none() {
                kept.gone_since = Some(now);
                self.gone_layers.insert((now, key.clone(), endpoint.clone()));
            }
        }
        for number in flapped {
            if self.flap_anew(number, now)
                && let Some(service) = self.services[index as usize].as_mut()
            {
                service.floor = self.restored;
            }
        }
        for number in probed {
            // Without counting: the populations begin anew as well.
            self.probes.schedule.leave(number);
            self.schedule_probe(number, now);
        }
        for (number, timed) in awaited {
            self.beats.cell(number).restart(now);
            if self.is_unconfirmed(number) {
                self.beats.set_unconfirmed(number);
            }
            if timed {
                self.flag(number);
                self.arm_early(number, now);
            }
        }
    }

    /// A restored instance flaps, as far as flaps are kept at all. Returns whether it is no longer called so.
    fn flap_anew(&mut self, number: u32, now: Mono) -> bool {
        let Some((slot, _, member)) = self.at_slot(number) else {
            return false;
        };
        let (index, endpoint, state) = (slot.service, slot.endpoint.clone(), member.state);
        let marks = self.restore_flaps(number, &state, now);
        if marks == state.marks {
            return false;
        }
        let service = self.services[index as usize].as_mut();
        if let Some(member) = service.and_then(|service| service.roster.get_mut(&endpoint)) {
            member.state.marks = marks;
        }
        true
    }

    /// Arms a restored instance. All of them have the same deadline or nearly; so that they are not all looked at together
    /// each is looked at for the first time at a moment of its own before it, and most will have beaten by then.
    fn arm_early(&mut self, number: u32, now: Mono) {
        let last_beat = self.beats.cell(number).last_beat();
        if let Some(deadline) = self.slots.get(number).and_then(|slot| slot.deadline(last_beat)) {
            let spread = deadline.since(now) / 3;
            let before = spread * (number % 1024) / 1024;
            self.arm_at(number, now.after(deadline.since(now) - before));
        }
    }
}
