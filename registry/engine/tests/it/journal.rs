//! The seam of invariant 8: nothing is seen before it is committed, and what cannot be committed changes nothing.

use beatrix_core::model::Revision;
use beatrix_engine::WriteError;
use tokio::time::Instant;

use crate::support::follower::told;
use crate::support::journal::Script;
use crate::support::{
    beat, endpoint, fixed, health, key, member, ms, nth, operate, reasons, register, settle, sleep_ms, start,
    subscribe, try_register, unguarded, weighing,
};

#[tokio::test(start_paused = true)]
async fn a_write_that_cannot_be_committed_changes_nothing() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut subscription = subscribe(&registry, &["s"], None);
    told(&mut subscription).await;
    script.fail(true);

    let refused = try_register(&registry, "s", nth(9), fixed()).await;
    let Err(WriteError::Unavailable(why)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(why, "the journal cannot take writes: the disk is full");
    let refused = registry
        .operate(key("s"), endpoint("10.0.0.1:80"), weighing(7))
        .await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))));
    let refused = registry
        .deregister(key("s"), endpoint("10.0.0.1:80"), None, &[])
        .await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))));
    sleep_ms(60).await;
    assert_eq!(registry.version().revision, Revision(1));
    assert_eq!(registry.status().instances, 1);
    assert!(crate::support::follower::poll(&mut subscription).is_none());

    script.fail(false);
    assert_eq!(
        operate(&registry, "s", "10.0.0.1:80", 7).await.revision,
        Revision(2)
    );
}

#[tokio::test(start_paused = true)]
async fn an_expiry_that_cannot_be_committed_happens_later_and_once() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let lease = register(&registry, "s", "10.0.0.2:80").await.lease;
    sleep_ms(14_000).await;
    script.fail(true);
    sleep_ms(6_000).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "healthy");
    let tries = script.groups().len();
    assert!(
        (4..=8).contains(&tries),
        "about once a second, not in a loop: {tries}"
    );

    // One of the two beats before the journal works again.
    assert!(beat(&registry, lease));
    script.fail(false);
    sleep_ms(1_100).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    assert_eq!(health(&registry, "s", "10.0.0.2:80"), "healthy");
    script.fail(true);
    sleep_ms(12_000).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    assert!(beat(&registry, lease));
    script.fail(false);
    sleep_ms(1_100).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "gone");
    assert_eq!(
        reasons(&registry),
        ["registered", "registered", "silent", "expired"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_return_that_cannot_be_committed_happens_later() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    let lease = register(&registry, "s", "10.0.0.1:80").await.lease;
    sleep_ms(16_000).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    script.fail(true);
    assert!(beat(&registry, lease));
    sleep_ms(100).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    script.fail(false);
    sleep_ms(5_000).await;
    assert!(beat(&registry, lease));
    sleep_ms(1).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "healthy");
    assert_eq!(reasons(&registry), ["registered", "silent", "beat"]);
}

#[tokio::test(start_paused = true)]
async fn while_a_slow_journal_works_groups_form_and_reads_go_on() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    script.take(ms(100));
    let began = Instant::now();
    let writes: Vec<_> = (0..500)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let written = try_register(&registry, "t", nth(number), fixed()).await.unwrap();
                (written, began.elapsed())
            })
        })
        .collect();
    settle().await;

    // Nothing is seen yet; reads and beats do not wait.
    sleep_ms(99).await;
    assert_eq!(registry.version().revision, Revision(1));
    assert!(registry.view(key("t").borrowed()).is_none());
    assert!(member(&registry, "s", "10.0.0.1:80").is_some());
    assert!(writes.iter().all(|write| !write.is_finished()));
    for write in writes {
        let (written, after) = write.await.unwrap();
        assert!(
            written.changed && after >= ms(100) && after <= ms(205),
            "{after:?}"
        );
    }
    let groups = script.groups();
    assert_eq!(groups.iter().sum::<usize>(), 501);
    assert!(groups.len() <= 3, "{groups:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_journal_knows_is_there_after_a_start() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let lease = register(&registry, "s", "10.0.0.2:80").await.lease;
    operate(&registry, "s", "10.0.0.2:80", 7).await;
    crate::support::deregister(&registry, "s", "10.0.0.1:80").await;
    let before = registry.version();
    registry.stop().await;
    sleep_ms(60_000).await;

    let registry = start(unguarded(), script.journal()).await;
    assert_eq!(registry.version(), before);
    assert_eq!(
        member(&registry, "s", "10.0.0.2:80")
            .unwrap()
            .record
            .weight()
            .get(),
        7.0
    );
    // Its lease is good, its deadline fresh.
    sleep_ms(14_000).await;
    assert_eq!(health(&registry, "s", "10.0.0.2:80"), "healthy");
    assert!(beat(&registry, lease));
    // And who was subscribed goes on where it was.
    let mut subscription = subscribe(&registry, &["s"], Some(before.revision));
    assert!(crate::support::follower::poll(&mut subscription).is_none());
}
