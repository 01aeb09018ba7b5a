//! A restart, from the journal's pieces to what subscribers are told. The journal is a double.

use beatrix_core::catalog::Piece;
use beatrix_core::model::{Liveness, Marks, Revision, SessionId};
use beatrix_engine::Registry;
use beatrix_engine::hub::UpdateKind;

use crate::support::follower::{Follower, poll, told};
use crate::support::journal::Script;
use crate::support::{
    beat, beating, deregister, endpoint, fixed, health, key, living, member, nth, operate, reasons, register,
    settle, sleep_ms, start, subscribe, try_register, unguarded,
};

async fn begin(script: &Script) -> Registry {
    start(unguarded(), script.journal()).await
}

fn complete(registry: &Registry, service: &str) -> bool {
    registry.view(key(service).borrowed()).unwrap().complete
}

fn instances(checkpoint: &[Piece]) -> usize {
    let of = checkpoint.iter().map(|piece| match piece {
        Piece::Instances(instances) => instances.len(),
        _ => 0,
    });
    of.sum()
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_and_the_log_after_it_bring_everything_back() {
    let script = Script::default();
    let registry = begin(&script).await;
    for number in 0..9_000 {
        try_register(&registry, "s", nth(number), beating())
            .await
            .unwrap();
    }
    let lease = register(&registry, "t", "10.0.0.1:80").await.lease;
    operate(&registry, "t", "10.0.0.1:80", 7).await;
    script.want();
    // While it is being made others write.
    sleep_ms(1).await;
    register(&registry, "t", "10.0.0.2:80").await;
    sleep_ms(100).await;
    assert!(script.handed() > 2, "it comes in batches");
    assert!(instances(&script.checkpoint()) >= 9_001);
    deregister(&registry, "s", &nth(0).to_string()).await;
    let before = registry.version();
    assert!(script.committed().len() < 10, "the log is short again");
    registry.stop().await;
    assert_eq!(script.closed(), 1);

    let registry = begin(&script).await;
    assert_eq!(registry.version(), before);
    assert_eq!(registry.status().instances, 9_001);
    let record = member(&registry, "t", "10.0.0.1:80").unwrap().record;
    assert_eq!(record.weight().get(), 7.0);
    assert!(member(&registry, "t", "10.0.0.2:80").is_some() && beat(&registry, lease));
    assert_eq!(health(&registry, "s", &nth(0).to_string()), "gone");
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_cannot_be_kept_is_tried_again_and_one_that_is_being_made_ends_with_the_registry() {
    let script = Script::default();
    let registry = begin(&script).await;
    register(&registry, "s", "10.0.0.1:80").await;
    script.fill(true);
    for _ in 0..3 {
        script.want();
        sleep_ms(1_100).await;
    }
    assert_eq!((script.handed(), script.checkpoint().len()), (3, 0));
    script.fill(false);
    script.want();
    sleep_ms(1_100).await;
    assert_eq!(script.checkpoint().len(), 3);

    register(&registry, "s", "10.0.0.2:80").await;
    script.want();
    settle().await;
    registry.stop().await;
    assert_eq!(instances(&script.checkpoint()), 1, "the one before it stays");
    assert!(!script.is_held(), "nobody is left behind");
}

#[tokio::test(start_paused = true)]
async fn a_registry_is_incomplete_until_all_who_were_restored_have_beaten() {
    let script = Script::default();
    let registry = begin(&script).await;
    assert!(registry.complete());
    let one = register(&registry, "s", "10.0.0.1:80").await.lease;
    let other = register(&registry, "s", "10.0.0.2:80").await.lease;
    registry.stop().await;

    let registry = begin(&script).await;
    assert!(!registry.complete() && !registry.status().complete && !complete(&registry, "s"));
    let marks = member(&registry, "s", "10.0.0.1:80").unwrap().state.marks;
    assert_eq!(marks, Marks::UNCONFIRMED);
    sleep_ms(3_000).await;
    assert!(beat(&registry, one));
    sleep_ms(3_000).await;
    assert!(!registry.complete());
    assert!(beat(&registry, other));
    sleep_ms(250).await;
    assert!(registry.complete() && registry.status().complete && complete(&registry, "s"));
    assert_eq!(
        member(&registry, "s", "10.0.0.1:80").unwrap().state.marks,
        Marks::NONE
    );
    // First beats are no changes.
    assert_eq!(reasons(&registry), ["registered", "registered"]);
    assert_eq!(registry.version().revision, Revision(3));
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_nobody_comes_back_to_is_complete_after_a_beat_window() {
    let script = Script::default();
    let registry = begin(&script).await;
    register(&registry, "s", "10.0.0.1:80").await;
    let of_session = living(Liveness::Session(SessionId(1)));
    try_register(&registry, "s", endpoint("10.0.0.2:80"), of_session)
        .await
        .unwrap();
    try_register(&registry, "s", endpoint("10.0.0.3:80"), fixed())
        .await
        .unwrap();
    sleep_ms(10_000).await;
    registry.stop().await;

    let registry = begin(&script).await;
    sleep_ms(14_990).await;
    assert!(!registry.complete());
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "healthy");
    sleep_ms(20).await;
    assert!(registry.complete());
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "unhealthy");
    sleep_ms(15_010).await;
    assert_eq!(health(&registry, "s", "10.0.0.1:80"), "gone");
    // The client of a connection may take longer to say who it is.
    assert_eq!(health(&registry, "s", "10.0.0.2:80"), "healthy");
    sleep_ms(30_000).await;
    assert_eq!(registry.status().instances, 1);
    let reasons = reasons(&registry);
    assert!(
        reasons.contains(&"session_closed") && reasons.contains(&"expired"),
        "{reasons:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_from_before_goes_on_with_just_what_it_missed() {
    let script = Script::default();
    let registry = begin(&script).await;
    register(&registry, "s", "10.0.0.1:80").await;
    register(&registry, "t", "10.0.0.1:80").await;
    let mut follower = Follower::new(&registry, vec![key("s"), key("t")]);
    follower.hear().await;
    let lease = register(&registry, "s", "10.0.0.2:80").await.lease;
    registry.stop().await;

    let registry = begin(&script).await;
    follower.reconnect(&registry);
    let batch = told(&mut follower.subscription).await;
    assert_eq!(batch.updates.len(), 1, "nothing of the other service");
    let UpdateKind::Delta { delta, .. } = &batch.updates[0].kind else {
        panic!("{batch:?}")
    };
    assert_eq!(delta.upserted.len(), 1);
    assert!(!batch.updates[0].complete);
    follower.take_all(&batch);
    assert!(poll(&mut follower.subscription).is_none());
    beat(&registry, lease);
    // At the end of warming it is told all anew, and that it is complete.
    let batch = told(&mut follower.subscription).await;
    assert!(batch.updates.iter().all(|update| update.complete));
    follower.take_all(&batch);
    while let Some(batch) = poll(&mut follower.subscription) {
        follower.take_all(&batch);
    }
    sleep_ms(1_000).await;
    while let Some(batch) = poll(&mut follower.subscription) {
        follower.take_all(&batch);
    }
    assert!(follower.agrees(&registry));
}

#[tokio::test(start_paused = true)]
async fn who_watches_what_is_not_there_is_told_when_that_is_known_for_sure() {
    let script = Script::default();
    let registry = begin(&script).await;
    register(&registry, "s", "10.0.0.1:80").await;
    registry.stop().await;

    let registry = begin(&script).await;
    let mut subscription = subscribe(&registry, &["none"], None);
    let first = told(&mut subscription).await;
    assert!(!first.updates[0].complete);
    let next = told(&mut subscription).await;
    assert!(next.updates[0].complete);
    assert!(matches!(&next.updates[0].kind, UpdateKind::Snapshot(view) if view.is_empty() && view.complete));
    assert!(next.updates[0].to.revision > first.updates[0].to.revision);
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_off_while_it_warmed_hears_that_it_is_complete() {
    let script = Script::default();
    let registry = begin(&script).await;
    register(&registry, "s", "10.0.0.1:80").await;
    register(&registry, "t", "10.0.0.1:80").await;
    registry.stop().await;

    let registry = begin(&script).await;
    let mut cut = Vec::new();
    for services in [&["s"][..], &["s", "t"][..]] {
        let mut follower = Follower::new(&registry, services.iter().map(|name| key(name)).collect());
        follower.hear().await;
        assert!(!registry.complete());
        cut.push((services, follower.id));
    }
    sleep_ms(16_000).await;
    for (services, since) in cut {
        let mut subscription = subscribe(&registry, services, Some(since));
        let batch = told(&mut subscription).await;
        let complete: Vec<_> = batch.updates.iter().map(|update| update.complete).collect();
        assert_eq!(complete, vec![true; services.len()]);
    }
    assert!(registry.complete());
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_lost_revision_gets_the_whole_and_one_from_before_a_delta() {
    let script = Script::default();
    let registry = begin(&script).await;
    register(&registry, "s", "10.0.0.1:80").await;
    register(&registry, "quiet", "10.0.0.1:80").await;
    let kept = register(&registry, "s", "10.0.0.2:80").await.revision;
    let lost = register(&registry, "s", "10.0.0.3:80").await.revision;
    registry.stop().await;
    script.lose(kept, Revision(1_000));

    let registry = begin(&script).await;
    assert!(registry.hub().is_lost(lost) && !registry.hub().is_lost(kept));
    assert!(poll(&mut subscribe(&registry, &["s"], Some(kept))).is_none());
    let mut from_before = subscribe(&registry, &["s"], Some(Revision(1)));
    let batch = told(&mut from_before).await;
    assert!(matches!(batch.updates[0].kind, UpdateKind::Delta { .. }));
    // Also of a service that did not change since: its state may have been another.
    for service in ["s", "quiet"] {
        for token in [lost, Revision(1_000)] {
            let mut subscription = subscribe(&registry, &[service], Some(token));
            let batch = told(&mut subscription).await;
            assert!(matches!(batch.updates[0].kind, UpdateKind::Snapshot(_)));
            assert!(
                batch.updates[0].to.revision >= Revision(1_000),
                "it never goes back"
            );
        }
    }
    // Revisions go on after those that were lost.
    assert_eq!(
        register(&registry, "s", "10.0.0.4:80").await.revision,
        Revision(1_001)
    );
}
