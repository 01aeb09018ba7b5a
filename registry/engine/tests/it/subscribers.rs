//! Invariant 4: a subscriber costs what it watches, not what it missed; and what it leaves behind is nothing.

use std::sync::Arc;

use beatrix_engine::hub::{Peer, Subscribe, SubscribeError};
use beatrix_engine::{EngineConfig, Registry};

use crate::support::follower::{Follower, poll};
use crate::support::{
    fixed, key, ms, nth, operate, register, registry, settle, sleep_ms, start, subscribe, try_register,
    unguarded,
};

const SERVICES: usize = 10;

fn names() -> Vec<String> {
    (0..SERVICES).map(|number| format!("s{number}")).collect()
}

/// One writer for each service.
async fn change_often(registry: &Registry, changes: usize) {
    let writers: Vec<_> = names()
        .into_iter()
        .map(|name| {
            let registry = registry.clone();
            tokio::spawn(async move {
                for change in 0..changes / SERVICES {
                    operate(
                        &registry,
                        &name,
                        "10.0.0.1:80",
                        u32::try_from(change).unwrap() % 9_000 + 2,
                    )
                    .await;
                    if change % 10 == 0 {
                        sleep_ms(1).await;
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    sleep_ms(60).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_never_polls_is_behind_by_its_services_and_no_more() {
    let registry = registry().await;
    for name in names() {
        try_register(&registry, &name, nth(1), fixed()).await.unwrap();
        try_register(&registry, &name, crate::support::endpoint("10.0.0.1:80"), fixed())
            .await
            .unwrap();
    }
    let services: Vec<_> = names().iter().map(|name| key(name)).collect();
    let mut slow = Follower::new(&registry, services.clone());
    slow.hear().await;
    let mut eager = Follower::new(&registry, services.clone());
    let reading = tokio::spawn(async move {
        while let Ok(batch) = tokio::time::timeout(ms(200), eager.subscription.next()).await {
            eager.take_all(&batch);
        }
        eager
    });

    change_often(&registry, 100_000).await;

    let behind = registry.hub().subscribers_of(&services[0]);
    let behind = behind
        .iter()
        .find(|info| info.id == slow.subscription.id())
        .unwrap();
    assert_eq!(behind.behind, SERVICES);
    // The other one was told all the time.
    assert!(reading.await.unwrap().agrees(&registry));
    // The next batch is the newest state of each, and then there is nothing left.
    let batch = poll(&mut slow.subscription).unwrap();
    assert_eq!(batch.updates.len(), SERVICES);
    slow.take_all(&batch);
    assert!(slow.agrees(&registry));
    assert_eq!(slow.id, registry.version().revision);
    assert!(poll(&mut slow.subscription).is_none());
}

#[tokio::test(start_paused = true)]
async fn thousands_come_and_go_and_leave_nothing() {
    let registry = registry().await;
    register(&registry, "s0", "10.0.0.1:80").await;
    for round in 0..20 {
        let subscriptions: Vec<_> = (0..200)
            .map(|number| {
                let own = format!("own{number}");
                subscribe(&registry, &["s0", "absent", &own], None)
            })
            .collect();
        operate(&registry, "s0", "10.0.0.1:80", round + 2).await;
        assert_eq!(registry.hub().subscribers(), 200);
        assert_eq!(registry.hub().watched(), 202);
        if round % 2 == 0 {
            settle().await;
        }
        drop(subscriptions);
        assert_eq!(registry.hub().subscribers(), 0);
        assert_eq!(registry.hub().watched(), 0);
    }
    assert!(registry.hub().subscribers_of(&key("s0")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn limits_are_exact_and_named() {
    let config = EngineConfig {
        subscribers_max: 2,
        services_per_subscriber_max: 3,
        ..unguarded()
    };
    let registry = start(
        config,
        beatrix_engine::journal::Memory::new(crate::support::EPOCH),
    )
    .await;
    let wish = |services: &[&str]| Subscribe {
        services: services.iter().map(|name| key(name)).collect(),
        ..Subscribe::default()
    };
    let hub = registry.hub();
    assert_eq!(
        hub.subscribe(wish(&["a", "b", "c", "d"])).unwrap_err(),
        SubscribeError::Services(3)
    );
    let first = hub.subscribe(wish(&["a", "b", "c"])).unwrap();
    let _second = hub.subscribe(wish(&["a"])).unwrap();
    let third = hub.subscribe(wish(&["d"])).unwrap_err();
    assert_eq!(third, SubscribeError::Subscribers(2));
    assert_eq!(third.to_string(), "limit subscribers_max of 2 is reached");
    // Who was refused leaves nothing, and who leaves makes room.
    assert_eq!(hub.watched(), 3);
    drop(first);
    assert!(hub.subscribe(wish(&["d"])).is_ok());
}

#[tokio::test(start_paused = true)]
async fn all_subscribers_are_listed_with_who_they_are_and_what_they_watch() {
    let registry = registry().await;
    let hub = registry.hub();
    let peer = |address: &str| {
        Arc::new(Peer {
            address: address.into(),
            agent: "a/1".into(),
            ..Peer::default()
        })
    };
    let wish = |services: &[&str], peer| Subscribe {
        services: services.iter().map(|name| key(name)).collect(),
        peer,
        ..Subscribe::default()
    };
    let first = hub.subscribe(wish(&["b", "a"], Some(peer("1.1.1.1:1")))).unwrap();
    let second = hub.subscribe(wish(&["a"], None)).unwrap();

    let all = hub.all_subscribers();
    let [(one, ones), (other, others)] = all.as_slice() else {
        panic!("two are subscribed: {all:?}");
    };
    assert_eq!((one.id, other.id), (first.id(), second.id()));
    assert_eq!(
        (one.peer.as_deref(), &other.peer),
        (Some(&*peer("1.1.1.1:1")), &None)
    );
    assert_eq!((ones, others), (&vec![key("a"), key("b")], &vec![key("a")]));

    // What it says of itself anew counts, for as long as it is there.
    assert!(hub.describe(second.id(), peer("2.2.2.2:2")));
    let of_a: Vec<_> = hub
        .subscribers_of(&key("a"))
        .into_iter()
        .map(|info| info.peer)
        .collect();
    assert_eq!(of_a.len(), 2);
    assert!(of_a.contains(&Some(peer("2.2.2.2:2"))));
    let gone = second.id();
    drop((first, second));
    assert!(!hub.describe(gone, peer("3.3.3.3:3")));
    assert!(hub.all_subscribers().is_empty());
}
