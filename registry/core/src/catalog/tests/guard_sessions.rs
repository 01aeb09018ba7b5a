//! The guard among connections: whom it measures the silent against.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, address, beat, expires, key};
use crate::catalog::{CatalogConfig, GuardEvent};
use crate::model::SessionId;

fn guarded() -> World {
    World::new(CatalogConfig::default())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Connections `from` and so on publish an instance each, at addresses that are not those of others.
fn connect(world: &mut World, service: &str, from: usize, count: usize) {
    for number in from..from + count {
        let address = address(10_000 + number);
        world.publish(service, number as u64, &[&address]).unwrap();
    }
}

#[test]
fn however_many_connections_there_are_it_holds_for_those_who_beat() {
    // In the registry: no service is large enough for a guard of its own.
    let mut world = guarded();
    connect(&mut world, "held", 0, 1_401);
    for number in 0..60 {
        world.register_many(&format!("s{number}"), 10);
    }
    world.advance(seconds(120));
    assert_eq!(world.events, [GuardEvent::Holds(None)]);
    assert_eq!(world.catalog.instances(), 2_001);
    check_tables(&world);
    // And in one service.
    let mut world = guarded();
    connect(&mut world, "s", 0, 60);
    world.register_many("s", 25);
    world.advance(seconds(60));
    assert!(world.events.contains(&GuardEvent::Holds(Some(key("s")))));
    assert_eq!(world.catalog.instances(), 85);
}

#[test]
fn while_it_holds_connections_that_come_do_not_end_it() {
    // Also while some are awaited after a restart.
    let mut world = guarded();
    world.register_many("s", 40);
    connect(&mut world, "s", 0, 5);
    world.reopen();
    world.advance(seconds(16));
    assert_eq!(world.count("s", "suspect"), 40);
    connect(&mut world, "s", 5, 500);
    world.advance(seconds(40));
    assert_eq!(world.count("s", "suspect"), 40);
    connect(&mut world, "s", 0, 5);
    world.advance(seconds(60));
    assert_eq!(world.count("s", "suspect"), 40);
    check_tables(&world);
}

#[test]
fn the_few_who_did_not_come_back_are_no_outage_once_they_are_gone_either() {
    let mut world = guarded();
    connect(&mut world, "s", 0, 100);
    world.reopen();
    world.advance(seconds(30));
    connect(&mut world, "s", 0, 75);
    let leases = world.register_many("s", 20);
    world.advance_beating(seconds(20), &leases);
    world.advance_beating(seconds(12), &leases[1..]);
    assert_eq!((world.count("s", "healthy"), world.catalog.instances()), (95, 95));
    // Of twenty that beat one falls, while the silence of the 25 is not forgotten.
    world.advance_beating(seconds(4), &leases[1..]);
    assert_eq!(world.count("s", "unhealthy"), 1);
    assert!(world.events.is_empty(), "{:?}", world.events);
    check_tables(&world);
}

#[test]
fn it_holds_for_connections_that_do_not_come_back_also_from_a_backup() {
    let mut world = guarded();
    connect(&mut world, "s", 0, 40);
    let pieces = world.pieces();
    let mut world = guarded();
    world.register_many("s", 20);
    for piece in pieces {
        if let crate::catalog::Piece::Instances(instances) = piece {
            for instance in instances {
                let lease = world.fresh_lease();
                let part = Box::new(crate::catalog::Part::Instance(instance));
                let service = key("s");
                let import = crate::catalog::Command::Import { service, part, lease };
                world.run(import).unwrap();
                check_tables(&world);
            }
        }
    }
    assert_eq!(world.catalog.instances(), 60);
    let leases: Vec<_> = (0..20).filter_map(|n| world.lease("s", &address(n))).collect();
    world.advance_beating(seconds(61), &leases);
    assert_eq!(world.count("s", "suspect"), 40);
    check_tables(&world);
    // Most are back.
    connect(&mut world, "s", 0, 30);
    world.advance_beating(seconds(2), &leases);
    assert!(!world.catalog.guarded().0);
    check_tables(&world);
}

#[test]
fn who_is_awaited_stays_counted_right_whatever_becomes_of_him_and_his_service() {
    let mut world = guarded();
    connect(&mut world, "s", 0, 40);
    world.reopen();
    check_tables(&world);
    world.declare_service("s", expires(false)).unwrap();
    check_tables(&world);
    // He comes back, comes back over another connection, beats from now on, says goodbye, or closes.
    connect(&mut world, "s", 0, 10);
    world.publish("s", 900, &[&address(10_000)]).unwrap();
    world.register("s", &address(10_001), beat());
    world.register("s", &address(10_020), beat());
    world.deregister("s", &address(10_002)).unwrap();
    world.deregister("s", &address(10_021)).unwrap();
    world.close(3);
    check_tables(&world);
    world.declare_service("s", expires(true)).unwrap();
    check_tables(&world);
    world.advance(seconds(61));
    check_tables(&world);
    world.capture_some(usize::MAX);
    world.reopen();
    check_tables(&world);
    world.advance(seconds(3_600));
    check_tables(&world);
    assert_eq!(world.catalog.instances_of(SessionId(900)).count(), 0);
}
