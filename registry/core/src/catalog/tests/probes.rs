//! Probes: what results come to, for whom they count, and what the guard says to it.

use std::sync::Arc;
use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{
    World, address, endpoint, key, labelled, of_run, probed, registration, result,
};
use crate::catalog::{CatalogConfig, EXPIRY, GuardEvent, ProbeDone};
use crate::liveness::Finding;
use crate::model::{
    Checker, ClusterSettings, Health, Liveness, Probe, Reason, Registration, ServicePatch, Wall,
};

const A: &str = "10.0.0.1:80";

fn of_cluster() -> Registration {
    registration(Liveness::Probe(Probe::OfCluster))
}

fn checked_by(checker: Checker) -> ServicePatch {
    let settings = ClusterSettings {
        checker,
        ..ClusterSettings::default()
    };
    ServicePatch {
        clusters: [("DEFAULT".parse().unwrap(), Some(settings))].into(),
        ..ServicePatch::default()
    }
}

fn all(finding: Finding) -> impl Fn(&crate::model::Endpoint) -> Option<Finding> {
    move |_| Some(finding)
}

/// A hundred that are probed, all due.
fn hundred(config: CatalogConfig) -> World {
    let mut world = World::new(config);
    for number in 0..100 {
        world.register("s", &address(number), probed(1, 1));
    }
    world.advance(Duration::from_secs(1));
    world
}

#[test]
fn results_that_change_nothing_come_to_no_mutation_and_no_turn_of_the_owner() {
    let mut world = World::without_guard();
    world.register("s", A, probed(2, 3));
    let before = world.history.len();
    for _ in 0..100 {
        world.catalog.probe_now(&key("s"), &endpoint(A), world.now);
        let task = world.catalog.probes_due(world.now, Duration::ZERO, 1).remove(0);
        let done = ProbeDone {
            ticket: task.ticket,
            result: Some(result(Finding::Good)),
        };
        assert!(!world.catalog.probed([done], world.now, Wall(0), Duration::ZERO));
        assert_eq!(world.catalog.next_deadline(), None);
    }
    assert_eq!(world.history.len(), before);
}

#[test]
fn a_certain_failure_counts_at_once_where_the_cluster_is_checked_and_as_one_elsewhere() {
    let mut world = World::without_guard();
    world.register("s", A, of_cluster());
    world.register("own", A, probed(2, 3));
    assert_eq!(world.found("s", A, Finding::Bad), 0);
    assert_eq!(world.found("s", A, Finding::Down), 1);
    assert_eq!(world.found("own", A, Finding::Down), 0);
    assert_eq!(
        (world.health("s", A), world.health("own", A)),
        ("unhealthy", "healthy")
    );
    let risen = [1, 2, 3].map(|_| world.found("s", A, Finding::Good));
    assert_eq!(risen, [0, 0, 1]);
}

#[test]
fn who_could_not_be_asked_is_what_it_was() {
    let mut world = World::without_guard();
    world.register("s", A, probed(1, 1));
    assert_eq!(world.found("s", A, Finding::Unasked), 0);
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn when_the_checker_of_its_cluster_changes_it_is_asked_otherwise_and_by_none_nobody_asks() {
    let mut world = World::without_guard();
    world.register("s", A, of_cluster());
    world.declare_service("s", checked_by(Checker::None)).unwrap();
    assert_eq!(world.found("s", A, Finding::Down), 0);
    assert!(world.catalog.next_probe().is_none());
    let report = world
        .catalog
        .probe_report(&key("s"), &endpoint(A), world.now)
        .unwrap();
    assert!(report.of_cluster && report.scheduled.is_none());
    let http = Checker::Http {
        path: "/up".into(),
        headers: String::new(),
        expected_status: 200,
    };
    world.declare_service("s", checked_by(http)).unwrap();
    let report = world
        .catalog
        .probe_report(&key("s"), &endpoint(A), world.now)
        .unwrap();
    assert_eq!(report.scheduled.unwrap().spec.kind().as_str(), "http");
    assert_eq!(world.found("s", A, Finding::Down), 1);
}

#[test]
fn while_the_consequences_of_silence_are_off_nobody_is_probed() {
    let mut world = World::without_guard();
    world.register("s", A, probed(1, 1));
    world.set(EXPIRY, Some("off")).unwrap();
    assert_eq!(world.found("s", A, Finding::Down), 0);
    assert_eq!(world.catalog.next_probe(), None);
    world.set(EXPIRY, None).unwrap();
    world.now = world.now.after(Duration::from_secs(3_600));
    assert_eq!(world.found("s", A, Finding::Down), 1);
}

#[test]
fn what_probes_measured_stays_when_only_its_labels_change_and_not_with_another_run_or_another_probe() {
    let mut world = World::without_guard();
    world.register("s", A, probed(1, 1));
    world.probed("s", A, false);
    for label in ["v", "w"] {
        world.register("s", A, labelled("k", label, probed(1, 1)));
        assert_eq!(world.health("s", A), "unhealthy");
        assert_eq!(world.member("s", A).unwrap().state.reason, Reason::ProbeFailed);
    }
    world.register("s", A, of_run("run-2", probed(1, 1)));
    assert_eq!(world.health("s", A), "healthy");
    world.probed("s", A, false);
    world.register("s", A, of_run("run-2", probed(1, 2)));
    assert_eq!(world.health("s", A), "healthy");
}

#[test]
fn one_that_is_registered_unhealthy_becomes_healthy_by_its_rise() {
    let mut world = World::without_guard();
    world
        .try_register("s", A, probed(2, 3), Health::Unhealthy)
        .unwrap();
    assert_eq!(
        (world.probed("s", A, true), world.health("s", A)),
        (0, "unhealthy")
    );
    assert_eq!((world.probed("s", A, true), world.health("s", A)), (1, "healthy"));
    assert_eq!(world.last_reason(), Reason::ProbePassed);
}

#[test]
fn what_could_not_be_committed_is_decided_again_with_the_next_result() {
    for finding in [Finding::Bad, Finding::Silent] {
        let mut world = World::new(CatalogConfig::default());
        world.register("s", A, probed(1, 3));
        world.journal_fails = true;
        (0..3).for_each(|_| assert_eq!(world.found("s", A, finding), 0));
        world.journal_fails = false;
        assert_eq!(world.found("s", A, finding), 1);
        world.journal_fails = true;
        world.probed("s", A, true);
        world.journal_fails = false;
        assert_eq!(world.probed("s", A, true), 1);
        assert_eq!(world.health("s", A), "healthy");
        check_tables(&world);
    }
}

#[test]
fn a_result_for_one_whose_slot_has_another_now_is_dropped() {
    let mut world = World::without_guard();
    world.register("s", A, probed(1, 1));
    world.catalog.probe_now(&key("s"), &endpoint(A), world.now);
    let task = world.catalog.probes_due(world.now, Duration::ZERO, 1).remove(0);
    world.deregister("s", A).unwrap();
    world.register("s", "10.0.0.2:80", probed(1, 1));
    let done = ProbeDone {
        ticket: task.ticket,
        result: Some(result(Finding::Down)),
    };
    assert!(!world.catalog.probed([done], world.now, Wall(0), Duration::ZERO));
    world.turn();
    assert_eq!(world.health("s", "10.0.0.2:80"), "healthy");
    assert_eq!(world.catalog.probe_counts().dropped, 1);
}

#[test]
fn invariant_10_far_too_many_who_answer_nothing_at_once_are_suspect_and_serve_on() {
    let mut world = hundred(CatalogConfig::default());
    world.results(all(Finding::Silent), &[]);
    world.advance(Duration::ZERO);
    assert_eq!(
        (world.count("s", "suspect"), world.count("s", "unhealthy")),
        (100, 0)
    );
    assert_eq!(world.events[0], GuardEvent::Holds(Some(key("s"))));
    assert_eq!(world.view("s").unwrap().serving, 100);
    check_tables(&world);
    // One good answer each ends it.
    world.now = world.now.after(Duration::from_secs(10));
    world.results(all(Finding::Good), &[]);
    world.advance(Duration::from_secs(2));
    assert_eq!((world.count("s", "healthy"), world.catalog.suspects()), (100, 0));
    assert!(!world.catalog.guarded().0, "{:?}", world.events);
    assert_eq!(world.catalog.guarded().1.count(), 0);
    check_tables(&world);
}

#[test]
fn those_of_whom_something_says_that_they_are_down_are_unhealthy_however_many_they_are() {
    let mut world = hundred(CatalogConfig::default());
    world.results(all(Finding::Down), &[]);
    world.advance(Duration::ZERO);
    assert_eq!(world.count("s", "unhealthy"), 100);
    assert!(world.events.is_empty());
    check_tables(&world);
}

#[test]
fn a_few_who_answer_nothing_are_unhealthy_and_return() {
    let mut world = hundred(CatalogConfig::default());
    let few: Vec<_> = (0..20).map(|number| endpoint(&address(number))).collect();
    let found = |silent: Finding| {
        let few = few.clone();
        move |at: &crate::model::Endpoint| Some(if few.contains(at) { silent } else { Finding::Good })
    };
    world.results(found(Finding::Silent), &[]);
    world.advance(Duration::ZERO);
    assert_eq!(
        (world.count("s", "unhealthy"), world.count("s", "healthy")),
        (20, 80)
    );
    world.now = world.now.after(Duration::from_secs(10));
    world.results(found(Finding::Good), &[]);
    world.advance(Duration::ZERO);
    assert_eq!(world.count("s", "healthy"), 100);
    assert!(world.events.is_empty());
    check_tables(&world);
}

#[test]
fn when_an_operator_ends_the_guard_those_who_still_answer_nothing_are_unhealthy_after_as_many_as_it_takes() {
    let mut world = World::new(CatalogConfig::default());
    for number in 0..100 {
        world.register("s", &address(number), probed(1, 2));
    }
    let round = |world: &mut World| {
        world.now = world.now.after(Duration::from_secs(10));
        world.results(all(Finding::Silent), &[]);
        world.advance(Duration::ZERO);
        (world.count("s", "suspect"), world.count("s", "unhealthy"))
    };
    assert_eq!(round(&mut world), (0, 0));
    assert_eq!(round(&mut world), (100, 0));
    assert_eq!(round(&mut world), (100, 0));
    world.catalog.end_guard(None, world.now);
    assert_eq!(round(&mut world), (100, 0));
    assert_eq!(round(&mut world), (0, 100));
    check_tables(&world);
}

#[test]
fn a_guard_that_holds_for_probes_ends_by_its_time_without_any_result() {
    let mut config = CatalogConfig::default();
    config.guard.hold_max = Duration::from_secs(60);
    let mut world = hundred(config);
    world.results(all(Finding::Silent), &[]);
    assert!(world.catalog.guarded().0);
    world.advance(Duration::from_secs(62));
    assert!(!world.catalog.guarded().0);
}

#[test]
fn those_who_are_probed_are_counted_by_the_guards_and_those_whom_nobody_asks_are_not() {
    let mut world = World::new(CatalogConfig::default());
    world.declare_service("s", checked_by(Checker::None)).unwrap();
    for number in 0..200 {
        world.register("s", &address(number), of_cluster());
    }
    // Nine of thirty: not more than a third, unless the two hundred count.
    let leases = world.register_many("t", 30);
    world.advance_beating(Duration::from_secs(20), &leases[10..]);
    assert_eq!(world.count("t", "suspect"), 10, "{:?}", world.events);
}

#[test]
fn a_report_tells_what_is_asked_when_next_and_what_came_of_it() {
    let mut world = World::without_guard();
    world.register("s", A, probed(2, 3));
    world.register("s", "10.0.0.2:80", registration(Liveness::Static));
    let report = |world: &World, at: &str| world.catalog.probe_report(&key("s"), &endpoint(at), world.now);
    assert_eq!(report(&world, "10.0.0.2:80"), None);
    let scheduled = report(&world, A).unwrap().scheduled.unwrap();
    assert!(scheduled.last.is_none() && scheduled.due.unwrap() < world.now.after(Duration::from_secs(1)));
    world.found("s", A, Finding::Silent);
    let last = report(&world, A).unwrap().scheduled.unwrap().last.unwrap();
    assert_eq!((last.result.word, last.streak), ("test", 1));
}

#[test]
fn what_is_shared_is_shared() {
    let spec = match probed(1, 1).liveness {
        Liveness::Probe(Probe::Own(spec)) => spec,
        other => panic!("{other:?}"),
    };
    let mut world = World::without_guard();
    world.register(
        "s",
        A,
        registration(Liveness::Probe(Probe::Own(Arc::clone(&spec)))),
    );
    let report = world
        .catalog
        .probe_report(&key("s"), &endpoint(A), world.now)
        .unwrap();
    assert!(Arc::ptr_eq(&report.scheduled.unwrap().spec, &spec));
}
