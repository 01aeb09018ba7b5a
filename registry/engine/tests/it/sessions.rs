//! What lives by a connection: published, closed and pushed as a whole.

use beatrix_core::model::{Endpoint, Health, Liveness, Registration, SessionId};
use beatrix_engine::{Registry, WriteError, Written};

use crate::support::follower::poll;
use crate::support::journal::{Script, busy};
use crate::support::{endpoint, key, living, nth, register, registry, settle, start, subscribe, unguarded};

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
    crate::support::sleep_ms(1_000).await;
    let before = script.groups().len();
    let written = publish(&registry, "s", session, (3..10).map(nth)).await.unwrap();
    assert!(written.changed);
    assert_eq!(script.groups()[before..], [8], "three go, five come");
    settle().await;
    let batch = poll(&mut subscription).unwrap();
    assert_eq!(batch.updates.len(), 1);
    crate::support::sleep_ms(1_000).await;
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
