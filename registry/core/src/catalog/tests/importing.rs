//! Parts of services from elsewhere: backups, and services as they were.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::beats::check_tables;
use super::property::{Both, Op, operation};
use crate::catalog::testing::{
    World, address, anonymous, at_ms, beat, beat_with, declared, endpoint, key, labelled, lease, of_run, off,
    probed, registration,
};
use crate::catalog::{
    Catalog, CatalogConfig, Command, InstancePiece, LayerOf, LayerPiece, Part, ServicePiece, View,
};
use crate::liveness::Finding;
use crate::model::{
    Begun, Curve, DeclaredStatus, Epoch, Health, Lease, Liveness, Marks, Mono, OperatorLayer, Reason, Record,
    Registration, Revision, ServicePatch, SessionId, Share, SlowStart, State, Wall,
};

fn piece(address: &str, held: u64, registration: Registration) -> InstancePiece {
    InstancePiece {
        endpoint: endpoint(address),
        lease: lease(held),
        registration,
        declared: None,
        state: State {
            health: Health::Healthy,
            marks: Marks::NONE,
            reason: Reason::Beat,
            revision: Revision(77),
            since: Wall(5),
            share: Share::FULL,
            begun: Begun::NEVER,
        },
    }
}

fn import(world: &mut World, service: &str, part: Part) -> usize {
    let lease = world.fresh_lease();
    world
        .run(Command::Import {
            service: key(service),
            part: Box::new(part),
            lease,
        })
        .unwrap()
}

#[test]
fn an_imported_instance_keeps_its_lease_and_what_was_measured_and_has_a_fresh_deadline() {
    let mut world = World::without_guard();
    world.advance_to_ms(100_000);
    assert_eq!(
        import(&mut world, "a", Part::Instance(piece("10.0.0.1:80", 900, beat()))),
        1
    );
    assert_eq!(world.lease("a", "10.0.0.1:80"), Some(lease(900)));
    let member = world.member("a", "10.0.0.1:80").unwrap();
    assert_eq!((member.state.reason, member.state.since), (Reason::Beat, Wall(5)));
    assert_eq!(member.state.revision, world.revision());
    assert!(member.state.marks.has(Marks::UNCONFIRMED));
    world.advance_to_ms(114_999);
    assert_eq!(world.health("a", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(115_021);
    assert_eq!(world.health("a", "10.0.0.1:80"), "unhealthy");
    world.advance_to_ms(130_021);
    assert_eq!(world.health("a", "10.0.0.1:80"), "gone");
}

#[test]
fn an_imported_instance_that_was_silent_has_a_fresh_time_until_it_goes() {
    let mut world = World::without_guard();
    world.advance_to_ms(100_000);
    let mut silent = piece("10.0.0.1:80", 900, beat());
    (silent.state.health, silent.state.reason) = (Health::Unhealthy, Reason::Silent);
    import(&mut world, "a", Part::Instance(silent));
    world.advance_to_ms(129_999);
    assert_eq!(world.health("a", "10.0.0.1:80"), "unhealthy");
    world.advance_to_ms(130_021);
    assert_eq!(world.health("a", "10.0.0.1:80"), "gone");
}

#[test]
fn the_first_beat_of_an_imported_instance_confirms_it() {
    let mut world = World::without_guard();
    import(&mut world, "a", Part::Instance(piece("10.0.0.1:80", 900, beat())));
    world.advance_to_ms(5_000);
    world.beat(lease(900));
    let member = world.member("a", "10.0.0.1:80").unwrap();
    assert_eq!(
        (member.state.marks, member.state.health),
        (Marks::NONE, Health::Healthy)
    );
    world.advance_to_ms(19_999);
    assert_eq!(world.health("a", "10.0.0.1:80"), "healthy");
}

#[test]
fn an_imported_instance_that_is_probed_is_asked_and_confirmed_by_any_answer() {
    let mut world = World::new(CatalogConfig::default());
    let mut failed = piece("10.0.0.1:80", 900, probed(2, 3));
    (failed.state.health, failed.state.reason) = (Health::Unhealthy, Reason::ProbeFailed);
    import(&mut world, "a", Part::Instance(failed));
    import(
        &mut world,
        "a",
        Part::Instance(piece("10.0.0.2:80", 901, probed(2, 3))),
    );
    check_tables(&world);
    let state = |world: &World, address| {
        let state = world.member("a", address).unwrap().state;
        (state.health, state.reason, state.marks)
    };
    let waits = Marks::UNCONFIRMED;
    assert_eq!(
        state(&world, "10.0.0.1:80"),
        (Health::Unhealthy, Reason::ProbeFailed, waits)
    );
    assert!(world.catalog.next_probe().is_some());
    // It is one of those of whom nothing was heard yet.
    assert_eq!(world.catalog.beats().unconfirmed(), 2);
    for finding in [Finding::Bad, Finding::Good] {
        world.found("a", "10.0.0.1:80", finding);
        world.found("a", "10.0.0.2:80", finding);
        check_tables(&world);
        assert_eq!(
            state(&world, "10.0.0.1:80"),
            (Health::Unhealthy, Reason::ProbeFailed, Marks::NONE)
        );
    }
    world.found("a", "10.0.0.1:80", Finding::Good);
    assert_eq!(
        state(&world, "10.0.0.1:80"),
        (Health::Healthy, Reason::ProbePassed, Marks::NONE)
    );
    assert_eq!(
        state(&world, "10.0.0.2:80"),
        (Health::Healthy, Reason::Beat, Marks::NONE)
    );
    check_tables(&world);
}

#[test]
fn an_imported_instance_does_not_ramp_and_the_next_that_registers_does() {
    let mut world = World::without_guard();
    let fixed = || registration(Liveness::Static);
    let ramp = ServicePatch {
        slow_start: Some(Some(SlowStart::new(60_000, Curve::Linear, 10).unwrap())),
        ..ServicePatch::default()
    };
    world.declare_service("a", ramp).unwrap();
    world.advance_to_ms(100_000);
    // In the middle of a ramp when it was exported; and one that served there for long.
    let mut ramps = piece("10.0.0.1:80", 900, fixed());
    (ramps.state.share, ramps.state.begun) = (Share::EARLY, Begun::at(Wall(9), Wall(5)));
    import(&mut world, "a", Part::Instance(ramps));
    let member = |world: &World, address| world.member("a", address).unwrap();
    assert_eq!(member(&world, "10.0.0.1:80").state.serving_since(), Some(Wall(9)));
    assert_eq!(member(&world, "10.0.0.1:80").state.share, Share::FULL);
    // It is seasoned: who comes now is new beside it.
    world.register("a", "10.0.0.2:80", fixed());
    assert_eq!(member(&world, "10.0.0.2:80").effective_weight(), 0.1);
    check_tables(&world);
    // Over one that ramps here: it is what the backup says.
    let over = InstancePiece {
        registration: labelled("k", "v", fixed()),
        ..piece("10.0.0.2:80", 901, fixed())
    };
    import(&mut world, "a", Part::Instance(over));
    assert_eq!(member(&world, "10.0.0.2:80").effective_weight(), 1.0);
    let here = Some(Wall(100_000));
    assert_eq!(member(&world, "10.0.0.2:80").state.serving_since(), here);
    check_tables(&world);
    assert_eq!(world.catalog.next_deadline(), None, "nobody is on a ramp");
    let end = world.revision();
    world.advance_to_ms(1_000_000);
    assert_eq!(world.revision(), end);
}

#[test]
fn an_imported_instance_that_an_operator_switched_off_here_does_not_serve() {
    let mut world = World::without_guard();
    let fixed = registration(Liveness::Static);
    world.register("a", "10.0.0.1:80", registration(Liveness::Static));
    world.operate("a", "10.0.0.1:80", off()).unwrap();
    let mut served = piece("10.0.0.1:80", 900, labelled("k", "v", fixed));
    served.state.begun = Begun::at(Wall(9), Wall(5));
    import(&mut world, "a", Part::Instance(served));
    let member = world.member("a", "10.0.0.1:80").unwrap();
    assert!(!member.serving());
    assert_eq!(member.state.serving_since(), None);
    check_tables(&world);
}

#[test]
fn a_backup_takes_no_instance_from_its_connection() {
    let mut world = World::without_guard();
    world.publish("a", 1, &["10.0.0.1:80"]).unwrap();
    let of_backup = piece("10.0.0.1:80", 900, registration(Liveness::Session(SessionId(0))));
    let before = world.revision();
    import(&mut world, "a", Part::Instance(of_backup));
    assert_eq!(world.revision(), before);
    assert_eq!(world.close(1), 1);
}

#[test]
fn an_imported_instance_of_a_connection_has_to_come_back_like_one_that_beats() {
    let mut world = World::without_guard();
    let session = || registration(Liveness::Session(SessionId(7)));
    import(
        &mut world,
        "a",
        Part::Instance(piece("10.0.0.1:80", 900, session())),
    );
    import(
        &mut world,
        "a",
        Part::Instance(piece("10.0.0.2:80", 901, session())),
    );
    check_tables(&world);
    // The connection of that number is another one's here.
    let session_closed = Command::CloseSession {
        session: SessionId(7),
    };
    assert_eq!(world.run(session_closed), Ok(0));
    world.register("a", "10.0.0.2:80", session());
    check_tables(&world);
    world.advance_to_ms(59_999);
    assert_eq!(world.health("a", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(60_021);
    assert_eq!(world.health("a", "10.0.0.1:80"), "gone");
    assert_eq!(world.last_reason(), Reason::SessionClosed);
    assert_eq!(world.health("a", "10.0.0.2:80"), "healthy");
    check_tables(&world);
}

#[test]
fn an_import_over_one_that_flaps_and_is_reported_leaves_nothing_of_that() {
    let mut world = World::without_guard();
    let lease = world.register("a", "10.0.0.1:80", beat_with(1_000, 3_000, 60_000));
    for _ in 0..4 {
        world.advance(Duration::from_millis(3_500));
        world.beat(lease);
    }
    world.report_enough("a", "10.0.0.1:80");
    let before = world.member("a", "10.0.0.1:80").unwrap().state;
    assert!(before.marks.has(Marks::FLAPPING.and(Marks::REPORTED)));
    import(&mut world, "a", Part::Instance(piece("10.0.0.1:80", 900, beat())));
    let state = world.member("a", "10.0.0.1:80").unwrap().state;
    assert_eq!((state.health, state.marks), (Health::Healthy, Marks::UNCONFIRMED));
    let kept = (world.catalog.flaps_tracked(), world.catalog.reports().len());
    assert_eq!(kept, (0, 0));
    assert!(!world.catalog.reports().any_marked());
    check_tables(&world);
}

#[test]
fn the_same_registration_confirms_an_imported_instance_and_keeps_its_lease() {
    let mut world = World::without_guard();
    import(&mut world, "a", Part::Instance(piece("10.0.0.1:80", 900, beat())));
    assert_eq!(world.register("a", "10.0.0.1:80", beat()), lease(900));
    let member = world.member("a", "10.0.0.1:80").unwrap();
    assert_eq!(member.state.marks, Marks::NONE);
}

#[test]
fn an_import_that_is_repeated_changes_nothing() {
    let mut world = World::without_guard();
    let fixed = registration(Liveness::Static);
    let parts = [
        Part::Layer(LayerPiece {
            endpoint: endpoint("10.0.0.1:80"),
            layer: OperatorLayer {
                draining: true,
                ..OperatorLayer::default()
            },
            of: LayerOf::Run(None),
        }),
        Part::Instance(piece("10.0.0.1:80", 900, fixed)),
        Part::Instance(InstancePiece {
            declared: declared(DeclaredStatus::Draining),
            ..piece("10.0.0.2:80", 901, beat())
        }),
    ];
    for part in &parts {
        assert_eq!(import(&mut world, "a", part.clone()), 1, "{part:?}");
    }
    assert!(world.member("a", "10.0.0.1:80").unwrap().record.draining());
    assert!(world.member("a", "10.0.0.2:80").unwrap().record.draining());
    let revision = world.revision();
    for part in &parts {
        assert_eq!(import(&mut world, "a", part.clone()), 0, "{part:?}");
    }
    assert_eq!(world.revision(), revision);
}

#[test]
fn a_lease_that_another_instance_holds_is_not_taken_from_it() {
    let mut world = World::without_guard();
    let held = world.register("a", "10.0.0.1:80", beat());
    let part = InstancePiece {
        lease: held,
        ..piece("10.0.0.2:80", 1, beat())
    };
    import(&mut world, "b", Part::Instance(part));
    assert_eq!(world.lease("a", "10.0.0.1:80"), Some(held));
    let other: Option<Lease> = world.lease("b", "10.0.0.2:80");
    assert!(other.is_some() && other != Some(held));
}

#[test]
fn a_layer_of_another_run_is_not_laid_over_the_one_that_is_there() {
    let mut world = World::without_guard();
    world.register("a", "10.0.0.1:80", of_run("new", beat()));
    let layer = |sticky| {
        Part::Layer(LayerPiece {
            endpoint: endpoint("10.0.0.1:80"),
            layer: OperatorLayer {
                enabled: Some(false),
                sticky,
                ..OperatorLayer::default()
            },
            of: LayerOf::Run(Some("old".parse().unwrap())),
        })
    };
    assert_eq!(import(&mut world, "a", layer(false)), 0);
    assert_eq!(import(&mut world, "a", layer(true)), 1);
    assert!(!world.member("a", "10.0.0.1:80").unwrap().record.enabled());
}

/// The service as a checkpoint would keep it.
fn captured(world: &World, service: &str) -> Option<(ServicePiece, Vec<InstancePiece>)> {
    let catalog = &world.catalog;
    let (_, found) = catalog.service(key(service).borrowed())?;
    let layers = found.layers.iter().map(|(endpoint, kept)| LayerPiece {
        endpoint: endpoint.clone(),
        layer: kept.layer.clone(),
        of: kept.of.clone(),
    });
    let instances = found.roster.iter().map(|member| InstancePiece {
        endpoint: member.endpoint.clone(),
        lease: catalog.beats.cell(member.slot).lease().unwrap(),
        registration: member.record.registration.clone(),
        declared: member.record.declared.clone(),
        state: member.state,
    });
    let piece = ServicePiece {
        key: key(service),
        as_of: world.revision(),
        revision: found.shared.revision(),
        settings: found.settings.clone(),
        emptied_by: found.emptied_by,
        layers: layers.collect(),
    };
    Some((piece, instances.collect()))
}

/// Everything of a view that a reader may see.
fn shown(view: Option<Arc<View>>) -> Option<String> {
    let view = view?;
    let members: Vec<_> = view
        .members()
        .map(|member| {
            let mut record = Record::clone(&member.record);
            record.registration = anonymous(&record.registration);
            (&member.endpoint, member.state, record)
        })
        .collect();
    Some(format!(
        "{} {} {:?} {:?} {} {} {members:?}",
        view.key, view.revision, view.emptied_by, view.settings, view.healthy, view.serving
    ))
}

fn recalled(ops: &[Op], captured_at: usize) {
    let mut both = Both::new();
    let mut was = None;
    let mut seen = Vec::new();
    for (step, op) in ops.iter().enumerate() {
        // A replay is another registry.
        if !matches!(op, Op::Reopen) {
            both.step(op);
        }
        if step == captured_at {
            was = Some((captured(&both.world, "a"), both.world.revision()));
        }
        if was.is_some() {
            seen.push((both.world.revision(), shown(both.world.view("a"))));
        }
    }
    let Some((pieces, from)) = was else { return };
    for (at, expected) in seen {
        let mut catalog = Catalog::new(CatalogConfig::default(), Mono(0));
        catalog.resume(Epoch(0xE), Revision::ZERO, Vec::new(), Mono(0));
        if let Some((service, instances)) = pieces.clone() {
            catalog.recall(service, instances);
        }
        let later = both.world.history.iter().filter(|done| {
            let about = done.mutation.subject().service() == Some(&key("a"));
            about && done.revision > from && done.revision <= at
        });
        for committed in later {
            catalog.apply(committed.clone(), at_ms(0));
        }
        assert_eq!(shown(catalog.view(key("a").borrowed())), expected, "at {at}");
    }
}

/// A step of a ramp gives many instances one revision.
#[test]
fn a_service_in_the_midst_of_a_ramp_is_recalled_as_it_was() {
    let mut world = World::without_guard();
    let patch = ServicePatch {
        slow_start: Some(Some(SlowStart::new(60_000, Curve::Linear, 10).unwrap())),
        ..ServicePatch::default()
    };
    world.declare_service("a", patch).unwrap();
    world.register("a", "10.0.0.1:80", registration(Liveness::Static));
    world.advance(Duration::from_secs(61));
    for number in 2..6 {
        let address = format!("10.0.0.{number}:80");
        world.register("a", &address, registration(Liveness::Static));
    }
    world.advance(Duration::from_secs(13));
    let (service, instances) = captured(&world, "a").unwrap();
    let stepped = instances
        .iter()
        .filter(|one| one.state.revision == world.revision());
    assert_eq!(stepped.count(), 4);
    let mut catalog = Catalog::new(CatalogConfig::default(), Mono(0));
    catalog.resume(Epoch(0xE), Revision::ZERO, Vec::new(), Mono(0));
    catalog.recall(service, instances);
    let from = world.revision();
    assert_eq!(shown(catalog.view(key("a").borrowed())), shown(world.view("a")));
    world.advance(Duration::from_secs(100));
    for committed in world.history.iter().filter(|done| done.revision > from) {
        catalog.apply(committed.clone(), at_ms(0));
    }
    assert_eq!(shown(catalog.view(key("a").borrowed())), shown(world.view("a")));
}

proptest! {
    #![proptest_config(super::property::config())]

    /// Earlier states are exact: what a service was, with what was committed later on top, is what it was at each
    /// revision since.
    #[test]
    fn a_recalled_service_is_at_each_revision_what_it_was(
        ops in prop::collection::vec(operation(), 1..60),
        at in 0_usize..60,
    ) {
        recalled(&ops, at);
    }
}

fn published(label: &str, session: u64) -> Registration {
    labelled("v", label, registration(Liveness::Session(SessionId(session))))
}

#[test]
fn a_backup_does_not_doubt_those_whose_connections_are_open() {
    let mut world = World::new(CatalogConfig::default());
    let labels = |world: &World, label: &str| {
        let view = world.view("s").unwrap();
        let labelled = view.members().filter(|member| {
            let marks = member.state.marks;
            member.record.metadata().get("v") == Some(label) && marks == Marks::NONE && member.healthy()
        });
        labelled.count()
    };
    for number in 0..40 {
        let at = address(number);
        world
            .publish_as("s", number as u64, &[(&at, published("new", 0))])
            .unwrap();
    }
    // Also if they lived otherwise when it was made, and were found dead.
    for number in 0..40 {
        let as_it_was = match number % 3 {
            0 => published("old", 0),
            1 => labelled("v", "old", beat()),
            _ => labelled("v", "old", registration(Liveness::Static)),
        };
        let mut piece = piece(&address(number), 9_000 + number as u64, as_it_was);
        (piece.state.health, piece.state.reason) = match number % 2 {
            0 => (Health::Healthy, Reason::Registered),
            _ => (Health::Unhealthy, Reason::Silent),
        };
        assert_eq!(import(&mut world, "s", Part::Instance(piece.clone())), 1);
        assert_eq!(import(&mut world, "s", Part::Instance(piece)), 0);
        check_tables(&world);
    }
    assert_eq!(labels(&world, "old"), 40);
    assert_eq!(world.catalog.standbys.len(), 0);
    world.advance(Duration::from_secs(86_400));
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!(labels(&world, "old"), 40);
    // Each is still of its connection.
    for number in 0..40 {
        assert_eq!(world.close(number), 1);
    }
    assert_eq!(world.catalog.instances(), 0);
    check_tables(&world);
}
