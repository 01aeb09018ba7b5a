//! From registration to removal: deadlines, re-registration, what is a change and what is none.

use std::time::Duration;

use crate::catalog::testing::{World, at_ms, beat, beat_with, endpoint, key, labelled, of_run, registration};
use crate::changes::ChangeKind;
use crate::liveness::Beat;
use crate::model::{Health, Liveness, Reason, SessionId};

#[test]
fn unhealthy_at_15_s_and_gone_at_30_s_never_early_and_at_most_a_tick_late() {
    for offset_us in [0, 1, 4_999, 5_000, 9_999, 10_000, 10_001] {
        let mut world = World::without_guard();
        world.now.0 = offset_us;
        world.register("s", "10.0.0.1:80", beat());
        world.advance_to_ms(14_999);
        assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
        let flip = world.catalog.next_deadline().unwrap();
        assert!(
            (15_000_000 + offset_us..15_005_000 + offset_us).contains(&flip.0),
            "{offset_us}: {flip:?}"
        );
        world.now.0 = flip.0 - 1;
        world.turn();
        assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
        world.advance(Duration::from_micros(1));
        assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
        assert_eq!(world.last_reason(), Reason::Silent);

        let gone = 30_000_000 + offset_us;
        world.now.0 = gone - 1;
        world.turn();
        assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
        world.advance(Duration::from_micros(20_000));
        assert_eq!(world.health("s", "10.0.0.1:80"), "gone");
        assert_eq!(world.last_reason(), Reason::Expired);
        assert_eq!(world.catalog.log().len(), 3);
    }
}

#[test]
fn a_beat_moves_the_deadline_without_a_revision() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    let revision = world.revision();
    for second in 1..=100 {
        world.advance_to_ms(second * 10_000);
        assert_eq!(world.beat(lease), Beat::Renewed);
    }
    assert_eq!(world.revision(), revision);
    world.advance_to_ms(1_014_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(1_015_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    world.advance_to_ms(1_030_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "gone");
}

#[test]
fn a_write_that_changes_nothing_has_no_revision() {
    let mut world = World::without_guard();
    let registered = labelled("zone", "a", beat());
    let lease = world.register("s", "10.0.0.1:80", registered.clone());
    let revision = world.revision();
    world.advance_to_ms(14_000);
    assert_eq!(world.register("s", "10.0.0.1:80", registered), lease);
    assert_eq!(world.operate("s", "10.0.0.1:80", Default::default()), Ok(0));
    assert_eq!(world.clear("s", "10.0.0.1:80"), Ok(0));
    assert_eq!(world.declare(lease, None), Ok(0));
    assert_eq!(world.revision(), revision);
    // It renewed, though.
    world.advance_to_ms(28_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(29_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
}

#[test]
fn a_registration_that_says_something_new_is_one_change_and_keeps_the_lease() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    assert_eq!(
        world.register("s", "10.0.0.1:80", labelled("zone", "b", beat())),
        lease
    );
    let kinds: Vec<_> = world
        .catalog
        .log()
        .after(Default::default())
        .map(|change| change.kind)
        .collect();
    assert_eq!(kinds, [ChangeKind::Registered, ChangeKind::Updated]);
    assert_eq!(
        world
            .member("s", "10.0.0.1:80")
            .unwrap()
            .record
            .metadata()
            .get("zone"),
        Some("b")
    );
}

#[test]
fn another_incarnation_gets_another_lease_and_the_same_one_keeps_it() {
    let mut world = World::without_guard();
    let first = world.register("s", "10.0.0.1:80", of_run("a", beat()));
    assert_eq!(
        world.register("s", "10.0.0.1:80", of_run("a", labelled("k", "v", beat()))),
        first
    );
    let second = world.register("s", "10.0.0.1:80", of_run("b", beat()));
    assert_ne!(second, first);
    assert_eq!(world.beat(first), Beat::Unknown);
    assert_eq!(world.catalog.holder(first), None);
    assert_eq!(world.beat(second), Beat::Renewed);
    assert_eq!(
        world.catalog.holder(second),
        Some((key("s"), endpoint("10.0.0.1:80")))
    );
}

#[test]
fn another_kind_of_liveness_replaces_the_first() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.register("s", "10.0.0.1:80", registration(Liveness::Static));
    assert_eq!(world.beat(lease), Beat::NotBeating);
    world.advance(Duration::from_secs(3_600));
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");

    world.register("s", "10.0.0.1:80", registration(Liveness::Session(SessionId(1))));
    world.register("s", "10.0.0.1:80", beat());
    // The session that it left takes nothing with it.
    assert_eq!(
        world.run(crate::catalog::Command::CloseSession {
            session: SessionId(1)
        }),
        Ok(0)
    );
    let registered = world.now;
    world.advance_to_ms(registered.0 / 1_000 + 14_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(registered.0 / 1_000 + 15_020);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
}

#[test]
fn unhealthy_by_silence_and_healthy_at_once_with_the_next_beat() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(20_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    let revision = world.revision();
    assert!(matches!(world.beat(lease), Beat::Returned(_)));
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    assert_eq!(world.last_reason(), Reason::Beat);
    assert_eq!(world.revision(), revision.next());
    assert_eq!(world.beat(lease), Beat::Renewed);
    world.advance_to_ms(34_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(35_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
}

#[test]
fn one_that_beats_is_healthy_even_if_it_was_registered_as_unhealthy() {
    let mut world = World::without_guard();
    world
        .try_register("s", "10.0.0.1:80", beat(), Health::Unhealthy)
        .unwrap();
    let lease = world.lease("s", "10.0.0.1:80").unwrap();
    world.advance_to_ms(5_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    world.beat(lease);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    assert_eq!(world.beat(lease), Beat::Renewed);
}

#[test]
fn a_registration_makes_a_silent_one_healthy_and_keeps_its_lease() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(20_000);
    assert_eq!(world.register("s", "10.0.0.1:80", beat()), lease);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(34_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
}

#[test]
fn who_is_to_be_removed_before_it_is_unhealthy_goes_without_having_been() {
    let mut world = World::without_guard();
    world.register("s", "10.0.0.1:80", beat_with(1_000, 10_000, 3_000));
    world.advance_to_ms(2_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(3_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "gone");
    assert_eq!(world.catalog.log().len(), 2);
}

#[test]
fn removal_is_on_time_even_if_it_comes_a_millisecond_after_the_flip() {
    // Both deadlines fall into one tick.
    let mut world = World::without_guard();
    world.register("s", "10.0.0.1:80", beat_with(1_000, 3_001, 3_002));
    world.advance_to_ms(3_020);
    assert_eq!(world.health("s", "10.0.0.1:80"), "gone");
}

#[test]
fn deadlines_beyond_the_horizon_of_the_wheel_are_exact() {
    for (unhealthy, remove) in [
        (81_900, 81_920),
        (81_901, 81_940),
        (82_000, 200_000),
        (3_600_000, 7_200_000),
        (86_399_999, 86_400_000),
    ] {
        let mut world = World::without_guard();
        world.register("s", "10.0.0.1:80", beat_with(5_000, unhealthy, remove));
        world.advance_to_ms(unhealthy - 1);
        assert_eq!(world.health("s", "10.0.0.1:80"), "healthy", "{unhealthy}");
        let expected = if remove <= unhealthy.next_multiple_of(20) {
            "gone"
        } else {
            "unhealthy"
        };
        world.advance_to_ms(unhealthy.next_multiple_of(20));
        assert_eq!(world.health("s", "10.0.0.1:80"), expected, "{unhealthy}");
        world.advance_to_ms(remove.next_multiple_of(20));
        assert_eq!(world.health("s", "10.0.0.1:80"), "gone", "{remove}");
    }
}

#[test]
fn shorter_times_take_effect_with_their_registration() {
    let mut world = World::without_guard();
    world.register("s", "10.0.0.1:80", beat_with(5_000, 3_600_000, 7_200_000));
    world.advance_to_ms(10_000);
    world.register("s", "10.0.0.1:80", beat_with(1_000, 2_000, 4_000));
    world.advance_to_ms(12_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    world.register("s", "10.0.0.1:80", beat_with(5_000, 3_600_000, 7_200_000));
    world.advance_to_ms(3_611_999);
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    world.advance_to_ms(3_612_000);
    assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
}

#[test]
fn an_empty_service_says_why_for_ten_minutes_and_is_then_dropped() {
    let mut world = World::without_guard();
    world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(30_000);
    let view = world.view("s").unwrap();
    assert!(view.is_empty());
    assert_eq!(view.emptied_by, Some(Reason::Expired));
    world.advance_to_ms(629_999);
    assert_eq!(world.catalog.services(), 1);
    world.advance_to_ms(630_000);
    assert_eq!(world.catalog.services(), 0);
    assert!(world.view("s").is_none());
    assert!(world.catalog.next_deadline().is_none());
}

#[test]
fn a_service_that_was_empty_in_between_is_kept_from_its_last_end_on() {
    let mut world = World::without_guard();
    for ms in [0, 100_000, 500_000] {
        world.advance_to_ms(ms);
        world.register("s", "10.0.0.1:80", registration(Liveness::Static));
        assert_eq!(world.view("s").unwrap().emptied_by, None);
        world.deregister("s", "10.0.0.1:80").unwrap();
    }
    world.advance_to_ms(1_099_999);
    assert_eq!(world.view("s").unwrap().emptied_by, Some(Reason::Deregistered));
    world.advance_to_ms(1_100_000);
    assert!(world.view("s").is_none());
}

#[test]
fn the_time_of_the_last_flip_of_health_is_kept_over_other_changes() {
    let mut world = World::without_guard();
    let lease = world.register("s", "10.0.0.1:80", beat());
    world.advance_to_ms(15_000);
    world.advance_to_ms(20_000);
    world.beat(lease);
    world.advance_to_ms(21_000);
    world.register("s", "10.0.0.1:80", labelled("k", "v", beat()));
    assert_eq!(world.member("s", "10.0.0.1:80").unwrap().state.since.0, 20_000);
    assert_eq!(world.now, at_ms(21_000));
}

/// Of its beats none was heard: the queue to the owner was full each time.
#[test]
fn an_unproven_one_whose_beats_nobody_heard_of_is_found_within_its_time() {
    let mut world = World::without_guard();
    world
        .try_register("s", "10.0.0.1:80", beat(), Health::Unhealthy)
        .unwrap();
    let lease = world.lease("s", "10.0.0.1:80").unwrap();
    for _ in 0..3 {
        world.advance(Duration::from_secs(4));
        assert!(matches!(world.beat_unheard(lease), Beat::Returned(_)));
        assert_eq!(world.health("s", "10.0.0.1:80"), "unhealthy");
    }
    world.advance(Duration::from_secs(3));
    assert_eq!(world.health("s", "10.0.0.1:80"), "healthy");
    assert_eq!(world.last_reason(), Reason::Beat);
    // By a beat only: who never beat does not become healthy.
    world
        .try_register("s", "10.0.0.2:80", beat(), Health::Unhealthy)
        .unwrap();
    world.advance(Duration::from_secs(16));
    assert_eq!(world.health("s", "10.0.0.2:80"), "unhealthy");
}
