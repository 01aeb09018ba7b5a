//! Instances that live by a held connection, and whose they are.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, address, beat, declared, expires, labelled, off, registration};
use crate::catalog::{Catalog, CatalogConfig};
use crate::liveness::Beat;
use crate::model::{DeclaredStatus, Health, Liveness, Marks, Reason, Registration, SessionId};

const A: &str = "10.0.0.1:80";
/// The first of many.
const A0: &str = "10.0.0.0:80";

fn of_session(id: u64) -> crate::model::Registration {
    registration(Liveness::Session(SessionId(id)))
}

#[test]
fn all_instances_of_a_session_go_when_it_closes_and_no_others() {
    let mut world = World::without_guard();
    for port in 1..=5 {
        world.register("s", &format!("10.0.0.1:{port}"), of_session(1));
        world.register("t", &format!("10.0.0.1:{port}"), of_session(1));
        world.register("s", &format!("10.0.0.2:{port}"), of_session(2));
    }
    world.register("s", A, beat());
    world.advance(Duration::from_secs(10));
    assert_eq!(world.close(1), 10);
    assert_eq!(world.last_reason(), Reason::SessionClosed);
    assert_eq!(world.catalog.instances(), 6);
    assert_eq!(world.view("t").unwrap().emptied_by, Some(Reason::SessionClosed));
    assert_eq!(world.close(1), 0);
    assert_eq!(world.close(99), 0);
    assert_eq!(world.close(2), 5);
}

#[test]
fn an_instance_belongs_to_the_session_that_registered_it_last() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, of_session(1));
    assert_eq!(world.register("s", A, of_session(2)), lease);
    assert_eq!(world.close(1), 0);
    assert_eq!(world.health("s", A), "healthy");
    assert_eq!(world.close(2), 1);
    assert_eq!(world.health("s", A), "gone");
}

#[test]
fn one_that_deregistered_is_not_removed_again_with_its_session() {
    let mut world = World::without_guard();
    world.register("s", A, of_session(1));
    world.deregister("s", A).unwrap();
    // Its slot belongs to another now.
    world.register("s", "10.0.0.2:80", beat());
    assert_eq!(world.close(1), 0);
    assert_eq!(world.health("s", "10.0.0.2:80"), "healthy");
}

#[test]
fn a_session_does_not_expire_and_does_not_take_beats() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, of_session(1));
    assert_eq!(world.beat(lease), Beat::NotBeating);
    world.advance(Duration::from_secs(86_400 * 3));
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn a_client_that_reconnects_and_says_the_same_causes_nothing() {
    let mut world = World::without_guard();
    let labels = [(A, labelled("k", "v", beat()))];
    world.publish_as("s", 1, &labels).unwrap();
    let lease = world.lease("s", A);
    let (before, view) = (world.revision(), world.view("s").unwrap());
    assert_eq!(world.publish_as("s", 2, &labels), Ok(0));
    assert_eq!(world.revision(), before);
    assert!(std::sync::Arc::ptr_eq(&view, &world.view("s").unwrap()));
    assert_eq!(world.lease("s", A), lease);
    check_tables(&world);
    // It is the new connection's, and no longer the old one's.
    assert_eq!(world.close(1), 0);
    let other = [(A, labelled("k", "w", beat()))];
    assert_eq!(world.publish_as("s", 2, &other), Ok(1));
    assert_eq!(world.publish_as("s", 3, &other), Ok(0));
    let shown = world.member("s", A).unwrap();
    let of = Liveness::Session(SessionId(3));
    assert_eq!(shown.record.registration.liveness, of);
    assert_eq!(world.close(2), 0);
    assert_eq!(world.close(3), 1);
}

#[test]
fn all_that_is_not_just_another_connection_is_a_change() {
    let registered = |world: &mut World, id, health| world.try_register("s", A, of_session(id), health);
    let mut world = World::without_guard();
    assert_eq!(registered(&mut world, 1, Health::Healthy), Ok(1));
    // Another health.
    assert_eq!(registered(&mut world, 2, Health::Unhealthy), Ok(1));
    assert_eq!(registered(&mut world, 2, Health::Unhealthy), Ok(0));
    assert_eq!(registered(&mut world, 3, Health::Healthy), Ok(1));
    // What it says of itself goes with a registration.
    let lease = world.lease("s", A).unwrap();
    world.declare(lease, declared(DeclaredStatus::Draining)).unwrap();
    assert_eq!(registered(&mut world, 4, Health::Healthy), Ok(1));
    // So does what consumers say.
    world.report_enough("s", A);
    assert!(world.member("s", A).unwrap().state.marks.has(Marks::REPORTED));
    assert_eq!(registered(&mut world, 5, Health::Healthy), Ok(1));
    // One that beats becomes one of a connection.
    world.register("s", A, beat());
    assert_eq!(registered(&mut world, 6, Health::Healthy), Ok(1));
    // It is confirmed after a restart.
    world.reopen();
    assert_eq!(registered(&mut world, 7, Health::Healthy), Ok(1));
    // What an operator set is none of it.
    world.operate("s", A, off()).unwrap();
    assert_eq!(registered(&mut world, 8, Health::Healthy), Ok(0));
    check_tables(&world);
    assert!(!world.member("s", A).unwrap().record.enabled());
    // The connection before is still open.
    assert_eq!((world.close(8), world.close(7)), (0, 1));
}

#[test]
fn a_refused_publication_moves_nothing() {
    let mut world = World::without_guard();
    world.publish("s", 1, &[A]).unwrap();
    // Somebody has mixed the service: it takes no more.
    world.register("s", "10.0.0.9:80", registration(Liveness::Static));
    assert!(world.publish("s", 2, &[A, "10.0.0.2:80"]).is_err());
    check_tables(&world);
    assert_eq!(world.close(2), 0);
    assert_eq!(world.close(1), 1);
}

/// Sessions whose beats, if they had any, might be missed: by what they say, or by what was declared.
fn spared(world: &mut World, by_service: bool, count: usize) -> Registration {
    if by_service {
        world.declare_service("s", expires(false)).unwrap();
    }
    let registered = Registration {
        expires: by_service,
        ..beat()
    };
    for number in 0..count {
        let published = [(&*address(number), registered.clone())];
        world.publish_as("s", number as u64, &published).unwrap();
    }
    registered
}

#[test]
fn whoever_does_not_come_back_goes_also_where_silence_has_no_consequences() {
    for by_service in [false, true] {
        let mut world = World::without_guard();
        let registered = spared(&mut world, by_service, 2);
        world.reopen();
        world.advance(Duration::from_secs(30));
        check_tables(&world);
        let back = [(&*address(0), registered)];
        world.publish_as("s", 100, &back).unwrap();
        world.advance(Duration::from_secs(29));
        assert_eq!(world.health("s", &address(1)), "healthy");
        let explained = world.explain("s", &address(1));
        assert_eq!(explained.deadlines.len(), 1);
        assert_eq!(explained.beats.unwrap().spared, None);
        world.advance(Duration::from_secs(1));
        assert_eq!(world.health("s", &address(1)), "gone");
        assert_eq!(world.last_reason(), Reason::SessionClosed);
        check_tables(&world);
        world.advance(Duration::from_secs(86_400));
        assert_eq!(world.health("s", &address(0)), "healthy");
    }
}

#[test]
fn the_guard_holds_for_those_as_well() {
    for by_service in [false, true] {
        let mut world = World::new(CatalogConfig::default());
        spared(&mut world, by_service, 40);
        world.reopen();
        world.advance(Duration::from_secs(61));
        assert_eq!(world.count("s", "suspect"), 40);
        check_tables(&world);
        world.declare_service("s", expires(by_service)).unwrap();
        check_tables(&world);
        world.declare_service("s", expires(!by_service)).unwrap();
        check_tables(&world);
        // It ends after ten minutes, and then they have a whole time once more.
        world.advance(Duration::from_secs(598));
        assert_eq!(world.catalog.instances(), 40);
        world.advance(Duration::from_secs(62));
        assert_eq!(world.catalog.instances(), 0);
        assert_eq!(world.last_reason(), Reason::SessionClosed);
        check_tables(&world);
    }
}

#[test]
fn while_expiry_is_off_nobody_goes_and_afterwards_all_have_a_whole_time() {
    let mut world = World::without_guard();
    spared(&mut world, false, 1);
    world.set("expiry", Some("off")).unwrap();
    world.reopen();
    world.advance(Duration::from_secs(86_400));
    assert_eq!(world.health("s", A0), "healthy");
    world.set("expiry", None).unwrap();
    world.advance(Duration::from_secs(59));
    assert_eq!(world.health("s", A0), "healthy");
    world.advance(Duration::from_secs(1));
    assert_eq!(world.health("s", A0), "gone");
}

#[test]
fn of_the_connections_that_a_journal_tells_of_nothing_is_kept() {
    let mut world = World::without_guard();
    for session in 1..200 {
        let label = session.to_string();
        let published = [(A, labelled("n", &label, beat()))];
        world.publish_as("s", session, &published).unwrap();
        world.close(session - 1);
    }
    let mut catalog = Catalog::new(CatalogConfig::default(), world.now);
    for committed in &world.history {
        catalog.apply(committed.clone(), world.now);
        assert_eq!((catalog.sessions.iter().count(), catalog.standbys.len()), (0, 0));
    }
    assert_eq!(catalog.instances(), 1);
}
