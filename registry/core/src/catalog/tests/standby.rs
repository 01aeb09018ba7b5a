//! One address that several say something of: who has it, and who has it next.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::beats::check_tables;
use crate::catalog::testing::{World, beat, endpoint, key, labelled, of_run, off};
use crate::catalog::{CatalogConfig, Command, Decision, Mutation, Refusal};
use crate::model::{Reason, Registration, SessionId};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn called(name: &str) -> Registration {
    labelled("name", name, beat())
}

/// The connection publishes just this address, under this name.
fn publish(world: &mut World, session: u64, name: &str) -> usize {
    world.publish_as("s", session, &[(A, called(name))]).unwrap()
}

fn name(world: &World) -> String {
    let Some(member) = world.member("s", A) else {
        return "gone".into();
    };
    member
        .record
        .metadata()
        .get("name")
        .unwrap_or_default()
        .to_owned()
}

fn close_mutations(world: &mut World, session: u64) -> Vec<Mutation> {
    let session = SessionId(session);
    match world
        .catalog
        .decide(Command::CloseSession { session }, 0, world.now)
    {
        Ok(Decision::Commit(mutations)) => mutations,
        Ok(Decision::Nothing) => Vec::new(),
        Err(refusal) => panic!("{refusal}"),
    }
}

#[test]
fn no_more_wait_than_there_may_be_instances() {
    let mut world = World::new(CatalogConfig {
        instances_max: 2,
        ..CatalogConfig::default()
    });
    for (session, said) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
        publish(&mut world, session, said);
    }
    assert_eq!(world.catalog.standbys.len(), 2);
    for (session, then) in [(4, "two"), (2, "one"), (1, "gone")] {
        world.close(session);
        assert_eq!(name(&world), then);
    }
    assert_eq!(world.catalog.standbys.len(), 0);
}

/// Its instances stay for a while; but what it said does not come back over what was said since.
#[test]
fn a_connection_that_leaves_waits_for_nothing() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "one");
    publish(&mut world, 2, "two");
    world.catalog.session_leaves(SessionId(1));
    assert_eq!(world.catalog.standbys.len(), 0);
    world.catalog.session_leaves(SessionId(2));
    publish(&mut world, 3, "three");
    assert_eq!(world.catalog.standbys.len(), 0);
    world.close(3);
    assert_eq!(name(&world), "gone");
    world.close(2);
    world.close(1);
    publish(&mut world, 2, "two");
    publish(&mut world, 3, "three");
    assert_eq!(world.catalog.standbys.len(), 1, "a number may be used again");
    check_tables(&world);
}

#[test]
fn the_last_has_it_and_when_its_connection_closes_the_one_before() {
    let mut world = World::without_guard();
    for (session, said) in [(1, "one"), (2, "two"), (3, "three")] {
        assert_eq!(publish(&mut world, session, said), 1);
    }
    assert_eq!(name(&world), "three");
    world.operate("s", A, off()).unwrap();
    let lease = world.lease("s", A);
    let gone = world.history.len();
    assert_eq!(world.close(3), 1);
    assert!(matches!(
        world.history[gone].mutation,
        Mutation::Registered { .. }
    ));
    assert_eq!(name(&world), "two");
    assert!(
        !world.member("s", A).unwrap().record.enabled(),
        "as its operator set it"
    );
    assert_eq!(world.lease("s", A), lease);
    assert_eq!(world.close(2), 1);
    assert_eq!(name(&world), "one");
    check_tables(&world);
    assert_eq!(world.close(1), 1);
    assert_eq!(name(&world), "gone");
    assert_eq!(world.last_reason(), Reason::SessionClosed);
    assert_eq!(world.catalog.standbys.len(), 0);
}

#[test]
fn who_said_the_same_has_it_next_without_a_change() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "it");
    publish(&mut world, 2, "it");
    let before = world.revision();
    assert_eq!(world.close(2), 0);
    assert_eq!(world.revision(), before);
    check_tables(&world);
    publish(&mut world, 2, "it");
    assert_eq!(world.publish("s", 2, &[]), Ok(0));
    assert_eq!(world.revision(), before);
    assert_eq!(world.catalog.standbys.len(), 0);
    assert_eq!(world.close(1), 1);
}

#[test]
fn a_publication_without_it_gives_it_up() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "one");
    publish(&mut world, 2, "two");
    assert_eq!(world.publish("s", 2, &[B]), Ok(2));
    assert_eq!((name(&world), world.health("s", B)), ("one".into(), "healthy"));
    assert_eq!(world.publish("s", 2, &[B]), Ok(0), "who gave it up does not wait");
    assert_eq!(world.catalog.standbys.len(), 0);
    assert_eq!(world.publish("s", 1, &[]), Ok(1));
    assert_eq!(name(&world), "gone");
    assert_eq!(world.last_reason(), Reason::Deregistered);
}

#[test]
fn who_waits_and_closes_or_no_longer_names_it_is_forgotten() {
    let mut world = World::without_guard();
    for (session, said) in [(1, "one"), (2, "two"), (3, "three")] {
        publish(&mut world, session, said);
    }
    let before = world.revision();
    assert_eq!(world.close(1), 0);
    assert_eq!(world.publish("s", 2, &[]), Ok(0));
    assert_eq!(world.revision(), before);
    assert_eq!(world.catalog.standbys.len(), 0);
    // In another service it goes on waiting.
    world.publish("t", 2, &[A]).unwrap();
    world.publish_as("t", 3, &[(A, called("three"))]).unwrap();
    world.publish("s", 2, &[]).unwrap();
    assert_eq!(world.catalog.standbys.len(), 1);
    assert_eq!(world.close(3), 2);
    assert_eq!((name(&world).as_str(), world.health("t", A)), ("gone", "healthy"));
}

#[test]
fn who_says_it_once_more_has_it_again_and_the_other_waits() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "one");
    publish(&mut world, 2, "two");
    assert_eq!(publish(&mut world, 1, "one"), 1);
    assert_eq!(name(&world), "one");
    assert_eq!(world.catalog.standbys.len(), 1);
    world.close(1);
    assert_eq!(name(&world), "two");
}

#[test]
fn it_falls_back_when_the_beats_of_the_other_end() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "one");
    world.register("s", A, called("beats"));
    world.advance(Duration::from_secs(29));
    assert_eq!(
        (name(&world).as_str(), world.health("s", A)),
        ("beats", "unhealthy")
    );
    // What is due may fail to be committed: then it comes up again.
    world.journal_fails = true;
    world.advance(Duration::from_secs(3));
    world.journal_fails = false;
    world.advance(Duration::from_secs(1));
    assert_eq!((name(&world).as_str(), world.health("s", A)), ("one", "healthy"));
    check_tables(&world);
    world.advance(Duration::from_secs(3_600));
    assert_eq!(world.close(1), 1);
}

#[test]
fn a_goodbye_to_the_address_means_all_who_said_something_of_it() {
    let mut world = World::without_guard();
    for reason in [Reason::Deregistered, Reason::Operator] {
        publish(&mut world, 1, "one");
        publish(&mut world, 2, "two");
        world
            .run(Command::Deregister {
                service: key("s"),
                endpoint: endpoint(A),
                lease: None,
                only: &[],
                reason,
            })
            .unwrap();
        assert_eq!(name(&world), "gone");
        assert_eq!(world.catalog.standbys.len(), 0);
        assert_eq!(world.close(1) + world.close(2), 0);
    }
}

#[test]
fn a_run_of_a_process_has_its_lease_again() {
    let mut world = World::without_guard();
    let of = |run: &str| [(A, of_run(run, beat()))];
    world.publish_as("s", 1, &of("one")).unwrap();
    let lease = world.lease("s", A).unwrap();
    world.publish_as("s", 2, &of("two")).unwrap();
    assert_ne!(world.lease("s", A), Some(lease));
    world.close(2);
    assert_eq!(world.lease("s", A), Some(lease));
    check_tables(&world);
}

#[test]
fn an_instance_that_falls_to_another_makes_no_room() {
    let mut world = World::new(CatalogConfig {
        instances_per_service_max: 1,
        ..CatalogConfig::default()
    });
    publish(&mut world, 1, "one");
    publish(&mut world, 2, "two");
    let full = Refusal::Limit {
        limit: "instances_per_service_max",
        max: 1,
    };
    assert_eq!(world.publish("s", 2, &[B]), Err(full));
    assert_eq!(name(&world), "two", "what is refused changes nothing");
    assert_eq!(world.catalog.standbys.len(), 1);
    world.close(1);
    assert_eq!(world.publish("s", 2, &[B]), Ok(2));
}

#[test]
fn what_could_not_be_committed_is_decided_again_and_leaves_nobody_waiting() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "one");
    publish(&mut world, 2, "two");
    let lost = close_mutations(&mut world, 2);
    assert_eq!(lost.len(), 1);
    assert_eq!(name(&world), "two");
    // Its door tries again; or the other says so by itself, or somebody else.
    assert_eq!(world.close(2), 1);
    assert_eq!((name(&world).as_str(), world.catalog.standbys.len()), ("one", 0));
    publish(&mut world, 2, "two");
    close_mutations(&mut world, 2);
    assert_eq!(publish(&mut world, 1, "one"), 1);
    assert_eq!(world.catalog.standbys.len(), 0);
    publish(&mut world, 2, "two");
    close_mutations(&mut world, 2);
    publish(&mut world, 3, "three");
    assert_eq!(world.catalog.standbys.len(), 1, "the first only");
    // One that has thought better of it waits as any other.
    close_mutations(&mut world, 3);
    publish(&mut world, 3, "three");
    publish(&mut world, 4, "four");
    assert_eq!(world.catalog.standbys.len(), 2);
    check_tables(&world);
}

#[test]
fn nobody_waits_after_a_restart() {
    let mut world = World::without_guard();
    publish(&mut world, 1, "one");
    publish(&mut world, 2, "two");
    world.reopen();
    assert_eq!(world.catalog.standbys.len(), 0);
    assert_eq!(name(&world), "two");
    // Its client comes back first, or second: it is the same.
    publish(&mut world, 11, "one");
    publish(&mut world, 12, "two");
    assert_eq!(name(&world), "two");
    world.close(12);
    assert_eq!(name(&world), "one");
}

#[test]
fn nothing_is_left_over_when_all_connections_have_closed() {
    let mut rng = StdRng::seed_from_u64(3);
    for round in 0..20 {
        let mut world = World::without_guard();
        for _ in 0..400 {
            let (service, session) = (["s", "t"][rng.random_range(0..2)], rng.random_range(1..20));
            let mut addresses = Vec::new();
            for address in [A, B, "10.0.0.3:80"] {
                if rng.random_bool(0.4) {
                    addresses.push((address, called(["x", "y"][rng.random_range(0..2)])));
                }
            }
            match rng.random_range(0..10) {
                0 => world.close(session),
                1 => {
                    world.register(service, A, called("beats"));
                    0
                }
                2 => world.deregister(service, B).unwrap_or(0),
                3 => {
                    world.advance(Duration::from_secs(10));
                    0
                }
                _ => world.publish_as(service, session, &addresses).unwrap(),
            };
        }
        assert!(world.catalog.standbys.len() > 3, "round {round}");
        for session in 1..20 {
            world.close(session);
        }
        check_tables(&world);
        world.advance(Duration::from_secs(60));
        assert_eq!(world.catalog.standbys.len(), 0, "round {round}");
        assert_eq!(world.catalog.sessions.iter().count(), 0);
        assert_eq!(world.catalog.instances(), 0);
    }
}
