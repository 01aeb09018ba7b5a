//! What lives by a connection: published, closed and pushed as a whole.

use beatrix_core::model::{Endpoint, Health, Liveness, Registration, SessionId};
use beatrix_engine::{Registry, WriteError, Written};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::support::follower::{Follower, poll};
use crate::support::journal::{Script, busy};
use crate::support::{
    endpoint, health, key, living, ms, nth, reasons, register, registry, settle, sleep_ms, start, subscribe,
    unguarded, with_metadata,
};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn of(session: SessionId) -> Registration {
    living(Liveness::Session(session))
}

async fn publish(
    registry: &Registry,
    service: &str,
    session: SessionId,
    endpoints: impl IntoIterator<Item = Endpoint>,
) -> Result<Written, WriteError> {
    let instances = endpoints.into_iter();
    let instances = instances.map(|endpoint| (endpoint, of(session), Health::Healthy));
    registry.publish(key(service), session, instances.collect()).await
}

fn there(registry: &Registry, service: &str) -> Vec<Endpoint> {
    let view = registry.view(key(service).borrowed());
    let members = view.iter().flat_map(|view| view.members());
    members.map(|member| member.endpoint.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_publication_is_one_group_and_one_push() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    let session = registry.new_session();
    publish(&registry, "s", session, (0..5).map(nth)).await.unwrap();
    let mut subscription = subscribe(&registry, &["s"], None);
    settle().await;
    poll(&mut subscription).unwrap();
    sleep_ms(1_000).await;
    let before = script.groups().len();
    let written = publish(&registry, "s", session, (3..10).map(nth)).await.unwrap();
    assert!(written.changed);
    assert_eq!(script.groups()[before..], [8], "three go, five come");
    settle().await;
    let batch = poll(&mut subscription).unwrap();
    assert_eq!(batch.updates.len(), 1);
    sleep_ms(1_000).await;
    assert!(poll(&mut subscription).is_none());
    assert_eq!(there(&registry, "s"), (3..10).map(nth).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn connections_have_names_of_their_own() {
    let registry = registry().await;
    let mut names: Vec<_> = (0..1_000).map(|_| registry.new_session()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 1_000);
    assert_ne!(names[0], SessionId(0));
}

#[tokio::test(start_paused = true)]
async fn publications_of_one_connection_that_wait_together_see_each_other() {
    let (registry, _script) = busy().await;
    let session = registry.new_session();
    let (first, second, third, closed, late) = tokio::join!(
        publish(&registry, "s", session, [endpoint(A)]),
        publish(&registry, "s", session, [endpoint(B)]),
        publish(&registry, "t", session, [endpoint(A)]),
        registry.close_session(session),
        registry.close_session(session),
    );
    for written in [first, second, third, closed] {
        assert!(written.unwrap().changed);
    }
    assert!(!late.unwrap().changed);
    assert!(there(&registry, "s").is_empty() && there(&registry, "t").is_empty());
    // A connection that publishes after its end is its door's affair; what it publishes is there.
    let (closed, published) = tokio::join!(
        registry.close_session(session),
        publish(&registry, "s", session, [endpoint(A)]),
    );
    assert!(!closed.unwrap().changed && published.unwrap().changed);
    assert_eq!(there(&registry, "s"), [endpoint(A)]);
}

#[tokio::test(start_paused = true)]
async fn a_goodbye_by_address_and_a_publication_that_race_end_as_the_later_says() {
    let (registry, _script) = busy().await;
    let session = registry.new_session();
    publish(&registry, "s", session, [endpoint(A)]).await.unwrap();
    let (gone, published) = tokio::join!(
        registry.deregister(key("s"), endpoint(A), None, &[]),
        publish(&registry, "s", session, [endpoint(B)]),
    );
    assert!(gone.unwrap().changed && published.unwrap().changed);
    assert_eq!(there(&registry, "s"), [endpoint(B)]);
    let (published, closed, registered) = tokio::join!(
        publish(&registry, "s", session, []),
        registry.close_session(session),
        register(&registry, "s", B),
    );
    assert!(published.unwrap().changed && !closed.unwrap().changed && registered.changed);
    assert_eq!(there(&registry, "s"), [endpoint(B)]);
}

/// One instance each, in one service.
async fn connections(registry: &Registry, count: usize) -> Vec<SessionId> {
    let mut sessions = Vec::new();
    for number in 0..count {
        let session = registry.new_session();
        publish(registry, "s", session, [nth(number)]).await.unwrap();
        sessions.push(session);
    }
    sessions
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_connections_that_close_together_are_a_few_updates() {
    const COUNT: usize = 10_000;
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    let sessions = connections(&registry, COUNT).await;
    let mut follower = Follower::new(&registry, vec![key("s")]);
    follower.hear().await;
    sleep_ms(1_000).await;
    // As a slow disk has it: what closes meanwhile waits together.
    script.take(ms(5));
    let groups = script.groups().len();
    let mut closing = JoinSet::new();
    for session in sessions {
        let registry = registry.clone();
        closing.spawn(async move { registry.close_session(session).await.unwrap().changed });
    }
    let mut updates = 0;
    while !there(&registry, "s").is_empty() || !follower.agrees(&registry) {
        follower.hear().await;
        updates += 1;
    }
    assert!(closing.join_all().await.into_iter().all(|changed| changed));
    assert!((1..=5).contains(&updates), "{updates}");
    let groups = &script.groups()[groups..];
    assert_eq!(groups.iter().sum::<usize>(), COUNT);
    assert!(groups.len() <= COUNT / 1_000 + 2, "{groups:?}");
}

#[tokio::test(start_paused = true)]
async fn a_thousand_clients_that_reconnect_cause_nothing() {
    let registry = registry().await;
    let sessions = connections(&registry, 1_000).await;
    let mut subscription = subscribe(&registry, &["s"], None);
    sleep_ms(1_000).await;
    poll(&mut subscription).unwrap();
    let before = registry.version();
    let again = connections(&registry, 1_000).await;
    for session in sessions {
        assert!(!registry.close_session(session).await.unwrap().changed);
    }
    sleep_ms(1_000).await;
    assert!(poll(&mut subscription).is_none());
    assert_eq!(registry.version(), before);
    registry.close_session(again[7]).await.unwrap();
    assert_eq!(there(&registry, "s").len(), 999);
}

#[tokio::test(start_paused = true)]
async fn subscribers_are_not_told_that_an_address_went_which_another_has_as_well() {
    let registry = registry().await;
    let (one, two) = (registry.new_session(), registry.new_session());
    publish(&registry, "s", one, [endpoint(A)]).await.unwrap();
    let other = vec![(endpoint(A), with_metadata(of(two), "two"), Health::Healthy)];
    registry.publish(key("s"), two, other).await.unwrap();
    let mut follower = Follower::new(&registry, vec![key("s")]);
    follower.hear().await;
    sleep_ms(1_000).await;
    assert!(registry.close_session(two).await.unwrap().changed);
    follower.hear().await;
    assert!(follower.agrees(&registry));
    assert_eq!(health(&registry, "s", A), "healthy");
    assert_eq!(reasons(&registry), ["registered"; 3]);
    registry.close_session(one).await.unwrap();
    assert_eq!(health(&registry, "s", A), "gone");
}

#[tokio::test(start_paused = true)]
async fn a_close_that_the_journal_did_not_take_can_be_said_again() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    let (one, two) = (registry.new_session(), registry.new_session());
    publish(&registry, "s", one, [endpoint(A), endpoint(B)])
        .await
        .unwrap();
    let other = vec![(endpoint(A), with_metadata(of(two), "two"), Health::Healthy)];
    registry.publish(key("s"), two, other).await.unwrap();
    script.fail(true);
    for session in [two, one] {
        let closed = registry.close_session(session).await;
        assert!(matches!(closed, Err(WriteError::Unavailable(_))));
    }
    assert_eq!(there(&registry, "s").len(), 2);
    script.fail(false);
    for session in [two, one] {
        assert!(registry.close_session(session).await.unwrap().changed);
    }
    assert!(there(&registry, "s").is_empty());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_clients_have_a_minute_to_come_back_and_lists_are_complete_before() {
    let script = Script::default();
    let registry = start(unguarded(), script.journal()).await;
    let session = registry.new_session();
    publish(&registry, "s", session, [endpoint(A), endpoint(B)])
        .await
        .unwrap();
    registry.stop().await;
    drop(registry);
    let registry = start(unguarded(), script.journal()).await;
    // As a client does that says who it is every 30 s only.
    sleep_ms(31_000).await;
    assert!(registry.status().complete);
    assert_eq!(
        (health(&registry, "s", A), health(&registry, "s", B)),
        ("healthy", "healthy")
    );
    let session = registry.new_session();
    publish(&registry, "s", session, [endpoint(A)]).await.unwrap();
    sleep_ms(28_000).await;
    assert_eq!(health(&registry, "s", B), "healthy");
    sleep_ms(1_100).await;
    assert_eq!(
        (health(&registry, "s", A), health(&registry, "s", B)),
        ("healthy", "gone")
    );
    assert_eq!(reasons(&registry).last(), Some(&"session_closed"));
}

/// Connections publish, take from each other and close, in whatever order; whoever follows knows all of it, and
/// nothing is left over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_race_leave_nothing_over() {
    let registry = registry().await;
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let registry = registry.clone();
        clients.spawn(async move {
            let mut random = StdRng::seed_from_u64(client);
            for _ in 0..60 {
                let session = registry.new_session();
                for _ in 0..random.random_range(1..6) {
                    let service = ["s", "t"][random.random_range(0..2)];
                    let first = random.random_range(0..20);
                    let batch = first..first + random.random_range(0..4);
                    publish(&registry, service, session, batch.map(nth))
                        .await
                        .unwrap();
                    if random.random_bool(0.1) {
                        drop(registry.deregister(key(service), nth(first), None, &[]).await);
                    }
                }
                registry.close_session(session).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    assert!(there(&registry, "s").is_empty() && there(&registry, "t").is_empty());
    let gone = reasons(&registry)
        .into_iter()
        .filter(|reason| *reason == "session_closed");
    assert!(gone.count() > 0);
}
