//! The catalog and its model side by side: what happens to one happens to the other, and then they agree.

use std::sync::Arc;
use std::time::Duration;

use proptest::sample::Index;

use super::ops::{
    ADDRESSES, Op, SERVICES, must_of, patch_of, piece_of, published_by, registration_of, service_patch_of,
    status_of,
};
use crate::catalog::testing::{World, anonymous, endpoint, key};
use crate::catalog::tests::beats::check_tables;
use crate::catalog::tests::model::Model;
use crate::catalog::{Command, EXPIRY, Mutation, Part, Publication, View};
use crate::model::{Declared, Endpoint, Health, Lease, Marks, Registration, SessionId};

pub(in crate::catalog::tests) struct Both {
    pub(in crate::catalog::tests) world: World,
    pub(super) model: Model,
    issued: Vec<Lease>,
}

impl Both {
    pub(in crate::catalog::tests) fn new() -> Self {
        Self {
            world: World::undamped(),
            model: Model::default(),
            issued: Vec::new(),
        }
    }

    pub(in crate::catalog::tests) fn step(&mut self, op: &Op) {
        let (world, model) = (&mut self.world, &mut self.model);
        let name =
            |(service, address): (usize, usize)| (key(SERVICES[service]), endpoint(ADDRESSES[address]));
        let text = |(service, address): (usize, usize)| (SERVICES[service], ADDRESSES[address]);
        let pick = |lease: Index, issued: &[Lease]| (!issued.is_empty()).then(|| *lease.get(issued));
        match *op {
            Op::Register {
                at,
                kind,
                run,
                label,
                healthy,
                expires,
                uniform,
            } => {
                let registered = Registration {
                    expires,
                    ..registration_of(kind, run, label)
                };
                let health = if healthy {
                    Health::Healthy
                } else {
                    Health::Unhealthy
                };
                self.register(at, registered, health, uniform);
            }
            Op::Reregister { at } => {
                if let Some(known) = model.instances.get(&name(at)) {
                    let registered = known.registration.clone();
                    self.register(at, registered, Health::Healthy, false);
                }
            }
            Op::Import {
                at,
                kind,
                run,
                label,
                healthy,
                status,
                lease,
            } => {
                let known = lease.and_then(|lease| pick(lease, &self.issued));
                let registered = registration_of(kind, run, label);
                self.import(at, registered, healthy, status_of(status), known);
            }
            Op::Beat { lease } => {
                if let Some(lease) = pick(lease, &self.issued) {
                    world.beat(lease);
                    model.beat(lease);
                }
            }
            Op::Advance { ms } => {
                world.advance(Duration::from_millis(ms));
                model.advance(ms * 1_000);
            }
            Op::Deregister { at } => {
                let _ = world.deregister(text(at).0, text(at).1);
                model.deregister(&name(at));
            }
            Op::Operate { at, patch, ahead } => {
                let _ = match ahead {
                    true => world.operate_ahead(text(at).0, text(at).1, patch_of(patch)),
                    false => world.operate(text(at).0, text(at).1, patch_of(patch)),
                };
                model.operate(&name(at), &patch_of(patch), ahead);
            }
            Op::Clear { at } => {
                let _ = world.clear(text(at).0, text(at).1);
                model.clear(&name(at));
            }
            Op::Declare { lease, status } => {
                if let Some(lease) = pick(lease, &self.issued) {
                    let _ = world.declare(lease, status_of(status));
                    model.declare(lease, status_of(status));
                }
            }
            Op::Probed { at, good } => {
                let there = model.instances.contains_key(&name(at));
                if there {
                    world.probed(text(at).0, text(at).1, good);
                    // An end that comes at once may take some turns.
                    world.advance(Duration::ZERO);
                }
                model.probed(&name(at), good);
                // The last answer that was awaited ends the time after a restart at once.
                if there {
                    model.warm();
                }
            }
            Op::Publish {
                service,
                session,
                addresses,
                labelled,
                healthy,
                run,
            } => {
                let named = (0..ADDRESSES.len()).filter(|bit| addresses >> bit & 1 == 1);
                let registered = named.map(|bit| {
                    let label = labelled >> bit & 1 == 1;
                    (endpoint(ADDRESSES[bit]), published_by(session, run, label))
                });
                let health = if healthy {
                    Health::Healthy
                } else {
                    Health::Unhealthy
                };
                self.publish(service, session, registered.collect(), health);
            }
            Op::CloseSession { session } => {
                world
                    .run(Command::CloseSession {
                        session: SessionId(session),
                    })
                    .unwrap();
                model.close_session(SessionId(session));
            }
            Op::DeclareService { service, patch, must } => {
                let (patch, must) = (service_patch_of(patch), must_of(must));
                let service = key(SERVICES[service]);
                let declared = world.run(Command::DeclareService {
                    service: service.clone(),
                    patch: Box::new(patch.clone()),
                    must,
                });
                assert_eq!(
                    declared.is_ok(),
                    model.declare_service(&service, &patch, must),
                    "{declared:?}"
                );
            }
            Op::RemoveService { service } => {
                let removed = world.remove_service(SERVICES[service]);
                assert_eq!(
                    removed.is_ok(),
                    model.remove_service(&key(SERVICES[service])),
                    "{removed:?}"
                );
            }
            Op::Expiry { on } => {
                let text = on.map(|on| if on { "on" } else { "off" });
                world.set(EXPIRY, text).unwrap();
                model.set_expiry(on);
            }
            Op::Capture { chunks } => world.capture_some(chunks),
            Op::Reopen => {
                let before = world.pieces();
                world.reopen();
                assert_eq!(world.pieces(), before, "what was is there again");
                model.reopen();
            }
        }
    }

    fn register(&mut self, at: (usize, usize), registered: Registration, health: Health, uniform: bool) {
        let (service, address) = (key(SERVICES[at.0]), endpoint(ADDRESSES[at.1]));
        let before = self.world.history.len();
        let lease = self.world.fresh_lease();
        let taken = self.world.run(Command::Register {
            service: service.clone(),
            endpoint: address.clone(),
            registration: Box::new(registered.clone()),
            health,
            lease,
            uniform,
        });
        assert!(self.world.history.len() <= before + 1);
        // The lease that the registration offered; it is taken or not.
        let offered = self.world.offered_lease();
        self.issued.push(offered);
        assert_eq!(
            taken.is_ok(),
            self.model
                .register((service, address), registered, health, offered, uniform),
            "{taken:?}"
        );
    }

    fn publish(
        &mut self,
        service: usize,
        session: u64,
        registered: Vec<(Endpoint, Registration)>,
        health: Health,
    ) {
        let (service, session) = (key(SERVICES[service]), SessionId(session));
        let instances = registered.into_iter().map(|(endpoint, registration)| {
            let lease = self.world.fresh_lease();
            self.issued.push(lease);
            (endpoint, registration, health, lease)
        });
        let instances: Vec<_> = instances.collect();
        let publications = instances
            .iter()
            .map(|(endpoint, registration, health, lease)| Publication {
                endpoint: endpoint.clone(),
                registration: Box::new(registration.clone()),
                health: *health,
                lease: *lease,
            });
        let taken = self.world.run(Command::Publish {
            service: service.clone(),
            session,
            instances: publications.collect(),
        });
        assert_eq!(
            taken.is_ok(),
            self.model.publish(&service, session, instances),
            "{taken:?}"
        );
    }

    fn import(
        &mut self,
        at: (usize, usize),
        registered: Registration,
        healthy: bool,
        declared: Option<Arc<Declared>>,
        lease: Option<Lease>,
    ) {
        let (service, address) = (key(SERVICES[at.0]), endpoint(ADDRESSES[at.1]));
        let lease = lease.unwrap_or_else(|| self.world.fresh_lease());
        let fresh = self.world.fresh_lease();
        self.issued.extend([lease, fresh]);
        let piece = piece_of(address.clone(), registered, healthy, declared, lease);
        let taken = self.world.run(Command::Import {
            service: service.clone(),
            part: Box::new(Part::Instance(piece.clone())),
            lease: fresh,
        });
        assert_eq!(
            taken.is_ok(),
            self.model.import((service, address), piece, fresh),
            "{taken:?}"
        );
    }

    pub(super) fn compare(&self) {
        let (world, model) = (&self.world, &self.model);
        assert_eq!(world.now.0, model.now);
        let services: Vec<_> = world.catalog.directory.keys().cloned().collect();
        assert_eq!(services, model.services.keys().cloned().collect::<Vec<_>>());
        for service in SERVICES {
            let Some(view) = world.view(service) else { continue };
            let seen: Vec<_> = view.members().collect();
            let expected: Vec<_> = model
                .instances
                .iter()
                .filter(|((of, _), _)| *of == key(service))
                .collect();
            assert_eq!(seen.len(), expected.len());
            assert_eq!(view.len(), expected.len());
            let mut counts = (0, 0);
            for (member, (name, instance)) in seen.into_iter().zip(expected) {
                let record = &member.record;
                assert_eq!(
                    (&member.endpoint, member.state.health),
                    (&name.1, instance.health)
                );
                // Views are not made anew for another connection, and which it was before a restart is nobody's affair.
                let expected = anonymous(&instance.registration);
                assert_eq!(anonymous(&record.registration), expected);
                let (_, known) = world.catalog.find(&name.0, &name.1).unwrap();
                if !instance.unconfirmed {
                    assert_eq!(known.record.registration, instance.registration);
                }
                assert_eq!(record.declared, instance.declared);
                let waiting = instance.waiting.iter().map(|waiting| waiting.session);
                assert_eq!(
                    world.catalog.standbys.waiting(member.slot),
                    waiting.collect::<Vec<_>>()
                );
                assert_eq!(record.operator(), model.layer(name));
                assert_eq!(
                    member.state.marks.has(Marks::UNCONFIRMED),
                    instance.unconfirmed,
                    "{name:?}"
                );
                assert_eq!(world.lease(service, &name.1.to_string()), Some(instance.lease));
                assert_eq!(view.get(&name.1).unwrap().state, member.state);
                assert_eq!(member.serving(), member.state.serving_since().is_some());
                assert!(member.state.share.is_full(), "no service here has a ramp");
                counts.0 += usize::from(member.healthy());
                counts.1 += usize::from(member.serving());
                assert!(member.state.revision <= view.revision);
            }
            assert_eq!((view.healthy, view.serving), counts);
            self.compare_as_a_whole(&view);
        }
        for lease in &self.issued {
            assert_eq!(world.catalog.holder(*lease), model.by_lease(*lease));
        }
        assert_eq!(world.catalog.instances(), model.instances.len());
        let waiting = model.instances.values().map(|instance| instance.waiting.len());
        assert_eq!(world.catalog.standbys.len(), waiting.sum::<usize>());
        // Each mutation has one revision, and each but the end of a gone instance's layer is one change.
        assert_eq!(world.revision().0, model.revision);
        assert_eq!(world.history.len() as u64, model.revision);
        check_tables(world);
    }
}

impl Both {
    /// What is known of a service apart from its instances.
    fn compare_as_a_whole(&self, view: &View) {
        let (world, model, service) = (&self.world, &self.model, &view.key);
        assert_eq!(view.settings.as_deref(), model.settings.get(service));
        let changed = world.changes.iter().filter(|(_, of)| of == service);
        let declared = world.history.iter().filter(
            |done| matches!(&done.mutation, Mutation::ServiceDeclared { service: of, .. } if of == service),
        );
        // After a restart all views are new, and once more when all are known.
        let warmed = world
            .history
            .iter()
            .filter(|done| done.mutation == Mutation::Warmed);
        let whole = warmed.map(|done| done.revision).max().max(world.reopened);
        let newest = changed
            .map(|(revision, _)| *revision)
            .chain(declared.map(|done| done.revision))
            .max();
        assert_eq!(newest.max(whole), Some(view.revision));
        assert_eq!(view.complete, model.warming.is_none());
        let layers = world.catalog.layers(service.borrowed());
        let expected: Vec<_> = model.layers_of(service).collect();
        let seen: Vec<_> = layers
            .iter()
            .map(|info| (&info.endpoint, &info.layer, info.present))
            .collect();
        assert_eq!(seen, expected);
    }
}
