//! Consumers' reports: when they are believed, what comes of it, and what never does.

use std::time::Duration;

use crate::catalog::testing::{World, beat, endpoint, expires, key, labelled, registration};
use crate::catalog::{Catalog, RecheckOrder, ReportOutcome};
use crate::changes::Missed;
use crate::liveness::Beat;
use crate::model::{Health, Liveness, LivenessKind, Marks, Member, Reason};

const A: &str = "10.1.0.1:80";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A service of ten, and the lease of `A`.
fn world() -> (World, crate::model::Lease) {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.register_many("s", 9);
    (world, lease)
}

fn reported(world: &World) -> bool {
    member(world).state.marks.has(Marks::REPORTED)
}

fn member(world: &World) -> Member {
    world.member("s", A).unwrap()
}

#[test]
fn reports_from_enough_consumers_mark_an_instance_at_once_and_order_a_look() {
    let (mut world, _) = world();
    let before = world.revision();
    assert_eq!(world.report("s", A, 1), ReportOutcome::Noted);
    assert_eq!(world.report("s", A, 2), ReportOutcome::Noted);
    assert_eq!(world.revision(), before, "what changes nothing has no revision");
    assert_eq!(world.report("s", A, 3), ReportOutcome::Due);
    let member = member(&world);
    assert_eq!(member.state.marks, Marks::REPORTED);
    assert_eq!(
        (member.state.reason, world.last_reason()),
        (Reason::Reported, Reason::Reported)
    );
    assert_eq!(world.revision(), before.next(), "one change");
    assert_eq!(
        world.catalog.take_rechecks(),
        [RecheckOrder {
            service: key("s"),
            endpoint: endpoint(A),
            liveness: LivenessKind::Beat,
        }]
    );
}

#[test]
fn reports_never_make_an_instance_unhealthy_and_never_remove_it() {
    let (mut world, lease) = world();
    for second in 0..120_u32 {
        for host in 1..=50 {
            world.report("s", A, host);
        }
        if second % 5 == 0 {
            world.beat(lease);
        }
        world.advance(seconds(1));
        let member = member(&world);
        assert!(member.serving() && member.healthy() && reported(&world));
    }
    assert_eq!(
        world.history.len(),
        10 + 1 + 9 * 2,
        "ten registered, one marked, nine silent and gone"
    );
}

#[test]
fn an_unknown_instance_changes_nothing() {
    let (mut world, _) = world();
    let before = world.revision();
    assert_eq!(world.report("s", "10.9.9.9:1", 1), ReportOutcome::Unknown);
    assert_eq!(world.report("nobody", A, 1), ReportOutcome::Unknown);
    assert_eq!((world.catalog.reports().len(), world.revision()), (0, before));
}

#[test]
fn the_mark_ends_when_the_window_is_empty_when_it_registers_and_by_an_operators_hand() {
    let (mut world, lease) = world();
    world.report_enough("s", A);
    let since = member(&world).state.since;
    world.advance_beating(seconds(29), &[lease]);
    assert!(reported(&world));
    world.advance_beating(seconds(1), &[lease]);
    assert!(!reported(&world));
    assert_eq!(member(&world).state.reason, Reason::Beat);
    assert_eq!(member(&world).state.since, since, "its health never changed");

    // A registration that says nothing new is yet one that begins anew.
    world.report_enough("s", A);
    assert!(reported(&world));
    world.register("s", A, beat());
    assert!(!reported(&world));
    assert_eq!(
        world.report("s", A, 1),
        ReportOutcome::Noted,
        "from the beginning"
    );

    world.report_enough("s", A);
    assert!(reported(&world));
    assert_eq!(world.end_reports("s", A), Ok(1));
    assert_eq!((reported(&world), world.last_reason()), (false, Reason::Operator));
    assert_eq!(world.end_reports("s", A), Ok(0));
    world.report("s", A, 1);
    world.report("s", A, 2);
    assert!(!reported(&world), "what was said before is forgotten");
}

#[test]
fn what_is_measured_otherwise_does_not_take_the_mark_away() {
    let (mut world, lease) = world();
    world.report_enough("s", A);
    world.advance(seconds(15));
    assert_eq!(world.health("s", A), "unhealthy");
    assert!(reported(&world) && member(&world).state.reason == Reason::Silent);
    assert!(matches!(world.beat(lease), Beat::Returned(_)));
    assert_eq!((world.health("s", A), reported(&world)), ("healthy", true));
    world.advance_beating(seconds(15), &[lease]);
    assert!(!reported(&world));
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn a_silent_one_that_is_reported_goes_on_time_all_the_same() {
    let (mut world, _) = world();
    world.advance_to_ms(15_500);
    assert_eq!(world.health("s", A), "unhealthy");
    world.report_enough("s", A);
    assert!(reported(&world));
    assert_eq!(
        member(&world).state.reason,
        Reason::Silent,
        "why it is unhealthy stays"
    );
    world.advance_to_ms(29_999);
    assert_eq!(world.health("s", A), "unhealthy");
    world.advance_to_ms(30_010);
    assert_eq!(world.health("s", A), "gone");
    assert_eq!(
        (world.catalog.reports().len(), world.catalog.reports().instances()),
        (0, 0)
    );
}

#[test]
fn suspects_of_the_guard_stay_so_with_the_mark_and_without() {
    let mut world = World::new(crate::catalog::CatalogConfig::default());
    world.register_many("s", 100);
    world.register("s", A, beat());
    world.advance(seconds(16));
    assert_eq!(world.count("s", "suspect"), 101);
    world.report_enough("s", A);
    assert!(reported(&world) && member(&world).state.suspect());
    assert_eq!(member(&world).state.reason, Reason::Guarded);
    world.advance(seconds(31));
    assert!(!reported(&world) && member(&world).state.suspect());
    assert_eq!(world.catalog.suspects(), 101);
}

#[test]
fn a_mark_goes_with_a_restart_and_it_takes_as_many_reports_as_ever_to_come_again() {
    let (mut world, lease) = world();
    world.declare_service("s", expires(false)).unwrap();
    world.report_enough("s", A);
    let (history, since) = (world.history.len(), world.revision());
    world.reopen();
    // Nobody says so to this process, and its health never changed.
    let state = member(&world).state;
    assert_eq!((state.marks, state.reason), (Marks::UNCONFIRMED, Reason::Beat));
    assert!(!world.catalog.reports().any_marked());
    assert_eq!((world.history.len(), world.catalog.reports().len()), (history, 0));
    world.report("s", A, 1);
    world.report("s", A, 2);
    assert!(!reported(&world));
    world.report("s", A, 3);
    assert!(reported(&world));
    assert_eq!(world.revision(), since.next());
    world.advance_beating(seconds(29), &[lease]);
    assert!(reported(&world), "a whole window");
    world.advance_beating(seconds(2), &[lease]);
    assert_eq!(member(&world).state.marks, Marks::NONE);
}

#[test]
fn a_probed_one_that_is_reported_and_registers_again_stays_what_probes_measured() {
    let mut world = World::without_guard();
    let unproven = |world: &mut World| {
        world.try_register("s", A, crate::catalog::testing::probed(1, 3), Health::Unhealthy)
    };
    unproven(&mut world).unwrap();
    world.probed("s", A, true);
    world.report_enough("s", A);
    assert!(reported(&world));
    unproven(&mut world).unwrap();
    let state = member(&world).state;
    assert_eq!(
        (state.health, state.reason, state.marks),
        (Health::Healthy, Reason::ProbePassed, Marks::NONE)
    );
}

#[test]
fn whoever_saw_the_mark_before_a_restart_is_told_that_it_is_gone() {
    let (mut world, lease) = world();
    world.report_enough("s", A);
    let marked = world.revision();
    world.register("s", "10.2.0.1:80", beat());
    let last = world.revision();
    world.reopen();
    assert!(matches!(world.catalog.missed(&key("s"), marked), Missed::TooOld));
    // Whoever had seen all of that process, at the latest when all is known again.
    world.advance_beating(seconds(16), &[lease]);
    assert!(world.catalog.complete());
    assert!(matches!(world.catalog.missed(&key("s"), last), Missed::TooOld));
}

#[test]
fn a_mark_that_cannot_be_committed_comes_up_again() {
    let (mut world, _) = world();
    world.journal_fails = true;
    world.report_enough("s", A);
    assert!(!reported(&world));
    world.journal_fails = false;
    world.advance(seconds(2));
    assert!(reported(&world));
}

#[test]
fn a_static_one_is_marked_like_any_other_and_its_health_stays_what_was_set() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    world.report_enough("s", A);
    assert!(reported(&world));
    world.advance(seconds(31));
    let state = member(&world).state;
    assert_eq!(
        (state.marks, state.reason, state.health),
        (Marks::NONE, Reason::Registered, Health::Healthy)
    );
    // Its registration said healthy: it changes nothing by saying so again.
    let before = world.revision();
    world.register("s", A, registration(Liveness::Static));
    assert_eq!(world.revision(), before);
    world.register("s", A, labelled("v", "2", registration(Liveness::Static)));
    assert_eq!(world.revision(), before.next());
}

#[test]
fn the_same_history_gives_the_same_marks() {
    let (mut world, lease) = world();
    for step in 0..40_u8 {
        world.report("s", A, step % 7);
        world.report("s", "10.0.0.2:80", step % 5);
        world.advance_beating(seconds(u64::from(step % 9)), &[lease]);
    }
    let states = |catalog: &Catalog| -> Vec<_> {
        let view = catalog.view(key("s").borrowed()).unwrap();
        view.members().map(|m| (m.endpoint.clone(), m.state)).collect()
    };
    assert!(world.changes.len() > 20);
    // As another node has it, or this one before it goes on.
    let mut replayed = Catalog::new(world.catalog.config().clone(), world.now);
    for committed in &world.history {
        replayed.apply(committed.clone(), world.now);
    }
    assert_eq!(states(&replayed), states(&world.catalog));
    assert_eq!(
        replayed.reports().any_marked(),
        world.catalog.reports().any_marked()
    );
}
