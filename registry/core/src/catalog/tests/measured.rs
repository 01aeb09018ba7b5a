//! What was measured of an instance, by probes or by hand, against what it is registered as.

use std::time::Duration;

use crate::catalog::Command;
use crate::catalog::testing::{World, beat, endpoint, key, labelled, probed, registration};
use crate::model::{Health, Liveness, Reason};

const A: &str = "10.0.0.1:80";

#[test]
fn a_probed_one_flips_after_its_rise_and_fall() {
    let mut world = World::without_guard();
    world.register("s", A, probed(2, 3));
    let changes: Vec<_> = [
        false, false, true, false, false, false, false, true, false, true, true, true,
    ]
    .map(|good| world.probed("s", A, good))
    .into();
    assert_eq!(changes, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]);
    assert_eq!(world.last_reason(), Reason::ProbePassed);
    // A registration that says nothing new does not overrule the probes.
    for _ in 0..3 {
        world.probed("s", A, false);
    }
    world.register("s", A, probed(2, 3));
    assert_eq!(world.health("s", A), "unhealthy");
    assert_eq!(world.last_reason(), Reason::ProbeFailed);
}

#[test]
fn a_probe_of_one_that_is_not_probed_counts_for_nothing() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    for _ in 0..10 {
        assert_eq!(world.probed("s", A, false), 0);
    }
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn the_measured_health_of_a_static_one_stays_until_measured_anew() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    let measure = |health| Command::Measure {
        service: key("s"),
        endpoint: endpoint(A),
        health,
        reason: Reason::Operator,
    };
    assert_eq!(world.run(measure(Health::Unhealthy)), Ok(1));
    assert_eq!(world.run(measure(Health::Unhealthy)), Ok(0));
    world.register("s", A, registration(Liveness::Static));
    world.advance(Duration::from_secs(86_400));
    assert_eq!(world.health("s", A), "unhealthy");
    assert_eq!(world.run(measure(Health::Healthy)), Ok(1));
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn a_static_one_whose_health_nobody_has_set_is_as_it_is_registered() {
    let mut world = World::without_guard();
    for (health, shown) in [
        (Health::Healthy, "healthy"),
        (Health::Unhealthy, "unhealthy"),
        (Health::Healthy, "healthy"),
    ] {
        world
            .try_register("s", A, registration(Liveness::Static), health)
            .unwrap();
        assert_eq!(world.health("s", A), shown);
        let before = world.revision();
        world
            .try_register("s", A, registration(Liveness::Static), health)
            .unwrap();
        assert_eq!(world.revision(), before, "the same again is no change");
    }
}

#[test]
fn whatever_was_measured_of_one_that_beats_its_next_beat_decides() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, labelled("k", "v", beat()));
    let (service, endpoint) = (key("s"), endpoint(A));
    let (health, reason) = (Health::Unhealthy, Reason::Operator);
    world
        .run(Command::Measure {
            service,
            endpoint,
            health,
            reason,
        })
        .unwrap();
    assert_eq!(world.health("s", A), "unhealthy");
    world.advance(Duration::from_secs(5));
    world.beat(lease);
    assert_eq!(world.health("s", A), "healthy");
}
