//! What a connection says of all that it has in a service.

use crate::catalog::testing::{World, address, beat, endpoint, key, labelled, registration};
use crate::catalog::{CatalogConfig, Mutation, Refusal};
use crate::model::{Lifetime, Liveness, Reason};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";

fn there(world: &World, service: &str) -> Vec<String> {
    let view = world.view(service).unwrap();
    let there = view.members().map(|member| member.endpoint.to_string());
    there.collect()
}

#[test]
fn a_publication_takes_the_place_of_the_one_before() {
    let mut world = World::without_guard();
    assert_eq!(world.publish("s", 1, &[A]), Ok(1));
    world.publish("s", 2, &[C]).unwrap();
    world.publish("t", 1, &[A]).unwrap();
    assert_eq!(world.publish("s", 1, &[B]), Ok(2));
    assert_eq!(there(&world, "s"), [B, C]);
    let goodbye = world.explain_gone("s", A).changes;
    assert!(goodbye.iter().any(|change| change.reason == Reason::Deregistered));
    assert_eq!(world.publish("s", 1, &[A, B]), Ok(1));
    assert_eq!(there(&world, "s"), [A, B, C]);
    assert_eq!(there(&world, "t"), [A]);
    assert_eq!(world.publish("s", 1, &[]), Ok(2));
    assert_eq!(there(&world, "s"), [C]);
    assert_eq!(world.close(1), 1);
    assert_eq!(world.close(2), 1);
}

#[test]
fn the_same_publication_again_is_no_change() {
    let mut world = World::without_guard();
    world.publish("s", 1, &[A, B]).unwrap();
    let before = world.revision();
    assert_eq!(world.publish("s", 1, &[B, A]), Ok(0));
    assert_eq!(world.publish("s", 2, &[]), Ok(0), "an unknown connection");
    assert_eq!(world.publish("t", 1, &[]), Ok(0), "an unknown service");
    assert!(world.view("t").is_none());
    assert_eq!(world.revision(), before);
}

#[test]
fn of_an_address_that_is_named_twice_the_last_counts() {
    let mut world = World::without_guard();
    let twice = [(A, labelled("k", "1", beat())), (A, labelled("k", "2", beat()))];
    assert_eq!(world.publish_as("s", 1, &twice), Ok(1));
    let member = world.member("s", A).unwrap();
    assert_eq!(member.record.metadata().get("k"), Some("2"));
}

#[test]
fn who_goes_goes_before_others_come() {
    let mut world = World::without_guard();
    world.publish("s", 1, &[B]).unwrap();
    world.publish("s", 1, &[A, C]).unwrap();
    let said: Vec<_> = world.history.iter().skip(1).map(|done| &done.mutation).collect();
    assert!(matches!(said[0], Mutation::Removed { endpoint: gone, .. } if *gone == endpoint(B)));
    assert!(matches!(said[1], Mutation::Registered { .. }));
    assert_eq!(said.len(), 3);
}

#[test]
fn a_refused_publication_changes_nothing() {
    let mut world = World::without_guard();
    world.publish("s", 1, &[A]).unwrap();
    world.register("s", B, registration(Liveness::Static));
    let before = (world.revision(), there(&world, "s"));
    let refused = Refusal::OtherLifetime {
        service: key("s"),
        lifetime: Lifetime::Persistent,
    };
    assert_eq!(world.publish("s", 1, &[C]), Err(refused.clone()));
    // Those that are there may go on as they are, but not beside a new one.
    assert_eq!(world.publish("s", 1, &[A]), Ok(0));
    assert_eq!(world.publish("s", 1, &[A, C]), Err(refused));
    assert_eq!((world.revision(), there(&world, "s")), before);
    assert_eq!(world.publish("s", 1, &[]), Ok(1));
}

#[test]
fn a_list_is_measured_against_the_limits_as_a_whole() {
    let mut world = World::new(CatalogConfig {
        instances_max: 5,
        instances_per_service_max: 3,
        services_max: 2,
        ..CatalogConfig::default()
    });
    let of = |from: usize, count: usize| (from..from + count).map(address).collect::<Vec<_>>();
    let publish = |world: &mut World, service: &str, session: u64, addresses: &[String]| {
        let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
        world.publish(service, session, &addresses)
    };
    let limit = |limit: &'static str, max: usize| Err(Refusal::Limit { limit, max });
    let per_service = limit("instances_per_service_max", 3);
    assert_eq!(publish(&mut world, "a", 1, &of(0, 4)), per_service);
    assert!(world.view("a").is_none());
    assert_eq!(publish(&mut world, "a", 1, &of(0, 3)), Ok(3));
    assert_eq!(publish(&mut world, "b", 1, &of(0, 3)), limit("instances_max", 5));
    assert_eq!(publish(&mut world, "b", 1, &of(0, 2)), Ok(2));
    assert_eq!(publish(&mut world, "c", 1, &[]), Ok(0));
    // All is full. Who takes the place of others has their room.
    assert_eq!(publish(&mut world, "a", 1, &of(2, 3)), Ok(4));
    assert_eq!(publish(&mut world, "a", 1, &of(2, 4)), limit("instances_max", 5));
    assert_eq!(publish(&mut world, "b", 2, &of(9, 1)), limit("instances_max", 5));
    assert_eq!(publish(&mut world, "b", 1, &[]), Ok(2));
    assert_eq!(publish(&mut world, "c", 1, &of(0, 1)), limit("services_max", 2));
    assert_eq!(publish(&mut world, "a", 1, &of(2, 4)), per_service);
}
