//! Taking in parts of services from elsewhere: what a backup says of an instance or of an operator's layer, and what a
//! service was at an earlier revision.
//!
//! An import is a write like any other: decided, committed, applied. It differs from a registration in what it keeps:
//! the lease, so that the instance's client goes on with its beats, and what was measured, with since when and why. What
//! others said of it there, and where on its ramp it was, it leaves, as a restart does; and it is unconfirmed like after
//! one. An instance whose connection is open goes on living by it: only what it registers becomes what the backup says.

use std::sync::Arc;

use crate::model::{Endpoint, Health, Liveness, LivenessKind, Marks, Mono, Reason, ServiceKey, Share, State};

use super::Catalog;
use super::apply::Moment;
use super::command::Mutation;
use super::decide::Decision;
use super::declaring::check_lifetime;
use super::layering::{KeptLayer, LAYERS_PER_SERVICE_MAX};
use super::measured::asked_alike;
use super::piece::{InstancePiece, LayerOf, LayerPiece, ServicePiece};
use super::refusal::Refusal;
use super::reporting::reason_without;
use super::service::{CountedAs, Shared};

/// A part of a service that comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// An instance. Its revision is not taken over: it gets one of this history.
    Instance(InstancePiece),
    /// An operator's layer.
    Layer(LayerPiece),
}

impl Part {
    /// What it is about.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        match self {
            Self::Instance(piece) => &piece.endpoint,
            Self::Layer(piece) => &piece.endpoint,
        }
    }
}

impl Catalog {
    pub(super) fn decide_import(
        &self,
        service: ServiceKey,
        part: Part,
        fresh: crate::model::Lease,
        reserved: usize,
    ) -> Result<Decision, Refusal> {
        let part = match part {
            Part::Instance(piece) => self
                .decide_import_instance(&service, piece, fresh, reserved)?
                .map(Part::Instance),
            Part::Layer(piece) => self
                .decide_import_layer(&service, piece, reserved)?
                .map(Part::Layer),
        };
        Ok(part.map_or(Decision::Nothing, |part| {
            Decision::Commit(vec![Mutation::Imported {
                service,
                part: Box::new(part),
            }])
        }))
    }

    /// `None` if the instance is as the piece says. One that is there is not measured anew by a backup.
    fn decide_import_instance(
        &self,
        service: &ServiceKey,
        mut piece: InstancePiece,
        fresh: crate::model::Lease,
        reserved: usize,
    ) -> Result<Option<InstancePiece>, Refusal> {
        let found = self.service(service.borrowed()).map(|(_, found)| found);
        let member = found.and_then(|found| found.roster.get(&piece.endpoint));
        let open = member.filter(|member| self.is_held_open(member.slot));
        if let Some(member) = open {
            // Its client is here and lives, whatever it lived by when the backup was made, and will not say so again: it
            // goes on living by its connection, and is as it says and was measured here.
            piece.registration.liveness = member.record.registration.liveness.clone();
            piece.declared = member.record.declared.clone();
        }
        if let Some(found) = found {
            check_lifetime(found, &piece.endpoint, &piece.registration, false)?;
        }
        let kind = piece.registration.liveness.kind();
        // As after a restart: whoever may have died since must prove itself, no guard holds for it and nobody reports it
        // yet, and whoever served goes on with his whole weight. Flaps are measured here, not taken over.
        let unconfirmed = kind != LivenessKind::Static && open.is_none();
        piece.state.marks = Marks::NONE.with(Marks::UNCONFIRMED, unconfirmed);
        piece.state.reason = reason_without(&piece.state, kind);
        piece.state.share = Share::FULL;
        let Some(member) = member else {
            self.check_limits(found, 1, reserved, 0)?;
            if self.beats.slot_of_lease(piece.lease).is_some() {
                piece.lease = fresh;
            }
            return Ok(Some(piece));
        };
        let known = &member.record.registration;
        let as_registered = known.is_alike(&piece.registration) && member.record.declared == piece.declared;
        // What is measured here is newer than what was there: only where nobody measures it is as the piece says.
        let measured = kind == LivenessKind::Static && member.state.health != piece.state.health;
        if as_registered && !measured {
            return Ok(None);
        }
        let same_run = known.incarnation == piece.registration.incarnation;
        let kept = same_run.then(|| self.beats.cell(member.slot).lease()).flatten();
        let of_other = self
            .beats
            .slot_of_lease(piece.lease)
            .is_some_and(|slot| slot != member.slot);
        piece.lease = kept.unwrap_or(if of_other { fresh } else { piece.lease });
        let says = |declared: Option<&std::sync::Arc<crate::model::Declared>>| {
            declared.is_some_and(|said| said.status == crate::model::DeclaredStatus::Unhealthy)
        };
        let unwell = says(piece.declared.as_ref());
        let stays = asked_alike(known, &piece.registration) && unwell == member.record.unwell();
        if stays || open.is_some() {
            let kept = Marks::NONE
                .with(Marks::UNCONFIRMED, self.is_unconfirmed(member.slot))
                .with(Marks::FLAPPING, member.state.marks.has(Marks::FLAPPING));
            piece.state = State {
                marks: kept,
                reason: reason_without(&member.state, kind),
                share: Share::FULL,
                ..member.state
            };
        }
        Ok(Some(piece))
    }

    /// `None` if the layer is there, or is for another run of a process than the one that is there.
    fn decide_import_layer(
        &self,
        service: &ServiceKey,
        piece: LayerPiece,
        reserved: usize,
    ) -> Result<Option<LayerPiece>, Refusal> {
        let Some((_, found)) = self.service(service.borrowed()) else {
            // Those that are reserved may all be of services that do not exist yet, or layers of this one.
            if self.services() + reserved >= self.config.services_max {
                return Err(Refusal::Limit {
                    limit: "services_max",
                    max: self.config.services_max,
                });
            }
            return Ok(Some(piece));
        };
        let before = found.layer(&piece.endpoint);
        if before.is_some_and(|kept| kept.layer == piece.layer) {
            return Ok(None);
        }
        if before.is_none() && found.layers.len() + reserved >= LAYERS_PER_SERVICE_MAX {
            return Err(Refusal::Limit {
                limit: "operator_layers_per_service_max",
                max: LAYERS_PER_SERVICE_MAX,
            });
        }
        let other_run = found
            .roster
            .get(&piece.endpoint)
            .is_some_and(|member| match &piece.of {
                LayerOf::Run(of) => !piece.layer.sticky && *of != member.record.registration.incarnation,
                LayerOf::Next => false,
            });
        Ok((!other_run).then_some(piece))
    }

    pub(super) fn import(&mut self, service: ServiceKey, part: Part, moment: Moment) -> Option<Arc<Shared>> {
        match part {
            Part::Instance(piece) => Some(self.import_instance(service, piece, moment)),
            Part::Layer(piece) => self.import_layer(service, piece, moment),
        }
    }

    /// Registers it, and then makes its state what it was.
    fn import_instance(&mut self, key: ServiceKey, piece: InstancePiece, moment: Moment) -> Arc<Shared> {
        let InstancePiece {
            endpoint,
            lease,
            registration,
            declared,
            state,
        } = piece;
        let shared = self.register(key, endpoint.clone(), registration, state.health, lease, moment);
        let index = shared.index;
        let Some(service) = self.services[index as usize].as_mut() else {
            return shared;
        };
        let Some(member) = service.roster.get_mut(&endpoint) else {
            return shared;
        };
        let counted = CountedAs::from(&*member);
        member.state = State {
            revision: moment.revision,
            ..state
        };
        if declared.is_some() {
            Arc::make_mut(&mut member.record).declared = declared;
        }
        // Since when it serves is told, unless it did not there and does here, or the other way round.
        let served = member.service();
        member.note_service(served, Share::FULL, moment.at);
        let (number, share) = (member.slot, member.state.share);
        let liveness = member.record.registration.liveness.clone();
        let now_counted = CountedAs::from(&*member);
        self.recount(index, Some(counted), Some(now_counted));
        self.follow_ramp(index, number, share, false, moment.now);
        self.follow_state(index, number, &endpoint, &liveness, &state, moment.now);
        shared
    }

    /// Keeps what goes with the state of an instance: its flaps, who reports it, whether it has to show that it lives, and
    /// since when it is silent.
    fn follow_state(
        &mut self,
        index: u32,
        number: u32,
        endpoint: &Endpoint,
        liveness: &Liveness,
        state: &State,
        now: Mono,
    ) {
        self.restore_flaps(number, state, now);
        self.note_reported(number, index, state.marks.has(Marks::REPORTED), now);
        if state.marks.has(Marks::UNCONFIRMED) {
            self.leave_session(index, endpoint);
            self.await_first_sign(number, liveness);
        }
        let slot = self.slots.get(number);
        let (timed, probed) = slot.map_or((false, false), |slot| (slot.timings.is_some(), slot.probed));
        if timed || probed {
            let suspect = state.suspect();
            let silent = timed && state.health == Health::Unhealthy && state.reason == Reason::Silent;
            self.note_silence(number, silent || suspect, suspect, now);
        }
    }

    fn import_layer(&mut self, key: ServiceKey, piece: LayerPiece, moment: Moment) -> Option<Arc<Shared>> {
        let LayerPiece { endpoint, layer, of } = piece;
        let index = self.service_or_new(key.clone(), moment.revision);
        let service = self.services[index as usize].as_mut()?;
        if service.roster.get(&endpoint).is_some() {
            return self.operate(&key, &endpoint, Some(&layer), moment);
        }
        if service.roster.is_empty() && service.empty_since.is_none() {
            service.empty_since = Some(moment.now);
            self.emptied.insert((moment.now, key.clone()));
        }
        let gone_since = (!layer.sticky).then_some(moment.now);
        let kept = KeptLayer {
            layer,
            of,
            gone_since,
        };
        let before = service.layers.insert(endpoint.clone(), kept);
        if let Some(since) = before.and_then(|kept| kept.gone_since) {
            self.gone_layers.remove(&(since, key.clone(), endpoint.clone()));
        }
        self.gone_layers
            .extend(gone_since.map(|since| (since, key, endpoint)));
        None
    }

    /// Makes a service what it was, in a catalog that has nothing newer and is read for nothing else: what was measured
    /// stays as it was, marks, shares and revisions as well. What was committed about it later can be applied on top.
    ///
    /// Nothing is applied for it: one mutation may have given many instances the same revision, and none of this is a
    /// change.
    pub fn recall(&mut self, service: ServicePiece, instances: Vec<InstancePiece>) {
        let (key, as_of, revision) = (service.key.clone(), service.as_of, service.revision);
        let newest = instances.iter().map(|instance| instance.state.revision).max();
        let instances_of = instances.iter().map(|instance| {
            let liveness = instance.registration.liveness.clone();
            (instance.endpoint.clone(), liveness, instance.state)
        });
        let states: Vec<_> = instances_of.collect();
        self.restore_service(service);
        self.restore_instances(instances, Mono(0));
        self.restoring = None;
        let index = self.published.get(key.borrowed()).map(|shared| shared.index);
        for (endpoint, liveness, state) in states {
            if let Some(index) = index
                && let Some(number) = self.slot_number(index, &endpoint)
            {
                self.follow_state(index, number, &endpoint, &liveness, &state, Mono(0));
            }
        }
        self.revision = self.revision.max(as_of).max(newest.unwrap_or_default());
        if let Some((_, service)) = self.service(key.borrowed()) {
            service.touch(revision);
        }
    }
}
