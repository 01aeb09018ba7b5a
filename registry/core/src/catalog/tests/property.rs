//! The catalog against the naive model, and deltas against views: any operations in any order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::beats::check_tables;
use super::deltas::{Contents, caught_up, contents};
use super::model::Model;
use crate::catalog::testing::{World, beat_with, declared, endpoint, key, labelled, of_run, registration};
use crate::catalog::{CatalogConfig, Command, View};
use crate::model::{
    DeclaredStatus, Health, Lease, Liveness, OperatorPatch, Registration, Revision, SessionId,
};

const SERVICES: [&str; 3] = ["a", "b", "c"];
const ADDRESSES: [&str; 4] = ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80", "host:80"];

#[derive(Debug, Clone, Copy)]
pub(super) enum Op {
    Register {
        at: (usize, usize),
        kind: u8,
        run: u8,
        label: bool,
        healthy: bool,
    },
    Reregister {
        at: (usize, usize),
    },
    Beat {
        lease: prop::sample::Index,
    },
    Advance {
        ms: u64,
    },
    Deregister {
        at: (usize, usize),
    },
    Operate {
        at: (usize, usize),
        patch: u8,
    },
    Clear {
        at: (usize, usize),
    },
    Declare {
        lease: prop::sample::Index,
        status: u8,
    },
    Probed {
        at: (usize, usize),
        good: bool,
    },
    CloseSession {
        session: u64,
    },
    Reopen,
}

fn operation() -> impl Strategy<Value = Op> {
    let at = || (0..SERVICES.len(), 0..ADDRESSES.len());
    let lease = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), 0_u8..8, 0_u8..3, any::<bool>(), prop::bool::weighted(0.8))
            .prop_map(|(at, kind, run, label, healthy)| Op::Register { at, kind, run, label, healthy }),
        2 => at().prop_map(|at| Op::Reregister { at }),
        6 => lease().prop_map(|lease| Op::Beat { lease }),
        5 => prop_oneof![
            0_u64..3_000, 0_u64..30_000, 0_u64..100_000, 590_000_u64..610_000, Just(86_400_000)
        ]
        .prop_map(|ms| Op::Advance { ms }),
        2 => at().prop_map(|at| Op::Deregister { at }),
        2 => (at(), 0_u8..6).prop_map(|(at, patch)| Op::Operate { at, patch }),
        1 => at().prop_map(|at| Op::Clear { at }),
        2 => (lease(), 0_u8..3).prop_map(|(lease, status)| Op::Declare { lease, status }),
        3 => (at(), any::<bool>()).prop_map(|(at, good)| Op::Probed { at, good }),
        1 => (0_u64..3).prop_map(|session| Op::CloseSession { session }),
        1 => Just(Op::Reopen),
    ]
}

fn registration_of(kind: u8, run: u8, label: bool) -> Registration {
    let registered = match kind {
        0 | 1 => beat_with(5_000, 15_000, 30_000),
        2 => beat_with(1_000, 3_001, 3_013),
        3 => beat_with(500, 10_000, 2_345),
        4 => beat_with(60_000, 82_010, 300_000),
        5 => registration(Liveness::Session(SessionId(u64::from(run)))),
        6 => registration(Liveness::Probe { rise: 2, fall: 3 }),
        _ => registration(Liveness::Static),
    };
    let registered = if label {
        labelled("k", "v", registered)
    } else {
        registered
    };
    match run {
        0 => registered,
        _ => of_run(&format!("run-{run}"), registered),
    }
}

fn patch_of(patch: u8) -> OperatorPatch {
    let mut made = OperatorPatch::default();
    match patch {
        0 => made.enabled = Some(false),
        1 => made.enabled = Some(true),
        2 => made.draining = Some(true),
        3 => made.draining = Some(false),
        4 => made.sticky = Some(true),
        _ => made.sticky = Some(false),
    }
    made
}

fn status_of(status: u8) -> Option<Arc<crate::model::Declared>> {
    match status {
        0 => None,
        1 => declared(DeclaredStatus::Draining),
        _ => declared(DeclaredStatus::Unhealthy),
    }
}

struct Both {
    world: World,
    model: Model,
    issued: Vec<Lease>,
}

impl Both {
    fn new() -> Self {
        Self {
            world: World::without_guard(),
            model: Model::default(),
            issued: Vec::new(),
        }
    }

    fn step(&mut self, op: &Op) {
        let (world, model) = (&mut self.world, &mut self.model);
        let name =
            |(service, address): (usize, usize)| (key(SERVICES[service]), endpoint(ADDRESSES[address]));
        let text = |(service, address): (usize, usize)| (SERVICES[service], ADDRESSES[address]);
        let pick =
            |lease: prop::sample::Index, issued: &[Lease]| (!issued.is_empty()).then(|| *lease.get(issued));
        match *op {
            Op::Register {
                at,
                kind,
                run,
                label,
                healthy,
            } => {
                let registered = registration_of(kind, run, label);
                let health = if healthy {
                    Health::Healthy
                } else {
                    Health::Unhealthy
                };
                self.register(at, registered, health);
            }
            Op::Reregister { at } => {
                if let Some(known) = model.instances.get(&name(at)) {
                    let registered = known.registration.clone();
                    self.register(at, registered, Health::Healthy);
                }
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
            Op::Operate { at, patch } => {
                let _ = world.operate(text(at).0, text(at).1, patch_of(patch));
                model.operate(&name(at), &patch_of(patch));
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
                if model.instances.contains_key(&name(at)) {
                    world.probed(text(at).0, text(at).1, good);
                }
                model.probed(&name(at), good);
            }
            Op::CloseSession { session } => {
                world
                    .run(Command::CloseSession {
                        session: SessionId(session),
                    })
                    .unwrap();
                model.close_session(SessionId(session));
            }
            Op::Reopen => {
                world.reopen();
                model.reopen();
            }
        }
    }

    fn register(&mut self, at: (usize, usize), registered: Registration, health: Health) {
        let (service, address) = (SERVICES[at.0], ADDRESSES[at.1]);
        let before = self.world.history.len();
        self.world
            .try_register(service, address, registered.clone(), health)
            .unwrap();
        assert!(self.world.history.len() <= before + 1);
        // The lease that the registration offered; it is taken or not.
        let offered = self.world.offered_lease();
        self.issued.push(offered);
        self.model
            .register((key(service), endpoint(address)), registered, health, offered);
    }

    fn compare(&self) {
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
                assert_eq!(
                    (&record.registration, &record.declared),
                    (&instance.registration, &instance.declared)
                );
                assert_eq!(record.operator(), model.layer(name));
                assert_eq!(world.lease(service, &name.1.to_string()), Some(instance.lease));
                assert_eq!(view.get(&name.1).unwrap().state, member.state);
                counts.0 += usize::from(member.healthy());
                counts.1 += usize::from(member.serving());
                assert!(member.state.revision <= view.revision);
            }
            assert_eq!((view.healthy, view.serving), counts);
            let newest = world
                .catalog
                .log()
                .after(Revision::ZERO)
                .filter(|change| change.service == key(service))
                .last();
            assert!(newest.is_none_or(|change| change.revision == view.revision));
        }
        for lease in &self.issued {
            assert_eq!(world.catalog.holder(*lease), model.by_lease(*lease));
        }
        assert_eq!(world.catalog.instances(), model.instances.len());
        // Each mutation has one revision, and each but the end of a gone instance's layer is one change.
        assert_eq!(world.revision().0, model.revision);
        assert_eq!(world.history.len() as u64, model.revision);
        check_tables(world);
    }
}

fn agree(ops: Vec<Op>) {
    let mut both = Both::new();
    let mut held: Option<(Arc<View>, Contents)> = None;
    for (step, op) in ops.into_iter().enumerate() {
        both.step(&op);
        both.compare();
        assert_eq!(both.world.catalog.log().len() as u64, both.model.changes);
        if let Some((view, before)) = &held {
            assert_eq!(contents(view), *before, "a held view stays as it was");
        }
        if step % 16 == 0 {
            held = both
                .world
                .view(SERVICES[step % 3])
                .map(|view| (Arc::clone(&view), contents(&view)));
        }
    }
}

/// All that a delta or its refusal may depend on: what readers of each service held at each revision.
fn deltas_lead_to_the_newest_view(ops: Vec<Op>, log: usize) {
    let mut both = Both::new();
    both.world = World::new(CatalogConfig {
        change_log_max: log,
        guard: crate::liveness::GuardConfig {
            enabled: false,
            ..Default::default()
        },
        ..CatalogConfig::default()
    });
    let mut held: BTreeMap<(&str, Revision), Contents> = BTreeMap::new();
    for op in ops {
        // A replay replays the whole history, hence also the changes of services that had been dropped.
        both.step(&op);
        let now = both.world.revision();
        for service in SERVICES {
            let newest = both
                .world
                .view(service)
                .map(|view| contents(&view))
                .unwrap_or_default();
            held.insert((service, now), newest.clone());
            for ((of, since), before) in held.iter().filter(|((of, _), _)| *of == service) {
                match caught_up(&both.world, of, before, *since) {
                    Some(after) => assert_eq!(after, newest, "{of} since {since}"),
                    None => assert!(
                        is_too_old(&both.world, of, *since),
                        "{of} since {since} is not too old"
                    ),
                }
            }
        }
    }
}

/// Whether a change of the service after `since` has been dropped, or the service itself came or went since.
fn is_too_old(world: &World, service: &str, since: Revision) -> bool {
    let Some((_, found)) = world.catalog.service(key(service).borrowed()) else {
        return since != world.revision();
    };
    let mutations = world
        .history
        .iter()
        .filter(|done| done.mutation.subject().service() == Some(&key(service)));
    let held: Vec<_> = world
        .catalog
        .log()
        .after(since)
        .filter(|change| change.service == key(service))
        .collect();
    let after = mutations.filter(|done| done.revision > since).count();
    since < found.floor || held.len() < after
}

/// 400 cases, or as many as `PROPTEST_CASES` says. What is found becomes a named test, not a file of seeds.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(400),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_catalog_agrees_with_the_model(ops in prop::collection::vec(operation(), 1..80)) {
        agree(ops);
    }

    #[test]
    fn a_delta_from_any_revision_leads_to_the_newest_view(
        ops in prop::collection::vec(operation(), 1..60),
        log in prop_oneof![1_usize..20, Just(10_000)],
    ) {
        deltas_lead_to_the_newest_view(ops, log);
    }
}
