//! Fuzzy watch where something goes wrong: what is not acknowledged, who comes back, and what it leaves behind.

use std::collections::BTreeSet;
use std::time::Duration;

use beatrix_nacos::grpc::Settings;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::fuzzy::{added, came, key, provider, watching, went};
use super::harness::{S, World, at};
use crate::harness::Nacos;
use crate::kept::Kept;
use beatrix_nacos::limits::GRPC_FUZZY_PATTERNS_MAX;

const PATTERN: &str = "public>>*>>svc*";

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_not_acknowledged_is_told_again() {
    let world = World::start().await;
    let _provider = provider(&world, ["svc".to_owned()]).await;
    let mut client = world.client().await;
    client.watch(PATTERN, true, &[]).await;
    let first = client.batch_within(3 * S).await;
    let said = Instant::now();
    let again = client.batch_within(8 * S).await;
    assert!(said.elapsed() >= 5 * S, "{:?}", said.elapsed());
    assert_eq!(added(&again), added(&first));
    assert_ne!(again["requestId"], first["requestId"]);
    let refusal = json!({"resultCode": 500, "errorCode": -500, "requestId": again["requestId"]});
    client.stream.send("ErrorResponse", &refusal);
    let said = Instant::now();
    let third = client.batch_within(3 * S).await;
    assert!(said.elapsed() >= S, "{:?}", said.elapsed());
    client.took(&third);
    let finish = client.batch_within(3 * S).await;
    assert_eq!(finish["syncType"], "FINISH_FUZZY_WATCH_INIT_NOTIFY");
    // The end is told again as well.
    let finish = client.batch_within(8 * S).await;
    assert_eq!(finish["syncType"], "FINISH_FUZZY_WATCH_INIT_NOTIFY");
    client.took(&finish);
    assert!(client.is_quiet_for(10 * S).await);
}

#[tokio::test(start_paused = true)]
async fn a_notice_that_is_not_acknowledged_is_told_again() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.watch(PATTERN, true, &[]).await;
    client.begun().await;
    let _provider = provider(&world, ["svc".to_owned()]).await;
    let first = client.next_within(2 * S).await.unwrap();
    let said = Instant::now();
    let again = client.next_within(8 * S).await.unwrap();
    assert!(said.elapsed() >= 5 * S, "{:?}", said.elapsed());
    for word in [&first, &again] {
        assert_eq!(word.json["changedType"], "ADD_SERVICE");
    }
    assert_ne!(again.json["requestId"], first.json["requestId"]);
    client.took(&again.json);
    assert!(client.is_quiet_for(10 * S).await);
}

/// Else it would be left with what is not so any more, for ever.
#[tokio::test(start_paused = true)]
async fn a_notice_that_a_newer_one_has_superseded_is_never_told_again() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.watch(PATTERN, true, &[]).await;
    client.begun().await;
    let provider = provider(&world, ["svc".to_owned()]).await;
    let came = client.next_within(2 * S).await.unwrap();
    assert_eq!(came.json["changedType"], "ADD_SERVICE");
    provider.cut().await;
    let went = client.next_within(2 * S).await.unwrap();
    assert_eq!(went.json["changedType"], "DELETE_SERVICE");
    // That one it acknowledges, and the older one never.
    client.took(&went.json);
    let more = client.next_within(20 * S).await;
    assert!(
        more.as_ref()
            .is_none_or(|word| word.json["changedType"] != "ADD_SERVICE"),
        "{more:?}"
    );
}

/// Its client says what it knows, and is told what is different: what went by notices, since Java's client takes every
/// name in a batch for one that came.
#[tokio::test(start_paused = true)]
async fn one_who_comes_back_is_told_the_difference() {
    let world = World::start().await;
    let _provider = provider(&world, ["svc.kept".to_owned(), "svc.new".to_owned()]).await;
    let mut client = world.client().await;
    client
        .watch(
            PATTERN,
            false,
            &[&key("svc.kept"), &key("svc.gone"), "garbage", "a@@b"],
        )
        .await;
    let batch = client.batch_within(3 * S).await;
    assert_eq!(batch["syncType"], "FUZZY_WATCH_DIFF_SYNC_NOTIFY");
    assert_eq!(added(&batch), [key("svc.new")]);
    client.took(&batch);
    assert_eq!(client.noticed().await, went("svc.gone"));
    assert!(client.is_quiet_for(10 * S).await);
}

/// Java's client says every three minutes, or more often, what it knows.
#[tokio::test(start_paused = true)]
async fn one_who_says_again_what_it_knows_is_told_nothing_twice() {
    let world = World::start().await;
    let provider = provider(&world, ["svc.a".to_owned()]).await;
    let mut client = world.client().await;
    client.watch(PATTERN, true, &[]).await;
    client.begun().await;
    for _ in 0..5 {
        client.watch(PATTERN, false, &[&key("svc.a")]).await;
    }
    assert!(client.is_quiet_for(10 * S).await);
    provider.register("svc.b", at("10.0.0.1", 80)).await;
    assert_eq!(client.noticed().await, came("svc.b"));
    assert!(client.is_quiet_for(10 * S).await);
}

#[tokio::test(start_paused = true)]
async fn many_who_come_and_go_meanwhile_are_told_as_they_are_in_the_end() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.watch(PATTERN, true, &[]).await;
    let provider = world.client().await;
    for round in 0..300 {
        let service = format!("svc{}", round % 7);
        provider.register(&service, at("10.0.0.1", 80)).await;
        if round % 7 != 3 {
            provider.deregister(&service, at("10.0.0.1", 80)).await;
        }
        sleep(Duration::from_millis(round % 40)).await;
    }
    let mut known = BTreeSet::new();
    while let Some(word) = client.next_within(2 * S).await {
        client.took(&word.json);
        if word.kind == "NamingFuzzyWatchSyncRequest" {
            known.extend(added(&word.json));
            continue;
        }
        let service = word.json["serviceKey"].as_str().unwrap().to_owned();
        match word.json["changedType"].as_str() {
            Some("ADD_SERVICE") => known.insert(service),
            Some("DELETE_SERVICE") => known.remove(&service),
            _ => panic!("{word:?}"),
        };
    }
    assert_eq!(known, BTreeSet::from([key("svc3")]));
}

/// Patterns are counted over all connections, and go with those who watch them.
#[tokio::test(start_paused = true)]
async fn patterns_go_with_their_connections() {
    let world = World::start().await;
    for _ in 0..3 {
        let mut clients = Vec::new();
        for connection in 0..GRPC_FUZZY_PATTERNS_MAX / 20 {
            let client = world.client().await;
            for number in 0..20 {
                client
                    .watch(&format!("public>>*>>svc{connection}.{number}"), false, &[])
                    .await;
            }
            clients.push(client);
        }
        let one_more = world.client().await;
        let request = watching("public>>*>>one-more", false, &[]);
        one_more
            .fails(
                "NamingFuzzyWatchRequest",
                request,
                50_310,
                "NamingFuzzyWatchResponse",
            )
            .await;
        one_more.watch("public>>*>>svc0.0", false, &[]).await;
        one_more.cut().await;
        for client in clients {
            client.cut().await;
        }
    }
    assert_eq!(world.grpc.counts().connections, 0);
}

#[tokio::test(start_paused = true)]
async fn one_whose_pattern_too_many_match_is_told_so_and_of_as_many_as_there_may_be() {
    let world = World::start().await;
    let provider = provider(&world, (0..510).map(|n| format!("svc{n:03}"))).await;
    let mut client = world.client().await;
    let request = watching(PATTERN, true, &[]);
    client
        .fails(
            "NamingFuzzyWatchRequest",
            request,
            50_311,
            "NamingFuzzyWatchResponse",
        )
        .await;
    let told = client.begun().await;
    assert_eq!(told.len(), 500);
    // The connection is none the worse for it.
    provider.register("other", at("10.0.0.1", 80)).await;
    assert_eq!(client.hosts("other").await.len(), 1);
}

/// A service that came while the watch was made is told once, by one way or the other.
#[tokio::test(start_paused = true)]
async fn what_comes_while_the_watch_is_made_is_not_missed() {
    let world = World::start().await;
    let provider = world.client().await;
    for round in 0..20 {
        let mut client = world.client().await;
        let service = format!("svc{round}");
        let registering = provider.register(&service, at("10.0.0.1", 80));
        tokio::join!(registering, client.watch(PATTERN, true, &[]));
        let mut known = client.begun().await;
        while let Some(word) = client.next_within(S).await {
            client.took(&word.json);
            assert!(
                known.insert(word.json["serviceKey"].as_str().unwrap().to_owned()),
                "{word:?}"
            );
        }
        assert!(known.contains(&key(&service)), "{round}");
        assert_eq!(known.len(), round + 1);
    }
}

/// What the journal had not written is not gone: its client is about to say it again.
#[tokio::test(start_paused = true)]
async fn nothing_is_said_to_be_gone_before_all_may_be_known() {
    let kept = Kept::default();
    let before = Nacos::over(kept.open()).await;
    before.register("serviceName=svc.kept&ip=1.1.1.1&port=80").await;
    before.register("serviceName=svc.lost&ip=1.1.1.1&port=80").await;
    before.registry.stop().await;
    kept.lose(1, 900);
    let world = World::over(Nacos::over(kept.open()).await, Settings::default());
    let mut client = world.client().await;
    client
        .watch(PATTERN, false, &[&key("svc.kept"), &key("svc.lost")])
        .await;
    let early = client.next_within(5 * S).await;
    assert!(early.is_none(), "{early:?}");
    assert!(!world.http.registry.complete());
    world
        .http
        .register("serviceName=svc.lost&ip=1.1.1.1&port=80")
        .await;
    let more = client.next_within(5 * S).await;
    assert!(
        more.as_ref()
            .is_none_or(|word| word.json["changedType"] != "DELETE_SERVICE"),
        "{more:?}"
    );
}
