//! What is said about services and namespaces as a whole.

use std::sync::Arc;
use std::time::Duration;

use crate::catalog::testing::{World, beat, endpoint, expires, key, off, registration};
use crate::catalog::{Command, Refusal};
use crate::changes::Missed;
use crate::model::{
    Existence, Lifetime, Liveness, Namespace, NamespaceInfo, Revision, ServicePatch, ServiceSettings,
    Threshold,
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const KEPT: Duration = Duration::from_secs(600);

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
    // With the last of a lifetime its claim ends.
    world.deregister("s", A).unwrap();
    assert_eq!(world.register_uniform("s", A, fixed()), Ok(1));
}

#[test]
fn a_layer_set_ahead_waits_for_its_instance() {
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
fn namespaces_are_declared_changed_and_taken_back() {
    let mut world = World::without_guard();
    let namespace: Namespace = "dev".parse().unwrap();
    let declare = |world: &mut World, name: &str, must| {
        let info = NamespaceInfo {
            name: name.into(),
            description: String::new(),
        };
        world.run(Command::DeclareNamespace {
            namespace: "dev".parse().unwrap(),
            info,
            must,
        })
    };
    let remove = |world: &mut World| {
        world.run(Command::RemoveNamespace {
            namespace: "dev".parse().unwrap(),
        })
    };
    let not_found = Err(Refusal::NamespaceNotFound(namespace.clone()));
    assert_eq!(declare(&mut world, "Dev", Existence::Present), not_found);
    assert_eq!(remove(&mut world), not_found);
    assert_eq!(declare(&mut world, "Dev", Existence::Absent), Ok(1));
    assert_eq!(
        declare(&mut world, "Dev", Existence::Absent),
        Err(Refusal::NamespaceExists(namespace))
    );
    assert_eq!(declare(&mut world, "Dev", Existence::Any), Ok(0));
    assert_eq!(declare(&mut world, "Other", Existence::Present), Ok(1));
    assert!(matches!(
        declare(&mut world, &"x".repeat(129), Existence::Any),
        Err(Refusal::Invalid(_))
    ));
    world.register("s", A, beat());
    let seen: Vec<_> = world
        .catalog
        .namespaces()
        .into_iter()
        .map(|summary| (summary.namespace.to_string(), summary.services, summary.info))
        .collect();
    assert_eq!(seen.len(), 2);
    assert_eq!((seen[0].0.as_str(), seen[0].1), ("dev", 0));
    assert_eq!(seen[0].2.as_ref().unwrap().name, "Other");
    assert_eq!(
        (seen[1].0.as_str(), seen[1].1, seen[1].2.is_none()),
        ("public", 1, true)
    );
    assert_eq!(remove(&mut world), Ok(1));
    assert_eq!(world.catalog.namespaces().len(), 1);
}
