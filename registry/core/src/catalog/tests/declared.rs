//! What an instance says about itself, beside what was measured.

use crate::catalog::Refusal;
use crate::catalog::testing::{World, beat, declared, labelled, lease, probed};
use crate::model::DeclaredStatus::{Draining, Unhealthy};
use crate::model::Reason;

const A: &str = "10.0.0.1:80";

fn serving(world: &World) -> (bool, bool) {
    let member = world.member("s", A).unwrap();
    (member.healthy(), member.serving())
}

#[test]
fn one_that_drains_is_healthy_but_does_not_serve_until_it_takes_that_back() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    assert_eq!(world.declare(lease, declared(Draining)), Ok(1));
    assert_eq!(serving(&world), (true, false));
    assert_eq!(world.view("s").unwrap().serving, 0);
    assert_eq!(world.declare(lease, declared(Draining)), Ok(0));
    assert_eq!(world.declare(lease, None), Ok(1));
    assert_eq!(serving(&world), (true, true));
}

#[test]
fn one_that_says_it_is_not_well_is_unhealthy_however_it_beats() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.declare(lease, declared(Unhealthy)).unwrap();
    assert_eq!(world.last_reason(), Reason::Declared);
    for second in 1..=10 {
        world.advance_to_ms(second * 5_000);
        assert_eq!(world.beat(lease), crate::liveness::Beat::Renewed);
        assert_eq!(serving(&world), (false, false));
    }
    world.declare(lease, None).unwrap();
    assert_eq!(serving(&world), (true, true));
}

#[test]
fn a_registration_anew_takes_the_declared_status_back() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.declare(lease, declared(Draining)).unwrap();
    world.register("s", A, beat());
    assert_eq!(serving(&world), (true, true));
    world.declare(lease, declared(Unhealthy)).unwrap();
    world.register("s", A, labelled("k", "v", beat()));
    assert_eq!(serving(&world), (true, true));
}

#[test]
fn silence_outlasts_the_taking_back_of_a_declared_status_that_came_without_a_beat() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.advance_to_ms(16_000);
    // Not through `World::declare`, which renews.
    let declare = |declared| crate::catalog::Command::Declare { lease, declared };
    world.run(declare(declared(Unhealthy))).unwrap();
    world.run(declare(None)).unwrap();
    assert_eq!(serving(&world), (false, false));
    assert_eq!(world.member("s", A).unwrap().state.reason, Reason::Silent);
    world.advance_to_ms(30_000);
    assert_eq!(world.health("s", A), "gone");
}

#[test]
fn one_that_comes_back_unwell_is_at_no_revision_healthy() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.advance_to_ms(16_000);
    let before = world.history.len();
    world.declare(lease, declared(Unhealthy)).unwrap();
    assert_eq!(serving(&world), (false, false));
    let mut replayed = World::without_guard();
    for committed in &world.history {
        replayed.catalog.apply(committed.clone(), replayed.now);
        if committed.revision.0 > before as u64 {
            assert_eq!(serving(&replayed), (false, false), "{committed:?}");
        }
    }
    // And it is no longer silent: the next deadline is that of a live one.
    world.advance_to_ms(30_999);
    assert_eq!(world.member("s", A).unwrap().state.reason, Reason::Declared);
    world.advance_to_ms(31_000);
    assert_eq!(world.member("s", A).unwrap().state.reason, Reason::Silent);
}

#[test]
fn one_that_is_unwell_and_falls_silent_is_unwell_again_when_it_beats() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.declare(lease, declared(Unhealthy)).unwrap();
    world.advance_to_ms(15_000);
    assert_eq!(world.last_reason(), Reason::Silent);
    world.beat(lease);
    assert_eq!(serving(&world), (false, false));
    assert_eq!(world.last_reason(), Reason::Declared);
    world.declare(lease, None).unwrap();
    assert_eq!(serving(&world), (true, true));
}

#[test]
fn a_silent_one_that_takes_its_status_back_in_a_beat_is_healthy() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.declare(lease, declared(Unhealthy)).unwrap();
    world.advance_to_ms(15_000);
    world.declare(lease, None).unwrap();
    assert_eq!(serving(&world), (true, true));
    let lease_of_draining = world.register("s", A, beat());
    world.advance_to_ms(40_000);
    world.declare(lease_of_draining, declared(Draining)).unwrap();
    assert_eq!(serving(&world), (true, false));
}

#[test]
fn good_probes_do_not_overrule_one_that_says_it_is_not_well() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, probed(2, 2));
    world.declare(lease, declared(Unhealthy)).unwrap();
    for _ in 0..5 {
        assert_eq!(world.probed("s", A, true), 0);
    }
    assert_eq!(serving(&world), (false, false));
    world.declare(lease, None).unwrap();
    assert_eq!(serving(&world), (true, true));
}

#[test]
fn what_a_probe_said_is_not_taken_back_with_the_declared_status() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, probed(2, 2));
    for _ in 0..2 {
        world.probed("s", A, false);
    }
    world.declare(lease, declared(Unhealthy)).unwrap();
    world.declare(lease, None).unwrap();
    assert_eq!(serving(&world), (false, false));

    // Once the probes are good only its own word keeps it unhealthy.
    world.declare(lease, declared(Unhealthy)).unwrap();
    assert_eq!(world.probed("s", A, true), 0);
    assert_eq!(world.probed("s", A, true), 1);
    assert_eq!(serving(&world), (false, false));
    assert_eq!(world.last_reason(), Reason::Declared);
    world.declare(lease, None).unwrap();
    assert_eq!(serving(&world), (true, true));
}

#[test]
fn nobody_can_speak_for_an_instance_without_its_lease() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    assert_eq!(
        world.declare(lease(77), declared(Draining)),
        Err(Refusal::UnknownLease)
    );
}
