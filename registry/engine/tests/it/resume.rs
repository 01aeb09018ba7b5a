//! Invariant 9: who comes back is told what it missed while that is known, and the whole otherwise.

use std::sync::Arc;

use beatrix_core::model::{Reason, Revision};
use beatrix_engine::EngineConfig;
use beatrix_engine::hub::{Resume, Update, UpdateKind};
use beatrix_engine::journal::Memory;

use crate::support::follower::{Follower, poll, told};
use crate::support::{
    EPOCH, deregister, key, operate, register, registry, settle, sleep_ms, start, subscribe, unguarded,
};

fn endpoints(update: &Update) -> (Vec<String>, Vec<String>) {
    match &update.kind {
        UpdateKind::Snapshot(_) => panic!("a snapshot"),
        UpdateKind::Delta { delta, .. } => (
            delta
                .upserted
                .iter()
                .map(|member| member.endpoint.to_string())
                .collect(),
            delta
                .removed
                .iter()
                .map(|removed| removed.endpoint.to_string())
                .collect(),
        ),
    }
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_told_just_what_it_missed() {
    let registry = registry().await;
    for number in 1..=5 {
        register(&registry, "s", &format!("10.0.0.{number}:80")).await;
    }
    let known = registry.version().revision;
    operate(&registry, "s", "10.0.0.2:80", 7).await;
    deregister(&registry, "s", "10.0.0.4:80").await;
    register(&registry, "s", "10.0.0.9:80").await;
    register(&registry, "other", "10.0.0.1:80").await;

    let mut subscription = subscribe(&registry, &["s"], Some(known));
    let batch = told(&mut subscription).await;
    assert_eq!(batch.updates.len(), 1);
    let (upserted, removed) = endpoints(&batch.updates[0]);
    assert_eq!(upserted, ["10.0.0.2:80", "10.0.0.9:80"]);
    assert_eq!(removed, ["10.0.0.4:80"]);
    let UpdateKind::Delta { from, delta } = &batch.updates[0].kind else {
        unreachable!()
    };
    assert_eq!(*from, known);
    assert_eq!(delta.removed[0].reason, Reason::Deregistered);
}

#[tokio::test(start_paused = true)]
async fn who_missed_nothing_is_told_nothing() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    register(&registry, "t", "10.0.0.1:80").await;
    let known = registry.version().revision;
    register(&registry, "other", "10.0.0.1:80").await;
    let mut subscription = subscribe(&registry, &["s", "t"], Some(known));
    assert!(poll(&mut subscription).is_none());
    // Until something changes.
    operate(&registry, "t", "10.0.0.1:80", 2).await;
    let batch = told(&mut subscription).await;
    assert_eq!(batch.updates[0].key, key("t"));
    assert_eq!(batch.resume, Resume::Revision(Revision(4)));
}

#[tokio::test(start_paused = true)]
async fn who_was_away_for_too_long_is_told_the_whole() {
    let mut config = unguarded();
    config.catalog.change_log_max = 16;
    let registry = start(config, Memory::new(EPOCH)).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let known = registry.version().revision;
    for weight in 2..30 {
        operate(&registry, "s", "10.0.0.1:80", weight).await;
    }
    let mut far = subscribe(&registry, &["s"], Some(known));
    let snapshot = told(&mut far).await.updates.remove(0);
    assert!(matches!(&snapshot.kind, UpdateKind::Snapshot(view) if view.len() == 1));
    let mut near = subscribe(&registry, &["s"], Some(Revision(20)));
    assert!(matches!(
        told(&mut near).await.updates[0].kind,
        UpdateKind::Delta { .. }
    ));
    // Whoever needs the whole shares it, from wherever he comes.
    let mut farther = subscribe(&registry, &["s"], Some(Revision(2)));
    assert!(Arc::ptr_eq(&told(&mut farther).await.updates[0], &snapshot));
    let mut fresh = subscribe(&registry, &["s"], None);
    assert!(Arc::ptr_eq(&told(&mut fresh).await.updates[0], &snapshot));
}

#[tokio::test(start_paused = true)]
async fn those_who_are_equally_far_behind_share_what_they_missed() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let known = registry.version().revision;
    operate(&registry, "s", "10.0.0.1:80", 2).await;
    let mut updates = Vec::new();
    let mut subscriptions: Vec<_> = (0..10)
        .map(|_| subscribe(&registry, &["s"], Some(known)))
        .collect();
    for subscription in &mut subscriptions {
        updates.push(told(subscription).await.updates.remove(0));
    }
    assert!(updates.iter().all(|update| Arc::ptr_eq(update, &updates[0])));
}

/// Joins after the change is applied and before it is pushed: told once, then not again, and none is missed.
#[tokio::test(start_paused = true)]
async fn who_joins_within_a_burst_misses_nothing() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut first = Follower::new(&registry, vec![key("s")]);
    first.hear().await;
    operate(&registry, "s", "10.0.0.1:80", 2).await;
    settle().await;
    // This one waits for the end of the merge window.
    operate(&registry, "s", "10.0.0.1:80", 3).await;
    let mut second = Follower::new(&registry, vec![key("s")]);
    let batch = poll(&mut second.subscription).unwrap();
    second.take_all(&batch);
    assert!(second.agrees(&registry));
    sleep_ms(60).await;
    assert!(poll(&mut second.subscription).is_none(), "it knows that already");
    let batch = poll(&mut first.subscription).unwrap();
    first.take_all(&batch);
    assert!(first.agrees(&registry));
}

/// The id of a stream of many services is not held back by a push that tells this subscriber nothing new: a drain
/// that waits for the id would wait in vain.
#[tokio::test(start_paused = true)]
async fn the_id_covers_what_was_told_early() {
    let registry = registry().await;
    register(&registry, "a", "10.0.0.1:80").await;
    register(&registry, "b", "10.0.0.1:80").await;
    let _watching = subscribe(&registry, &["b"], None);
    operate(&registry, "b", "10.0.0.1:80", 2).await;
    settle().await;
    // Pending until the end of the merge window.
    operate(&registry, "b", "10.0.0.1:80", 3).await;
    let newest = operate(&registry, "a", "10.0.0.1:80", 3).await.revision;
    let mut both = subscribe(&registry, &["a", "b"], None);
    assert_eq!(told(&mut both).await.resume, Resume::Revision(newest));
    sleep_ms(60).await;
    assert!(poll(&mut both).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_there_is_told_as_empty_and_then_as_it_comes() {
    let registry = registry().await;
    register(&registry, "other", "10.0.0.1:80").await;
    let mut follower = Follower::new(&registry, vec![key("s")]);
    let batch = told(&mut follower.subscription).await;
    assert!(matches!(&batch.updates[0].kind, UpdateKind::Snapshot(view) if view.is_empty()));
    follower.take_all(&batch);
    register(&registry, "s", "10.0.0.1:80").await;
    follower.hear().await;
    assert!(follower.agrees(&registry));
}

/// A service that is long empty is forgotten; its subscribers' ids must not go back for that, nor may they miss that
/// it is empty.
#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_forgotten_service_never_goes_back() {
    let mut config: EngineConfig = unguarded();
    config.catalog.empty_service_kept = crate::support::ms(10);
    let registry = start(config, Memory::new(EPOCH)).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut slow = Follower::new(&registry, vec![key("s")]);
    let mut eager = Follower::new(&registry, vec![key("s")]);
    for follower in [&mut slow, &mut eager] {
        follower.hear().await;
    }
    // Within one merge window it changes, and comes to an end.
    operate(&registry, "s", "10.0.0.1:80", 2).await;
    eager.hear().await;
    deregister(&registry, "s", "10.0.0.1:80").await;
    sleep_ms(600).await;
    assert_eq!(registry.status().services, 0);
    for follower in [&mut slow, &mut eager] {
        follower.hear().await;
        assert!(follower.agrees(&registry));
        assert_eq!(follower.id, registry.version().revision);
        follower.reconnect(&registry);
        assert!(poll(&mut follower.subscription).is_none());
    }
    register(&registry, "other", "10.0.0.1:80").await;
    register(&registry, "s", "10.0.0.2:80").await;
    for follower in [&mut slow, &mut eager] {
        follower.hear().await;
        assert!(follower.agrees(&registry));
    }
}
