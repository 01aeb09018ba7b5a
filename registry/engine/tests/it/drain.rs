//! A drain answers when everybody who acknowledges knows, and names who does not.

use std::time::Duration;

use beatrix_core::catalog::Refusal;
use beatrix_core::model::Revision;
use beatrix_engine::hub::{Resume, Subscribe, Subscription};
use beatrix_engine::registry::Drained;
use beatrix_engine::{Registry, WriteError};
use tokio::time::Instant;

use crate::support::{endpoint, key, member, ms, operate, register, registry, settle, sleep_ms, subscribe};

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
