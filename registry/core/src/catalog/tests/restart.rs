//! After a restart the lists are what they were, with fresh deadlines (invariant 8).

use std::time::Duration;

use super::beats::check_tables;
use super::deltas::{caught_up, contents};
use crate::catalog::testing::{
    World, address, beat, declared, endpoint, expires, key, of_run, off, registration,
};
use crate::catalog::{
    CatalogConfig, Command, DUE_MAX, DirectoryPage, DirectoryQuery, GuardEvent, NamespaceSummary,
};
use crate::liveness::Beat;
use crate::model::{DeclaredStatus, Existence, Liveness, Marks, Reason, Revision, SessionId};

const A: &str = "10.0.0.1:80";

#[test]
fn membership_layers_leases_and_revisions_are_what_they_were() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, of_run("a", beat()));
    world.register("s", "10.0.0.2:80", registration(Liveness::Static));
    let held = contents(&world.view("s").unwrap());
    world.register("t", "10.0.0.3:80", registration(Liveness::Session(SessionId(7))));
    world.operate("s", A, off()).unwrap();
    world.declare(lease, declared(DeclaredStatus::Draining)).unwrap();
    let before = (
        contents(&world.view("s").unwrap()),
        contents(&world.view("t").unwrap()),
        world.revision(),
    );
    let pieces = world.pieces();
    world.reopen();
    check_tables(&world);
    let after = (
        contents(&world.view("s").unwrap()),
        contents(&world.view("t").unwrap()),
        world.revision(),
    );
    assert_eq!(before, after);
    assert_eq!(world.pieces(), pieces);
    assert_eq!(world.lease("s", A), Some(lease));
    assert_eq!(world.beat(lease), Beat::Renewed);
    // Readers can resume over it.
    let caught_up = caught_up(&world, "s", &held, Revision(2));
    assert_eq!(caught_up, Some(before.0));
}

#[test]
fn deadlines_begin_anew() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.advance_to_ms(14_000);
    world.reopen();
    world.advance_to_ms(28_999);
    assert_eq!(world.health("s", A), "healthy");
    world.advance_to_ms(29_000);
    assert_eq!(world.health("s", A), "unhealthy");
    world.advance_to_ms(44_000);
    assert_eq!(world.health("s", A), "gone");
}

#[test]
fn a_silent_one_does_not_become_healthy_by_a_restart() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.register("s", "10.0.0.2:80", beat());
    world.advance_to_ms(16_000);
    world.reopen();
    world.advance_to_ms(20_000);
    assert_eq!(world.health("s", A), "unhealthy");
    world.beat(lease);
    assert_eq!(world.health("s", A), "healthy");
    // The other goes after a whole time from the restart on.
    world.advance_to_ms(45_999);
    assert_eq!(world.health("s", "10.0.0.2:80"), "unhealthy");
    world.advance_to_ms(46_000);
    assert_eq!(world.health("s", "10.0.0.2:80"), "gone");
}

#[test]
fn a_layer_of_a_gone_instance_is_kept_for_ten_minutes_from_the_restart_on() {
    let mut world = World::without_guard();
    world.register("s", A, of_run("a", beat()));
    world.operate("s", A, off()).unwrap();
    world.advance_to_ms(30_000 + 599_000);
    world.reopen();
    world.advance(Duration::from_secs(599));
    world.register("s", A, of_run("a", beat()));
    assert!(!world.member("s", A).unwrap().record.enabled());
}

#[test]
fn a_suspect_one_is_unconfirmed_after_a_restart_and_protected_again_if_it_stays_silent() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.advance_to_ms(60_000);
    assert_eq!(world.count("s", "suspect"), 100);
    world.reopen();
    check_tables(&world);
    let marks = |world: &World| {
        let view = world.view("s").unwrap();
        view.members()
            .map(|member| member.state.marks)
            .collect::<Vec<_>>()
    };
    assert_eq!(marks(&world), [Marks::UNCONFIRMED; 100]);
    assert_eq!(world.catalog.suspects(), 0);
    world.advance_to_ms(74_980);
    assert_eq!(
        marks(&world),
        [Marks::UNCONFIRMED; 100],
        "never shown as plain healthy"
    );
    // Nobody beats before their fresh deadline: the guard of this process finds that for itself.
    world.advance_to_ms(120_000);
    assert_eq!(world.count("s", "suspect"), 100);
    assert_eq!(world.view("s").unwrap().serving, 100);
    for lease in leases {
        world.beat(lease);
    }
    assert_eq!(world.count("s", "healthy"), 100);
    world.advance_to_ms(121_000);
    assert!(!world.catalog.guarded().0);
    assert_eq!(world.events.last(), Some(&GuardEvent::Ended(None)));
}

#[test]
fn a_few_suspects_that_stay_silent_after_a_restart_go() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.advance_to_ms(60_000);
    world.reopen();
    let alive = &leases[10..];
    world.advance_beating(Duration::from_secs(16), alive);
    assert_eq!(
        (world.count("s", "unhealthy"), world.count("s", "healthy")),
        (10, 90)
    );
    world.advance_beating(Duration::from_secs(15), alive);
    assert_eq!(world.catalog.instances(), 90);
    assert_eq!(world.last_reason(), Reason::Expired);
    assert!(world.member("s", &address(0)).is_none());
    assert!(
        world
            .catalog
            .standing(key("s").borrowed(), &endpoint(&address(99)))
            .is_some()
    );
}

/// What there is of services, whatever was declared about them.
fn services(world: &World) -> (DirectoryPage, Vec<Option<Reason>>, usize, Vec<NamespaceSummary>) {
    let mut page = world.catalog.directory(DirectoryQuery {
        namespace: "public",
        group: None,
        group_contains: None,
        search: None,
        empty: true,
        declared: true,
        offset: 0,
        limit: 100,
    });
    // Their views are new after a restart; `World::pieces` tells their own.
    for service in &mut page.services {
        service.revision = Revision::ZERO;
    }
    let views = page
        .services
        .iter()
        .map(|summary| world.catalog.view(summary.key.borrowed()));
    let emptied_by = views.map(|view| view.unwrap().emptied_by).collect();
    (
        page,
        emptied_by,
        world.catalog.services(),
        world.catalog.namespaces(),
    )
}

#[test]
fn a_service_that_ended_does_not_come_back() {
    let mut world = World::without_guard();
    for service in ["s", "t"] {
        world.register(service, A, beat());
        world.deregister(service, A).unwrap();
    }
    world.register("u", A, registration(Liveness::Static));
    world.advance(Duration::from_secs(300));
    world.register("v", A, beat());
    world.deregister("v", A).unwrap();
    world.declare_service("s", expires(false)).unwrap();
    let changes = world.catalog.log().len();
    world.advance(Duration::from_secs(300));
    // `t` has ended, and no change of membership says so: all were told already that it is empty.
    assert_eq!(world.catalog.services(), 3);
    assert_eq!(world.catalog.log().len(), changes);
    let before = services(&world);
    world.reopen();
    assert_eq!(services(&world), before);

    world.advance(Duration::from_secs(600));
    assert_eq!(world.catalog.services(), 1);
    // It is new then, and says nothing about those who left the one before it.
    let absent = Command::DeclareService {
        service: key("t"),
        patch: Box::new(expires(false)),
        must: Existence::Absent,
    };
    world.reopen();
    assert_eq!(world.run(absent), Ok(1));
    assert_eq!(world.view("t").unwrap().emptied_by, None);
    let before = services(&world);
    world.reopen();
    assert_eq!(services(&world), before);
}

#[test]
fn the_end_of_very_many_services_takes_many_turns() {
    let mut world = World::without_guard();
    let many = 3 * DUE_MAX;
    for number in 0..many {
        world.register(&number.to_string(), A, beat());
        world.deregister(&number.to_string(), A).unwrap();
    }
    world.now = world.now.after(Duration::from_secs(600));
    for turns in 1..=3 {
        world.turn();
        assert_eq!(world.catalog.services(), many - turns * DUE_MAX);
    }
}
