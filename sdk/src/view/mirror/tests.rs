use super::*;
use crate::view::Stale;
use crate::view::tests::{instance, key};

fn mirror() -> Mirror {
    Mirror::new(key("orders"))
}

fn whole(revision: u64, addresses: &[&str]) -> ServiceView {
    ServiceView {
        namespace: "public".into(),
        group: "DEFAULT_GROUP".into(),
        service: "orders".into(),
        epoch: "e".into(),
        revision,
        complete: true,
        emptied_by: None,
        slow_start: None,
        instances: addresses.iter().map(|address| instance(address)).collect(),
    }
}

fn delta(from_revision: u64, revision: u64, upserted: &[&str], removed: &[(&str, &str)]) -> ServiceDelta {
    ServiceDelta {
        namespace: "public".into(),
        group: "DEFAULT_GROUP".into(),
        service: "orders".into(),
        epoch: "e".into(),
        from_revision,
        revision,
        complete: true,
        upserted: upserted.iter().map(|address| instance(address)).collect(),
        removed: removed
            .iter()
            .enumerate()
            .map(|(i, (address, reason))| Removal {
                address: (*address).into(),
                port: 1,
                reason: (*reason).into(),
                // As many as there are, the last one at the revision of the delta.
                revision: revision + 1 + i as u64 - removed.len() as u64,
            })
            .collect(),
    }
}

fn addresses(view: &View) -> Vec<&str> {
    view.instances()
        .iter()
        .map(|instance| instance.address.as_str())
        .collect()
}

#[test]
fn differences_apply_in_the_order_of_the_registry() {
    let mut mirror = mirror();
    assert!(!mirror.shown().is_known());
    mirror.replace(whole(3, &["10.0.0.9:1", "10.0.0.10:1"]));
    let view = mirror
        .apply(delta(
            3,
            5,
            &["10.0.0.2:1", "host:1", "::1:1"],
            &[("10.0.0.9", "expired")],
        ))
        .unwrap();
    assert_eq!(addresses(view), ["10.0.0.2", "10.0.0.10", "::1", "host"]);
    assert_eq!((view.revision(), view.stale(), view.is_known()), (5, None, true));
    assert_eq!(view.removals().len(), 1);
}

#[test]
fn a_difference_that_does_not_apply_is_a_gap_and_changes_nothing() {
    let mut mirror = mirror();
    assert_eq!(
        mirror.apply(delta(0, 1, &["a:1"], &[])).err(),
        Some(Gap),
        "nothing is held"
    );
    mirror.replace(whole(3, &["a:1"]));
    assert_eq!(
        mirror.apply(delta(4, 5, &["b:1"], &[])).err(),
        Some(Gap),
        "one is missing between"
    );
    let foreign = ServiceDelta {
        epoch: "f".into(),
        ..delta(3, 5, &["b:1"], &[])
    };
    assert_eq!(mirror.apply(foreign).err(), Some(Gap), "another history");
    assert_eq!(addresses(mirror.shown()), ["a"]);
}

#[test]
fn a_difference_from_before_what_is_held_applies_and_an_old_one_is_ignored() {
    let mut mirror = mirror();
    mirror.replace(whole(5, &["a:1", "b:1"]));
    assert_eq!(
        addresses(mirror.apply(delta(2, 6, &["b:1", "c:1"], &[])).unwrap()),
        ["a", "b", "c"]
    );
    assert_eq!(
        addresses(mirror.apply(delta(2, 4, &[], &[("a", "expired")])).unwrap()),
        ["a", "b", "c"]
    );
}

#[test]
fn after_a_resumption_a_difference_may_start_where_it_went_on() {
    let mut mirror = mirror();
    mirror.replace(whole(5, &["a:1"]));
    mirror.resume("another", 40);
    assert_eq!(mirror.apply(delta(40, 51, &["b:1"], &[])).err(), Some(Gap));
    mirror.resume("e", 40);
    assert_eq!(
        addresses(mirror.apply(delta(40, 51, &["b:1"], &[])).unwrap()),
        ["a", "b"]
    );
    assert_eq!(mirror.apply(delta(52, 53, &["c:1"], &[])).err(), Some(Gap));
}

#[test]
fn what_left_and_came_back_is_there() {
    let mut mirror = mirror();
    mirror.replace(whole(1, &["a:1"]));
    assert_eq!(
        addresses(
            mirror
                .apply(delta(1, 3, &["a:1"], &[("a", "deregistered")]))
                .unwrap()
        ),
        ["a"]
    );
}

#[test]
fn an_incomplete_list_takes_nothing_away_until_a_complete_one_comes() {
    let mut mirror = mirror();
    mirror.replace(whole(5, &["a:1", "b:1"]));
    // The registry restarted, and knows one of two and one more.
    let incomplete = |revision, list: &[&str]| ServiceView {
        complete: false,
        epoch: "f".into(),
        ..whole(revision, list)
    };
    let view = mirror.replace(incomplete(1, &["b:1", "c:1"]));
    assert_eq!(
        (addresses(view), view.stale()),
        (vec!["a", "b", "c"], Some(Stale::Incomplete))
    );
    assert!(!view.is_complete());
    let view = mirror.replace(incomplete(2, &[]));
    assert_eq!(addresses(view), ["a", "b", "c"]);
    // What is said to be gone is gone, unless silence is the reason.
    let said = ServiceDelta {
        complete: false,
        epoch: "f".into(),
        ..delta(2, 4, &[], &[("b", "deregistered"), ("c", "expired")])
    };
    let view = mirror.apply(said).unwrap();
    assert_eq!(
        (addresses(view), view.stale()),
        (vec!["a", "c"], Some(Stale::Incomplete))
    );
    // A complete list is believed.
    let view = mirror.replace(ServiceView {
        epoch: "f".into(),
        ..whole(5, &["c:1"])
    });
    assert_eq!((addresses(view), view.stale()), (vec!["c"], None));
}

#[test]
fn an_incomplete_list_is_shown_when_nothing_is_held() {
    let mut mirror = mirror();
    let view = mirror.replace(ServiceView {
        complete: false,
        ..whole(1, &["a:1"])
    });
    assert_eq!((addresses(view), view.stale()), (vec!["a"], None));
}

#[test]
fn a_service_that_fell_silent_keeps_its_last_instances_until_one_comes_back() {
    let mut mirror = mirror();
    mirror.replace(whole(1, &["a:1", "b:1", "c:1"]));
    mirror.apply(delta(1, 2, &[], &[("a", "expired")])).unwrap();
    let view = mirror
        .apply(delta(2, 4, &[], &[("b", "deregistered"), ("c", "expired")]))
        .unwrap();
    assert_eq!(
        (addresses(view), view.stale()),
        (vec!["c"], Some(Stale::FellSilent))
    );
    // A reconnection that tells the same changes nothing.
    let view = mirror.replace(ServiceView {
        emptied_by: Some("expired".into()),
        ..whole(4, &[])
    });
    assert_eq!(
        (addresses(view), view.stale()),
        (vec!["c"], Some(Stale::FellSilent))
    );
    let view = mirror.apply(delta(4, 5, &["d:1"], &[])).unwrap();
    assert_eq!((addresses(view), view.stale()), (vec!["d"], None));
}

#[test]
fn a_service_that_was_shut_down_is_empty() {
    let mut mirror = mirror();
    mirror.replace(whole(1, &["a:1", "b:1"]));
    let view = mirror
        .apply(delta(1, 3, &[], &[("a", "expired"), ("b", "deregistered")]))
        .unwrap();
    assert_eq!((addresses(view), view.stale()), (vec![], None));

    mirror.replace(whole(4, &["a:1"]));
    let view = mirror.replace(ServiceView {
        emptied_by: Some("operator".into()),
        ..whole(5, &[])
    });
    assert_eq!((addresses(view), view.stale()), (vec![], None));
}

#[test]
fn a_registry_that_forgot_the_service_does_not_empty_it() {
    let mut mirror = mirror();
    mirror.replace(whole(7, &["a:1"]));
    let view = mirror.replace(ServiceView {
        epoch: "new".into(),
        ..whole(0, &[])
    });
    assert_eq!(
        (addresses(view), view.stale()),
        (vec!["a"], Some(Stale::FellSilent))
    );
}

#[test]
fn completeness_alone_is_news_and_a_repeated_snapshot_is_not() {
    let mut mirror = mirror();
    let first = Arc::clone(mirror.replace(ServiceView {
        complete: false,
        ..whole(1, &["a:1"])
    }));
    let second = Arc::clone(mirror.apply(delta(1, 1, &[], &[])).unwrap());
    assert!(second.is_news_to(&first) && second.is_complete());
    let third = Arc::clone(mirror.replace(whole(1, &["a:1"])));
    assert!(!third.is_news_to(&second));
}

#[test]
fn removals_are_bounded_and_told_once() {
    let mut mirror = mirror();
    mirror.replace(whole(1, &["keep:1"]));
    for revision in 2..200 {
        let gone = format!("gone-{revision}");
        mirror
            .apply(delta(revision - 1, revision, &[], &[(&gone, "deregistered")]))
            .unwrap();
        // Resumed from before: the same difference again.
        mirror
            .apply(delta(revision - 1, revision, &[], &[(&gone, "deregistered")]))
            .unwrap();
    }
    let removals = mirror.shown().removals();
    assert_eq!(removals.len(), REMOVALS_MAX);
    assert_eq!(removals.last().unwrap().address, "gone-199");
    assert_eq!(removals[0].address, "gone-136");
}
