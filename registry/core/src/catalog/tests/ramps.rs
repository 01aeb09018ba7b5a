//! Slow start: who begins to serve gets a share of its weight that grows, told by the registry's own clock.

use std::time::Duration;

use proptest::prelude::*;

use super::deltas::{caught_up, contents};
use crate::catalog::testing::{World, address, endpoint, key, of_run, off, registration};
use crate::catalog::{DUE_MAX, Mutation};
use crate::changes::Missed;
use crate::model::{
    Curve, Declared, DeclaredStatus, Health, Liveness, OperatorPatch, Reason, ServicePatch, SlowStart,
    Timings, Wall, Weight,
};

const OLD: &str = "10.0.0.1:80";
const NEW: &str = "10.0.0.2:80";
const S: Duration = Duration::from_secs(1);

fn ramp(duration_ms: u64, curve: Curve) -> ServicePatch {
    ServicePatch {
        slow_start: Some(Some(SlowStart::new(duration_ms, curve, 10).unwrap())),
        ..ServicePatch::default()
    }
}

fn fixed() -> crate::model::Registration {
    registration(Liveness::Static)
}

/// A service with a ramp of a minute, and one instance that has served for longer.
fn seasoned(curve: Curve) -> World {
    let mut world = World::without_guard();
    world.declare_service("s", ramp(60_000, curve)).unwrap();
    world.register("s", OLD, fixed());
    world.advance(61 * S);
    world
}

fn weight(world: &World, address: &str) -> f64 {
    world.member("s", address).unwrap().effective_weight()
}

#[test]
fn a_new_instance_gets_a_share_that_follows_the_curve_in_ten_steps() {
    for (curve, shares) in [
        (
            Curve::Linear,
            [0.1, 0.19, 0.28, 0.37, 0.46, 0.55, 0.64, 0.73, 0.82, 0.91, 1.0],
        ),
        (
            Curve::Quadratic,
            [0.1, 0.1, 0.13, 0.18, 0.24, 0.32, 0.42, 0.54, 0.67, 0.82, 1.0],
        ),
    ] {
        let mut world = seasoned(curve);
        world.register("s", NEW, fixed());
        for share in shares {
            assert_eq!(
                (weight(&world, OLD), weight(&world, NEW)),
                (1.0, share),
                "{curve:?}"
            );
            let before = world.revision();
            world.advance(Duration::from_millis(5_999));
            assert_eq!(world.revision(), before, "between steps nothing changes");
            world.advance(Duration::from_millis(1));
        }
        let end = world.revision();
        world.advance(600 * S);
        assert_eq!(world.revision(), end);
        assert!(
            world.catalog.next_deadline().is_none(),
            "nobody is looked at any more"
        );
    }
}

#[test]
fn all_ways_to_begin_to_serve_begin_a_ramp() {
    let draining = |draining| OperatorPatch {
        draining: Some(draining),
        ..OperatorPatch::default()
    };
    let on = OperatorPatch {
        enabled: Some(true),
        ..OperatorPatch::default()
    };
    let mut world = seasoned(Curve::Linear);
    let new = world.register("s", NEW, registration(Liveness::Beat(Timings::DEFAULT)));
    let settle = |world: &mut World| {
        for _ in 0..14 {
            world.advance(5 * S);
            world.beat(new);
        }
        assert_eq!(weight(world, NEW), 1.0);
    };
    let begins = |world: &World| {
        let member = world.member("s", NEW).unwrap();
        assert_eq!(member.effective_weight(), 0.1);
        assert_eq!(member.state.serving_since(), Some(Wall(world.now.0 / 1_000)));
    };
    begins(&world);
    settle(&mut world);

    // Healthy again after silence.
    world.advance(20 * S);
    assert_eq!(world.health("s", NEW), "unhealthy");
    assert_eq!(world.member("s", NEW).unwrap().state.serving_since(), None);
    world.beat(new);
    begins(&world);
    settle(&mut world);

    // Enabled again.
    world.operate("s", NEW, off()).unwrap();
    assert_eq!(
        weight(&world, NEW),
        1.0,
        "who does not serve is shown as it was set"
    );
    world.advance(S);
    world.operate("s", NEW, on).unwrap();
    begins(&world);
    settle(&mut world);

    // A drain that ended, by an operator and by itself.
    world.operate("s", NEW, draining(true)).unwrap();
    world.advance(S);
    world.operate("s", NEW, draining(false)).unwrap();
    begins(&world);
    settle(&mut world);
    let said = Declared::new(DeclaredStatus::Draining, None).unwrap();
    world.declare(new, Some(said.into())).unwrap();
    world.advance(S);
    world.declare(new, None).unwrap();
    begins(&world);
    settle(&mut world);

    // Another run of the process at the same address.
    world.register(
        "s",
        NEW,
        of_run("2", registration(Liveness::Beat(Timings::DEFAULT))),
    );
    begins(&world);
}

#[test]
fn what_does_not_end_its_service_does_not_begin_the_ramp_anew() {
    let mut world = seasoned(Curve::Linear);
    world.register("s", NEW, fixed());
    let since = world.member("s", NEW).unwrap().state.serving_since();
    world.advance(30 * S);
    assert_eq!(weight(&world, NEW), 0.55);
    let heavier = crate::model::Registration {
        weight: Weight::new(4.0).unwrap(),
        ..fixed()
    };
    world.register("s", NEW, heavier);
    assert_eq!(weight(&world, NEW), 2.2);
    world
        .operate(
            "s",
            NEW,
            OperatorPatch {
                weight: Some(Weight::new(2.0).unwrap()),
                ..OperatorPatch::default()
            },
        )
        .unwrap();
    assert_eq!(weight(&world, NEW), 1.1);
    assert_eq!(world.member("s", NEW).unwrap().state.serving_since(), since);
    world.advance(30 * S);
    assert_eq!(weight(&world, NEW), 2.0);
}

#[test]
fn a_service_of_which_nobody_is_seasoned_is_not_hurt() {
    let mut world = World::without_guard();
    world.declare_service("s", ramp(60_000, Curve::Linear)).unwrap();
    // A cold start: one after the other, within the ramp.
    for number in 0..5 {
        world.register("s", &address(number), fixed());
        world.advance(10 * S);
    }
    for second in 0..70 {
        for number in 0..5 {
            assert_eq!(weight(&world, &address(number)), 1.0, "{number} at {second}");
        }
        world.advance(S);
    }
    // By now the first ones are seasoned, and who comes ramps.
    world.register("s", "10.9.9.9:80", fixed());
    assert_eq!(weight(&world, "10.9.9.9:80"), 0.1);
    // Until the last of them has gone: then all that are left have their whole weight.
    world.advance(60 * S);
    world.register("s", "10.9.9.8:80", fixed());
    for number in 0..5 {
        world.deregister("s", &address(number)).unwrap();
    }
    world.turn();
    assert_eq!(weight(&world, "10.9.9.8:80"), 0.1, "one that is seasoned is left");
    world.deregister("s", "10.9.9.9:80").unwrap();
    world.turn();
    assert_eq!(weight(&world, "10.9.9.8:80"), 1.0);
}

#[test]
fn a_ramp_that_is_declared_changes_nobody_who_serves_and_one_that_ends_ends_at_once() {
    let mut world = World::without_guard();
    world.register("s", OLD, fixed());
    world.declare_service("s", ramp(60_000, Curve::Linear)).unwrap();
    assert_eq!(weight(&world, OLD), 1.0);
    world.register("s", NEW, fixed());
    assert_eq!(weight(&world, NEW), 0.1);
    world.declare_service("s", ramp(20_000, Curve::Linear)).unwrap();
    world.advance(10 * S);
    assert_eq!(
        weight(&world, NEW),
        0.55,
        "a ramp that changed counts from when it began"
    );
    let none = ServicePatch {
        slow_start: Some(None),
        ..ServicePatch::default()
    };
    world.declare_service("s", none).unwrap();
    world.turn();
    assert_eq!(weight(&world, NEW), 1.0);
    assert!(world.catalog.next_deadline().is_none());
    world.declare_service("s", ramp(0, Curve::Linear)).unwrap();
    world.register("s", "10.0.0.3:80", fixed());
    assert_eq!(weight(&world, "10.0.0.3:80"), 1.0, "a ramp of no time is none");
}

#[test]
fn after_a_restart_nobody_ramps_again_and_readers_are_told() {
    let mut world = seasoned(Curve::Linear);
    world.register("s", NEW, fixed());
    // While nothing is heard of this one, the registry is not complete after the restart.
    world.register("t", OLD, registration(Liveness::Beat(Timings::DEFAULT)));
    world.advance(30 * S);
    world.register("t", OLD, registration(Liveness::Beat(Timings::DEFAULT)));
    let (held, since) = (contents(&world.view("s").unwrap()), world.revision());
    let before = world.member("s", NEW).unwrap();
    assert_eq!(before.effective_weight(), 0.55);
    world.reopen();
    let restored = world.member("s", NEW).unwrap();
    assert_eq!(restored.state.serving_since(), before.state.serving_since());
    world.turn();
    assert_eq!(weight(&world, NEW), 1.0);
    assert_eq!(world.revision(), since.next(), "a step like others");
    assert_eq!(
        caught_up(&world, "s", &held, since),
        Some(contents(&world.view("s").unwrap()))
    );
    let steps = |world: &World| {
        let history = world.history.iter();
        history
            .filter(|done| matches!(done.mutation, Mutation::Ramped { .. }))
            .count()
    };
    let before = steps(&world);
    world.advance(100 * S);
    assert!(world.catalog.complete());
    assert_eq!((weight(&world, NEW), steps(&world)), (1.0, before));
    // Who comes now ramps.
    world.register("s", "10.0.0.3:80", fixed());
    assert_eq!(weight(&world, "10.0.0.3:80"), 0.1);
}

#[test]
fn all_of_a_service_step_in_one_mutation_and_the_change_log_holds_nothing_of_it() {
    let mut world = seasoned(Curve::Linear);
    for number in 2..7 {
        world.register("s", &address(number), fixed());
        world.advance(Duration::from_millis(100));
    }
    let (held, since, logged) = (
        contents(&world.view("s").unwrap()),
        world.revision(),
        world.catalog.log().len(),
    );
    world.advance(6 * S);
    assert_eq!(world.revision(), since.next());
    assert_eq!(world.catalog.log().len(), logged);
    let Missed::Delta(delta) = world.catalog.missed(&key("s"), since) else {
        panic!("a delta")
    };
    assert_eq!((delta.upserted.len(), delta.removed.len()), (5, 0));
    assert_eq!(
        caught_up(&world, "s", &held, since),
        Some(contents(&world.view("s").unwrap()))
    );
    assert!(matches!(
        world.catalog.missed(&key("s"), world.revision()),
        Missed::Nothing
    ));
}

#[test]
fn very_many_step_in_several_turns_and_all_as_of_one_time() {
    let mut world = seasoned(Curve::Linear);
    let many = 3 * DUE_MAX + 1;
    for number in 2..2 + many {
        world.register("s", &address(number), fixed());
    }
    world.now = world.now.after(30 * S);
    for turn in 0..4 {
        assert!(
            world
                .catalog
                .next_deadline()
                .is_some_and(|next| next <= world.now),
            "{turn}"
        );
        let before = world.revision();
        world.turn();
        assert_eq!(world.revision(), before.next());
        // Time goes on between the turns.
        world.now = world.now.after(Duration::from_millis(700));
    }
    let view = world.view("s").unwrap();
    let shares = view.members().map(|member| member.state.share.percent());
    assert_eq!(shares.filter(|share| *share == 55).count(), many);
    let end = world.revision();
    world.advance(S);
    assert_eq!(world.revision(), end, "the step is done");
}

#[test]
fn a_step_that_cannot_be_committed_is_made_good_by_the_next() {
    let mut world = seasoned(Curve::Linear);
    world.register("s", NEW, fixed());
    world.journal_fails = true;
    world.advance(20 * S);
    assert_eq!(weight(&world, NEW), 0.1);
    world.journal_fails = false;
    world.advance(4 * S);
    assert_eq!(weight(&world, NEW), 0.46);
}

#[test]
fn a_step_of_instances_that_went_or_do_not_serve_changes_nothing() {
    let mut world = seasoned(Curve::Linear);
    world.register("s", NEW, fixed());
    world.register("s", "10.0.0.3:80", fixed());
    world.now = world.now.after(6 * S);
    let (mutations, _) = world.catalog.due(world.now);
    world.deregister("s", NEW).unwrap();
    world.operate("s", "10.0.0.3:80", off()).unwrap();
    let view = world.view("s").unwrap();
    world.commit(mutations);
    assert!(std::sync::Arc::ptr_eq(&view, &world.view("s").unwrap()));
    assert!(!contents(&view).contains_key(&endpoint(NEW)));
}

#[derive(Debug, Clone)]
enum Step {
    Register(usize),
    Deregister(usize),
    Health(usize, bool),
    Switch(usize, bool),
    Declare(u64),
    Wait(u64),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..12).prop_map(Step::Register),
        2 => (0_usize..12).prop_map(Step::Deregister),
        2 => (0_usize..12, any::<bool>()).prop_map(|(at, healthy)| Step::Health(at, healthy)),
        2 => (0_usize..12, any::<bool>()).prop_map(|(at, on)| Step::Switch(at, on)),
        1 => prop_oneof![Just(0_u64), Just(3_000), Just(30_000)].prop_map(Step::Declare),
        6 => (1_u64..20_000).prop_map(Step::Wait),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(super::property::config())]

    /// Whatever happens: a reader that catches up has what readers see, a replay comes to the same, and in the end all
    /// have their whole weight.
    #[test]
    fn ramps_agree_with_what_readers_hold_and_end(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::without_guard();
        world.declare_service("s", ramp(30_000, Curve::Quadratic)).unwrap();
        let (mut held, mut since) = (contents(&world.view("s").unwrap()), world.revision());
        for step in steps {
            match step {
                Step::Register(at) => { world.register("s", &address(at), fixed()); }
                Step::Deregister(at) => { let _may_be_gone = world.deregister("s", &address(at)); }
                Step::Health(at, healthy) => {
                    let health = if healthy { Health::Healthy } else { Health::Unhealthy };
                    let _may_be_gone = world.run(crate::catalog::Command::Measure {
                        service: key("s"), endpoint: endpoint(&address(at)), health, reason: Reason::Operator,
                    });
                }
                Step::Switch(at, enabled) => {
                    let patch = OperatorPatch { enabled: Some(enabled), ..OperatorPatch::default() };
                    let _may_be_gone = world.operate("s", &address(at), patch);
                }
                Step::Declare(ms) => { world.declare_service("s", ramp(ms, Curve::Linear)).unwrap(); }
                Step::Wait(ms) => world.advance(Duration::from_millis(ms)),
                Step::Restart => {
                    let before = contents(&world.view("s").unwrap());
                    world.reopen();
                    prop_assert_eq!(before, contents(&world.view("s").unwrap()));
                }
            }
            let view = world.view("s").unwrap();
            // The log is long: only what the end of warming changed asks for the whole.
            match caught_up(&world, "s", &held, since) {
                Some(after) => held = after,
                None => {
                    prop_assert!(world.catalog.restored <= since && since < world.catalog.warmed);
                    held = contents(&view);
                }
            }
            since = world.revision();
            prop_assert_eq!(&held, &contents(&view));
            for member in view.members() {
                prop_assert_eq!(member.serving(), member.state.serving_since().is_some());
                prop_assert!(member.serving() || member.state.share.is_full());
            }
        }
        world.advance(Duration::from_secs(80));
        let view = world.view("s").unwrap();
        prop_assert!(view.members().all(|member| member.state.share.is_full()));
        prop_assert!(world.catalog.next_deadline().is_none_or(|next| next > world.now));
    }
}
