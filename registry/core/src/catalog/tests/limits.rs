//! Limits, refusals and lists.

use crate::catalog::testing::{World, address, beat, endpoint, key, labelled, lease, registration};
use crate::catalog::{CatalogConfig, Command, DirectoryQuery, Refusal};
use crate::model::{Health, Liveness, LivenessKind, Reason};

fn limited() -> World {
    World::new(CatalogConfig {
        instances_max: 6,
        instances_per_service_max: 3,
        services_max: 3,
        ..CatalogConfig::default()
    })
}

fn register(world: &mut World, service: &str, number: usize) -> Result<usize, Refusal> {
    world.try_register(service, &address(number), beat(), Health::Healthy)
}

#[test]
fn limits_are_exact_and_fail_with_their_name() {
    let mut world = limited();
    for (service, number, expected) in [
        ("a", 0, Ok(1)),
        ("a", 1, Ok(1)),
        ("a", 2, Ok(1)),
        ("a", 3, Err(("instances_per_service_max", 3))),
        ("b", 0, Ok(1)),
        ("c", 0, Ok(1)),
        ("d", 0, Err(("services_max", 3))),
        ("c", 1, Ok(1)),
        ("c", 2, Err(("instances_max", 6))),
    ] {
        let expected = expected.map_err(|(limit, max)| Refusal::Limit { limit, max });
        assert_eq!(
            register(&mut world, service, number),
            expected,
            "{service} {number}"
        );
    }
    assert_eq!(world.catalog.instances(), 6);
    // What is there may register anew, and who leaves makes room.
    world.register("a", &address(0), labelled("k", "v", beat()));
    world.deregister("a", &address(1)).unwrap();
    assert_eq!(register(&mut world, "a", 3), Ok(1));
}

#[test]
fn a_service_that_is_empty_still_counts_until_it_is_dropped() {
    let mut world = limited();
    for service in ["a", "b", "c"] {
        register(&mut world, service, 0).unwrap();
        world.deregister(service, &address(0)).unwrap();
    }
    assert!(register(&mut world, "d", 0).is_err());
    world.advance_to_ms(600_000);
    assert_eq!(register(&mut world, "d", 0), Ok(1));
}

#[test]
fn what_was_decided_but_not_applied_counts_against_the_limits() {
    let mut world = limited();
    for number in 0..4 {
        let service = if number < 2 { "a" } else { "b" };
        register(&mut world, service, number).unwrap();
    }
    let command = |lease| Command::Register {
        service: key("a"),
        endpoint: endpoint("10.0.0.99:80"),
        registration: Box::new(beat()),
        health: Health::Healthy,
        lease,
        uniform: false,
    };
    assert!(world.catalog.decide(command(lease(50)), 0, world.now).is_ok());
    assert!(world.catalog.decide(command(lease(51)), 1, world.now).is_err());
}

#[test]
fn deregistration_asks_for_the_lease_and_the_kind_if_told_to() {
    let mut world = World::without_guard();
    let held = world.register("s", "10.0.0.1:80", beat());
    world.register("s", "10.0.0.2:80", registration(Liveness::Static));
    let run = |world: &mut World, address: &str, lease, only| {
        let (service, endpoint, reason) = (key("s"), endpoint(address), Reason::Deregistered);
        world.run(Command::Deregister {
            service,
            endpoint,
            lease,
            only,
            reason,
        })
    };
    let (service, at) = (key("s"), endpoint("10.0.0.1:80"));
    let mismatch = Err(Refusal::LeaseMismatch(service.clone(), at.clone()));
    assert_eq!(run(&mut world, "10.0.0.1:80", Some(lease(99)), &[]), mismatch);
    let not_found = Err(Refusal::InstanceNotFound(service, at));
    assert_eq!(
        run(
            &mut world,
            "10.0.0.1:80",
            None,
            &[LivenessKind::Static, LivenessKind::Probe]
        ),
        not_found
    );
    assert_eq!(world.catalog.instances(), 2);
    assert_eq!(
        run(
            &mut world,
            "10.0.0.1:80",
            Some(held),
            &[LivenessKind::Beat, LivenessKind::Session]
        ),
        Ok(1)
    );
    assert_eq!(
        run(&mut world, "10.0.0.2:80", None, &[LivenessKind::Static]),
        Ok(1)
    );
    assert_eq!(
        world.deregister("t", "10.0.0.2:80"),
        Err(Refusal::ServiceNotFound(key("t")))
    );
}

#[test]
fn a_refusal_reads_as_a_sentence() {
    assert_eq!(
        Refusal::InstanceNotFound(key("s"), endpoint("10.0.0.1:80")).to_string(),
        "instance `10.0.0.1:80` not found in service `public/DEFAULT_GROUP/s`"
    );
    let limit = Refusal::Limit {
        limit: "services_max",
        max: 3,
    };
    assert_eq!(limit.to_string(), "limit services_max of 3 is reached");
}

#[test]
fn lists_are_ordered_paged_and_filtered() {
    let mut world = World::without_guard();
    for name in [
        "public/g1/b",
        "public/g1/a",
        "public/-/!",
        "public/g2/ab",
        "other/g1/a",
        "public-2/g1/z",
    ] {
        let command = Command::Register {
            service: name.parse().unwrap(),
            endpoint: endpoint("10.0.0.1:80"),
            registration: Box::new(beat()),
            health: Health::Healthy,
            lease: world.fresh_lease(),
            uniform: false,
        };
        world.run(command).unwrap();
    }
    let all = DirectoryQuery {
        namespace: "public",
        group: None,
        group_contains: None,
        search: None,
        empty: true,
        declared: false,
        offset: 0,
        limit: 10,
    };
    let names = |world: &World, query| {
        let page = world.catalog.directory(query);
        let names: Vec<_> = page
            .services
            .iter()
            .map(|service| service.key.to_string())
            .collect();
        (page.total, names.join(" "))
    };
    assert_eq!(
        names(&world, all),
        (4, "public/-/! public/g1/a public/g1/b public/g2/ab".into())
    );
    assert_eq!(
        names(
            &world,
            DirectoryQuery {
                offset: 1,
                limit: 2,
                ..all
            }
        ),
        (4, "public/g1/a public/g1/b".into())
    );
    assert_eq!(
        names(
            &world,
            DirectoryQuery {
                group: Some("g1"),
                ..all
            }
        ),
        (2, "public/g1/a public/g1/b".into())
    );
    assert_eq!(
        names(
            &world,
            DirectoryQuery {
                search: Some("b"),
                ..all
            }
        ),
        (2, "public/g1/b public/g2/ab".into())
    );
    assert_eq!(
        names(
            &world,
            DirectoryQuery {
                namespace: "a b",
                ..all
            }
        ),
        (0, String::new())
    );
    assert_eq!(
        names(
            &world,
            DirectoryQuery {
                namespace: "nobody",
                ..all
            }
        ),
        (0, String::new())
    );
    let namespaces: Vec<_> = world
        .catalog
        .namespaces()
        .into_iter()
        .map(|summary| (summary.namespace.to_string(), summary.services))
        .collect();
    assert_eq!(
        namespaces,
        [("other".into(), 1), ("public".into(), 4), ("public-2".into(), 1)]
    );

    let command = Command::Deregister {
        service: "public/g2/ab".parse().unwrap(),
        endpoint: endpoint("10.0.0.1:80"),
        lease: None,
        only: &[],
        reason: Reason::Deregistered,
    };
    world.run(command).unwrap();
    assert_eq!(names(&world, DirectoryQuery { empty: false, ..all }).0, 3);
    let page = world.catalog.directory(DirectoryQuery {
        group: Some("g2"),
        ..all
    });
    let summary = &page.services[0];
    assert_eq!((summary.instances, summary.healthy, summary.serving), (0, 0, 0));
    assert_eq!(summary.revision, world.revision());
}
