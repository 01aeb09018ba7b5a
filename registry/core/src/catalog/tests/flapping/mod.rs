//! Rule 9: health that flaps is damped. What begins it, what it holds down and for how long, and what it leaves alone.

mod oracle;
mod restart;

use std::time::Duration;

use crate::catalog::testing::{
    World, beat_with, declared, endpoint, key, labelled, of_run, off, probed, registration,
};
use crate::catalog::tests::beats::check_tables;
use crate::catalog::{CatalogConfig, Command};
use crate::model::{DeclaredStatus, Health, Lease, Liveness, Marks, Reason, State};

const A: &str = "10.0.0.1:80";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Beats every second, unhealthy after 3 s, removed after 60 s.
fn fast() -> crate::model::Registration {
    beat_with(1_000, 3_000, 60_000)
}

fn state(world: &World) -> State {
    world.member("s", A).unwrap().state
}

fn standing(world: &World) -> (Health, Reason, bool) {
    let state = state(world);
    (state.health, state.reason, state.marks.has(Marks::FLAPPING))
}

/// Lives for so long, with a beat every second, the first of them now.
fn lives(world: &mut World, lease: Lease, seconds: u64) {
    for _ in 0..seconds {
        world.beat(lease);
        world.advance(ms(1_000));
    }
    world.beat(lease);
}

/// Falls silent and beats again so often; returns after the last beat.
fn falls(world: &mut World, lease: Lease, times: usize) {
    for _ in 0..times {
        world.advance(ms(3_500));
        assert_eq!(standing(world).0, Health::Unhealthy);
        world.beat(lease);
    }
}

/// One that has fallen silent four times within a quarter of a minute, and beats again.
fn flapping() -> (World, Lease) {
    let mut world = World::without_guard();
    let lease = world.register("s", A, fast());
    falls(&mut world, lease, 4);
    (world, lease)
}

const HELD: (Health, Reason, bool) = (Health::Unhealthy, Reason::Flapping, true);

#[test]
fn the_first_flips_of_an_instance_are_never_delayed_and_then_it_is_held_down() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, fast());
    for _ in 0..3 {
        falls(&mut world, lease, 1);
        assert_eq!(standing(&world), (Health::Healthy, Reason::Beat, false));
    }
    world.advance(ms(3_500));
    assert_eq!(
        standing(&world),
        (Health::Unhealthy, Reason::Silent, true),
        "marked by the flip"
    );
    world.beat(lease);
    assert_eq!(standing(&world), HELD);
    assert_eq!((world.catalog.flapping(), world.catalog.healthy()), (1, 0));
    check_tables(&world);
}

#[test]
fn after_the_hold_down_it_is_healthy_by_itself_without_another_beat_to_say_so() {
    let (mut world, lease) = flapping();
    let held = world.now;
    lives(&mut world, lease, 8);
    assert_eq!(standing(&world), HELD);
    let revision = world.revision();
    world.advance_to_ms(held.0 / 1_000 + 9_999);
    assert_eq!(
        (standing(&world), world.revision()),
        (HELD, revision),
        "beats of a held one change nothing"
    );
    world.advance(ms(1));
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
    assert_eq!(world.revision(), revision.next());
    check_tables(&world);
}

#[test]
fn one_that_falls_silent_while_it_is_held_down_has_to_be_well_for_a_whole_time_again() {
    let (mut world, lease) = flapping();
    lives(&mut world, lease, 6);
    world.advance(ms(3_500));
    assert_eq!(standing(&world), (Health::Unhealthy, Reason::Silent, true));
    world.advance(ms(1_000));
    assert_eq!(
        standing(&world),
        (Health::Unhealthy, Reason::Silent, true),
        "the first hold would be over"
    );
    world.beat(lease);
    assert_eq!(standing(&world), HELD);
    lives(&mut world, lease, 9);
    assert_eq!(standing(&world), HELD);
    lives(&mut world, lease, 1);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
}

#[test]
fn the_hold_down_doubles_with_each_further_flip() {
    let (mut world, lease) = flapping();
    for hold in [10, 20, 40] {
        assert_eq!(standing(&world), HELD);
        lives(&mut world, lease, hold - 1);
        assert_eq!(standing(&world), HELD, "{hold}");
        lives(&mut world, lease, 2);
        assert_eq!(standing(&world).0, Health::Healthy, "{hold}");
        falls(&mut world, lease, 1);
    }
}

#[test]
fn the_mark_ends_when_it_has_not_flipped_for_long_and_that_is_told() {
    let (mut world, lease) = flapping();
    lives(&mut world, lease, 11);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
    lives(&mut world, lease, 55);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
    let revision = world.revision();
    lives(&mut world, lease, 16);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, false));
    assert_eq!(
        (world.revision(), world.last_reason()),
        (revision.next(), Reason::Steady)
    );
    assert_eq!(world.catalog.flapping(), 0);
    // And the next flip is not delayed.
    falls(&mut world, lease, 1);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Beat, false));
}

#[test]
fn a_removal_is_never_damped_and_ends_all_that_was_kept_of_it() {
    let (mut world, lease) = flapping();
    lives(&mut world, lease, 2);
    world.advance(ms(60_100));
    assert_eq!(world.health("s", A), "gone");
    assert_eq!(world.last_reason(), Reason::Expired);
    assert_eq!((world.catalog.flapping(), world.catalog.flaps_tracked()), (0, 0));
    // Whoever comes to its place begins anew.
    let lease = world.register("s", A, fast());
    falls(&mut world, lease, 1);
    assert_eq!(standing(&world), (Health::Healthy, Reason::Beat, false));
}

#[test]
fn to_register_again_does_not_end_a_hold_down_and_a_new_process_does_not_inherit_it() {
    let mut world = World::without_guard();
    let first = || of_run("first", fast());
    let lease = world.register("s", A, first());
    falls(&mut world, lease, 4);
    let held = world.now;
    assert_eq!(standing(&world), HELD);
    world.advance(ms(1_000));
    // The same again, and something new.
    let revision = world.revision();
    world.register("s", A, first());
    assert_eq!((standing(&world), world.revision()), (HELD, revision));
    world.register("s", A, labelled("version", "2", first()));
    assert_eq!(standing(&world), HELD);
    let left = 10_000 - world.now.since(held).as_millis() as u64;
    for _ in 0..left / 500 {
        assert_eq!(standing(&world), HELD);
        world.beat(lease);
        world.advance(ms(500));
    }
    assert_eq!(
        standing(&world),
        (Health::Healthy, Reason::Steady, true),
        "after the first ten seconds"
    );
    falls(&mut world, lease, 1);
    assert_eq!(standing(&world), HELD);
    world.register("s", A, of_run("second", fast()));
    assert_eq!(standing(&world), (Health::Healthy, Reason::Registered, false));
    assert_eq!(world.catalog.flaps_tracked(), 0);
    check_tables(&world);
}

#[test]
fn one_that_says_over_and_over_that_it_is_not_well_is_held_down_like_one_that_falls_silent() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat_with(1_000, 60_000, 120_000));
    let unwell = || declared(DeclaredStatus::Unhealthy);
    world.advance(ms(1));
    for round in 0..4 {
        world.declare(lease, unwell()).unwrap();
        assert_eq!(
            standing(&world),
            (Health::Unhealthy, Reason::Declared, round == 3)
        );
        world.declare(lease, None).unwrap();
        let expected = if round < 3 {
            (Health::Healthy, Reason::Declared, false)
        } else {
            HELD
        };
        assert_eq!(standing(&world), expected);
        world.advance(ms(1_000));
    }
    // It was at no revision healthy on the way.
    let last = world.history.iter().rev().take(3);
    assert!(last.clone().all(|committed| !matches!(
        committed.mutation,
        crate::catalog::Mutation::Measured {
            health: Health::Healthy,
            ..
        }
    )));
    // It interrupts itself, and then has to be well for a whole time.
    world.advance(ms(5_000));
    world.declare(lease, unwell()).unwrap();
    assert_eq!(standing(&world), (Health::Unhealthy, Reason::Declared, true));
    world.advance(ms(5_000));
    world.declare(lease, None).unwrap();
    world.advance(ms(9_999));
    assert_eq!(standing(&world), HELD);
    world.advance(ms(1));
    assert_eq!(standing(&world), (Health::Healthy, Reason::Steady, true));
}

#[test]
fn probes_that_change_their_mind_are_damped_and_one_bad_answer_is_an_interruption() {
    let mut world = World::without_guard();
    world.register("s", A, probed(2, 2));
    let probed = |world: &mut World, answers: &str| {
        for answer in answers.chars() {
            world.advance(ms(500));
            world.probed("s", A, answer == '+');
        }
        standing(world)
    };
    for _ in 0..3 {
        assert_eq!(
            probed(&mut world, "--++"),
            (Health::Healthy, Reason::ProbePassed, false)
        );
    }
    assert_eq!(
        probed(&mut world, "--"),
        (Health::Unhealthy, Reason::ProbeFailed, true)
    );
    assert_eq!(probed(&mut world, "++"), HELD);
    assert_eq!(probed(&mut world, "++++++++++"), HELD);
    assert_eq!(
        probed(&mut world, "-"),
        (Health::Unhealthy, Reason::ProbeFailed, true)
    );
    assert_eq!(probed(&mut world, "++"), HELD);
    assert_eq!(probed(&mut world, "+++++++++++++++++++"), HELD, "9.5 s");
    assert_eq!(probed(&mut world, "+"), (Health::Healthy, Reason::Steady, true));
}

#[test]
fn what_an_operator_sets_is_not_damped() {
    let (mut world, _) = flapping();
    assert_eq!(standing(&world), HELD);
    world.operate("s", A, off()).unwrap();
    assert!(!world.member("s", A).unwrap().serving());
    // An instance whose health people set has none that is measured.
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    for round in 0..20 {
        let health = if round % 2 == 0 {
            Health::Unhealthy
        } else {
            Health::Healthy
        };
        let (service, endpoint) = (key("s"), endpoint(A));
        let reason = Reason::Operator;
        world
            .run(Command::Measure {
                service,
                endpoint,
                health,
                reason,
            })
            .unwrap();
        assert_eq!(standing(&world), (health, Reason::Operator, false));
    }
    assert_eq!(world.catalog.flaps_tracked(), 0);
}

#[test]
fn turned_off_nobody_is_held_down_and_nothing_is_kept() {
    let mut config = CatalogConfig::default();
    config.guard.enabled = false;
    config.flap.enabled = false;
    let mut world = World::new(config);
    let lease = world.register("s", A, fast());
    for _ in 0..20 {
        falls(&mut world, lease, 1);
        assert_eq!(standing(&world), (Health::Healthy, Reason::Beat, false));
    }
    assert_eq!(world.catalog.flaps_tracked(), 0);
}

#[test]
fn while_the_guard_holds_nobody_flips_and_who_was_flipped_just_before_does_not_flap_for_it() {
    let mut world = World::new(CatalogConfig::default());
    let leases: Vec<_> = (0..100)
        .map(|number| world.register("s", &crate::catalog::testing::address(number), fast()))
        .collect();
    for _ in 0..10 {
        // A few fall first, then all: the guard takes back what it said of those.
        for _ in 0..4 {
            world.advance(ms(1_000));
            world.beat_all(&leases[10..]);
        }
        world.advance(ms(3_500));
        assert_eq!(world.count("s", "suspect"), 100);
        world.beat_all(&leases);
        world.advance(ms(1_100));
        world.beat_all(&leases);
        assert_eq!(world.count("s", "healthy"), 100);
    }
    assert_eq!(world.catalog.flapping(), 0);
    check_tables(&world);
}

#[test]
fn a_held_one_that_the_guard_protects_is_not_made_healthy_by_that() {
    let mut config = CatalogConfig::default();
    config.guard.enabled = false;
    let mut world = World::new(config);
    let lease = world.register("s", A, fast());
    falls(&mut world, lease, 4);
    lives(&mut world, lease, 2);
    world.force_guard(None, Duration::from_secs(60));
    world.advance(ms(3_500));
    let suspect = state(&world);
    assert_eq!(
        (suspect.health, suspect.reason),
        (Health::Unhealthy, Reason::Guarded)
    );
    assert!(suspect.suspect() && suspect.marks.has(Marks::FLAPPING));
    world.beat(lease);
    assert_eq!(standing(&world), HELD);
    check_tables(&world);
}

#[test]
fn what_cannot_be_committed_comes_up_again() {
    let (mut world, lease) = flapping();
    world.journal_fails = true;
    lives(&mut world, lease, 15);
    assert_eq!(standing(&world), HELD);
    world.journal_fails = false;
    lives(&mut world, lease, 2);
    assert_eq!(standing(&world).0, Health::Healthy);
}
