//! Whoever follows hears of each change once and in order, or that some were lost.

use beatrix_core::catalog::CatalogConfig;
use beatrix_core::changes::{Change, ChangeKind};
use beatrix_core::model::Revision;
use beatrix_engine::EngineConfig;
use beatrix_engine::journal::Memory;
use beatrix_engine::registry::{FOLLOWED_MAX, Followed, Follower};
use tokio::time::Instant;

use crate::support::{
    EPOCH, beating, deregister, ms, nth, register, registry, sleep_ms, start, try_register, unguarded,
};

async fn changes(follower: &mut Follower) -> Vec<Change> {
    match follower.next().await {
        Followed::Changes(changes) => changes,
        Followed::Lost => panic!("nothing is lost here"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_hears_of_each_change_after_it_began() {
    let registry = registry().await;
    register(&registry, "s", "10.0.0.1:80").await;
    let mut follower = registry.follow();
    register(&registry, "t", "10.0.0.2:80").await;
    deregister(&registry, "s", "10.0.0.1:80").await;
    let heard = changes(&mut follower).await;
    let kinds: Vec<_> = heard
        .iter()
        .map(|change| (change.service.name.as_str(), change.kind))
        .collect();
    assert_eq!(kinds, [("t", ChangeKind::Registered), ("s", ChangeKind::Removed)]);
    // Nothing is told twice, and what is no change of membership is not told.
    registry.remove_service(crate::support::key("s")).await.unwrap();
    let more = tokio::time::timeout(ms(5_000), follower.next()).await;
    assert!(more.is_err(), "{more:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_change_is_told_at_once_and_a_burst_together() {
    let registry = registry().await;
    let mut follower = registry.follow();
    let other = registry.clone();
    let began = Instant::now();
    let writer = tokio::spawn(async move {
        for number in 0..100 {
            try_register(&other, "s", nth(number), beating()).await.unwrap();
            sleep_ms(1).await;
        }
    });
    let (mut heard, mut told) = (0, 0);
    while heard < 100 {
        let piece = changes(&mut follower).await;
        assert!(told > 0 || began.elapsed() < ms(2), "the first waits for nothing");
        (heard, told) = (heard + piece.len(), told + 1);
        let late = began.elapsed();
        assert!(late <= ms(2 * heard as u64 + 55), "{heard} after {late:?}");
    }
    assert!(told <= 6, "told {told} times");
    writer.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn very_many_are_told_in_pieces_without_a_wait_and_none_twice() {
    let registry = registry().await;
    let mut follower = registry.follow();
    let count = 2 * FOLLOWED_MAX + 10;
    for number in 0..count {
        try_register(&registry, "s", nth(number), beating())
            .await
            .unwrap();
    }
    let began = Instant::now();
    let mut heard = Vec::new();
    while heard.len() < count {
        let piece = changes(&mut follower).await;
        assert!(piece.len() <= FOLLOWED_MAX);
        heard.extend(piece.into_iter().map(|change| change.revision));
    }
    assert!(began.elapsed() < ms(1));
    assert!(heard.windows(2).all(|pair| pair[0] < pair[1]));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slower_than_the_log_is_long_is_told_so_and_goes_on() {
    let config = EngineConfig {
        catalog: CatalogConfig {
            change_log_max: 8,
            ..unguarded().catalog
        },
        ..unguarded()
    };
    let registry = start(config, Memory::new(EPOCH)).await;
    let mut follower = registry.follow();
    for number in 0..8 {
        try_register(&registry, "s", nth(number), beating())
            .await
            .unwrap();
    }
    assert_eq!(changes(&mut follower).await.len(), 8, "the log just holds them");
    for number in 8..17 {
        try_register(&registry, "s", nth(number), beating())
            .await
            .unwrap();
    }
    assert_eq!(follower.next().await, Followed::Lost);
    try_register(&registry, "s", nth(17), beating()).await.unwrap();
    let heard = changes(&mut follower).await;
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].endpoint, nth(17));
}

/// A task that does other things as well drops the wait again and again.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_loses_nothing() {
    let registry = registry().await;
    let mut follower = registry.follow();
    let other = registry.clone();
    let writer = tokio::spawn(async move {
        for number in 0..200 {
            try_register(&other, "s", nth(number), beating()).await.unwrap();
            sleep_ms(number as u64 % 7).await;
        }
    });
    let mut heard: Vec<Revision> = Vec::new();
    while heard.len() < 200 {
        tokio::select! {
            biased;
            () = sleep_ms(3) => {}
            followed = follower.next() => match followed {
                Followed::Changes(piece) => heard.extend(piece.iter().map(|change| change.revision)),
                Followed::Lost => panic!("nothing is lost here"),
            }
        }
        // The first wait after what was told is longer than that.
        if heard.len() % 2 == 1 {
            heard.extend(changes(&mut follower).await.iter().map(|change| change.revision));
        }
    }
    writer.await.unwrap();
    assert_eq!(heard, (1..=200).map(Revision).collect::<Vec<_>>());
}
