//! The operator's layer over the client's (rule 7): what it outlives and what ends it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::catalog::testing::{World, address, beat, endpoint, key, labelled, of_run, off, registration};
use crate::catalog::{Command, DUE_MAX, Refusal};
use crate::model::{Liveness, OperatorPatch, Reason, SessionId, Weight};

const A: &str = "10.0.0.1:80";
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn is_off(world: &World) -> bool {
    !world.member("s", A).unwrap().record.enabled()
}

fn sticky() -> OperatorPatch {
    OperatorPatch {
        sticky: Some(true),
        ..off()
    }
}

fn drained() -> World {
    let mut world = World::without_guard();
    world.register("s", A, of_run("a", beat()));
    assert_eq!(world.operate("s", A, off()), Ok(1));
    assert!(is_off(&world));
    world
}

#[test]
fn a_view_shows_the_operators_layer_over_the_clients() {
    let mut world = World::without_guard();
    world.register("s", A, labelled("zone", "a", beat()));
    let metadata = BTreeMap::from([
        ("zone".into(), Some("b".into())),
        ("by".into(), Some("me".into())),
    ]);
    let weight = Some(Weight::new(5.0).unwrap());
    world
        .operate(
            "s",
            A,
            OperatorPatch {
                weight,
                metadata,
                ..off()
            },
        )
        .unwrap();
    let record = world.member("s", A).unwrap().record;
    assert_eq!(
        record.metadata().iter().collect::<Vec<_>>(),
        [("by", "me"), ("zone", "b")]
    );
    assert_eq!((record.weight().get(), record.enabled()), (5.0, false));
    assert_eq!(record.registration.metadata.get("zone"), Some("a"));

    // The client's layer can change below it.
    world.register("s", A, labelled("new", "c", beat()));
    let record = world.member("s", A).unwrap().record;
    assert_eq!(
        record.metadata().iter().collect::<Vec<_>>(),
        [("by", "me"), ("new", "c"), ("zone", "b")]
    );
    world.clear("s", A).unwrap();
    let record = world.member("s", A).unwrap().record;
    assert_eq!(record.metadata().iter().collect::<Vec<_>>(), [("new", "c")]);
    assert_eq!((record.weight().get(), record.enabled()), (1.0, true));
}

#[test]
fn what_a_new_layer_starts_from_is_not_put_over_one_that_is_there() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    let patch = |weight| OperatorPatch {
        weight,
        fresh: Some(Box::new(crate::model::OperatorLayer {
            enabled: Some(false),
            weight: Some(Weight::DEFAULT),
            ..crate::model::OperatorLayer::default()
        })),
        ..OperatorPatch::default()
    };
    let layer = |world: &World| {
        let layer = world.member("s", A).unwrap().record.operator().cloned().unwrap();
        (layer.enabled, layer.weight.map(Weight::get))
    };
    assert_eq!(world.operate("s", A, patch(None)), Ok(1));
    assert_eq!(layer(&world), (Some(false), Some(1.0)));
    assert_eq!(world.operate("s", A, patch(Weight::new(5.0).ok())), Ok(1));
    assert_eq!(world.operate("s", A, patch(None)), Ok(0));
    assert_eq!(layer(&world), (Some(false), Some(5.0)));
}

#[test]
fn it_is_one_change_and_none_if_it_says_nothing_new() {
    let mut world = drained();
    assert_eq!(world.operate("s", A, off()), Ok(0));
    assert_eq!(world.last_reason(), Reason::Operator);
    let on_again = OperatorPatch {
        enabled: Some(true),
        ..OperatorPatch::default()
    };
    assert_eq!(world.operate("s", A, on_again), Ok(1));
    assert_eq!(world.clear("s", A), Ok(1));
    assert_eq!(world.clear("s", A), Ok(0));
}

#[test]
fn it_survives_registration_anew() {
    let mut world = drained();
    world.register("s", A, of_run("a", labelled("k", "v", beat())));
    assert!(is_off(&world));
}

#[test]
fn it_survives_expiry_and_return_within_ten_minutes() {
    let mut world = drained();
    world.advance_to_ms(30_000);
    assert_eq!(world.health("s", A), "gone");
    world.advance(TEN_MINUTES - Duration::from_millis(1));
    world.register("s", A, of_run("a", beat()));
    assert!(is_off(&world));
    // What was to end it then does not end it now.
    world.advance_beating(TEN_MINUTES * 2, &[world.lease("s", A).unwrap()]);
    assert!(is_off(&world));
}

#[test]
fn it_ends_ten_minutes_after_the_instance_has_gone() {
    let mut world = drained();
    world.advance_to_ms(30_000);
    world.advance(TEN_MINUTES);
    world.register("s", A, of_run("a", beat()));
    assert!(!is_off(&world));
}

#[test]
fn gone_and_back_and_gone_again_begins_the_ten_minutes_anew() {
    let mut world = drained();
    for _ in 0..3 {
        world.advance(Duration::from_secs(30));
        assert_eq!(world.health("s", A), "gone");
        world.advance(Duration::from_secs(400));
        world.register("s", A, of_run("a", beat()));
        assert!(is_off(&world));
    }
}

#[test]
fn its_end_comes_up_again_if_it_could_not_be_committed() {
    let mut world = drained();
    world.advance_to_ms(30_000);
    world.journal_fails = true;
    world.advance(TEN_MINUTES + Duration::from_secs(5));
    world.journal_fails = false;
    world.advance(Duration::from_secs(1));
    assert_eq!(
        world.clear("s", A),
        Err(Refusal::ServiceNotFound(key("s"))),
        "the layer kept the service"
    );
    world.register("s", A, of_run("a", beat()));
    assert!(!is_off(&world));
}

#[test]
fn it_ends_when_the_client_deregisters() {
    let mut world = drained();
    world.deregister("s", A).unwrap();
    world.register("s", A, of_run("a", beat()));
    assert!(!is_off(&world));
}

#[test]
fn it_ends_when_another_incarnation_comes() {
    let mut world = drained();
    world.register("s", A, of_run("b", beat()));
    assert!(!is_off(&world));
    assert_eq!(world.clear("s", A), Ok(0));

    // Also if the instance was gone in between.
    let mut world = drained();
    world.advance_to_ms(30_000);
    world.register("s", A, of_run("b", beat()));
    assert!(!is_off(&world));
    // And it does not come back with the first.
    world.register("s", A, of_run("a", beat()));
    assert!(!is_off(&world));
}

#[test]
fn an_operator_can_end_that_of_an_instance_that_is_gone() {
    let mut world = drained();
    world.advance_to_ms(30_000);
    assert_eq!(world.clear("s", A), Ok(1));
    assert!(matches!(world.clear("s", A), Err(Refusal::InstanceNotFound(..))));
    world.register("s", A, of_run("a", beat()));
    assert!(!is_off(&world));
}

#[test]
fn the_end_of_that_of_a_gone_instance_is_seen_by_nobody() {
    let mut world = drained();
    world.advance_to_ms(30_000);
    let (view, changes) = (world.view("s").unwrap(), world.catalog.log().len());
    world.clear("s", A).unwrap();
    assert_eq!(world.view("s").unwrap().revision, view.revision);
    assert_eq!(world.catalog.log().len(), changes);
}

#[test]
fn a_sticky_one_survives_deregistration_other_incarnations_and_time() {
    let mut world = World::without_guard();
    world.register("s", A, of_run("a", beat()));
    world.operate("s", A, sticky()).unwrap();
    world.deregister("s", A).unwrap();
    world.advance(TEN_MINUTES * 10);
    assert_eq!(world.catalog.services(), 1, "the layer keeps the service");
    for run in ["b", "c"] {
        world.register("s", A, of_run(run, beat()));
        assert!(is_off(&world));
        world.advance(Duration::from_secs(30));
        assert_eq!(world.health("s", A), "gone");
    }
    world.advance(TEN_MINUTES * 10);
    world.clear("s", A).unwrap();
    world.advance(TEN_MINUTES);
    assert_eq!(world.catalog.services(), 0);
}

#[test]
fn a_sticky_one_without_content_is_kept_and_one_that_is_neither_ends() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    let only_sticky = OperatorPatch {
        sticky: Some(true),
        ..OperatorPatch::default()
    };
    assert_eq!(world.operate("s", A, only_sticky), Ok(1));
    let no_more = OperatorPatch {
        sticky: Some(false),
        ..OperatorPatch::default()
    };
    assert_eq!(world.operate("s", A, no_more), Ok(1));
    assert_eq!(world.clear("s", A), Ok(0));
}

#[test]
fn a_service_whose_last_layer_ends_with_its_ten_minutes_goes_then_too() {
    let mut world = drained();
    world.advance_to_ms(30_000);
    world.advance(TEN_MINUTES);
    assert_eq!(world.catalog.services(), 0);
    world.advance(Duration::from_secs(2));
    assert!(world.catalog.next_deadline().is_none());
}

#[test]
fn it_survives_a_closed_session_and_a_removal_by_an_operator() {
    let mut world = World::without_guard();
    let session = |id| registration(Liveness::Session(SessionId(id)));
    world.register("s", A, session(1));
    world.operate("s", A, off()).unwrap();
    world
        .run(Command::CloseSession {
            session: SessionId(1),
        })
        .unwrap();
    world.register("s", A, session(2));
    assert!(is_off(&world));
    world
        .run(Command::Deregister {
            service: key("s"),
            endpoint: endpoint(A),
            lease: None,
            only: &[],
            reason: Reason::Operator,
        })
        .unwrap();
    world.register("s", A, session(2));
    assert!(is_off(&world));
}

#[test]
fn there_is_none_of_an_instance_that_never_was() {
    let mut world = World::without_guard();
    assert_eq!(
        world.operate("s", A, off()),
        Err(Refusal::ServiceNotFound(key("s")))
    );
    world.register("s", "10.0.0.2:80", beat());
    assert_eq!(
        world.operate("s", A, off()),
        Err(Refusal::InstanceNotFound(key("s"), endpoint(A)))
    );
    assert_eq!(
        world.clear("s", A),
        Err(Refusal::InstanceNotFound(key("s"), endpoint(A)))
    );
    let too_long = BTreeMap::from([("k".into(), Some("v".repeat(20_000)))]);
    let patch = OperatorPatch {
        metadata: too_long,
        ..OperatorPatch::default()
    };
    assert!(matches!(
        world.operate("s", "10.0.0.2:80", patch),
        Err(Refusal::Invalid(_))
    ));
}

#[test]
fn the_end_of_very_many_layers_takes_many_turns() {
    let mut world = World::without_guard();
    world.register("s", A, registration(Liveness::Static));
    let many = 3 * DUE_MAX;
    for number in 0..many {
        world.operate_ahead("s", &address(number + 10), off()).unwrap();
    }
    world.now = world.now.after(TEN_MINUTES);
    for turns in 1..=3 {
        assert!(
            world
                .catalog
                .next_deadline()
                .is_some_and(|next| next <= world.now)
        );
        let before = world.history.len();
        world.turn();
        assert_eq!(world.history.len() - before, DUE_MAX);
        let left = world.catalog.layers(key("s").borrowed());
        assert_eq!(left.len(), many - turns * DUE_MAX);
    }
}
