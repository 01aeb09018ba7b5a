//! A drain answers when everybody who acknowledges knows, and names who does not.

use std::time::Duration;

use beatrix_core::catalog::Refusal;
use beatrix_core::model::Revision;
use beatrix_engine::hub::{Parting, Resume, Subscribe, Subscription};
use beatrix_engine::registry::{DRAINS_WAITING_MAX, DrainEnd, Drained};
use beatrix_engine::{Registry, WriteError};
use tokio::time::Instant;

use crate::support::{
    deregister, endpoint, key, member, ms, operate, register, registry, settle, sleep_ms, subscribe,
};

const A: &str = "10.0.0.1:80";

fn acking(registry: &Registry, name: &str, services: &[&str], since: Option<Revision>) -> Subscription {
    let wish = Subscribe {
        services: services.iter().map(|name| key(name)).collect(),
        name: name.into(),
        acks: true,
        since,
        ..Subscribe::default()
    };
    registry.hub().subscribe(wish).unwrap()
}

/// Takes what comes, and acknowledges it after a while, as a client of the watch stream would.
fn acknowledges(registry: &Registry, mut subscription: Subscription, after: Duration) {
    let registry = registry.clone();
    tokio::spawn(async move {
        loop {
            let batch = subscription.next().await;
            let id = match batch.resume {
                Resume::Update => batch.updates[0].to.revision,
                Resume::Revision(revision) => revision,
            };
            tokio::time::sleep(after).await;
            assert!(registry.hub().acknowledge(subscription.id(), id));
        }
    });
}

async fn drain(registry: &Registry, deadline: u64) -> (Drained, Duration) {
    let from = Instant::now();
    let drained = registry.drain(key("s"), endpoint(A), ms(deadline)).await.unwrap();
    (drained, from.elapsed())
}

#[tokio::test(start_paused = true)]
async fn it_answers_with_the_last_acknowledgement() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    for (name, after) in [("fast", 10), ("slow", 700)] {
        acknowledges(&registry, acking(&registry, name, &["s"], None), ms(after));
    }
    let _silent = subscribe(&registry, &["s"], None);
    let _elsewhere = acking(&registry, "elsewhere", &["t"], None);
    sleep_ms(2_000).await;
    let (drained, after) = drain(&registry, 10_000).await;
    assert_eq!(drained.revision, Revision(2));
    assert_eq!(drained.acknowledged, ["fast", "slow"]);
    assert!(drained.waiting.is_empty());
    assert_eq!(drained.without_acks, 1);
    assert!(after >= ms(700) && after <= ms(702), "{after:?}");
    assert!(!member(&registry, "s", A).unwrap().serving());
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_it_names_who_has_not_acknowledged() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    acknowledges(&registry, acking(&registry, "well", &["s"], None), ms(1));
    let _stuck = acking(&registry, "stuck", &["s"], None);
    sleep_ms(100).await;
    let (drained, after) = drain(&registry, 3_000).await;
    assert_eq!(
        (drained.acknowledged, drained.waiting),
        (vec!["well".into()], vec!["stuck".into()])
    );
    assert!(after >= ms(3_000) && after <= ms(3_002), "{after:?}");
    assert!(!member(&registry, "s", A).unwrap().serving(), "it stays draining");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_is_not_waited_for() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let leaving = acking(&registry, "leaving", &["s"], None);
    tokio::spawn(async move {
        sleep_ms(500).await;
        drop(leaving);
    });
    let (drained, after) = drain(&registry, 10_000).await;
    assert_eq!(drained.acknowledged, ["leaving"]);
    assert!(after <= ms(502), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn without_anybody_to_wait_for_it_answers_at_once() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    assert_eq!(drain(&registry, 10_000).await.1, Duration::ZERO);
    let unknown = registry
        .drain(key("s"), endpoint("10.0.0.2:80"), ms(10_000))
        .await;
    assert!(matches!(
        unknown,
        Err(WriteError::Refused(Refusal::InstanceNotFound(..)))
    ));
}

#[tokio::test(start_paused = true)]
async fn an_old_acknowledgement_does_not_do() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let subscription = acking(&registry, "one", &["s"], None);
    assert!(registry.hub().acknowledge(subscription.id(), Revision(1)));
    assert_eq!(drain(&registry, 1_000).await.0.waiting, ["one"]);
    assert!(
        !registry.hub().acknowledge(4_711, Revision(9)),
        "nobody has this number"
    );
}

/// Who resumes from the revision in question has it: he is told nothing that he could acknowledge.
#[tokio::test(start_paused = true)]
async fn a_second_drain_does_not_wait_for_one_who_knew_before_it_came_back() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let known = drain(&registry, 1_000).await.0.revision;
    let _back = acking(&registry, "back", &["s"], Some(known));
    let (drained, after) = drain(&registry, 1_000).await;
    assert_eq!((drained.revision, after), (known, Duration::ZERO));
    assert_eq!(drained.acknowledged, ["back"]);
}

/// Its other service has a change that waits to be pushed, and that it was told already.
#[tokio::test(start_paused = true)]
async fn it_is_not_held_up_by_another_service_of_a_subscriber() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    register(&registry, "busy", A).await;
    let _watching = subscribe(&registry, &["busy"], None);
    operate(&registry, "busy", A, 2).await;
    settle().await;
    operate(&registry, "busy", A, 3).await;
    let draining = tokio::spawn({
        let registry = registry.clone();
        async move { drain(&registry, 10_000).await }
    });
    acknowledges(&registry, acking(&registry, "both", &["s", "busy"], None), ms(5));
    let (drained, after) = draining.await.unwrap();
    assert!(drained.waiting.is_empty(), "{drained:?}");
    assert!(after <= ms(60), "{after:?}");
}

/// One behind a door that hears nothing when he goes, as behind UDP push.
fn leased(registry: &Registry, name: &str) -> Subscription {
    let wish = Subscribe {
        services: vec![key("s")],
        name: name.into(),
        acks: true,
        parting: Parting::Lost,
        ..Subscribe::default()
    };
    registry.hub().subscribe(wish).unwrap()
}

fn progress(registry: &Registry) -> Option<Drained> {
    registry.drain_progress(&key("s"), &endpoint(A)).unwrap()
}

#[tokio::test(start_paused = true)]
async fn who_was_lost_is_named_at_the_deadline_unless_he_acknowledged_or_came_back() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let (acked, lost, back) = (
        leased(&registry, "acked"),
        leased(&registry, "lost"),
        leased(&registry, "back"),
    );
    let draining = tokio::spawn({
        let registry = registry.clone();
        async move { drain(&registry, 20_000).await }
    });
    sleep_ms(100).await;
    assert!(registry.hub().acknowledge(acked.id(), Revision(2)));
    drop((acked, lost, back));
    sleep_ms(100).await;
    assert_eq!(progress(&registry).unwrap().waiting, ["lost", "back"]);
    let again = leased(&registry, "back");
    assert!(registry.hub().acknowledge(again.id(), Revision(2)));
    let (drained, after) = draining.await.unwrap();
    assert_eq!(drained.waiting, ["lost"]);
    assert_eq!(drained.acknowledged, ["acked", "back"]);
    assert!(!drained.complete);
    assert!(after >= ms(20_000) && after <= ms(20_002), "{after:?}");
}

/// Each looks again at whatever is applied, so there must not be any number of them.
#[tokio::test(start_paused = true)]
async fn so_many_may_wait_for_drains_and_further_ones_mark_nothing() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let other = "10.0.0.2:80";
    register(&registry, "s", other).await;
    let _stuck = acking(&registry, "stuck", &["s"], None);
    let draining: Vec<_> = (0..DRAINS_WAITING_MAX)
        .map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { drain(&registry, 5_000).await })
        })
        .collect();
    sleep_ms(100).await;
    let refused = registry.drain(key("s"), endpoint(other), ms(5_000)).await;
    assert!(
        matches!(refused, Err(WriteError::Refused(Refusal::Limit { limit: "drains_waiting_max", max })) if max == DRAINS_WAITING_MAX),
        "{refused:?}"
    );
    assert!(member(&registry, "s", other).unwrap().serving());
    for draining in draining {
        assert_eq!(draining.await.unwrap().0.waiting, ["stuck"]);
    }
    let drained = registry.drain(key("s"), endpoint(other), ms(100)).await;
    assert!(!drained.unwrap().complete, "there is room again");
}

fn connected(registry: &Registry, name: &str) -> Subscription {
    let wish = Subscribe {
        services: vec![key("s")],
        name: name.into(),
        acks: true,
        parting: Parting::Broken,
        ..Subscribe::default()
    };
    registry.hub().subscribe(wish).unwrap()
}

/// A stream that breaks for a moment during a drain, while its client goes on with what it knew.
#[tokio::test(start_paused = true)]
async fn whose_connection_breaks_is_waited_for_until_he_is_back_and_acknowledges() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let (broken, namesake) = (connected(&registry, "one"), connected(&registry, "one"));
    let draining = tokio::spawn({
        let registry = registry.clone();
        async move { drain(&registry, 20_000).await }
    });
    sleep_ms(100).await;
    assert!(registry.hub().acknowledge(namesake.id(), Revision(2)));
    drop(broken);
    sleep_ms(1_000).await;
    assert!(!draining.is_finished(), "another of the same name is not he");
    let back = connected(&registry, "one");
    sleep_ms(1_000).await;
    assert_eq!(progress(&registry).unwrap().waiting, ["one"; 2]);
    assert!(registry.hub().acknowledge(back.id(), Revision(2)));
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete && drained.waiting.is_empty() && drained.gone.is_empty());
    assert!(after >= ms(2_100) && after <= ms(2_110), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn whose_connection_breaks_and_who_does_not_come_back_is_gone_after_a_grace() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let (named, nameless, sent_away) = (
        connected(&registry, "named"),
        connected(&registry, ""),
        connected(&registry, "sent away"),
    );
    let draining = tokio::spawn({
        let registry = registry.clone();
        async move { drain(&registry, 20_000).await }
    });
    sleep_ms(100).await;
    sent_away.dismiss();
    drop((named, nameless, sent_away));
    // One without a name cannot be known again.
    let other = connected(&registry, "");
    assert!(registry.hub().acknowledge(other.id(), Revision(2)));
    sleep_ms(9_000).await;
    assert_eq!(progress(&registry).unwrap().waiting, ["named", ""]);
    let (drained, after) = draining.await.unwrap();
    assert_eq!(
        (drained.complete, drained.gone),
        (true, vec!["named".into(), "".into()])
    );
    assert!(after >= ms(10_100) && after <= ms(10_110), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_the_instance_says_that_it_is_idle_after_all_have_acknowledged() {
    let registry = registry().await;
    let lease = register(&registry, "s", A).await.lease;
    assert!(registry.report_in_flight(lease, 0));
    acknowledges(&registry, acking(&registry, "one", &["s"], None), ms(500));
    sleep_ms(1_000).await;
    let draining = tokio::spawn({
        let registry = registry.clone();
        async move { drain(&registry, 20_000).await }
    });
    sleep_ms(100).await;
    // Said before the last one knows: he may send something yet.
    registry.report_in_flight(lease, 0);
    sleep_ms(900).await;
    let now = progress(&registry).unwrap();
    assert_eq!(
        (now.complete, now.waiting.len(), now.in_flight.unwrap().count),
        (false, 0, 0)
    );
    registry.report_in_flight(lease, 3);
    sleep_ms(1_000).await;
    assert!(!draining.is_finished());
    assert_eq!(progress(&registry).unwrap().in_flight.unwrap().count, 3);
    registry.report_in_flight(lease, 0);
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete, "{drained:?}");
    assert!(after >= ms(2_000) && after <= ms(2_002), "{after:?}");
    let said = drained.in_flight.unwrap();
    assert_eq!(said.count, 0);
    assert!(said.at <= registry.wall());
}

#[tokio::test(start_paused = true)]
async fn what_is_still_in_flight_at_the_deadline_is_told() {
    let registry = registry().await;
    let lease = register(&registry, "s", A).await.lease;
    registry.report_in_flight(lease, 7);
    let (drained, after) = drain(&registry, 3_000).await;
    assert_eq!((drained.complete, drained.in_flight.unwrap().count), (false, 7));
    assert!(after >= ms(3_000) && after <= ms(3_002), "{after:?}");
    let unknown = "0123456789abcdef".parse().unwrap();
    assert!(!registry.report_in_flight(unknown, 1));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_cancelled_is_told_so_and_the_instance_serves_again() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let _stuck = acking(&registry, "stuck", &["s"], None);
    assert_eq!(progress(&registry), None, "it does not drain");
    let draining = tokio::spawn({
        let registry = registry.clone();
        async move { drain(&registry, 20_000).await }
    });
    sleep_ms(500).await;
    assert_eq!(progress(&registry).unwrap().waiting, ["stuck"]);
    let cancelled = registry.cancel_drain(key("s"), endpoint(A)).await.unwrap();
    assert!(cancelled.changed);
    let (drained, after) = draining.await.unwrap();
    assert_eq!(
        (drained.complete, drained.ended),
        (false, Some(DrainEnd::Cancelled))
    );
    assert!(after <= ms(502), "{after:?}");
    assert!(member(&registry, "s", A).unwrap().serving());
    assert_eq!(progress(&registry), None);
    assert!(
        !registry
            .cancel_drain(key("s"), endpoint(A))
            .await
            .unwrap()
            .changed
    );
    // And drained again it is a new drain.
    let (drained, _) = drain(&registry, 100).await;
    assert_eq!((drained.waiting, drained.ended), (vec!["stuck".to_owned()], None));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_goes_completes_its_drain_however_it_goes() {
    for by_silence in [false, true] {
        let registry = registry().await;
        register(&registry, "s", A).await;
        let _stuck = acking(&registry, "stuck", &["s"], None);
        let draining = tokio::spawn({
            let registry = registry.clone();
            async move { drain(&registry, 60_000).await }
        });
        sleep_ms(500).await;
        let after = if by_silence {
            ms(30_020)
        } else {
            deregister(&registry, "s", A).await;
            // Another run takes its place at once.
            register(&registry, "s", A).await;
            ms(502)
        };
        let (drained, took) = draining.await.unwrap();
        assert_eq!((drained.complete, drained.ended), (true, Some(DrainEnd::Removed)));
        assert_eq!(drained.waiting, ["stuck"]);
        assert!(took <= after, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn several_share_a_drain_each_with_his_own_deadline_and_who_stops_waiting_undoes_nothing() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let one = acking(&registry, "one", &["s"], None);
    let begin = |deadline| {
        let registry = registry.clone();
        tokio::spawn(async move { drain(&registry, deadline).await })
    };
    let (gone, short, long) = (begin(60_000), begin(1_000), begin(20_000));
    sleep_ms(100).await;
    gone.abort();
    let (short, after) = short.await.unwrap();
    assert_eq!((short.complete, short.waiting), (false, vec!["one".to_owned()]));
    assert!(after >= ms(1_000) && after <= ms(1_002), "{after:?}");
    assert!(!member(&registry, "s", A).unwrap().serving());
    // One who came meanwhile is asked by whoever drains after that.
    let late = acking(&registry, "late", &["s"], None);
    let later = begin(20_000);
    sleep_ms(100).await;
    assert!(registry.hub().acknowledge(one.id(), Revision(2)));
    sleep_ms(100).await;
    assert!(!long.is_finished());
    assert!(registry.hub().acknowledge(late.id(), Revision(2)));
    let ((long, _), (later, _)) = (long.await.unwrap(), later.await.unwrap());
    assert_eq!(long, later);
    assert_eq!(long.acknowledged, ["one", "late"]);
    assert_eq!(long.revision, Revision(2));
    // Asked for afterwards it is what it was.
    assert_eq!(progress(&registry), Some(long));
}

#[tokio::test(start_paused = true)]
async fn drains_of_instances_that_drain_no_more_are_forgotten() {
    let registry = registry().await;
    for round in 0..300 {
        register(&registry, "s", A).await;
        assert!(drain(&registry, 10).await.0.complete, "{round}");
        deregister(&registry, "s", A).await;
    }
    register(&registry, "s", A).await;
    assert_eq!(progress(&registry), None);
}

/// What a restart leaves is the mark: a drain that is asked for then waits for the revision that the instance has.
#[tokio::test(start_paused = true)]
async fn a_mark_without_a_drain_is_drained_anew_for_the_revision_that_it_has() {
    let registry = registry().await;
    register(&registry, "s", A).await;
    let patch = beatrix_core::model::OperatorPatch {
        draining: Some(true),
        ..Default::default()
    };
    registry.operate(key("s"), endpoint(A), patch).await.unwrap();
    operate(&registry, "s", A, 5).await;
    let behind = acking(&registry, "behind", &["s"], Some(Revision(2)));
    let _knows = acking(&registry, "knows", &["s"], Some(Revision(3)));
    let now = progress(&registry).unwrap();
    assert_eq!(
        (now.revision, now.waiting),
        (Revision(3), vec!["behind".to_owned()])
    );
    assert!(registry.hub().acknowledge(behind.id(), Revision(3)));
    let (drained, after) = drain(&registry, 1_000).await;
    assert!(drained.complete);
    assert_eq!(after, Duration::ZERO);
}
