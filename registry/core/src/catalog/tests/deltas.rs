//! What a reader that comes back gets (invariant 9): just what it missed, or a snapshot, and it is told which.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::testing::{World, anonymous, beat, key, labelled, registration};
use crate::catalog::{CatalogConfig, View};
use crate::changes::Missed;
use crate::model::{Endpoint, Liveness, Marks, Member, Record, Revision, State};

const A: &str = "10.0.0.1:80";

pub(super) type Contents = BTreeMap<Endpoint, (State, Arc<Record>)>;

pub(super) fn contents(view: &View) -> Contents {
    let members = view.members();
    members
        .map(|member| (member.endpoint.clone(), shown(member)))
        .collect()
}

/// Without whether it is confirmed: whoever goes on with his state after a restart is not told that of each instance. Nor
/// is anybody told that it lives by another connection.
fn shown(member: &Member) -> (State, Arc<Record>) {
    let marks = member.state.marks.with(Marks::UNCONFIRMED, false);
    let mut record = member.record.clone();
    if matches!(record.registration.liveness, Liveness::Session(_)) {
        Arc::make_mut(&mut record).registration = anonymous(&member.record.registration);
    }
    (
        State {
            marks,
            ..member.state
        },
        record,
    )
}

/// What a reader holds after it applied what it missed. `None` if it was told that a snapshot is needed.
pub(super) fn caught_up(world: &World, service: &str, held: &Contents, since: Revision) -> Option<Contents> {
    let mut held = held.clone();
    match world.catalog.missed(&key(service), since) {
        Missed::TooOld => return None,
        Missed::Nothing => {}
        Missed::Delta(delta) => {
            assert!(!delta.upserted.is_empty() || !delta.removed.is_empty());
            for member in delta.upserted {
                let shown = shown(&member);
                held.insert(member.endpoint, shown);
            }
            for removed in delta.removed {
                assert!(removed.revision > since);
                held.remove(&removed.endpoint);
            }
        }
    }
    Some(held)
}

fn with_log_of(changes: usize) -> World {
    let mut config = CatalogConfig {
        change_log_max: changes,
        ..CatalogConfig::default()
    };
    config.guard.enabled = false;
    World::new(config)
}

#[test]
fn a_delta_holds_each_instance_once_and_as_it_is_now() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.register("s", "10.0.0.2:80", beat());
    let (held, since) = (contents(&world.view("s").unwrap()), world.revision());
    for value in ["1", "2", "3"] {
        world.register("s", A, labelled("k", value, beat()));
    }
    world.register("s", "10.0.0.3:80", beat());
    world.deregister("s", "10.0.0.3:80").unwrap();
    world.deregister("s", "10.0.0.2:80").unwrap();
    let Missed::Delta(delta) = world.catalog.missed(&key("s"), since) else {
        panic!("a delta")
    };
    assert_eq!(delta.upserted.len(), 1);
    assert_eq!(delta.removed.len(), 2);
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
fn what_changed_in_other_services_is_not_missed() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    let since = world.revision();
    for _ in 0..10 {
        world.register("t", A, beat());
        world.deregister("t", A).unwrap();
    }
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::Nothing));
    // Nor was it at any revision in between.
    world.register("s", "10.0.0.2:80", beat());
    let Missed::Delta(delta) = world.catalog.missed(&key("s"), Revision(since.0 + 5)) else {
        panic!("a delta")
    };
    assert_eq!(delta.upserted.len(), 1);
}

#[test]
fn a_quiet_service_stays_resumable_however_busy_the_others_are() {
    let mut world = with_log_of(4);
    world.register("s", A, beat());
    let (held, since) = (contents(&world.view("s").unwrap()), world.revision());
    let busy = |world: &mut World| {
        for _ in 0..5 {
            world.register("t", A, beat());
            world.deregister("t", A).unwrap();
        }
    };
    busy(&mut world);
    assert!(world.catalog.log().lost_after(since));
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::Nothing));
    world.register("s", "10.0.0.2:80", beat());
    assert_eq!(
        caught_up(&world, "s", &held, since),
        Some(contents(&world.view("s").unwrap()))
    );
    busy(&mut world);
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::TooOld));
}

#[test]
fn who_comes_from_the_future_or_from_too_long_ago_needs_a_snapshot() {
    let mut world = with_log_of(3);
    world.register("s", A, beat());
    let since = world.revision();
    assert!(matches!(
        world.catalog.missed(&key("s"), since.next()),
        Missed::TooOld
    ));
    for value in ["1", "2", "3"] {
        world.register("s", A, labelled("k", value, beat()));
    }
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::Delta(_)));
    assert!(!world.catalog.log().lost_after(since));
    world.register("s", A, labelled("k", "4", beat()));
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::TooOld));
    assert!(world.catalog.log().lost_after(since));
    assert_eq!(world.catalog.log().len(), 3);
}

#[test]
fn a_service_that_came_into_being_again_starts_with_a_snapshot() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    let since = world.revision();
    world.register("s", "10.0.0.2:80", registration(Liveness::Static));
    world.deregister("s", A).unwrap();
    world.deregister("s", "10.0.0.2:80").unwrap();
    world.advance_to_ms(600_000);
    assert_eq!(world.catalog.services(), 0);
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::TooOld));
    world.register("t", A, beat());
    assert!(matches!(
        world.catalog.missed(&key("s"), world.revision()),
        Missed::Nothing
    ));

    world.register("s", "10.0.0.3:80", registration(Liveness::Static));
    let begin = world.revision();
    assert!(matches!(world.catalog.missed(&key("s"), since), Missed::TooOld));
    // Right before it came it was empty, which can be told.
    let before = caught_up(&world, "s", &Contents::new(), Revision(begin.0 - 1));
    assert_eq!(before, Some(contents(&world.view("s").unwrap())));
}

#[test]
fn a_service_that_never_was_is_only_known_now() {
    let mut world = World::without_guard();
    assert!(matches!(
        world.catalog.missed(&key("s"), Revision::ZERO),
        Missed::Nothing
    ));
    world.register("t", A, beat());
    assert!(matches!(
        world.catalog.missed(&key("s"), Revision::ZERO),
        Missed::TooOld
    ));
    assert!(matches!(
        world.catalog.missed(&key("s"), world.revision()),
        Missed::Nothing
    ));
}

#[test]
fn a_view_that_is_held_stays_as_it_was() {
    let mut world = World::without_guard();
    let leases = world.register_many("s", 300);
    let view = world.view("s").unwrap();
    let before = contents(&view);
    let shared = world.catalog.published().get(key("s").borrowed()).unwrap();
    assert!(std::sync::Arc::ptr_eq(&shared.fresh().unwrap(), &view));
    world
        .declare(
            leases[7],
            crate::catalog::testing::declared(crate::model::DeclaredStatus::Draining),
        )
        .unwrap();
    assert!(shared.fresh().is_none());
    for number in 0..300 {
        if number % 3 == 0 {
            world
                .deregister("s", &crate::catalog::testing::address(number))
                .unwrap();
        }
    }
    world.advance_to_ms(20_000);
    assert_eq!(contents(&view), before);
    assert_eq!(view.len(), 300);
    assert_eq!(world.view("s").unwrap().len(), 200);
    // Only what changed is made anew: an untouched view is the same one.
    assert!(std::sync::Arc::ptr_eq(
        &world.view("s").unwrap(),
        &world.view("s").unwrap()
    ));
}

/// Where each chunk of the service stands in memory.
fn places(view: &View) -> Vec<usize> {
    let chunks = view.chunks().iter();
    chunks.map(|chunk| std::sync::Arc::as_ptr(chunk).addr()).collect()
}

/// Or a mass expiry would copy the whole service, and the first of a process would wait for fresh memory.
#[test]
fn changes_copy_a_chunk_only_for_a_view_that_somebody_holds() {
    let mut world = World::without_guard();
    world.register_many("s", 300);
    // Whoever reads after each change holds no view while the next one is made.
    let begin = places(&world.view("s").unwrap());
    world.register(
        "s",
        &crate::catalog::testing::address(299),
        labelled("k", "v", beat()),
    );
    let first = places(&world.view("s").unwrap());
    let copied = begin.iter().zip(&first).filter(|(one, other)| one != other);
    assert_eq!(
        copied.count(),
        1,
        "the view that readers shared was let go only by this change"
    );
    for number in 0..300 {
        world.register(
            "s",
            &crate::catalog::testing::address(number),
            labelled("k", "v", beat()),
        );
    }
    let all = places(&world.view("s").unwrap());
    let copied = first.iter().zip(&all).filter(|(one, other)| one != other);
    assert_eq!(
        copied.count(),
        1,
        "the first of many changes lets go of it for all"
    );

    let held = world.view("s").unwrap();
    for number in 0..300 {
        world.register("s", &crate::catalog::testing::address(number), beat());
    }
    let now = places(&world.view("s").unwrap());
    assert!(places(&held).iter().zip(&now).all(|(one, other)| one != other));
}

/// A few changes are searched for one by one, many by a look at the whole roster.
#[test]
fn a_delta_of_few_and_one_of_many_both_give_the_newest_state() {
    for touched in [1, 3, 20, 60, 200] {
        let mut world = World::without_guard();
        for port in 1..=200 {
            world.register("s", &format!("10.0.0.1:{port}"), beat());
        }
        let (held, since) = (contents(&world.view("s").unwrap()), world.revision());
        for port in 1..=touched {
            world.register("s", &format!("10.0.0.1:{port}"), labelled("k", "v", beat()));
        }
        world.deregister("s", "10.0.0.1:1").unwrap();
        world.register("s", "10.0.0.2:80", beat());
        let newest = contents(&world.view("s").unwrap());
        assert_eq!(caught_up(&world, "s", &held, since).unwrap(), newest, "{touched}");
    }
}
