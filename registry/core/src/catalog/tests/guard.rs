//! The mass-expiry guard at work (rule 2, invariant 10): when it holds, and whom it protects.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, address, beat, beat_with, key, lease};
use crate::catalog::{CatalogConfig, GuardEvent};
use crate::liveness::Beat;
use crate::model::{Lease, Reason};

fn guarded() -> World {
    World::new(CatalogConfig::default())
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Whether any instance of the service was ever unhealthy or removed.
fn touched(world: &World, service: &str) -> bool {
    world
        .catalog
        .log()
        .after(crate::model::Revision::ZERO)
        .any(|change| {
            change.service == key(service) && matches!(change.reason, Reason::Silent | Reason::Expired)
        })
}

#[test]
fn it_acts_before_the_flip_so_that_nobody_is_ever_seen_unhealthy() {
    let mut world = guarded();
    world.register_many("s", 100);
    world.advance_to_ms(14_999);
    assert_eq!(world.count("s", "healthy"), 100);
    world.advance_to_ms(15_000);
    assert_eq!(world.count("s", "suspect"), 100);
    assert!(!touched(&world, "s"));
    check_tables(&world);
}

#[test]
fn suspects_are_shown_as_such_and_go_on_serving() {
    let mut world = guarded();
    world.register_many("s", 20);
    world.advance_to_ms(20_000);
    let view = world.view("s").unwrap();
    assert_eq!((view.len(), view.healthy, view.serving), (20, 20, 20));
    for member in view.members() {
        assert!(member.state.suspect() && member.serving());
        assert_eq!(member.state.reason, Reason::Guarded);
    }
    assert_eq!(world.catalog.suspects(), 20);
    let (everywhere, services) = world.catalog.guarded();
    assert!(everywhere);
    assert_eq!(services.collect::<Vec<_>>(), [&key("s")]);
}

#[test]
fn it_holds_in_the_service_that_fell_silent_and_not_in_others() {
    let mut world = guarded();
    world.register_many("s", 40);
    let others = world.register_many("t", 400);
    let lone = world.register_many("u", 5);
    let beating: Vec<Lease> = others.iter().chain(&lone[1..]).copied().collect();
    world.advance_beating(seconds(16), &beating);
    assert_eq!(world.events, [GuardEvent::Holds(Some(key("s")))]);
    assert_eq!(world.count("s", "suspect"), 40);
    assert_eq!(world.health("u", &address(0)), "unhealthy");
    world.advance_beating(seconds(16), &beating);
    assert_eq!(world.health("u", &address(0)), "gone");
    assert_eq!(world.count("s", "suspect"), 40);
    assert!(!world.catalog.guarded().0);
}

#[test]
fn it_holds_in_the_whole_registry_if_small_services_fall_silent_together() {
    // No service has enough instances for a guard of its own.
    let mut world = guarded();
    let mut beating = Vec::new();
    for service in 0..20 {
        let leases = world.register_many(&format!("s{service}"), 5);
        beating.extend_from_slice(&leases[2..]);
    }
    world.advance_beating(seconds(60), &beating);
    assert_eq!(world.events, [GuardEvent::Holds(None)]);
    assert_eq!(world.catalog.instances(), 100);
    assert_eq!(world.catalog.suspects(), 40);
    assert_eq!(world.catalog.guarded().1.count(), 0);
}

#[test]
fn a_quarter_that_crashed_is_removed_on_time() {
    let mut world = guarded();
    let leases = world.register_many("s", 100);
    world.advance_beating(seconds(15), &leases[25..]);
    assert_eq!(
        (world.count("s", "unhealthy"), world.count("s", "healthy")),
        (25, 75)
    );
    world.advance_beating(seconds(15), &leases[25..]);
    assert_eq!(world.catalog.instances(), 75);
    assert!(world.events.is_empty());
}

#[test]
fn a_quarter_that_crashed_one_by_one_is_removed_on_time_also_without_a_time_between_flip_and_removal() {
    let mut world = guarded();
    let mut leases = Vec::new();
    for number in 0..100 {
        leases.push(world.register("s", &address(number), beat_with(5_000, 15_000, 15_000)));
    }
    // The last beats of the 25 come over 5 s.
    for (step, lease) in leases[..25].iter().enumerate() {
        world.advance_to_ms(step as u64 * 200);
        world.beat(*lease);
        for lease in &leases[25..] {
            world.beat(*lease);
        }
    }
    world.advance_beating(seconds(25), &leases[25..]);
    assert_eq!(world.catalog.instances(), 75);
    assert!(world.events.is_empty(), "{:?}", world.events);
}

#[test]
fn an_outage_is_seen_as_a_whole_also_without_a_time_between_flip_and_removal() {
    let mut world = guarded();
    for number in 0..100 {
        world.advance_to_ms(number as u64 * 50);
        world.register("s", &address(number), beat_with(5_000, 15_000, 15_000));
    }
    world.advance_to_ms(60_000);
    assert_eq!(world.catalog.instances(), 70);
    assert_eq!(world.count("s", "suspect"), 70);
    assert_eq!(world.events.len(), 2, "{:?}", world.events);
}

#[test]
fn those_who_flipped_just_before_it_held_are_protected_as_well() {
    let mut world = guarded();
    for number in 0..100 {
        world.advance_to_ms(number as u64 * 40);
        world.register("s", &address(number), beat());
    }
    // 30 have flipped by then, and the next one trips it.
    world.advance_to_ms(15_000 + 29 * 40);
    assert_eq!(
        (world.count("s", "unhealthy"), world.count("s", "suspect")),
        (30, 0)
    );
    world.advance_to_ms(15_000 + 30 * 40);
    assert_eq!(
        (world.count("s", "unhealthy"), world.count("s", "suspect")),
        (0, 31)
    );
    assert_eq!(world.view("s").unwrap().serving, 100);
    world.advance_to_ms(60_000);
    assert_eq!(world.count("s", "suspect"), 100);
    check_tables(&world);
}

#[test]
fn those_who_flipped_long_before_are_not_shown_as_suspect_but_not_removed_either() {
    let mut world = guarded();
    let leases: Vec<_> = (0..100)
        .map(|number| world.register("s", &address(number), beat_with(5_000, 15_000, 120_000)))
        .collect();
    world.advance_beating(seconds(60), &leases[20..]);
    assert_eq!(world.count("s", "unhealthy"), 20);
    world.advance(seconds(300));
    assert_eq!(
        (world.count("s", "unhealthy"), world.count("s", "suspect")),
        (20, 80)
    );
}

#[test]
fn scaling_down_moves_its_baseline_and_never_trips_it() {
    let mut world = guarded();
    let leases = world.register_many("s", 100);
    world.advance_beating(seconds(10), &leases);
    for number in 20..100 {
        world.deregister("s", &address(number)).unwrap();
    }
    world.advance_beating(seconds(60), &leases[..20]);
    assert!(world.events.is_empty());
    assert_eq!(world.count("s", "healthy"), 20);
    // The baseline is 20 now: seven of them are enough.
    world.advance_beating(seconds(20), &leases[..13]);
    assert_eq!(world.count("s", "suspect"), 7);
}

#[test]
fn deregistration_is_never_held() {
    let mut world = guarded();
    let leases = world.register_many("s", 100);
    world.advance_to_ms(20_000);
    for number in 0..60 {
        assert_eq!(world.deregister("s", &address(number)), Ok(1));
    }
    assert_eq!((world.catalog.instances(), world.catalog.suspects()), (40, 40));
    check_tables(&world);
    // All that are left are silent, until they beat.
    world.advance_to_ms(30_000);
    assert_eq!(world.count("s", "suspect"), 40);
    for lease in &leases[60..] {
        assert!(matches!(world.beat(*lease), Beat::Returned(_)));
    }
    world.advance_to_ms(31_000);
    assert_eq!(world.count("s", "healthy"), 40);
    assert!(!world.catalog.guarded().0);
}

#[test]
fn a_silent_one_counts_once_however_often_the_journal_fails() {
    let mut world = guarded();
    let leases = world.register_many("s", 100);
    world.journal_fails = true;
    world.advance_beating(seconds(24), &leases[10..]);
    world.journal_fails = false;
    world.advance_beating(seconds(2), &leases[10..]);
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!(world.count("s", "unhealthy"), 10);
}

#[test]
fn one_that_returns_as_it_trips_is_not_made_suspect() {
    let mut world = guarded();
    let leases = world.register_many("s", 100);
    // 30 flip, one of them beats and nobody is told yet; then ten more fall and trip it.
    world.advance_to_ms(2_000);
    world.beat_all(&leases[30..]);
    world.advance_to_ms(6_000);
    world.beat_all(&leases[40..]);
    world.advance_to_ms(16_000);
    world.beat_all(&leases[40..]);
    assert_eq!(world.count("s", "unhealthy"), 30);
    let Beat::Returned(slot) = world.beat_unheard(leases[0]) else {
        panic!("it was silent")
    };
    world.advance_to_ms(17_000);
    assert_eq!(world.count("s", "suspect"), 39);
    assert_eq!(world.health("s", &address(0)), "unhealthy");
    world.run(crate::catalog::Command::Returned { slot }).unwrap();
    assert_eq!(world.health("s", &address(0)), "healthy");
    assert_eq!(world.beat(lease(1_000)), Beat::Unknown);
}

#[test]
fn a_disabled_guard_holds_nothing() {
    let mut world = World::without_guard();
    world.register_many("s", 100);
    world.advance_to_ms(15_000);
    assert_eq!(world.count("s", "unhealthy"), 100);
    world.advance_to_ms(30_000);
    assert_eq!(world.catalog.instances(), 0);
    assert!(world.events.is_empty());
}

#[test]
fn a_suspect_that_was_to_be_removed_before_it_is_unhealthy_does_not_return_without_a_beat() {
    let mut world = guarded();
    for number in 0..30 {
        world.register("s", &address(number), beat_with(2_000, 10_000, 4_000));
    }
    world.advance_to_ms(1_000);
    for number in 0..30 {
        let lease = world.lease("s", &address(number)).unwrap();
        world.beat(lease);
    }
    world.advance_to_ms(9_000);
    assert_eq!(world.count("s", "suspect"), 30);
    assert_eq!(world.revision().0, 60);
}

#[test]
fn those_who_came_back_or_said_goodbye_do_not_count() {
    let mut world = guarded();
    let leases = world.register_many("s", 100);
    // Three times 20 fall silent within one window, but each time those before have returned or left.
    world.advance_to_ms(2_000);
    world.beat_all(&leases[20..]);
    world.advance_to_ms(4_000);
    world.beat_all(&leases[40..]);
    world.advance_to_ms(15_500);
    world.beat_all(&leases[60..]);
    assert_eq!(world.count("s", "unhealthy"), 20);
    world.beat_all(&leases[..20]);
    world.advance_to_ms(17_500);
    assert_eq!(world.count("s", "unhealthy"), 20);
    for number in 20..40 {
        world.deregister("s", &address(number)).unwrap();
    }
    world.advance_to_ms(19_500);
    assert_eq!(world.count("s", "unhealthy"), 20);
    assert!(world.events.is_empty(), "{:?}", world.events);
}
