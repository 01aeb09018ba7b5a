//! Settings of the whole registry, and what turns the consequences of silence off.

use crate::catalog::testing::{World, beat, expires};
use crate::catalog::{EXPIRY, Refusal, SETTING_BYTES_MAX, SETTINGS_MAX};
use crate::liveness::Beat;
use crate::model::Registration;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn unbound() -> Registration {
    Registration {
        expires: false,
        ..beat()
    }
}

#[test]
fn a_setting_is_read_as_it_was_set() {
    let mut world = World::without_guard();
    let settings = world.catalog.settings();
    assert_eq!((settings.get("a"), settings.version()), (None, 0));
    assert_eq!(world.set("a", Some("1")), Ok(1));
    let version = settings.version();
    assert!(version > 0);
    assert_eq!(settings.get("a").as_deref(), Some("1"));
    assert_eq!(world.set("a", Some("1")), Ok(0));
    assert_eq!(settings.version(), version);
    assert_eq!(world.set("a", None), Ok(1));
    assert_eq!(world.set("a", None), Ok(0));
    assert_eq!(settings.get("a"), None);
    assert!(settings.version() > version);
}

#[test]
fn settings_are_bounded_and_expiry_is_on_or_off() {
    let mut world = World::without_guard();
    for number in 0..SETTINGS_MAX {
        assert_eq!(world.set(&format!("s{number}"), Some("")), Ok(1));
    }
    assert_eq!(
        world.set("one-more", Some("")),
        Err(Refusal::Limit {
            limit: "settings_max",
            max: SETTINGS_MAX
        })
    );
    let longest = "x".repeat(SETTING_BYTES_MAX);
    assert_eq!(world.set("s0", Some(&longest)), Ok(1));
    assert!(matches!(
        world.set("s0", Some(&format!("{longest}x"))),
        Err(Refusal::Invalid(_))
    ));
    world.set("s0", None).unwrap();
    for wrong in ["", "OFF", "true", "off "] {
        assert!(
            matches!(world.set(EXPIRY, Some(wrong)), Err(Refusal::Invalid(_))),
            "{wrong:?}"
        );
    }
    assert_eq!(world.set(EXPIRY, Some("off")), Ok(1));
}

#[test]
fn an_instance_that_does_not_expire_stays_however_silent() {
    let mut world = World::without_guard();
    let lease = world.register("s", A, unbound());
    world.register("s", B, beat());
    world.advance_to_ms(100_000_000);
    assert_eq!((world.health("s", A), world.health("s", B)), ("healthy", "gone"));
    assert_eq!(world.beat(lease), Beat::Renewed);
    // The wheel has nothing to look at.
    world.deregister("s", A).unwrap();
    world.register("t", A, unbound());
    world.advance_to_ms(200_000_000);
    assert!(world.catalog.next_deadline().is_none());
    // Registered anew as one that does, it has its whole time.
    world.register("t", A, beat());
    world.advance_to_ms(200_014_999);
    assert_eq!(world.health("t", A), "healthy");
    world.advance_to_ms(200_015_000);
    assert_eq!(world.health("t", A), "unhealthy");
}

#[test]
fn while_silence_has_no_consequences_nobody_is_flipped_or_removed() {
    let turns: [fn(&mut World, bool); 2] = [
        |world, on| {
            world.declare_service("s", expires(on)).unwrap();
        },
        |world, on| {
            world.set(EXPIRY, Some(if on { "on" } else { "off" })).unwrap();
        },
    ];
    for turn in turns {
        let mut world = World::without_guard();
        world.register("s", A, beat());
        world.advance_to_ms(10_000);
        let lease = world.register("s", B, beat());
        world.advance_to_ms(20_000);
        assert_eq!(
            (world.health("s", A), world.health("s", B)),
            ("unhealthy", "healthy")
        );
        turn(&mut world, false);
        world.advance_to_ms(1_000_003);
        assert_eq!(
            (world.health("s", A), world.health("s", B)),
            ("unhealthy", "healthy")
        );
        // A beat still counts.
        let first = world.lease("s", A).unwrap();
        assert!(matches!(world.beat(first), Beat::Returned(_)));
        assert_eq!(world.health("s", A), "healthy");
        assert_eq!(world.beat(lease), Beat::Renewed);
        world.advance_to_ms(2_000_003);
        // Turned on again, who is still silent has a whole time from then on.
        turn(&mut world, true);
        world.advance_to_ms(2_015_002);
        assert_eq!(world.count("s", "healthy"), 2);
        world.advance_to_ms(2_015_005);
        assert_eq!(world.count("s", "unhealthy"), 2);
        world.advance_to_ms(2_030_000);
        assert_eq!(world.count("s", "unhealthy"), 2);
        world.advance_to_ms(2_030_005);
        assert_eq!(world.catalog.instances(), 0);
    }
}
