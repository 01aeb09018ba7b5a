//! Health of those who are probed where several rules meet: holds, guards, registrations and what it says itself.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::CatalogConfig;
use crate::catalog::testing::{World, key, labelled, probed};
use crate::liveness::Finding;
use crate::model::{Health, Reason, Registration};

const A: &str = "10.0.0.1:80";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn reason(world: &World) -> (Health, Reason) {
    let state = world.member("s", A).unwrap().state;
    (state.health, state.reason)
}

/// One that is held down since it flaps.
fn held(registration: Registration, fall: u8) -> World {
    let mut world = World::new(CatalogConfig::default());
    world.register("s", A, registration);
    for _ in 0..5 {
        for _ in 0..fall {
            world.advance(seconds(1));
            world.probed("s", A, false);
        }
        world.advance(seconds(1));
        world.probed("s", A, true);
    }
    assert_eq!(reason(&world), (Health::Unhealthy, Reason::Flapping));
    world
}

#[test]
fn one_that_is_held_down_and_answers_nothing_does_not_become_healthy_where_a_guard_holds() {
    for fall in [1, 3] {
        let mut world = held(probed(1, fall), fall);
        world.force_guard(Some(&key("s")), seconds(600));
        for _ in 0..100 {
            world.advance(seconds(5));
            world.found("s", A, Finding::Silent);
            assert_eq!(world.member("s", A).unwrap().state.health, Health::Unhealthy);
        }
        check_tables(&world);
    }
}

#[test]
fn a_bad_answer_interrupts_the_hold_also_if_that_could_not_be_committed() {
    for finding in [Finding::Bad, Finding::Silent] {
        let mut world = held(probed(1, 3), 3);
        world.journal_fails = true;
        world.found("s", A, finding);
        world.journal_fails = false;
        world.advance(seconds(400));
        assert_eq!(world.member("s", A).unwrap().state.health, Health::Unhealthy);
    }
}

#[test]
fn who_registers_anew_again_and_again_is_found_dead_by_his_fall() {
    let mut world = World::without_guard();
    world.register("s", A, probed(2, 3));
    for turn in 0..2 {
        world.advance(seconds(5));
        world.probed("s", A, false);
        world.register("s", A, labelled("turn", &turn.to_string(), probed(2, 3)));
    }
    world.probed("s", A, false);
    assert_eq!(reason(&world), (Health::Unhealthy, Reason::ProbeFailed));
    check_tables(&world);
}

#[test]
fn a_registration_that_asks_the_same_keeps_the_turn_the_last_result_and_the_probe_in_flight() {
    let mut world = World::without_guard();
    world.register("s", A, probed(2, 3));
    world.probed("s", A, false);
    let scheduled = |world: &World| world.explain("s", A).probe.unwrap();
    let before = scheduled(&world);
    world.register("s", A, labelled("k", "v", probed(2, 3)));
    assert_eq!(scheduled(&world), before);
    world.advance(seconds(20));
    let task = world.catalog.probes_due(world.now, Duration::ZERO, 1).remove(0);
    world.register("s", A, labelled("k", "w", probed(2, 3)));
    let done = crate::catalog::ProbeDone {
        ticket: task.ticket,
        result: Some(crate::catalog::testing::result(Finding::Bad)),
    };
    world
        .catalog
        .probed([done], world.now, crate::model::Wall(0), Duration::ZERO);
    assert_eq!(world.catalog.probe_counts().dropped, 0);
    assert_eq!(scheduled(&world).last.unwrap().streak, 2);
    // Asked otherwise it begins anew.
    world.register("s", A, probed(2, 4));
    assert_eq!(scheduled(&world).last, None);
    assert_eq!(scheduled(&world).against, 0);
}
