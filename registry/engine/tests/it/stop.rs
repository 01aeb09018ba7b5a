//! Stopping: what was taken is finished and told, what comes later is refused, and no task is left.

use std::sync::Arc;

use beatrix_engine::WriteError;

use crate::support::follower::{Follower, poll};
use crate::support::journal::Script;
use crate::support::{
    fixed, key, ms, nth, operate, register, settle, sleep_ms, start, try_register, unguarded,
};

#[tokio::test(start_paused = true)]
async fn writes_that_were_taken_are_finished_and_new_ones_are_refused() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    script.take(ms(100));
    let writes: Vec<_> = (0..50)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move { try_register(&registry, "s", nth(number), fixed()).await })
        })
        .collect();
    settle().await;
    assert!(!registry.is_stopping());
    let stopping = registry.stopping();
    registry.stop().await;
    stopping.await;
    assert!(registry.is_stopping());
    for write in writes {
        assert!(write.await.unwrap().unwrap().changed);
    }
    let refused = try_register(&registry, "s", nth(99), fixed()).await;
    assert!(matches!(refused, Err(WriteError::Stopping)), "{refused:?}");
    assert!(!registry.end_guard(None).await);
    // Reads go on.
    assert_eq!(registry.view(key("s").borrowed()).unwrap().len(), 50);
    // A second one is none.
    registry.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_ends_under_steady_load() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    script.take(ms(1));
    let load: Vec<_> = (0..20)
        .map(|task| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let mut done = 0;
                loop {
                    match try_register(&registry, &format!("s{task}"), nth(done), fixed()).await {
                        Ok(_) => done += 1,
                        Err(WriteError::Stopping) => return done,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    sleep_ms(50).await;
    tokio::time::timeout(ms(1_000), registry.stop()).await.unwrap();
    let mut done = 0;
    for load in load {
        done += load.await.unwrap();
    }
    assert_eq!(
        registry.status().instances,
        done,
        "what was answered is there, and nothing else"
    );
    assert_eq!(script.committed().len(), done);
}

#[tokio::test(start_paused = true)]
async fn the_last_changes_are_pushed() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut follower = Follower::new(&registry, vec![key("s")]);
    follower.hear().await;
    operate(&registry, "s", "10.0.0.1:80", 2).await;
    settle().await;
    // Waits for the end of the merge window; and one that is not even committed.
    operate(&registry, "s", "10.0.0.1:80", 3).await;
    script.take(ms(10));
    let last = registry.clone();
    tokio::spawn(async move { operate(&last, "s", "10.0.0.1:80", 4).await });
    settle().await;
    registry.stop().await;
    let batch = poll(&mut follower.subscription).unwrap();
    follower.take_all(&batch);
    assert!(follower.agrees(&registry));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_dropped_leaves_no_task() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let hub = Arc::clone(registry.hub());
    assert!(script.is_held());
    drop(registry);
    sleep_ms(1_000).await;
    assert!(!script.is_held(), "the owner has ended");
    assert_eq!(Arc::strong_count(&hub), 1, "the hub's task has ended");
}
