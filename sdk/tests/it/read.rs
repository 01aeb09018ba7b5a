//! One-shot reads.

use std::time::Duration;

use axum::http::StatusCode;
use beatrix_sdk::wire::problem::kind;
use beatrix_sdk::{Error, Stale};

use crate::mock::{Kind, Mock, eventually, view};

const AGES: Duration = Duration::from_secs(3600);

impl Mock {
    fn set(&self, revision: u64, addresses: &[&str]) {
        self.registry
            .services
            .lock()
            .insert("orders".into(), view("orders", revision, addresses));
    }
}

#[tokio::test]
async fn readers_of_one_service_share_one_request_and_its_answer() {
    let mock = Mock::start().await;
    mock.set(1, &["10.0.0.1"]);
    let client = mock.builder().with_cache_ttl(AGES).build().unwrap();
    let hold = mock.hold(Kind::Read);
    let readers: Vec<_> = (0..10)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.service("orders").await })
        })
        .collect();
    eventually("a request is under way", || mock.count(Kind::Read) == 1).await;
    hold.add_permits(1);
    for reader in readers {
        assert_eq!(reader.await.unwrap().unwrap().instances().len(), 1);
    }
    client.service("orders").await.unwrap();
    assert_eq!(mock.count(Kind::Read), 1);
}

#[tokio::test]
async fn what_is_no_longer_fresh_is_validated() {
    let mock = Mock::start().await;
    mock.set(1, &["10.0.0.1"]);
    let client = mock.builder().with_cache_ttl(Duration::ZERO).build().unwrap();
    assert_eq!(client.service("orders").await.unwrap().revision(), 1);
    assert_eq!(client.service("orders").await.unwrap().revision(), 1);
    mock.set(2, &["10.0.0.1", "10.0.0.2"]);
    let view = client.service("orders").await.unwrap();
    assert_eq!((view.revision(), view.instances().len()), (2, 2));
    let etag = || Some("\"e.1\"".to_owned());
    assert_eq!(*mock.registry.reads.lock(), [None, etag(), etag()]);
}

#[tokio::test]
async fn while_the_registry_is_away_the_last_view_is_answered_and_marked() {
    let mock = Mock::start().await;
    mock.set(1, &["10.0.0.1"]);
    let client = mock.builder().with_cache_ttl(Duration::ZERO).build().unwrap();
    client.service("orders").await.unwrap();
    mock.refuse(Kind::Read, StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE);
    let view = client.service("orders").await.unwrap();
    assert_eq!(
        (view.instances().len(), view.stale()),
        (1, Some(Stale::Unreachable))
    );
    assert!(view.pick().is_some());
    mock.accept(Kind::Read);
    assert_eq!(client.service("orders").await.unwrap().stale(), None);
}

#[tokio::test]
async fn a_service_that_does_not_exist_is_told_so_each_time() {
    let mock = Mock::start().await;
    let client = mock.builder().with_cache_ttl(AGES).build().unwrap();
    assert!(client.service("orders").await.unwrap_err().is_not_found());
    mock.set(1, &["10.0.0.1"]);
    assert!(
        client.service("orders").await.is_ok(),
        "its absence is not remembered"
    );
    assert!(matches!(client.service("..").await, Err(Error::Invalid { .. })));
}
