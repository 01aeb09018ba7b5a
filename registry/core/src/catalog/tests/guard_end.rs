//! How the mass-expiry guard ends: by itself, by time, by an operator's hand; and what becomes of those it protected.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, address, beat, key};
use crate::catalog::{CatalogConfig, GuardEvent};
use crate::model::Reason;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// 100 instances that have been silent for a minute.
fn holding() -> (World, Vec<crate::model::Lease>) {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.advance_to_ms(60_000);
    assert_eq!(world.count("s", "suspect"), 100);
    (world, leases)
}

#[test]
fn all_silent_for_a_minute_and_back_nobody_was_removed_and_it_ends_by_itself() {
    let (mut world, leases) = holding();
    for lease in &leases {
        assert_eq!(world.catalog.instances(), 100);
        world.beat(*lease);
        world.advance(Duration::from_millis(50));
    }
    world.advance(seconds(1));
    assert_eq!(world.count("s", "healthy"), 100);
    assert!(!world.catalog.guarded().0);
    assert_eq!(world.catalog.guarded().1.count(), 0);
    let ended = [GuardEvent::Ended(Some(key("s"))), GuardEvent::Ended(None)];
    assert_eq!(world.events[2..], ended);
    // Everyone was seen suspect and healthy, and nothing else.
    assert_eq!(world.revision().0, 300);
    check_tables(&world);
}

#[test]
fn those_who_do_not_come_back_have_a_fresh_deadline_from_its_end_on() {
    let (mut world, leases) = holding();
    let back = &leases[30..];
    world.beat_all(back);
    world.advance(seconds(1));
    let ended = world.now;
    assert_eq!(world.count("s", "suspect"), 30);
    world.advance_beating(seconds(13), back);
    assert_eq!(world.count("s", "suspect"), 30);
    world.advance_beating(seconds(3), back);
    assert_eq!(world.count("s", "unhealthy"), 30);
    assert_eq!(world.now, ended.after(seconds(16)));
    world.advance_beating(seconds(15), back);
    assert_eq!(world.catalog.instances(), 70);
    assert_eq!(world.last_reason(), Reason::Expired);
}

#[test]
fn it_ends_after_ten_minutes_and_then_the_dead_really_go() {
    let (mut world, _) = holding();
    world.advance_to_ms(614_980);
    assert_eq!(world.events.len(), 2, "it held from the 15th second on");
    world.advance_to_ms(616_000);
    assert_eq!(
        world.events[2..],
        [GuardEvent::Ended(Some(key("s"))), GuardEvent::Ended(None)]
    );
    assert_eq!(world.count("s", "suspect"), 100);
    world.advance_to_ms(629_980);
    assert_eq!(world.count("s", "suspect"), 100);
    world.advance_to_ms(631_000);
    assert_eq!(world.count("s", "unhealthy"), 100);
    world.advance_to_ms(646_000);
    assert_eq!(world.catalog.instances(), 0);
    assert_eq!(world.view("s").unwrap().emptied_by, Some(Reason::Expired));
    assert_eq!(world.events.len(), 4, "{:?}", world.events);
}

#[test]
fn an_operator_ends_it_and_then_the_dead_really_go() {
    let (mut world, leases) = holding();
    let back = &leases[50..];
    assert!(!world.catalog.end_guard(None, world.now).is_empty());
    assert!(!world.catalog.guarded().0);
    assert_eq!(world.catalog.guarded().1.count(), 0);
    world.beat_all(back);
    world.advance_beating(seconds(14), back);
    assert_eq!(world.count("s", "suspect"), 50);
    world.advance_beating(seconds(17), back);
    assert_eq!(world.count("s", "healthy"), 50);
    assert_eq!(world.catalog.instances(), 50);
}

#[test]
fn an_operator_ends_it_in_one_service_and_not_in_others() {
    let mut world = World::new(CatalogConfig::default());
    world.register_many("s", 30);
    world.register_many("t", 30);
    let others = world.register_many("u", 300);
    world.advance_beating(seconds(60), &others);
    assert_eq!(
        (world.count("s", "suspect"), world.count("t", "suspect")),
        (30, 30)
    );
    assert!(!world.catalog.end_guard(Some(&key("s")), world.now).is_empty());
    assert!(world.catalog.end_guard(Some(&key("s")), world.now).is_empty());
    assert!(
        world
            .catalog
            .end_guard(Some(&key("nobody")), world.now)
            .is_empty()
    );
    world.advance_beating(seconds(31), &others);
    assert_eq!(
        (world.count("s", "suspect"), world.count("t", "suspect")),
        (0, 30)
    );
    assert_eq!(world.catalog.instances(), 330);
}

#[test]
fn to_end_one_that_does_not_hold_disarms_nothing_and_gives_nobody_more_time() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.advance_beating(seconds(20), &leases[5..]);
    assert_eq!(world.count("s", "unhealthy"), 5);
    assert!(world.catalog.end_guard(None, world.now).is_empty());
    assert!(world.catalog.end_guard(Some(&key("s")), world.now).is_empty());
    world.advance_beating(seconds(10), &leases[5..]);
    assert_eq!(world.catalog.instances(), 95, "on time");
    world.advance(seconds(30));
    assert_eq!(world.count("s", "suspect"), 95, "and it still watches");
}

#[test]
fn a_suspect_that_registers_anew_has_returned() {
    let (mut world, _) = holding();
    for number in 0..100 {
        world.register("s", &address(number), beat());
    }
    assert_eq!((world.count("s", "healthy"), world.catalog.suspects()), (100, 0));
    world.advance(seconds(1));
    assert!(!world.catalog.guarded().0);
    check_tables(&world);
}

#[test]
fn it_holds_again_at_once_if_it_ended_by_itself() {
    let (mut world, leases) = holding();
    world.beat_all(&leases);
    world.advance(seconds(1));
    assert!(!world.catalog.guarded().0);
    world.advance(seconds(30));
    assert_eq!(world.count("s", "suspect"), 100);
    assert_eq!(world.revision().0, 400);
}

#[test]
fn the_service_can_be_emptied_while_it_holds() {
    let (mut world, _) = holding();
    for number in 0..100 {
        world.deregister("s", &address(number)).unwrap();
    }
    check_tables(&world);
    world.advance(seconds(700));
    assert_eq!(world.catalog.services(), 0);
    assert_eq!(world.catalog.guarded().1.count(), 0);
    // The index of the service is used again.
    let leases = world.register_many("t", 25);
    world.advance_beating(seconds(16), &leases[5..]);
    assert_eq!(world.count("t", "unhealthy"), 5);
}

#[test]
fn it_does_not_end_while_those_who_tripped_it_are_still_being_marked() {
    // So many that one turn marks less than the share that would let it end.
    let mut world = World::new(CatalogConfig::default());
    let count = 4 * crate::catalog::DUE_MAX;
    assert!(count >= 20);
    world.register_many("s", count);
    world.advance_to_ms(15_100);
    assert_eq!(world.catalog.suspects() as usize, count);
    assert_eq!(world.view("s").unwrap().serving, count);
    assert_eq!(
        world.events,
        [GuardEvent::Holds(Some(key("s"))), GuardEvent::Holds(None)]
    );
}

#[test]
fn it_does_not_end_because_the_journal_fails() {
    let mut world = World::new(CatalogConfig::default());
    world.register_many("s", 100);
    world.journal_fails = true;
    world.advance_to_ms(60_000);
    assert_eq!(world.count("s", "healthy"), 100);
    world.journal_fails = false;
    world.advance_to_ms(61_000);
    assert_eq!(world.count("s", "suspect"), 100);
    assert_eq!(world.events.len(), 2, "{:?}", world.events);
}
