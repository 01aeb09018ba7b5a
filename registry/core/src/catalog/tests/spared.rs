//! Silence without consequences: of an instance, in a service, everywhere.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, address, at_ms, beat, beat_with, expires, key};
use crate::catalog::{CatalogConfig, EXPIRY, GuardEvent};
use crate::liveness::Beat;
use crate::model::{Health, Registration};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn unbound() -> Registration {
    Registration {
        expires: false,
        ..beat()
    }
}

/// The two ways to turn it off and on for many.
const TURNS: [fn(&mut World, bool); 2] = [
    |world, on| {
        world.declare_service("s", expires(on)).unwrap();
    },
    |world, on| {
        world.set(EXPIRY, Some(if on { "on" } else { "off" })).unwrap();
    },
];

#[test]
fn an_instance_that_does_not_expire_stays_however_silent() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, unbound());
    world.register("s", B, beat());
    world.advance_to_ms(100_000_000);
    assert_eq!((world.health("s", A), world.health("s", B)), ("healthy", "gone"));
    assert_eq!(world.beat(lease), Beat::Renewed);
    // The wheel has nothing to look at.
    world.deregister("s", A).unwrap();
    world.register("t", A, unbound());
    world.advance_to_ms(200_000_000);
    assert!(world.catalog.next_deadline().is_none());
    // Registered anew as one that does, it has its whole time.
    world.register("t", A, beat());
    world.advance_to_ms(200_014_999);
    assert_eq!(world.health("t", A), "healthy");
    world.advance_to_ms(200_015_000);
    assert_eq!(world.health("t", A), "unhealthy");
}

#[test]
fn while_silence_has_no_consequences_nobody_is_flipped_or_removed() {
    let turns: [fn(&mut World, bool); 2] = [
        |world, on| {
            world.declare_service("s", expires(on)).unwrap();
        },
        |world, on| {
            world.set(EXPIRY, Some(if on { "on" } else { "off" })).unwrap();
        },
    ];
    for turn in turns {
        let mut world = World::without_guard();
        world.register("s", A, beat());
        world.advance_to_ms(10_000);
        let lease = world.register("s", B, beat());
        world.advance_to_ms(20_000);
        assert_eq!(
            (world.health("s", A), world.health("s", B)),
            ("unhealthy", "healthy")
        );
        turn(&mut world, false);
        world.advance_to_ms(1_000_003);
        assert_eq!(
            (world.health("s", A), world.health("s", B)),
            ("unhealthy", "healthy")
        );
        // A beat still counts.
        let first = world.lease("s", A).unwrap();
        assert!(matches!(world.beat(first), Beat::Returned(_)));
        assert_eq!(world.health("s", A), "healthy");
        assert_eq!(world.beat(lease), Beat::Renewed);
        world.advance_to_ms(2_000_003);
        // Turned on again, who is still silent has a whole time from then on.
        turn(&mut world, true);
        world.advance_to_ms(2_015_002);
        assert_eq!(world.count("s", "healthy"), 2);
        world.advance_to_ms(2_015_005);
        assert_eq!(world.count("s", "unhealthy"), 2);
        world.advance_to_ms(2_030_000);
        assert_eq!(world.count("s", "unhealthy"), 2);
        world.advance_to_ms(2_030_005);
        assert_eq!(world.catalog.instances(), 0);
    }
}

#[test]
fn who_is_silent_for_long_is_looked_at_once_in_a_timeout_and_searched_for_by_nobody() {
    for turn in TURNS {
        let mut world = World::without_guard();
        for number in 0..100 {
            world.register("s", &address(number), beat());
        }
        turn(&mut world, false);
        let mut looks = 0;
        let end = at_ms(3_600_000);
        while let Some(next) = world.catalog.next_deadline().filter(|next| *next <= end) {
            world.now = world.now.max(next);
            world.turn();
            looks += 1;
        }
        // They began together, so that one look is at all of them; and 15 s are their time.
        assert_eq!(looks, 3_600 / 15);
        // To turn it on looks at nobody, and yet all are found in time.
        world.now = end;
        turn(&mut world, true);
        world.advance(Duration::from_millis(14_999));
        assert_eq!(world.count("s", "healthy"), 100);
        world.advance(Duration::from_millis(1));
        assert_eq!(world.count("s", "unhealthy"), 100);
        check_tables(&world);
    }
}

#[test]
fn one_whose_time_is_longer_than_the_wheel_is_found_in_time_as_well() {
    for turn in TURNS {
        let mut world = World::without_guard();
        world.register("s", A, beat_with(5_000, 200_000, 100_000));
        world.register("s", B, beat_with(5_000, 100_000, 200_000));
        turn(&mut world, false);
        world.advance_to_ms(950_000);
        assert_eq!(world.count("s", "healthy"), 2);
        turn(&mut world, true);
        world.advance_to_ms(1_049_999);
        assert_eq!(world.count("s", "healthy"), 2);
        world.advance_to_ms(1_050_000);
        assert_eq!(
            (world.health("s", A), world.health("s", B)),
            ("gone", "unhealthy")
        );
        world.advance_to_ms(1_150_000);
        assert_eq!(world.health("s", B), "gone");
    }
}

#[test]
fn both_must_be_on() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.register("t", A, beat());
    TURNS[0](&mut world, false);
    TURNS[1](&mut world, false);
    world.advance_to_ms(100_000);
    TURNS[1](&mut world, true);
    world.advance_to_ms(130_000);
    assert_eq!((world.health("s", A), world.health("t", A)), ("healthy", "gone"));
    TURNS[0](&mut world, true);
    world.advance_to_ms(145_000);
    assert_eq!(world.health("s", A), "unhealthy");
}

#[test]
fn an_unproven_one_still_becomes_healthy_by_a_beat() {
    let mut world = World::without_guard();
    world.try_register("s", A, unbound(), Health::Unhealthy).unwrap();
    world.advance_to_ms(100_000);
    assert_eq!(world.health("s", A), "unhealthy");
    let lease = world.lease("s", A).unwrap();
    assert!(matches!(world.beat(lease), Beat::Returned(_)));
    assert_eq!(world.health("s", A), "healthy");
    world.advance_to_ms(200_000);
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn one_that_falls_just_when_it_is_turned_off_stays() {
    for turn in TURNS {
        let mut world = World::new(CatalogConfig::default());
        let leases = world.register_many("s", 30);
        world.advance_to_ms(10_000);
        world.beat_all(&leases[1..]);
        // It was found silent, but that could not be committed.
        world.journal_fails = true;
        world.advance_to_ms(15_500);
        world.journal_fails = false;
        turn(&mut world, false);
        world.advance_to_ms(20_000);
        assert_eq!(world.health("s", &address(0)), "healthy");
        check_tables(&world);
    }
}

#[test]
fn the_guard_counts_those_who_can_fall() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 25);
    for number in 100..200 {
        world.register("s", &address(number), unbound());
    }
    world.register_many("t", 60);
    world.declare_service("t", expires(false)).unwrap();
    check_tables(&world);
    // Eight of 125 would be few, but they are eight of the 25 that are asked to beat.
    world.advance_beating(Duration::from_secs(16), &leases[8..]);
    assert_eq!(world.count("s", "suspect"), 8);
    assert!(world.events.contains(&GuardEvent::Holds(Some(key("s")))));
    check_tables(&world);
}

#[test]
fn a_suspect_stays_one_until_it_beats_or_has_its_whole_time_again() {
    for turn in TURNS {
        let mut world = World::new(CatalogConfig::default());
        let leases = world.register_many("s", 100);
        world.advance_to_ms(20_000);
        assert_eq!(world.count("s", "suspect"), 100);
        turn(&mut world, false);
        world.advance_to_ms(2_000_000);
        assert_eq!(world.count("s", "suspect"), 100);
        world.beat_all(&leases[5..]);
        assert_eq!(world.count("s", "healthy"), 95);
        let (everywhere, services) = world.catalog.guarded();
        assert!(
            !everywhere && services.count() == 0,
            "the guard has ended meanwhile"
        );
        turn(&mut world, true);
        world.advance_beating(Duration::from_millis(14_999), &leases[5..]);
        assert_eq!(world.count("s", "suspect"), 5);
        world.advance_beating(Duration::from_millis(2), &leases[5..]);
        assert_eq!(
            (world.count("s", "healthy"), world.count("s", "unhealthy")),
            (95, 5)
        );
        check_tables(&world);
    }
}

#[test]
fn a_restart_keeps_it_off() {
    for turn in TURNS {
        let mut world = World::without_guard();
        world.register("s", A, beat());
        world.register("s", B, unbound());
        turn(&mut world, false);
        world.reopen();
        world.advance(Duration::from_secs(1_000));
        assert_eq!(world.count("s", "healthy"), 2);
        turn(&mut world, true);
        world.reopen();
        world.advance(Duration::from_secs(30));
        assert_eq!((world.health("s", A), world.health("s", B)), ("gone", "healthy"));
    }
}

/// 220 of `b`, of whom all but the last beat, and 80 of `a`, who are silent from the first second on.
fn a_silent_service_beside_another(world: &mut World) -> Vec<crate::model::Lease> {
    let others = world.register_many("b", 220);
    world.register_many("a", 80);
    others
}

#[test]
fn the_silences_of_a_spared_service_do_not_make_the_registrys_guard_hold() {
    let mut world = World::new(CatalogConfig::default());
    let others = a_silent_service_beside_another(&mut world);
    let alive = &others[..219];
    world.advance_beating(Duration::from_secs(10), &others);
    // Of 300 these are not too many; of the 220 that are left they would be.
    world.advance_beating(Duration::from_millis(6_000), alive);
    world.declare_service("a", expires(false)).unwrap();
    check_tables(&world);
    world.events.clear();
    world.advance_beating(Duration::from_secs(10), alive);
    assert_eq!(world.events, [], "one of 220 fell");
    assert_eq!(world.health("b", &address(219)), "unhealthy");
    check_tables(&world);
}

const SMALL: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];

#[test]
fn those_whom_a_spared_service_has_lost_do_not_count_in_the_registry() {
    let mut world = World::new(CatalogConfig::default());
    let others = world.register_many("b", 220);
    for service in SMALL {
        for number in 0..15 {
            // Removed when they fall, in services that are too small for a guard of their own.
            world.register(service, &address(number), beat_with(5_000, 12_000, 12_000));
        }
    }
    world.advance_beating(Duration::from_secs(10), &others);
    world.advance_beating(Duration::from_secs(3), &others[10..]);
    assert_eq!(world.catalog.instances(), 220);
    for service in SMALL {
        world.declare_service(service, expires(false)).unwrap();
        check_tables(&world);
    }
    world.events.clear();
    world.advance_beating(Duration::from_secs(15), &others[10..]);
    assert_eq!(world.events, [], "ten of 220 fell");
    assert_eq!(world.count("b", "unhealthy"), 10);
    check_tables(&world);
}

#[test]
fn the_suspects_of_a_spared_service_do_not_keep_the_registrys_guard_from_ending() {
    let mut world = World::new(CatalogConfig::default());
    let others = a_silent_service_beside_another(&mut world);
    world.advance_beating(Duration::from_secs(20), &others);
    assert_eq!(world.count("a", "suspect"), 80);
    world.declare_service("a", expires(false)).unwrap();
    check_tables(&world);
    world.advance_beating(Duration::from_secs(1_000), &others);
    // They are shown as what they are, and the registry says how many there are.
    assert_eq!((world.count("a", "suspect"), world.catalog.suspects()), (80, 80));
    world.advance_beating(Duration::from_secs(17), &others[70..]);
    assert!(world.catalog.guarded().0);
    world.beat_all(&others);
    world.advance_beating(Duration::from_secs(2), &others);
    assert!(!world.catalog.guarded().0, "all have returned");
    check_tables(&world);

    // Turned on again they count again.
    world.declare_service("a", expires(true)).unwrap();
    check_tables(&world);
    world.advance_beating(Duration::from_secs(2), &others);
    assert_eq!(world.catalog.guard.suspects(), 80);
    check_tables(&world);
}
