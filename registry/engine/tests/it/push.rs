//! Invariant 5: the first change of a quiet service is pushed at once, a burst is merged, and nothing is lost at its
//! end. What is pushed is shared by all who are up to date.

use std::sync::Arc;
use std::time::Duration;

use beatrix_engine::hub::UpdateKind;
use tokio::time::Instant;

use crate::support::follower::{Follower, told};
use crate::support::{deregister, key, ms, operate, register, registry, settle, sleep_ms, subscribe};

#[tokio::test(start_paused = true)]
async fn the_first_change_of_a_quiet_service_is_pushed_at_once() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut subscription = subscribe(&registry, &["s"], None);
    told(&mut subscription).await;
    for weight in 2..20 {
        sleep_ms(51).await;
        let from = Instant::now();
        let written = operate(&registry, "s", "10.0.0.1:80", weight).await;
        let batch = told(&mut subscription).await;
        assert_eq!(from.elapsed(), Duration::ZERO);
        assert_eq!(batch.updates[0].to.revision, written.revision);
    }
}

/// Snapshots are kept to be shared, but while one is held every change copies what it touches.
#[tokio::test(start_paused = true)]
async fn a_change_lets_go_of_the_snapshots_that_were_kept() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut subscription = subscribe(&registry, &["s"], None);
    let batch = told(&mut subscription).await;
    let UpdateKind::Snapshot(view) = &batch.updates[0].kind else {
        panic!("the first is the whole")
    };
    let view = Arc::downgrade(view);
    drop(batch);
    assert!(view.upgrade().is_some(), "kept for the next subscriber");
    operate(&registry, "s", "10.0.0.1:80", 2).await;
    assert!(view.upgrade().is_none());
    let told = told(&mut subscription).await;
    assert!(matches!(told.updates[0].kind, UpdateKind::Delta { .. }));
}

#[tokio::test(start_paused = true)]
async fn one_service_in_a_burst_does_not_delay_another() {
    let registry = registry().await;
    register(&registry, "busy", "10.0.0.1:80").await;
    register(&registry, "quiet", "10.0.0.1:80").await;
    let mut quiet = subscribe(&registry, &["quiet"], None);
    let _busy = subscribe(&registry, &["busy"], None);
    told(&mut quiet).await;
    operate(&registry, "busy", "10.0.0.1:80", 2).await;
    settle().await;
    operate(&registry, "busy", "10.0.0.1:80", 3).await;
    let from = Instant::now();
    operate(&registry, "quiet", "10.0.0.1:80", 3).await;
    told(&mut quiet).await;
    assert_eq!(from.elapsed(), Duration::ZERO);
}

/// A change each millisecond for a second, and what is told of it when.
#[tokio::test(start_paused = true)]
async fn a_burst_is_merged_within_50_ms_and_nothing_of_its_end_is_lost() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut follower = Follower::new(&registry, vec![key("s")]);
    follower.hear().await;
    sleep_ms(100).await;

    let writer = registry.clone();
    let began = Instant::now();
    let burst = tokio::spawn(async move {
        for change in 0..1_000_u32 {
            if change % 10 == 9 {
                register(&writer, "s", &format!("10.0.1.{}:80", change % 7)).await;
            } else if change % 10 == 4 && change > 100 {
                let gone = format!("10.0.1.{}:80", (change + 5) % 7);
                let _may_be_gone = writer
                    .deregister(key("s"), crate::support::endpoint(&gone), None, &[])
                    .await;
            } else {
                operate(&writer, "s", "10.0.0.1:80", change + 2).await;
            }
            sleep_ms(1).await;
        }
        began.elapsed()
    });
    let mut pushes = Vec::new();
    while let Ok(batch) = tokio::time::timeout(ms(500), follower.subscription.next()).await {
        follower.take_all(&batch);
        pushes.push(began.elapsed());
    }
    let ended = burst.await.unwrap();

    assert_eq!(pushes[0], Duration::ZERO, "the first at once");
    let gaps = pushes.windows(2).map(|pair| pair[1] - pair[0]);
    // Timers are of whole milliseconds, and the clock need not stand on one.
    assert!(gaps.clone().all(|gap| gap >= ms(50)), "merged: {pushes:?}");
    assert!(gaps.clone().all(|gap| gap <= ms(53)), "at most 50 ms: {pushes:?}");
    assert!(
        *pushes.last().unwrap() <= ended + ms(51),
        "{:?} after {ended:?}",
        pushes.last()
    );
    assert!(follower.agrees(&registry));
    assert_eq!(Some(follower.id), registry.revision_of(key("s").borrowed()));
}

#[tokio::test(start_paused = true)]
async fn what_came_and_went_within_a_burst_is_told_as_gone() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut follower = Follower::new(&registry, vec![key("s")]);
    follower.hear().await;
    operate(&registry, "s", "10.0.0.1:80", 2).await;
    settle().await;
    register(&registry, "s", "10.0.0.2:80").await;
    deregister(&registry, "s", "10.0.0.2:80").await;
    deregister(&registry, "s", "10.0.0.1:80").await;
    register(&registry, "s", "10.0.0.1:80").await;
    sleep_ms(60).await;
    let batch = told(&mut follower.subscription).await;
    assert_eq!(batch.updates.len(), 1);
    follower.take_all(&batch);
    assert!(follower.agrees(&registry));
}

/// Invariant 4: rendered once for all. They share the update itself.
#[tokio::test(start_paused = true)]
async fn all_who_are_up_to_date_share_one_update() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut subscriptions: Vec<_> = (0..100).map(|_| subscribe(&registry, &["s"], None)).collect();
    let mut shared = Vec::new();
    for subscription in &mut subscriptions {
        shared.push(told(subscription).await.updates.remove(0));
    }
    assert!(
        shared.iter().all(|update| Arc::ptr_eq(update, &shared[0])),
        "the first snapshot"
    );

    for weight in 2..5 {
        operate(&registry, "s", "10.0.0.1:80", weight).await;
        sleep_ms(60).await;
        let mut updates = Vec::new();
        for subscription in &mut subscriptions {
            updates.push(told(subscription).await.updates.remove(0));
        }
        assert!(updates.iter().all(|update| Arc::ptr_eq(update, &updates[0])));
        assert!(matches!(&updates[0].kind, UpdateKind::Delta { .. }));
    }
}
