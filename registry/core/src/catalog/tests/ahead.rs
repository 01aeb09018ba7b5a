//! Operator's layers that are set before their instance comes.

use std::time::Duration;

use crate::catalog::testing::{World, beat, endpoint, key, of_run, off};
use crate::catalog::{LAYERS_PER_SERVICE_MAX, Refusal};
use crate::model::{OperatorPatch, Weight};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const TEN_MINUTES: Duration = Duration::from_secs(600);

fn is_off(world: &World) -> bool {
    !world.member("s", A).unwrap().record.enabled()
}

/// A service with an instance, and a layer for another that has yet to come.
fn ahead() -> World {
    let mut world = World::without_guard();
    world.register("s", B, registration_that_stays());
    assert_eq!(world.operate_ahead("s", A, off()), Ok(1));
    world
}

fn registration_that_stays() -> crate::model::Registration {
    crate::model::Registration {
        expires: false,
        ..beat()
    }
}

#[test]
fn one_waits_for_its_instance_and_is_seen_by_nobody_until_then() {
    let mut world = World::without_guard();
    assert_eq!(
        world.operate_ahead("s", A, off()),
        Err(Refusal::ServiceNotFound(key("s")))
    );
    world.register("s", B, beat());
    let (view, changes) = (world.view("s").unwrap(), world.catalog.log().len());
    assert_eq!(world.operate_ahead("s", A, off()), Ok(1));
    assert_eq!(world.operate_ahead("s", A, off()), Ok(0));
    // Nobody sees it yet, but in the list of layers.
    assert_eq!(world.view("s").unwrap().revision, view.revision);
    assert_eq!(world.catalog.log().len(), changes);
    let layers = world.catalog.layers(key("s").borrowed());
    assert_eq!((layers.len(), layers[0].present), (1, false));
    assert_eq!(layers[0].endpoint, endpoint(A));
    world.register("s", A, beat());
    assert!(!world.member("s", A).unwrap().record.enabled());
    assert!(world.catalog.layers(key("s").borrowed())[0].present);
}

#[test]
fn it_is_for_whichever_run_comes_next_and_belongs_to_that() {
    let mut world = ahead();
    world.register("s", A, of_run("a", beat()));
    assert!(is_off(&world));
    world.register("s", A, of_run("a", beat()));
    assert!(is_off(&world));
    world.register("s", A, of_run("b", beat()));
    assert!(!is_off(&world));
}

#[test]
fn it_waits_for_ten_minutes() {
    let mut world = ahead();
    world.advance(TEN_MINUTES - Duration::from_millis(1));
    // A change begins them anew.
    let heavier = OperatorPatch {
        weight: Some(Weight::new(5.0).unwrap()),
        ..OperatorPatch::default()
    };
    assert_eq!(world.operate_ahead("s", A, heavier), Ok(1));
    world.advance(TEN_MINUTES - Duration::from_millis(1));
    assert_eq!(world.catalog.layers(key("s").borrowed()).len(), 1);
    world.advance(Duration::from_millis(1));
    assert!(world.catalog.layers(key("s").borrowed()).is_empty());
    world.register("s", A, beat());
    assert!(!is_off(&world));
    assert!(world.catalog.gone_layers.is_empty());
}

#[test]
fn a_sticky_one_waits_for_ever_until_it_is_no_longer_sticky() {
    let mut world = ahead();
    let sticky = |sticky| OperatorPatch {
        sticky: Some(sticky),
        ..OperatorPatch::default()
    };
    assert_eq!(world.operate_ahead("s", A, sticky(true)), Ok(1));
    world.advance(TEN_MINUTES * 10);
    let layers = world.catalog.layers(key("s").borrowed());
    assert!(layers[0].layer.sticky);
    for info in layers {
        let alone = world.catalog.layer(key("s").borrowed(), &info.endpoint);
        assert_eq!(alone, Some(info.layer));
    }
    let nobody = endpoint("192.0.2.1:9");
    assert_eq!(world.catalog.layer(key("s").borrowed(), &nobody), None);
    assert_eq!(world.operate_ahead("s", A, sticky(false)), Ok(1));
    world.advance(TEN_MINUTES);
    assert!(world.catalog.layers(key("s").borrowed()).is_empty());
}

#[test]
fn it_can_be_taken_back() {
    let mut world = ahead();
    assert_eq!(world.clear("s", A), Ok(1));
    assert!(matches!(world.clear("s", A), Err(Refusal::InstanceNotFound(..))));
    assert!(world.catalog.gone_layers.is_empty());
    world.register("s", A, beat());
    assert!(!is_off(&world));
}

#[test]
fn that_of_one_that_is_gone_can_be_changed_for_whichever_comes_next() {
    let mut world = ahead();
    world.register("s", A, of_run("a", beat()));
    world.advance(Duration::from_secs(30));
    assert_eq!(world.health("s", A), "gone");
    assert!(matches!(
        world.operate("s", A, off()),
        Err(Refusal::InstanceNotFound(..))
    ));
    let draining = OperatorPatch {
        draining: Some(true),
        ..OperatorPatch::default()
    };
    assert_eq!(world.operate_ahead("s", A, draining), Ok(1));
    world.register("s", A, of_run("b", beat()));
    assert!(is_off(&world) && world.member("s", A).unwrap().record.draining());
}

#[test]
fn for_one_that_is_there_it_is_set_at_once() {
    let mut world = ahead();
    assert_eq!(world.operate_ahead("s", B, off()), Ok(1));
    assert!(!world.member("s", B).unwrap().record.enabled());
    assert_eq!(world.catalog.log().after(crate::model::Revision::ZERO).count(), 2);
}

#[test]
fn it_keeps_an_emptied_service_until_it_ends() {
    let mut world = ahead();
    world.deregister("s", B).unwrap();
    world.advance(Duration::from_secs(300));
    world
        .operate_ahead(
            "s",
            A,
            OperatorPatch {
                draining: Some(true),
                ..off()
            },
        )
        .unwrap();
    world.advance(TEN_MINUTES - Duration::from_millis(1));
    assert_eq!(world.catalog.services(), 1);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.catalog.services(), 0);
    assert!(world.catalog.next_deadline().is_none());
}

#[test]
fn there_are_so_many_and_no_more() {
    let mut world = World::without_guard();
    world.register("s", "host:80", beat());
    for number in 0..LAYERS_PER_SERVICE_MAX {
        let (high, low) = (number / 256, number % 256);
        world
            .operate_ahead("s", &format!("10.1.{high}.{low}:80"), off())
            .unwrap();
    }
    let limit = Err(Refusal::Limit {
        limit: "operator_layers_per_service_max",
        max: LAYERS_PER_SERVICE_MAX,
    });
    assert_eq!(world.operate_ahead("s", A, off()), limit);
    assert_eq!(world.operate("s", "host:80", off()), limit);
    // An empty one is none.
    assert_eq!(world.operate_ahead("s", A, OperatorPatch::default()), Ok(0));
}
