//! Lists of services: what is in them, and that they can be made in steps.

use proptest::prelude::*;

use crate::catalog::testing::{World, beat, registration};
use crate::catalog::{DirectoryPage, DirectoryQuery, DirectoryWalk};
use crate::model::{Liveness, Registration, ServicePatch, Threshold};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

const ALL: DirectoryQuery<'_> = DirectoryQuery {
    namespace: "public",
    group: None,
    group_contains: None,
    search: None,
    empty: true,
    declared: false,
    offset: 0,
    limit: usize::MAX,
};

fn declare(world: &mut World, service: &str) {
    let patch = ServicePatch {
        protect_threshold: Some(Threshold::new(0.5).unwrap()),
        ..ServicePatch::default()
    };
    world.declare_service(service, patch).unwrap();
}

fn names(page: &DirectoryPage) -> Vec<&str> {
    let names = page.services.iter().map(|summary| summary.key.name.as_str());
    names.collect()
}

fn in_steps(world: &World, query: DirectoryQuery<'_>, step: usize) -> DirectoryPage {
    let mut walk = DirectoryWalk::new(query);
    while world.catalog.walk(&mut walk, step) {}
    walk.page()
}

#[test]
fn services_without_instances_are_listed_on_request() {
    let mut world = World::without_guard();
    world.register("full", A, beat());
    world.register("lost", A, beat());
    world.deregister("lost", A).unwrap();
    declare(&mut world, "declared");
    declare(&mut world, "declared-and-lost");
    world.register("declared-and-lost", A, beat());
    world.deregister("declared-and-lost", A).unwrap();
    let list = |empty, declared| {
        world.catalog.directory(DirectoryQuery {
            empty,
            declared,
            ..ALL
        })
    };
    assert_eq!(names(&list(false, false)), ["full"]);
    assert_eq!(names(&list(false, true)), ["declared", "full"]);
    assert_eq!(
        names(&list(true, false)),
        ["declared", "declared-and-lost", "full", "lost"]
    );
    assert_eq!(list(false, true).total, 2);
}

#[test]
fn a_summary_tells_clusters_and_what_was_declared() {
    let mut world = World::without_guard();
    let in_cluster = |cluster: &str| Registration {
        cluster: cluster.parse().unwrap(),
        ..registration(Liveness::Static)
    };
    world.register("s", A, in_cluster("a"));
    world.register("s", B, in_cluster("b"));
    let clusters = |world: &World| world.catalog.directory(ALL).services[0].clusters;
    assert_eq!(clusters(&world), 2);
    world.register("s", B, in_cluster("a"));
    assert_eq!(clusters(&world), 1);
    assert_eq!(world.catalog.directory(ALL).services[0].settings, None);
    declare(&mut world, "s");
    let summary = &world.catalog.directory(ALL).services[0];
    assert_eq!(summary.settings, world.view("s").unwrap().settings);
    assert_eq!(summary.revision, world.view("s").unwrap().revision);
    for number in 0..40 {
        world.register(
            "s",
            &format!("10.0.1.{number}:80"),
            in_cluster(&format!("c{number}")),
        );
    }
    assert_eq!(clusters(&world), 41);
    for number in 0..40 {
        world.deregister("s", &format!("10.0.1.{number}:80")).unwrap();
    }
    assert_eq!(clusters(&world), 1);
}

#[test]
fn groups_are_asked_for_whole_or_in_part() {
    let mut world = World::without_guard();
    for (group, name) in [("g1", "b"), ("g1", "a"), ("g10", "c"), ("h", "d")] {
        world
            .run(crate::catalog::Command::DeclareService {
                service: format!("public/{group}/{name}").parse().unwrap(),
                patch: Box::default(),
                must: crate::model::Existence::Absent,
            })
            .unwrap();
    }
    let list = |query| world.catalog.directory(query);
    assert_eq!(
        names(&list(DirectoryQuery {
            group: Some("g1"),
            ..ALL
        })),
        ["a", "b"]
    );
    assert_eq!(
        names(&list(DirectoryQuery {
            group_contains: Some("1"),
            ..ALL
        })),
        ["a", "b", "c"]
    );
    assert_eq!(
        names(&list(DirectoryQuery {
            group_contains: Some("1"),
            search: Some("c"),
            ..ALL
        })),
        ["c"]
    );
    for none in [Some(""), Some("g"), Some("a b"), Some("..")] {
        assert_eq!(list(DirectoryQuery { group: none, ..ALL }).total, 0, "{none:?}");
    }
}

#[test]
fn what_comes_or_goes_between_two_steps_is_listed_if_it_was_not_passed_yet() {
    let mut world = World::without_guard();
    for name in ["b", "d", "f", "h"] {
        world.register(name, A, beat());
    }
    let mut walk = DirectoryWalk::new(ALL);
    assert!(world.catalog.walk(&mut walk, 2));
    for name in ["a", "e"] {
        world.register(name, A, beat());
    }
    // The one that was reached goes, and one that was not.
    for name in ["d", "h"] {
        world.deregister(name, A).unwrap();
        world.remove_service(name).unwrap();
    }
    while world.catalog.walk(&mut walk, 2) {}
    let page = walk.page();
    assert_eq!((names(&page), page.total), (vec!["b", "d", "e", "f"], 4));
}

#[test]
fn what_is_taken_out_between_two_steps_is_of_the_page_all_the_same() {
    let mut world = World::without_guard();
    for name in ["a", "b", "c", "d", "e"] {
        world.register(name, A, beat());
    }
    let mut walk = DirectoryWalk::new(DirectoryQuery {
        offset: 1,
        limit: 3,
        ..ALL
    });
    let mut taken = Vec::new();
    loop {
        let more = world.catalog.walk(&mut walk, 2);
        taken.extend(walk.take_found());
        if !more {
            break;
        }
    }
    let page = DirectoryPage {
        total: walk.total(),
        services: taken,
    };
    assert_eq!((names(&page), page.total), (vec!["b", "c", "d"], 5));
}

proptest! {
    #[test]
    fn steps_of_any_size_lead_to_the_same_page(
        services in prop::collection::vec(("[ab]", "[abc]{1,2}", 0_u8..3), 0..40),
        (step, offset, limit) in (1_usize..10, 0_usize..10, 0_usize..10),
        (group, search, empty) in (prop::option::of("[ab]"), prop::option::of("[abc]"), any::<bool>()),
    ) {
        let mut world = World::without_guard();
        let mut expected = std::collections::BTreeSet::new();
        for (group_of, name, kind) in &services {
            let key: crate::model::ServiceKey = format!("public/{group_of}/{name}").parse().unwrap();
            world.run(crate::catalog::Command::DeclareService {
                service: key.clone(),
                patch: Box::default(),
                must: crate::model::Existence::Any,
            }).unwrap();
            let lease = world.fresh_lease();
            if *kind > 0 {
                world.run(crate::catalog::Command::Register {
                    service: key.clone(),
                    endpoint: A.parse().unwrap(),
                    registration: Box::new(beat()),
                    health: crate::model::Health::Healthy,
                    lease,
                    uniform: false,
                }).unwrap();
            }
            if group.as_ref().is_none_or(|group| group == group_of)
                && search.as_ref().is_none_or(|search| name.contains(search.as_str()))
                && (empty || *kind > 0)
            {
                expected.insert(key);
            }
        }
        let query = DirectoryQuery {
            group: group.as_deref(),
            search: search.as_deref(),
            empty,
            offset,
            limit,
            ..ALL
        };
        let page = in_steps(&world, query, step);
        prop_assert_eq!(&page, &world.catalog.directory(query));
        prop_assert_eq!(page.total, expected.len());
        let seen: Vec<_> = page.services.into_iter().map(|summary| summary.key).collect();
        prop_assert_eq!(seen, expected.into_iter().skip(offset).take(limit).collect::<Vec<_>>());
    }
}
