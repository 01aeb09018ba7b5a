//! Namespaces: they need not be declared to be used, nor used to be declared.

use std::time::Duration;

use crate::catalog::testing::{World, beat};
use crate::catalog::{Command, NAMESPACES_MAX, NamespaceSummary, Refusal};
use crate::model::{Existence, Namespace, NamespaceInfo};

const A: &str = "10.0.0.1:80";

fn declare(world: &mut World, namespace: &str, name: &str, must: Existence) -> Result<usize, Refusal> {
    world.run(Command::DeclareNamespace {
        namespace: namespace.parse().unwrap(),
        info: NamespaceInfo {
            name: name.into(),
            description: String::new(),
        },
        must,
    })
}

fn remove(world: &mut World, namespace: &str) -> Result<usize, Refusal> {
    world.run(Command::RemoveNamespace {
        namespace: namespace.parse().unwrap(),
    })
}

/// All as `name:services:info`.
fn seen(world: &World) -> Vec<String> {
    let text = |summary: NamespaceSummary| {
        let info = summary.info.map_or_else(|| "-".into(), |info| info.name.clone());
        format!("{}:{}:{info}", summary.namespace, summary.services)
    };
    world.catalog.namespaces().into_iter().map(text).collect()
}

#[test]
fn they_are_declared_changed_and_taken_back() {
    let mut world = World::without_guard();
    let dev: Namespace = "dev".parse().unwrap();
    let not_found = Err(Refusal::NamespaceNotFound(dev.clone()));
    assert_eq!(declare(&mut world, "dev", "Dev", Existence::Present), not_found);
    assert_eq!(remove(&mut world, "dev"), not_found);
    assert_eq!(declare(&mut world, "dev", "Dev", Existence::Absent), Ok(1));
    assert_eq!(
        declare(&mut world, "dev", "Dev", Existence::Absent),
        Err(Refusal::NamespaceExists(dev))
    );
    assert_eq!(declare(&mut world, "dev", "Dev", Existence::Any), Ok(0));
    assert_eq!(declare(&mut world, "dev", "Other", Existence::Present), Ok(1));
    assert!(matches!(
        declare(&mut world, "dev", &"x".repeat(129), Existence::Any),
        Err(Refusal::Invalid(_))
    ));
    assert_eq!(seen(&world), ["dev:0:Other"]);
    world.reopen();
    assert_eq!(seen(&world), ["dev:0:Other"]);
    assert_eq!(remove(&mut world, "dev"), Ok(1));
    assert!(seen(&world).is_empty());
    world.reopen();
    assert!(seen(&world).is_empty());
}

#[test]
fn services_and_declarations_come_and_go_by_themselves() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.register("t", A, beat());
    assert_eq!(seen(&world), ["public:2:-"]);
    // That it has services is no declaration.
    assert_eq!(declare(&mut world, "public", "All", Existence::Absent), Ok(1));
    assert_eq!(declare(&mut world, "a", "A", Existence::Any), Ok(1));
    assert_eq!(seen(&world), ["a:0:A", "public:2:All"]);
    assert_eq!(remove(&mut world, "public"), Ok(1));
    assert_eq!(seen(&world), ["a:0:A", "public:2:-"]);
    assert_eq!(world.catalog.services(), 2, "its services stay");

    declare(&mut world, "public", "All", Existence::Any).unwrap();
    world.deregister("s", A).unwrap();
    assert_eq!(world.remove_service("s"), Ok(1));
    assert_eq!(seen(&world), ["a:0:A", "public:1:All"]);
    world.advance(Duration::from_secs(10_000));
    assert_eq!(seen(&world), ["a:0:A", "public:0:All"]);
}

#[test]
fn so_many_are_declared_and_no_more() {
    let mut world = World::without_guard();
    for number in 0..NAMESPACES_MAX {
        declare(&mut world, &format!("n{number}"), "", Existence::Any).unwrap();
    }
    assert_eq!(
        declare(&mut world, "one-more", "", Existence::Any),
        Err(Refusal::Limit {
            limit: "namespaces_max",
            max: NAMESPACES_MAX
        })
    );
    assert_eq!(declare(&mut world, "n0", "changed", Existence::Any), Ok(1));
    remove(&mut world, "n1").unwrap();
    assert_eq!(declare(&mut world, "one-more", "", Existence::Any), Ok(1));
    // Others can still be used.
    world.register("s", A, beat());
    assert_eq!(world.catalog.namespaces().len(), NAMESPACES_MAX + 1);
}
