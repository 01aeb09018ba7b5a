//! Settings of the whole registry.

use crate::catalog::testing::{World, beat};
use crate::catalog::{EXPIRY, Refusal, SETTING_BYTES_MAX, SETTINGS_MAX};

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
fn a_restart_changes_no_setting() {
    let mut world = World::without_guard();
    world.set("a", Some("1")).unwrap();
    world.set("b", Some("2")).unwrap();
    world.set("b", None).unwrap();
    world.set(EXPIRY, Some("off")).unwrap();
    world.register("s", "10.0.0.1:80", beat());
    world.reopen();
    let settings = world.catalog.settings();
    assert_eq!(
        (settings.get("a").as_deref(), settings.get("b")),
        (Some("1"), None)
    );
    world.advance(std::time::Duration::from_secs(100_000));
    assert_eq!(world.catalog.healthy(), 1);
}
