//! The mass-expiry guard by an operator's hand: how long it holds, for whom, and how it ends.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, key};
use crate::catalog::{CatalogConfig, GuardBy, GuardEvent, Refusal};
use crate::liveness::FORCE_MAX;
use crate::model::Reason;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn without_guard() -> World {
    let mut config = CatalogConfig::default();
    config.guard.enabled = false;
    World::new(config)
}

#[test]
fn while_it_is_forced_even_one_who_falls_silent_is_suspect_and_stays() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.force_guard(None, seconds(600));
    world.advance_beating(seconds(120), &leases[1..]);
    assert_eq!(
        (world.count("s", "suspect"), world.count("s", "healthy")),
        (1, 99)
    );
    assert_eq!(world.last_reason(), Reason::Guarded);
    assert_eq!(world.events, [GuardEvent::Forced(None)]);
    check_tables(&world);
}

#[test]
fn it_does_not_end_because_all_are_well_but_at_its_time_also_when_nobody_is_there() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.force_guard(Some(&key("s")), seconds(300));
    world.advance_beating(seconds(299), &leases);
    assert_eq!(world.catalog.services_guarded(), 1);
    world.advance_beating(seconds(1), &leases);
    assert_eq!(world.catalog.services_guarded(), 0);
    let (forced, ended) = (
        GuardEvent::Forced(Some(key("s"))),
        GuardEvent::Ended(Some(key("s"))),
    );
    assert_eq!(world.events, [forced, ended]);

    // Nothing else is due: the end itself is.
    let mut empty = World::new(CatalogConfig::default());
    empty.force_guard(None, seconds(60));
    assert_eq!(empty.catalog.next_deadline(), Some(empty.now.after(seconds(60))));
    empty.advance(seconds(60));
    assert!(!empty.catalog.guarded().0);
}

#[test]
fn after_its_time_those_who_are_still_silent_have_a_fresh_deadline_and_then_go() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.force_guard(None, seconds(60));
    world.advance_beating(seconds(60), &leases[2..]);
    assert_eq!(world.count("s", "suspect"), 2);
    world.advance_beating(seconds(10), &leases[2..]);
    assert_eq!(world.count("s", "suspect"), 2);
    world.advance_beating(seconds(10), &leases[2..]);
    assert_eq!(world.count("s", "unhealthy"), 2);
    world.advance_beating(seconds(15), &leases[2..]);
    assert_eq!(world.catalog.instances(), 98);
}

#[test]
fn those_who_were_flipped_just_before_are_protected_and_who_fell_long_before_stays() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.advance_beating(seconds(16), &leases[2..]);
    assert_eq!(world.count("s", "unhealthy"), 2);
    world.force_guard(Some(&key("s")), seconds(600));
    assert_eq!(
        (world.count("s", "suspect"), world.count("s", "unhealthy")),
        (2, 0)
    );
    world.advance_beating(seconds(60), &leases[2..]);
    assert_eq!((world.count("s", "suspect"), world.catalog.instances()), (2, 100));
    check_tables(&world);
}

#[test]
fn an_operator_ends_what_an_operator_forced() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 50);
    world.force_guard(None, seconds(600));
    world.force_guard(Some(&key("s")), seconds(600));
    let turns = world.catalog.end_guard(None, world.now);
    assert_eq!(turns.len(), 2);
    assert!(
        turns
            .iter()
            .all(|turn| turn.by == GuardBy::Operator && turn.reading.forced)
    );
    world.advance_beating(seconds(31), &leases[1..]);
    assert_eq!(world.catalog.instances(), 49);
    assert!(world.catalog.next_deadline().is_none_or(|next| next > world.now));
}

#[test]
fn it_can_be_forced_where_guards_do_not_act_by_themselves_and_then_they_do_not_again() {
    let mut world = without_guard();
    world.register_many("s", 100);
    world.register_many("t", 100);
    world.force_guard(Some(&key("s")), seconds(60));
    world.advance(seconds(50));
    assert_eq!(
        (world.count("s", "suspect"), world.catalog.instances()),
        (100, 100)
    );
    world.advance(seconds(60));
    assert_eq!(world.catalog.instances(), 0);
    check_tables(&world);
}

#[test]
fn it_is_forced_for_a_day_at_most_and_not_in_a_service_that_nobody_knows() {
    let mut world = World::new(CatalogConfig::default());
    world.force_guard(None, Duration::MAX);
    let reading = world.catalog.registry_guard(world.now);
    assert_eq!(
        (reading.forced, reading.until),
        (true, Some(world.now.after(FORCE_MAX)))
    );
    let refused = world
        .catalog
        .force_guard(Some(&key("nobody")), seconds(1), world.now);
    assert_eq!(refused.unwrap_err(), Refusal::ServiceNotFound(key("nobody")));
}

#[test]
fn a_goodbye_is_not_held_by_a_forced_guard_either() {
    let mut world = World::new(CatalogConfig::default());
    world.register_many("s", 100);
    world.force_guard(None, seconds(600));
    for number in 0..90 {
        world
            .deregister("s", &crate::catalog::testing::address(number))
            .unwrap();
    }
    assert_eq!(world.catalog.instances(), 10);
    check_tables(&world);
}

#[test]
fn a_turn_tells_by_whom_it_was_and_what_was_counted() {
    let mut world = World::new(CatalogConfig::default());
    let leases = world.register_many("s", 100);
    world.advance_beating(seconds(10), &leases[40..]);
    world.now = world.now.after(seconds(5));
    let (mutations, turns) = world.catalog.due(world.now);
    assert_eq!(turns.len(), 2, "{turns:?}");
    for turn in &turns {
        let reading = turn.reading;
        assert_eq!(
            (turn.by, reading.silent, reading.population),
            (GuardBy::Shares, 40, 100)
        );
        assert_eq!((reading.since, reading.forced), (Some(world.now), false));
    }
    world.commit(mutations);
    world.advance(seconds(1));
    let turns = world.catalog.end_guard(None, world.now);
    assert!(turns.iter().all(|turn| turn.reading.suspects == 40), "{turns:?}");
}
