//! After a restart: who is unconfirmed, how long the catalog is incomplete, and whom it tells that it is not any more.

use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{
    World, address, beat, beat_with, declared, endpoint, key, labelled, off, probed, registration,
};
use crate::catalog::{CatalogConfig, Command, Mutation, Piece, Way};
use crate::changes::{Gap, Missed};
use crate::liveness::Beat;
use crate::model::{DeclaredStatus, Existence, Health, Liveness, Marks, Reason, Revision, SessionId};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn is_unconfirmed(world: &World, address: &str) -> bool {
    world
        .member("s", address)
        .unwrap()
        .state
        .marks
        .has(Marks::UNCONFIRMED)
}

fn changes(world: &World) -> usize {
    world.catalog.log().len()
}

#[test]
fn a_restart_is_over_when_all_are_confirmed_or_a_beat_window_has_passed() {
    let mut world = World::without_guard();
    assert!(world.catalog.complete());
    let leases = world.register_many("s", 30);
    world.reopen();
    assert!(!world.catalog.complete() && !world.view("s").unwrap().complete);
    world.advance_to_ms(14_999);
    assert!(!world.catalog.complete());
    world.advance_to_ms(15_000);
    assert!(world.catalog.complete() && world.view("s").unwrap().complete);

    world.beat_all(&leases);
    world.reopen();
    world.advance(Duration::from_secs(3));
    world.beat_all(&leases[1..]);
    world.advance(Duration::from_secs(1));
    assert!(!world.catalog.complete());
    world.beat(leases[0]);
    world.advance(Duration::from_millis(1));
    assert!(world.catalog.complete() && world.view("s").unwrap().complete);
    assert_eq!(world.history.last().unwrap().mutation, Mutation::Warmed);
    check_tables(&world);
}

#[test]
fn a_catalog_that_restored_nothing_is_complete_at_once() {
    let mut world = World::without_guard();
    world.reopen();
    assert!(world.catalog.complete());
    // Unless something was lost: then nobody knows of whom.
    let gap = Gap {
        after: Revision::ZERO,
        until: Revision(9),
    };
    world.reopen_with(vec![gap]);
    assert!(!world.catalog.complete());
    world.advance(Duration::from_secs(15));
    assert!(world.catalog.complete());
}

#[test]
fn one_of_static_instances_only_is_complete_within_its_first_turn() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    world.reopen();
    assert!(!is_unconfirmed(&world, A));
    world.advance(Duration::ZERO);
    assert!(world.catalog.complete());
}

#[test]
fn where_something_was_lost_it_waits_a_whole_window_for_those_who_are_not_known() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    let until = Revision(100);
    world.reopen_with(vec![Gap {
        after: Revision(1),
        until,
    }]);
    world.advance(Duration::from_secs(1));
    world.beat(lease);
    world.advance(Duration::from_secs(13));
    assert!(!world.catalog.complete());
    world.beat(lease);
    world.advance(Duration::from_secs(1));
    assert!(world.catalog.complete());
    assert_eq!(world.revision(), Revision(101), "no revision is used again");
    assert!(!is_unconfirmed(&world, A));
}

#[test]
fn first_beats_while_it_warms_are_no_changes_and_all_are_confirmed_at_its_end() {
    let mut world = World::without_guard();
    let leases = world.register_many("s", 300);
    world.reopen();
    let (revision, before) = (world.revision(), changes(&world));
    world.advance(Duration::from_secs(4));
    for lease in &leases[..200] {
        assert_eq!(world.beat(*lease), Beat::Renewed);
    }
    assert_eq!(world.revision(), revision);
    assert!(is_unconfirmed(&world, &address(0)), "as of the restart, so far");
    world.advance(Duration::from_secs(11) - Duration::from_millis(1));
    for lease in &leases[..200] {
        world.beat(*lease);
    }
    world.advance(Duration::from_millis(1));
    // The end, and those who did not beat.
    assert_eq!(changes(&world), before + 100);
    assert_eq!(world.revision(), Revision(revision.0 + 101));
    assert!(!is_unconfirmed(&world, &address(199)) && is_unconfirmed(&world, &address(200)));
    assert_eq!(world.count("s", "unhealthy"), 100);
}

#[test]
fn a_first_beat_after_it_warmed_is_a_change_once() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat_with(5_000, 40_000, 60_000));
    world.reopen();
    world.advance(Duration::from_secs(20));
    assert!(world.catalog.complete() && is_unconfirmed(&world, A));
    assert_eq!(world.health("s", A), "healthy");
    let before = changes(&world);
    assert!(matches!(world.beat(lease), Beat::Returned(_)));
    assert_eq!((changes(&world), world.last_reason()), (before + 1, Reason::Beat));
    assert!(!is_unconfirmed(&world, A));
    world.advance(Duration::from_secs(5));
    assert_eq!(world.beat(lease), Beat::Renewed);
    assert_eq!(changes(&world), before + 1);
}

#[test]
fn a_registration_shows_it_confirmed_and_so_does_a_change_of_one_that_has_beaten() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    let other = world.register("s", B, beat());
    world.reopen();
    world.advance(Duration::from_secs(1));
    world.register("s", A, beat());
    assert_eq!(world.lease("s", A), Some(lease));
    assert!(!is_unconfirmed(&world, A));

    world.operate("s", B, off()).unwrap();
    assert!(
        is_unconfirmed(&world, B),
        "an operator says nothing about whether it lives"
    );
    world.declare(other, declared(DeclaredStatus::Draining)).unwrap();
    assert!(!is_unconfirmed(&world, B));
    world.advance(Duration::ZERO);
    assert!(world.catalog.complete());
    assert_eq!(world.beat(other), Beat::Renewed);
    check_tables(&world);
}

#[test]
fn one_of_a_session_waits_for_its_client_and_goes_as_its_session_would() {
    let mut world = World::without_guard();
    let of_session = |id| registration(Liveness::Session(SessionId(id)));
    let close = Command::CloseSession {
        session: SessionId(7),
    };
    world.register("s", A, of_session(7));
    world.register("s", B, of_session(7));
    world.advance(Duration::from_secs(3_600));
    world.reopen();
    check_tables(&world);
    assert!(is_unconfirmed(&world, A));
    let standing = world.catalog.standing(key("s").borrowed(), &endpoint(A)).unwrap();
    assert_eq!(standing.timings, None);
    // A connection of this process that has the same number has no part in it.
    assert_eq!(world.run(close.clone()), Ok(0));
    world.advance(Duration::from_secs(10));
    world.register("s", B, of_session(7));
    assert!(!is_unconfirmed(&world, B));
    let told = world.catalog.log().len();
    world.advance(Duration::from_secs(5));
    assert!(world.catalog.complete(), "nobody waits for it");
    assert!(is_unconfirmed(&world, A));
    world.advance(Duration::from_millis(44_999));
    assert_eq!(world.health("s", A), "healthy");
    assert_eq!(
        world.catalog.log().len(),
        told,
        "it stays as it was all the while"
    );
    check_tables(&world);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.health("s", A), "gone");
    assert_eq!(world.last_reason(), Reason::SessionClosed);
    world.advance(Duration::from_secs(3_600));
    assert_eq!(world.health("s", B), "healthy");
    assert_eq!(world.run(close), Ok(1));
}

#[test]
fn one_of_a_session_is_taken_over_by_a_client_that_beats() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, registration(Liveness::Session(SessionId(7))));
    world.reopen();
    world.register("s", A, beat());
    assert_eq!(world.lease("s", A), Some(lease));
    world.advance(Duration::from_secs(5));
    assert_eq!(world.beat(lease), Beat::Renewed);
    assert!(!is_unconfirmed(&world, A));
    check_tables(&world);
}

#[test]
fn the_guard_protects_those_of_sessions_too_who_do_not_come_back_together() {
    let mut world = World::new(CatalogConfig::default());
    for number in 0..50 {
        world.register(
            "s",
            &address(number),
            registration(Liveness::Session(SessionId(number as u64))),
        );
    }
    world.reopen();
    world.advance(Duration::from_secs(59));
    assert_eq!(world.count("s", "healthy"), 50);
    world.advance(Duration::from_secs(1));
    check_tables(&world);
    assert_eq!(world.count("s", "suspect"), 50);
    // A beat would say nothing of one that lives by a connection.
    let ways = world.explain("s", &address(0)).ways;
    assert_eq!(ways, [Way::Registers, Way::OthersReturn, Way::OperatorEndsGuard]);
    for number in 0..50 {
        world.register(
            "s",
            &address(number),
            registration(Liveness::Session(SessionId(number as u64))),
        );
    }
    check_tables(&world);
    assert_eq!(world.count("s", "healthy"), 50);
    assert_eq!(world.catalog.suspects(), 0);
}

#[test]
fn a_few_of_many_connections_that_do_not_come_back_are_no_outage() {
    let mut world = World::new(CatalogConfig::default());
    for number in 0..100 {
        world.publish("s", number, &[&address(number as usize)]).unwrap();
    }
    world.reopen();
    world.advance(Duration::from_secs(30));
    for number in 0..75 {
        world
            .publish("s", 1_000 + number, &[&address(number as usize)])
            .unwrap();
    }
    check_tables(&world);
    world.advance(Duration::from_secs(31));
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!((world.count("s", "healthy"), world.catalog.instances()), (75, 75));
    check_tables(&world);
}

#[test]
fn a_probed_one_is_unconfirmed_until_its_first_answer() {
    let mut world = World::without_guard();
    let probe = || probed(2, 3);
    world.register("s", A, probe());
    world.register("s", B, probe());
    let lease = world.register("s", "10.0.0.3:80", beat());
    world.reopen();
    assert!(is_unconfirmed(&world, A) && is_unconfirmed(&world, B));
    // While it warms that is no change; and a registration is no answer.
    assert_eq!(world.probed("s", A, true), 0);
    world.register("s", B, probe());
    world.advance(Duration::from_secs(1));
    world.beat(lease);
    world.advance(Duration::ZERO);
    assert!(!world.catalog.complete(), "it waits for probes as well");
    world.advance(Duration::from_secs(9));
    world.beat(lease);
    world.advance(Duration::from_secs(6));
    assert!(world.catalog.complete(), "not for longer than a beat window");
    assert!(!is_unconfirmed(&world, A) && is_unconfirmed(&world, B));
    // A bad answer is one: it is looked after again, however it is.
    assert_eq!(world.probed("s", B, false), 1);
    assert_eq!(
        (is_unconfirmed(&world, B), world.health("s", B)),
        (false, "healthy")
    );
    assert_eq!(world.probed("s", B, false), 0);
    assert_eq!(world.probed("s", B, false), 1);
    assert_eq!(world.health("s", B), "unhealthy");
}

#[test]
fn an_end_that_cannot_be_committed_comes_again_within_a_second() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    world.reopen();
    world.journal_fails = true;
    world.advance(Duration::from_secs(5));
    assert!(!world.catalog.complete());
    world.journal_fails = false;
    world.advance(Duration::from_secs(1));
    assert!(world.catalog.complete());
    assert_eq!(
        world
            .history
            .iter()
            .filter(|done| done.mutation == Mutation::Warmed)
            .count(),
        1
    );
}

#[test]
fn whoever_was_shown_an_incomplete_view_is_shown_the_whole_and_who_was_not_goes_on() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    world.register("t", A, beat());
    let before = world.view("s").unwrap().revision;
    world.deregister("t", A).unwrap();
    world.reopen();
    let incomplete = world.view("s").unwrap();
    assert!(incomplete.revision > before, "its version is another");
    world.register("s", B, beat());
    let missed = |world: &World, since| world.catalog.missed(&key("s"), since);
    for since in [before, incomplete.revision] {
        let Missed::Delta(delta) = missed(&world, since) else {
            panic!("since {since}")
        };
        assert_eq!(delta.upserted.len(), 1);
    }
    let changed = world.view("s").unwrap();
    world.advance(Duration::from_secs(1));
    world.beat(lease);
    world.advance(Duration::ZERO);
    let whole = world.view("s").unwrap();
    assert!(whole.complete && whole.revision > changed.revision);
    for since in [incomplete.revision, changed.revision] {
        assert!(matches!(missed(&world, since), Missed::TooOld), "since {since}");
    }
    assert!(matches!(missed(&world, before), Missed::Delta(_)));
    assert!(matches!(missed(&world, whole.revision), Missed::Nothing));
}

#[test]
fn a_capture_holds_each_service_as_of_its_own_revision_and_the_log_tells_the_rest() {
    let mut world = World::without_guard();
    for service in ["a", "b", "c", "d"] {
        world.register(service, A, beat());
    }
    world.capture_some(1);
    // `a` is taken. What happens to it now is not in the checkpoint, what happens to the others is.
    for service in ["a", "b"] {
        world.register(service, B, labelled("k", "v", beat()));
        world.deregister(service, A).unwrap();
    }
    world.remove_service("x").unwrap_err();
    world.deregister("c", A).unwrap();
    world.remove_service("c").unwrap();
    world.capture_some(1);
    world.set("x", Some("y")).unwrap();
    world.deregister("b", B).unwrap();
    while world.checkpoint.is_empty() {
        world.capture_some(1);
    }
    let as_of: Vec<_> = world
        .checkpoint
        .iter()
        .filter_map(|piece| match piece {
            Piece::Service(service) => Some((service.key.name.as_str(), service.as_of.0)),
            _ => None,
        })
        .collect();
    assert_eq!(as_of, [("a", 4), ("b", 10), ("d", 12)]);
    let pieces = world.pieces();
    for _ in 0..3 {
        world.reopen();
        assert_eq!(world.pieces(), pieces);
        check_tables(&world);
        // Another length of the log is told, see `World::reopen`.
        world
            .declare_service("d", crate::catalog::testing::expires(true))
            .unwrap_or_default();
        world.set("z", None).unwrap();
    }
    assert!(world.catalog.log().lost_after(Revision(3)));
}

#[test]
fn pieces_in_no_order_are_taken_as_far_as_they_make_sense() {
    let mut world = World::without_guard();
    world.register_many("s", 200);
    world.capture_some(usize::MAX);
    world.capture_some(1);
    let mut pieces = world.checkpoint.clone();
    let whole = world.pieces();
    let of_nobody = pieces
        .iter()
        .find(|piece| matches!(piece, Piece::Instances(_)))
        .cloned();
    for piece in &mut pieces {
        if let Piece::Instances(instances) = piece {
            instances.reverse();
            instances.extend(instances.first().cloned());
        }
    }
    world.checkpoint = of_nobody.into_iter().chain(pieces).collect();
    world.history.clear();
    world.reopen();
    assert_eq!(world.pieces(), whole);
    check_tables(&world);
}

#[test]
fn a_lease_of_a_checkpoint_is_good_and_one_of_an_instance_that_left_is_nobodys() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, beat());
    let gone = world.register("s", B, beat());
    let captured = world
        .catalog
        .capture(&mut Default::default(), usize::MAX)
        .unwrap();
    // Between the step and the making of its pieces its cell goes to another.
    world.deregister("s", B).unwrap();
    let next = world.register("t", B, beat());
    let instances: Vec<_> = captured
        .into_pieces()
        .filter_map(|piece| match piece {
            Piece::Instances(instances) => Some(instances),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!((instances.len(), instances[0].lease), (2, lease));
    assert!(instances[1].lease != gone && instances[1].lease != next);
}

#[test]
fn limits_and_existence_count_what_was_restored() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.capture_some(usize::MAX);
    world.capture_some(1);
    world.reopen();
    let declare = Command::DeclareService {
        service: key("s"),
        patch: Box::default(),
        must: Existence::Absent,
    };
    assert!(world.run(declare).is_err());
    assert_eq!(
        (
            world.catalog.instances(),
            world.catalog.healthy(),
            world.catalog.services()
        ),
        (1, 1, 1)
    );
    world.try_register("s", A, beat(), Health::Healthy).unwrap();
}
