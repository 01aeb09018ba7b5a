//! Health of those who are probed where several rules meet: holds, guards, registrations and what it says itself.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, beat_with, declared, endpoint, key, labelled, probed};
use crate::catalog::{CatalogConfig, Command, InstancePiece, Part, Rule, Turn, Way};
use crate::liveness::Finding;
use crate::model::{DeclaredStatus, Health, Reason, Registration, Wall};

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

#[test]
fn a_restored_catalog_of_those_who_are_probed_is_incomplete_until_all_have_answered_or_a_beat_window_has_passed()
 {
    for answers in [true, false] {
        let mut world = World::without_guard();
        world.register("s", A, probed(2, 3));
        world.register("s", "10.0.0.2:80", probed(2, 3));
        world.reopen();
        assert_eq!(world.catalog.beats().unconfirmed(), 2);
        world.turn();
        world.found("s", A, Finding::Good);
        world.advance(seconds(10));
        assert!(!world.catalog.complete());
        assert_eq!(world.catalog.beats().unconfirmed(), 1);
        if answers {
            world.found("s", "10.0.0.2:80", Finding::Good);
            assert_eq!(world.catalog.beats().unconfirmed(), 0);
        }
        world.advance(seconds(if answers { 1 } else { 6 }));
        assert!(world.catalog.complete());
        world.deregister("s", "10.0.0.2:80").unwrap();
        assert_eq!(world.catalog.beats().unconfirmed(), 0);
    }
}

#[test]
fn an_import_does_not_overrule_what_probes_have_measured_here() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, probed(2, 3));
    for _ in 0..3 {
        world.probed("s", A, false);
    }
    let before = world.member("s", A).unwrap().state;
    let mut state = before;
    (state.health, state.reason, state.since) = (Health::Healthy, Reason::ProbePassed, Wall(5));
    for (registration, count) in [(probed(2, 3), 0), (labelled("k", "v", probed(2, 3)), 1)] {
        let piece = InstancePiece {
            endpoint: endpoint(A),
            lease,
            registration,
            declared: None,
            state,
        };
        let command = Command::Import {
            service: key("s"),
            part: Box::new(Part::Instance(piece)),
            lease: world.fresh_lease(),
        };
        assert_eq!(world.run(command), Ok(count));
        let after = world.member("s", A).unwrap().state;
        assert_eq!(
            (after.health, after.reason),
            (Health::Unhealthy, Reason::ProbeFailed)
        );
        assert_eq!((after.since, after.marks), (before.since, before.marks));
    }
    check_tables(&world);
}

#[test]
fn what_probes_measured_stays_whatever_was_said_in_between() {
    let mut world = World::without_guard();
    world
        .try_register("s", A, probed(2, 3), Health::Unhealthy)
        .unwrap();
    world.probed("s", A, true);
    world.probed("s", A, true);
    let lease = world.lease("s", A).unwrap();
    world.declare(lease, declared(DeclaredStatus::Unhealthy)).unwrap();
    world.declare(lease, None).unwrap();
    assert_eq!(reason(&world), (Health::Healthy, Reason::Declared));
    world
        .try_register("s", A, labelled("k", "v", probed(2, 3)), Health::Unhealthy)
        .unwrap();
    assert_eq!(world.health("s", A), "healthy");
    // Also one whose word goes with its next registration.
    let lease = world.lease("s", A).unwrap();
    world.declare(lease, declared(DeclaredStatus::Unhealthy)).unwrap();
    world
        .try_register("s", A, labelled("k", "w", probed(2, 3)), Health::Unhealthy)
        .unwrap();
    assert_eq!(reason(&world), (Health::Healthy, Reason::ProbePassed));
    check_tables(&world);
}

#[test]
fn one_that_is_probed_and_held_down_is_held_on_when_only_its_labels_change() {
    let mut world = held(probed(1, 1), 1);
    for health in [Health::Healthy, Health::Unhealthy] {
        let label = format!("{health:?}");
        world
            .try_register("s", A, labelled("k", &label, probed(1, 1)), health)
            .unwrap();
        assert_eq!(reason(&world), (Health::Unhealthy, Reason::Flapping));
    }
    world.advance(seconds(400));
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn one_that_beats_is_held_down_and_registers_as_not_healthy_is_healthy_by_beats_alone() {
    let mut world = World::without_guard();
    let beats = || beat_with(5_000, 15_000, 600_000);
    let lease = world.register("s", A, beats());
    for _ in 0..4 {
        world.advance(Duration::from_millis(15_500));
        world.beat(lease);
    }
    assert_eq!(reason(&world), (Health::Unhealthy, Reason::Flapping));
    world
        .try_register("s", A, labelled("k", "v", beats()), Health::Unhealthy)
        .unwrap();
    assert_eq!(reason(&world), (Health::Unhealthy, Reason::Registered));
    world.advance(seconds(14));
    assert_eq!(world.health("s", A), "unhealthy");
    world.beat(lease);
    assert_eq!(reason(&world), (Health::Unhealthy, Reason::Flapping));
    check_tables(&world);
}

#[test]
fn a_good_answer_takes_the_suspicion_also_from_one_that_says_that_it_is_not_well() {
    let mut world = World::new(CatalogConfig::default());
    let lease = world.register("s", A, probed(1, 1));
    world.force_guard(Some(&key("s")), seconds(20));
    world.advance(seconds(1));
    world.found("s", A, Finding::Silent);
    assert_eq!(world.catalog.suspects(), 1);
    world.declare(lease, declared(DeclaredStatus::Unhealthy)).unwrap();
    assert_eq!(world.probed("s", A, true), 1);
    assert_eq!(world.catalog.suspects(), 0);
    assert_eq!(reason(&world), (Health::Unhealthy, Reason::Declared));
    assert_eq!(world.probed("s", A, true), 0);
    check_tables(&world);
}

#[test]
fn taking_back_that_it_is_not_well_does_not_hide_failing_probes() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, probed(1, 3));
    for failed in [2, 3] {
        world.declare(lease, declared(DeclaredStatus::Unhealthy)).unwrap();
        world.probed("s", A, true);
        for _ in 0..failed {
            world.probed("s", A, false);
        }
        let changes = world.history.len();
        world.declare(lease, None).unwrap();
        let seen = world.history.len() - changes;
        let expected = match failed {
            3 => (Health::Unhealthy, Reason::ProbeFailed),
            _ => (Health::Healthy, Reason::Declared),
        };
        assert_eq!((reason(&world), seen), (expected, failed - 1));
    }
    world.probed("s", A, true);
    assert_eq!(reason(&world), (Health::Healthy, Reason::ProbePassed));
    check_tables(&world);
}

#[test]
fn of_one_that_is_probed_and_suspect_probes_are_told_and_when_the_guard_ends() {
    let mut world = World::new(CatalogConfig::default());
    world.register("s", A, probed(2, 3));
    world.force_guard(Some(&key("s")), seconds(20));
    for _ in 0..3 {
        world.found("s", A, Finding::Silent);
    }
    let there = world.explain("s", A);
    let rule = Rule::GuardedProbe {
        by_service: true,
        needed: 3,
    };
    assert_eq!(there.rule, rule);
    assert_eq!(
        there.ways[..3],
        [Way::ProbeClears, Way::OthersReturn, Way::OperatorEndsGuard]
    );
    assert_eq!(there.deadlines.len(), 1);
    assert_eq!(there.deadlines[0].then, Turn::ServiceGuardEnds);
    assert_eq!(there.deadlines[0].at, crate::model::Mono(0).after(seconds(20)));
}
