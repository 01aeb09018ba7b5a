//! What is said about services as a whole.

use std::sync::Arc;
use std::time::Duration;

use super::beats::check_tables;
use crate::catalog::testing::{World, beat, expires, key, labelled, off, registration};
use crate::catalog::{CatalogConfig, Command, DUE_MAX, Mutation, Refusal};
use crate::changes::Missed;
use crate::model::{
    Existence, Lifetime, Liveness, OperatorPatch, Revision, Selector, ServicePatch, ServiceSettings,
    Threshold,
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const KEPT: Duration = Duration::from_secs(600);
const MS: Duration = Duration::from_millis(1);

fn threshold(threshold: f64) -> ServicePatch {
    ServicePatch {
        protect_threshold: Some(Threshold::new(threshold).unwrap()),
        ..ServicePatch::default()
    }
}

fn bound_to(lifetime: Lifetime) -> ServicePatch {
    ServicePatch {
        lifetime: Some(Some(lifetime)),
        ..ServicePatch::default()
    }
}

fn fixed() -> crate::model::Registration {
    registration(Liveness::Static)
}

fn settings(world: &World) -> Option<Arc<ServiceSettings>> {
    world.view("s").unwrap().settings.clone()
}

fn declare(world: &mut World, must: Existence) -> Result<usize, Refusal> {
    world.run(Command::DeclareService {
        service: key("s"),
        patch: Box::default(),
        must,
    })
}

#[test]
fn a_declaration_is_seen_in_a_new_view_and_is_no_change_of_membership() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    let (before, changes) = (world.view("s").unwrap(), world.catalog.log().len());
    assert_eq!(before.settings, None);
    assert_eq!(world.declare_service("s", threshold(0.5)), Ok(1));
    let after = world.view("s").unwrap();
    assert_eq!(settings(&world).unwrap().protect_threshold.get(), 0.5);
    assert!(after.revision > before.revision);
    assert_eq!(world.catalog.log().len(), changes);
    assert!(matches!(
        world.catalog.missed(&key("s"), before.revision),
        Missed::Nothing
    ));
    // The chunks are shared with the view before: nothing is rendered anew.
    assert!(Arc::ptr_eq(&before.chunks()[0], &after.chunks()[0]));

    // And it hides no change after it.
    world.register("s", B, beat());
    let Missed::Delta(delta) = world.catalog.missed(&key("s"), before.revision) else {
        panic!("one is new")
    };
    assert_eq!(delta.upserted.len(), 1);
}

#[test]
fn what_changes_nothing_is_no_change() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    assert_eq!(world.declare_service("s", ServicePatch::default()), Ok(0));
    assert_eq!(world.declare_service("s", expires(true)), Ok(0));
    assert_eq!(settings(&world), None);
    assert_eq!(world.declare_service("s", threshold(0.5)), Ok(1));
    assert_eq!(world.declare_service("s", threshold(0.5)), Ok(0));
    // Of a service that is not there it makes one.
    assert_eq!(world.declare_service("t", ServicePatch::default()), Ok(1));
    assert_eq!(world.declare_service("t", ServicePatch::default()), Ok(0));
}

#[test]
fn a_declaration_says_whether_the_service_must_be_there() {
    let mut world = World::without_guard();
    let not_found = Err(Refusal::ServiceNotFound(key("s")));
    let exists = Err(Refusal::ServiceExists(key("s")));
    assert_eq!(declare(&mut world, Existence::Present), not_found);
    assert_eq!(declare(&mut world, Existence::Absent), Ok(1));
    assert_eq!(declare(&mut world, Existence::Absent), exists);
    assert_eq!(declare(&mut world, Existence::Present), Ok(0));
    // One that has just lost its last instance is still there.
    world.register("s", A, beat());
    world.deregister("s", A).unwrap();
    assert_eq!(declare(&mut world, Existence::Absent), exists);
}

#[test]
fn a_service_is_removed_only_without_instances() {
    let mut world = World::without_guard();
    assert_eq!(world.remove_service("s"), Err(Refusal::ServiceNotFound(key("s"))));
    world.register("s", A, beat());
    world.declare_service("s", threshold(0.5)).unwrap();
    assert_eq!(world.remove_service("s"), Err(Refusal::ServiceNotEmpty(key("s"))));
    world.deregister("s", A).unwrap();
    assert_eq!(world.remove_service("s"), Ok(1));
    assert!(world.view("s").is_none());
    assert_eq!(world.catalog.services(), 0);
    assert!(
        world
            .catalog
            .next_deadline()
            .is_none_or(|at| at <= world.now.after(KEPT / 2))
    );

    // One of the same name knows nothing of it, and no delta leads over the gap.
    let before = world.revision();
    world.register("s", A, beat());
    assert_eq!(settings(&world), None);
    assert!(matches!(
        world.catalog.missed(&key("s"), Revision(before.0 - 1)),
        Missed::TooOld
    ));
}

#[test]
fn a_declared_lifetime_binds_every_registration() {
    let mut world = World::without_guard();
    world
        .declare_service("s", bound_to(Lifetime::Persistent))
        .unwrap();
    let refused = Err(Refusal::OtherLifetime {
        service: key("s"),
        lifetime: Lifetime::Persistent,
    });
    let healthy = crate::model::Health::Healthy;
    assert_eq!(world.try_register("s", A, beat(), healthy), refused);
    assert_eq!(world.register_uniform("s", A, beat()), refused);
    assert_eq!(world.try_register("s", A, fixed(), healthy), Ok(1));
    assert_eq!(world.register_uniform("s", B, fixed()), Ok(1));
    // Nor can it be declared against what is there.
    assert_eq!(world.declare_service("s", bound_to(Lifetime::Ephemeral)), refused);
}

#[test]
fn who_registers_uniformly_is_refused_beside_the_other_lifetime() {
    let mut world = World::without_guard();
    assert_eq!(world.register_uniform("s", A, beat()), Ok(1));
    assert_eq!(
        world.register_uniform("s", B, fixed()),
        Err(Refusal::OtherLifetime {
            service: key("s"),
            lifetime: Lifetime::Ephemeral
        })
    );
    assert_eq!(world.register_uniform("s", B, beat()), Ok(1));
    // Who does not care is taken, and then there are both.
    world.register("s", B, fixed());
    for (registration, lifetime) in [(beat(), Lifetime::Persistent), (fixed(), Lifetime::Ephemeral)] {
        assert_eq!(
            world.register_uniform("s", "10.0.0.3:80", registration),
            Err(Refusal::OtherLifetime {
                service: key("s"),
                lifetime
            })
        );
    }
    // Those who are in it go on as they are.
    assert_eq!(world.register_uniform("s", A, labelled("k", "v", beat())), Ok(1));
    assert_eq!(world.register_uniform("s", B, labelled("k", "v", fixed())), Ok(1));
    assert!(world.register_uniform("s", A, fixed()).is_err());
    // With the last of a lifetime its claim ends.
    world.deregister("s", A).unwrap();
    assert_eq!(world.register_uniform("s", A, fixed()), Ok(1));
}

#[test]
fn a_declared_service_without_instances_ends_with_its_settings_after_its_time() {
    let mut world = World::without_guard();
    world.declare_service("s", threshold(0.5)).unwrap();
    world.advance(KEPT - MS);
    assert_eq!(settings(&world).unwrap().protect_threshold.get(), 0.5);
    // Who says something new about it means to use it.
    world.declare_service("s", threshold(0.6)).unwrap();
    world.advance(KEPT - MS);
    assert!(world.view("s").is_some());
    let before = world.revision();
    world.advance(MS);
    assert!(world.view("s").is_none());
    // All nodes are told, and the next process.
    assert_eq!(world.revision(), before.next());
    assert!(matches!(
        world.history.last().unwrap().mutation,
        Mutation::ServiceRemoved { .. }
    ));
    assert!(world.catalog.next_deadline().is_none());
    world.reopen();
    assert!(world.view("s").is_none());
}

#[test]
fn a_declared_service_that_lost_its_instances_is_kept_like_any_other() {
    let mut world = World::without_guard();
    world.declare_service("s", threshold(0.5)).unwrap();
    world.advance(KEPT - MS);
    world.register("s", A, fixed());
    world.advance(KEPT * 3);
    assert!(settings(&world).is_some());
    world.deregister("s", A).unwrap();
    world.advance(KEPT - MS);
    assert!(settings(&world).is_some());
    world.register("s", A, fixed());
    world.deregister("s", A).unwrap();
    world.advance(KEPT - MS);
    assert!(settings(&world).is_some());
    world.advance(MS);
    assert!(world.view("s").is_none());
}

#[test]
fn an_end_that_could_not_be_committed_comes_up_again_within_a_second() {
    let mut world = World::without_guard();
    world.declare_service("s", threshold(0.5)).unwrap();
    world.declare_service("t", threshold(0.5)).unwrap();
    world.journal_fails = true;
    world.advance(KEPT + Duration::from_millis(4_500));
    assert_eq!(world.catalog.services(), 2);
    // One of them is wanted again in the meantime.
    world.register("t", A, fixed());
    world.journal_fails = false;
    world.advance(Duration::from_secs(1));
    assert!(world.view("s").is_none());
    assert!(world.view("t").unwrap().settings.is_some());
}

#[test]
fn very_many_that_end_together_end_in_turns() {
    let mut world = World::without_guard();
    let many = DUE_MAX * 3 + 1;
    for number in 0..many {
        world
            .declare_service(&format!("s{number}"), threshold(0.5))
            .unwrap();
    }
    world.now = world.now.after(KEPT);
    world.turn();
    assert_eq!(world.catalog.services(), many - DUE_MAX);
    assert!(world.catalog.next_deadline().is_some_and(|at| at <= world.now));
    world.advance(Duration::ZERO);
    assert_eq!(world.catalog.services(), 0);
}

#[test]
fn a_service_is_removed_with_its_layers() {
    let mut world = World::without_guard();
    let sticky = OperatorPatch {
        sticky: Some(true),
        ..off()
    };
    world.register("s", A, beat());
    world.register("s", B, beat());
    world.operate("s", A, sticky).unwrap();
    world.operate("s", B, off()).unwrap();
    world.advance(Duration::from_secs(30));
    assert_eq!(world.catalog.layers(key("s").borrowed()).len(), 2);
    assert_eq!(world.remove_service("s"), Ok(1));
    // Of what was to end with time nothing is left.
    assert!(world.catalog.gone_layers.is_empty() && world.catalog.emptied.is_empty());
    world.register("s", A, beat());
    world.register("s", B, beat());
    assert!(world.member("s", A).unwrap().record.enabled());
    assert!(world.member("s", B).unwrap().record.enabled());
    check_tables(&world);
}

#[test]
fn a_removal_that_another_node_was_ahead_of_removes_nothing() {
    let mut world = World::without_guard();
    world.register("s", A, beat());
    world.commit(vec![
        Mutation::ServiceRemoved { service: key("s") },
        Mutation::ServiceRemoved { service: key("t") },
    ]);
    assert_eq!(world.health("s", A), "healthy");
    assert_eq!(world.catalog.instances(), 1);
}

#[test]
fn what_breaks_a_rule_or_a_limit_declares_nothing() {
    let mut world = World::new(CatalogConfig {
        services_max: 1,
        ..CatalogConfig::default()
    });
    world.register("s", A, beat());
    let too_long = ServicePatch {
        selector: Some(Selector::Label {
            expression: "x".repeat(1_025),
        }),
        ..threshold(0.5)
    };
    let Err(Refusal::Invalid(invalid)) = world.declare_service("s", too_long) else {
        panic!("it is too long")
    };
    assert_eq!(invalid.field, "selector");
    assert_eq!(settings(&world), None);
    assert_eq!(
        world.declare_service("t", threshold(0.5)),
        Err(Refusal::Limit {
            limit: "services_max",
            max: 1
        })
    );
    assert_eq!(world.declare_service("s", threshold(0.5)), Ok(1));
}

#[test]
fn a_restart_changes_nothing_that_was_declared() {
    let mut world = World::without_guard();
    world.register("s", A, fixed());
    world
        .declare_service("s", bound_to(Lifetime::Persistent))
        .unwrap();
    world.declare_service("s", threshold(0.5)).unwrap();
    world.declare_service("empty", threshold(0.25)).unwrap();
    world.declare_service("gone", threshold(0.25)).unwrap();
    world.remove_service("gone").unwrap();
    world.operate_ahead("s", B, off()).unwrap();
    let seen = |world: &World| {
        let views = ["s", "empty", "gone"].map(|name| world.view(name).map(|view| view.settings.clone()));
        let layers = world.catalog.layers(key("s").borrowed());
        (views, layers, world.revision(), world.pieces())
    };
    let before = seen(&world);
    assert!(before.0[0].is_some() && before.0[1].is_some() && before.0[2].is_none());
    world.reopen();
    assert_eq!(seen(&world), before);
    assert!(world.register_uniform("s", B, beat()).is_err());
    world.register("s", B, fixed());
    assert!(!world.member("s", B).unwrap().record.enabled());
}
