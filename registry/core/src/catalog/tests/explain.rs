//! The explain page's facts, for each way in which an instance can be unhealthy, not serving or gone.

use std::time::Duration;

use crate::catalog::testing::{
    World, at_ms, beat, declared, endpoint, expires, key, off, registration, timings,
};
use crate::catalog::{
    CatalogConfig, Command, Deadline, Mutation, NotServing, Rule, Spared, There, Turn, Way,
};
use crate::changes::ChangeKind;
use crate::liveness::LateBeat;
use crate::model::{
    DeclaredStatus, Health, Liveness, Marks, OperatorPatch, Reason, Registration, SessionId, Timings, Wall,
};

const A: &str = "10.1.0.1:80";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn probed() -> Registration {
    crate::catalog::testing::probed(2, 3)
}

fn next(there: &There) -> Option<Deadline> {
    there.deadlines.first().copied()
}

fn at(ms: u64, then: Turn) -> Option<Deadline> {
    Some(Deadline { at: at_ms(ms), then })
}

/// Commits a state that machinery of another kind would have measured.
fn measured(world: &mut World, health: Health, marks: Marks, reason: Reason) {
    world.commit(vec![Mutation::Measured {
        service: key("s"),
        endpoint: endpoint(A),
        health,
        marks,
        reason,
    }]);
}

#[test]
fn a_healthy_one_tells_its_beats_and_when_silence_would_end_that() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    for gap in [5_000, 5_010, 9_000, 4_990] {
        world.advance(Duration::from_millis(gap));
        world.beat(lease);
    }
    world.advance(seconds(2));
    let there = world.explain("s", A);
    assert!(there.not_serving.is_empty());
    assert_eq!(there.rule, Rule::Registered, "nothing was measured since");
    let beats = there.beats.clone().unwrap();
    let last_gap = beats.reading.last_gap.map(|gap| gap.as_millis());
    assert_eq!(
        (last_gap, beats.late_from),
        (Some(4_990), Duration::from_millis(7_500))
    );
    let late = LateBeat {
        at: at_ms(19_010),
        gap: seconds(9),
    };
    assert_eq!(beats.reading.late, [late]);
    assert_eq!(
        (beats.last, beats.silent_since),
        (at_ms(24_000), Some(at_ms(24_000)))
    );
    assert_eq!(
        there.deadlines,
        [(39_000, Turn::Unhealthy), (54_000, Turn::Removed)]
            .map(|(ms, then)| Deadline { at: at_ms(ms), then })
    );
    assert_eq!(there.ways, [Way::Silence(seconds(15))]);
    assert_eq!(there.changes.len(), 1);
}

#[test]
fn silent_names_the_limit_and_the_last_beat() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.advance(seconds(5));
    world.beat(lease);
    world.advance(Duration::from_millis(17_012));
    let there = world.explain("s", A);
    let rule = Rule::Silent {
        limit: seconds(15),
        last_beat: at_ms(5_000),
    };
    assert_eq!(there.rule, rule);
    assert_eq!(world.now.since(at_ms(5_000)), Duration::from_millis(17_012));
    assert_eq!(there.not_serving, [NotServing::Unhealthy]);
    assert_eq!(there.ways, [Way::BeatHeals]);
    assert_eq!(next(&there), at(35_000, Turn::Removed));
    assert_eq!(there.member.state.since, Wall(20_000));
    assert_eq!(there.changes[0].reason, Reason::Silent);
}

#[test]
fn expired_is_remembered_after_it_is_gone_and_what_waits_for_it() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.operate("s", A, off()).unwrap();
    world.advance(seconds(40));
    let gone = world.explain_gone("s", A);
    let told: Vec<_> = gone
        .changes
        .iter()
        .map(|change| (change.kind, change.reason))
        .collect();
    assert_eq!(
        told,
        [
            (ChangeKind::Removed, Reason::Expired),
            (ChangeKind::Health, Reason::Silent),
            (ChangeKind::Operator, Reason::Operator),
            (ChangeKind::Registered, Reason::Registered)
        ]
    );
    assert_eq!(gone.layer.unwrap().enabled, Some(false));
    assert_eq!(gone.layer_ends, Some(at_ms(630_000)));
    assert!(
        world.explained("s", "10.9.9.9:1").is_none(),
        "nothing is known of that one"
    );
    // Also when the service itself has ended since.
    world.advance(seconds(1_300));
    assert!(world.view("s").is_none());
    let gone = world.explain_gone("s", A);
    assert_eq!((gone.changes[0].reason, gone.layer), (Reason::Expired, None));
}

#[test]
fn declared_unhealthy_is_its_own_word_and_only_that_heals_it() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.declare(lease, declared(DeclaredStatus::Unhealthy)).unwrap();
    let there = world.explain("s", A);
    assert_eq!(there.rule, Rule::Declared(Some(DeclaredStatus::Unhealthy)));
    assert_eq!(there.not_serving, [NotServing::Unhealthy]);
    assert_eq!(there.ways, [Way::DeclaresUp]);
}

#[test]
fn a_failed_probe_tells_how_many_it_takes_either_way() {
    let mut world = World::without_guard();
    world.register("s", A, probed());
    for _ in 0..3 {
        world.probed("s", A, false);
    }
    world.probed("s", A, true);
    let there = world.explain("s", A);
    assert_eq!(
        there.rule,
        Rule::Probed {
            good: false,
            needed: 3
        }
    );
    assert_eq!(there.ways, [Way::ProbesPass(2)]);
    assert_eq!(there.probe.unwrap().against, 1, "one good answer so far");
    assert_eq!((there.beats, next(&world.explain("s", A))), (None, None));
    world.probed("s", A, true);
    assert_eq!(
        world.explain("s", A).rule,
        Rule::Probed {
            good: true,
            needed: 2
        }
    );
    assert_eq!(world.explain("s", A).ways, [Way::ProbesFail(3)]);
}

#[test]
fn disabled_says_by_whom() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.operate("s", A, off()).unwrap();
    let there = world.explain("s", A);
    assert_eq!(there.not_serving, [NotServing::DisabledByOperator]);
    assert_eq!(there.ways, [Way::OperatorEnables, Way::Silence(seconds(15))]);
    assert_eq!(
        there.rule,
        Rule::Registered,
        "its health has nothing to do with it"
    );

    let disabled = Registration {
        enabled: false,
        ..beat()
    };
    world.register("t", A, disabled);
    let there = world.explain("t", A);
    assert_eq!(there.not_serving, [NotServing::DisabledByClient]);
    assert!(there.ways.contains(&Way::RegistersEnabled));
}

#[test]
fn draining_says_by_whom() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.declare(lease, declared(DeclaredStatus::Draining)).unwrap();
    let there = world.explain("s", A);
    assert_eq!(there.not_serving, [NotServing::DrainsItself]);
    assert!(there.ways.contains(&Way::DeclaresUp));
    let drain = OperatorPatch {
        draining: Some(true),
        ..OperatorPatch::default()
    };
    world.operate("s", A, drain).unwrap();
    world.advance(seconds(16));
    let there = world.explain("s", A);
    let all = [
        NotServing::DrainedByOperator,
        NotServing::DrainsItself,
        NotServing::Unhealthy,
    ];
    assert_eq!(
        there.not_serving, all,
        "all that keeps it from serving, what decides first"
    );
}

#[test]
fn suspect_by_the_guard_tells_its_numbers_and_when_it_ends() {
    let mut world = World::new(CatalogConfig::default());
    world.register_many("s", 100);
    world.register("s", A, beat());
    world.advance(seconds(20));
    let there = world.explain("s", A);
    let rule = Rule::Guarded {
        by_service: true,
        limit: Some(seconds(15)),
        last_beat: at_ms(0),
    };
    assert_eq!(there.rule, rule);
    assert!(there.not_serving.is_empty(), "it goes on serving");
    assert_eq!(
        (there.guard.service.suspects, there.guard.service.population),
        (101, 101)
    );
    assert_eq!(there.guard.registry.suspects, 101);
    assert!(there.guard.holds);
    assert_eq!(
        there.ways,
        [Way::BeatClears, Way::OthersReturn, Way::OperatorEndsGuard]
    );
    assert_eq!(next(&there), at(615_000, Turn::ServiceGuardEnds));
}

#[test]
fn reported_tells_who_and_what_and_until_when() {
    let mut world = World::without_guard();
    world.register_many("s", 10);
    world.register("s", A, probed());
    world.report_enough("s", A);
    let there = world.explain("s", A);
    assert_eq!(there.rule, Rule::Reported);
    assert!(there.not_serving.is_empty(), "it goes on serving");
    let reports = there.reports.clone().unwrap();
    assert_eq!((reports.reporters, reports.counted, reports.needed), (3, 3, 3));
    assert_eq!(*reports.errors, ["connect: refused".into()]);
    assert_eq!(next(&there), at(30_000, Turn::ReportsLapse));
    assert_eq!(
        there.ways,
        [
            Way::ReportsCease,
            Way::OperatorEndsReports,
            Way::Registers,
            Way::ProbesFail(3)
        ]
    );
    assert_eq!(world.explain("s", "10.0.0.2:80").reports, None);
}

#[test]
fn flapping_tells_its_score_and_until_when_it_has_to_be_well() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    // It falls silent again and again, and beats again each time.
    for _ in 0..4 {
        world.advance(seconds(16));
        world.beat(lease);
    }
    let there = world.explain("s", A);
    assert_eq!(there.rule, Rule::Flapping);
    assert_eq!(there.not_serving, [NotServing::Unhealthy]);
    assert_eq!(there.ways, [Way::StaysWell]);
    let flap = there.flap.unwrap();
    assert!(flap.flapping && flap.score >= 3.0, "{flap:?}");
    let held = flap.held_until.unwrap();
    assert_eq!(held, world.now.after(flap.hold));
    let ends = Deadline {
        at: held,
        then: Turn::HoldEnds,
    };
    assert!(there.deadlines.contains(&ends), "{:?}", there.deadlines);
    // Silent once more it says so, and that a beat alone would not do.
    world.advance(seconds(16));
    let there = world.explain("s", A);
    assert!(matches!(there.rule, Rule::Silent { .. }), "{:?}", there.rule);
    assert_eq!(there.ways, [Way::BeatHeals, Way::StaysWell]);
}

#[test]
fn unconfirmed_tells_that_it_is_known_from_before_a_restart() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    measured(
        &mut world,
        Health::Healthy,
        Marks::UNCONFIRMED,
        Reason::Registered,
    );
    let there = world.explain("s", A);
    let rule = Rule::Unconfirmed {
        reason: Reason::Registered,
    };
    assert_eq!(there.rule, rule);
    assert!(there.ways.contains(&Way::Confirms));
    assert!(there.not_serving.is_empty());
}

#[test]
fn a_closed_session_is_remembered() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Session(SessionId(7))));
    assert_eq!(world.explain("s", A).ways, [Way::ConnectionCloses]);
    let session = SessionId(7);
    world.run(Command::CloseSession { session }).unwrap();
    let gone = world.explain_gone("s", A);
    assert_eq!(gone.changes[0].reason, Reason::SessionClosed);
    assert_eq!((gone.layer, gone.layer_ends), (None, None));
}

#[test]
fn set_by_hand_is_told_and_only_a_hand_changes_it() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    world
        .run(Command::Measure {
            service: key("s"),
            endpoint: endpoint(A),
            health: Health::Unhealthy,
            reason: Reason::Operator,
        })
        .unwrap();
    let there = world.explain("s", A);
    assert_eq!(there.rule, Rule::Operator);
    assert_eq!(there.ways, [Way::OperatorSetsHealth, Way::Registers]);
    assert_eq!(there.not_serving, [NotServing::Unhealthy]);
}

#[test]
fn where_silence_has_no_consequences_it_says_who_said_so_and_there_is_no_deadline() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.declare_service("s", expires(false)).unwrap();
    world.advance(seconds(60));
    let there = world.explain("s", A);
    let beats = there.beats.clone().unwrap();
    assert_eq!((beats.spared, beats.silent_since), (Some(Spared::Service), None));
    assert_eq!((next(&there), there.ways.len()), (None, 0));
    assert_eq!(beats.timings, Timings::DEFAULT);

    let spared = Registration {
        expires: false,
        ..beat()
    };
    world.register("t", A, spared);
    assert_eq!(
        world.explain("t", A).beats.unwrap().spared,
        Some(Spared::Instance)
    );
    world.register("u", A, registration(Liveness::Beat(timings(1_000, 3_000, 6_000))));
    world.set("expiry", Some("off")).unwrap();
    assert_eq!(
        world.explain("u", A).beats.unwrap().spared,
        Some(Spared::Registry)
    );
}

#[test]
fn while_a_guard_holds_one_that_falls_silent_becomes_suspect_next() {
    let mut world = World::new(CatalogConfig::default());
    world.register_many("s", 100);
    let lease = world.register("s", A, beat());
    world.advance(seconds(10));
    world.beat(lease);
    world.advance(seconds(6));
    let there = world.explain("s", A);
    assert_eq!(there.rule, Rule::Registered);
    assert_eq!(next(&there), at(25_000, Turn::Suspect));
}
