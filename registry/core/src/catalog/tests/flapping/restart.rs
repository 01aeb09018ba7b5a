//! What is left of flaps after a restart: the mark, and a time to be well for; no flip.

use super::{A, HELD, falls, fast, flapping, lives, ms, standing, state};
use crate::catalog::Mutation;
use crate::catalog::testing::{World, beat_with, endpoint, key};
use crate::catalog::tests::beats::check_tables;
use crate::changes::Missed;
use crate::liveness::Beat;
use crate::model::{Health, Marks, Reason};

#[test]
fn a_restart_keeps_the_mark_but_counts_no_flip_of_before_as_one_of_now() {
    // Three flips, an hour apart, are replayed in one moment.
    let mut world = World::without_guard();
    let lease = world.register("s", A, fast());
    for _ in 0..3 {
        falls(&mut world, lease, 1);
        lives(&mut world, lease, 3_600);
    }
    world.reopen();
    lives(&mut world, lease, 2);
    falls(&mut world, lease, 1);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Beat, false));

    // One that is held down is so after the restart, and has to be well for a whole time again.
    let (mut world, lease) = flapping();
    lives(&mut world, lease, 6);
    world.reopen();
    assert_eq!((standing(&world), world.catalog.flapping()), (HELD, 1));
    world.advance(ms(500));
    lives(&mut world, lease, 10);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
    lives(&mut world, lease, 80);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, false));
    check_tables(&world);
}

#[test]
fn the_mark_of_a_healthy_one_ends_in_time_after_a_restart_too() {
    let (mut world, lease) = flapping();
    lives(&mut world, lease, 20);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
    // Also from a checkpoint, which tells no history.
    world.capture_some(64);
    world.capture_some(64);
    world.reopen();
    assert_eq!(world.catalog.flapping(), 1);
    lives(&mut world, lease, 70);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, false));
    assert_eq!(world.catalog.flapping(), 0);
}

#[test]
fn one_that_is_held_down_is_not_healthy_by_time_alone_after_a_restart() {
    let mut slow = World::without_guard();
    let lease = slow.register("s", A, beat_with(1_000, 40_000, 90_000));
    slow.commit(vec![Mutation::Measured {
        service: key("s"),
        endpoint: endpoint(A),
        health: Health::Unhealthy,
        marks: Marks::FLAPPING,
        reason: Reason::Flapping,
    }]);
    slow.reopen();
    // Neither while it warms, nor afterwards.
    slow.advance(ms(30_000));
    assert_eq!(standing(&slow), HELD);
    assert!(slow.catalog.complete() && state(&slow).marks.has(Marks::UNCONFIRMED));
    slow.beat(lease);
    slow.advance(ms(11_000));
    assert_eq!(standing(&slow).0, Health::Healthy);
    assert!(!state(&slow).marks.has(Marks::UNCONFIRMED));
    check_tables(&slow);
}

#[test]
fn where_damping_is_turned_off_nobody_flaps_after_a_restart() {
    let (mut world, _) = flapping();
    world.catalog.config.flap.enabled = false;
    let marked = world.revision();
    world.register("s", "10.0.0.9:80", fast());
    world.reopen();
    assert!(!standing(&world).2);
    assert!(matches!(world.catalog.missed(&key("s"), marked), Missed::TooOld));
}

#[test]
fn one_that_was_held_down_and_finds_damping_turned_off_is_healthy_by_its_next_beat() {
    let (mut world, lease) = flapping();
    let mut config = world.catalog.config().clone();
    config.flap.enabled = false;
    let history = world.history.clone();
    world.catalog = crate::catalog::Catalog::new(config, world.now);
    for committed in history {
        world.catalog.apply(committed, world.now);
    }
    world.advance(ms(500));
    assert!(matches!(world.beat(lease), Beat::Returned(_)));
    assert_eq!(standing(&world), (Health::Healthy, Reason::Beat, false));
}
