//! Following services.

use std::time::Duration;

use axum::http::StatusCode;
use beatrix_sdk::wire::{Removal, ServiceDelta, problem::kind};
use beatrix_sdk::{Change, Client, ServiceWatch, Stale, View};

use crate::mock::{DEADLINE, Kind, Mock, Stream, dead_url, eventually, instance, view};

const ORDERS: &str = "public/DEFAULT_GROUP/orders";
const STOCK: &str = "public/DEFAULT_GROUP/stock";

fn delta(from_revision: u64, revision: u64, upserted: &[&str], removed: &[(&str, &str)]) -> ServiceDelta {
    ServiceDelta {
        namespace: "public".into(),
        group: "DEFAULT_GROUP".into(),
        service: "orders".into(),
        epoch: "e".into(),
        from_revision,
        revision,
        complete: true,
        upserted: upserted.iter().map(|address| instance(address)).collect(),
        removed: removed
            .iter()
            .map(|(address, reason)| Removal {
                address: (*address).into(),
                port: 80,
                reason: (*reason).into(),
                revision,
            })
            .collect(),
    }
}

impl Stream {
    async fn snapshot(&self, service: &str, revision: u64, addresses: &[&str]) {
        self.send(
            "snapshot",
            &format!("e.{revision}"),
            &view(service, revision, addresses),
        )
        .await;
    }

    async fn delta(&self, delta: ServiceDelta) {
        self.send("delta", &format!("e.{}", delta.revision), &delta).await;
    }
}

/// Waits for a view that satisfies `condition`.
async fn sees(watch: &mut ServiceWatch, condition: impl Fn(&View) -> bool) {
    let seen = async {
        while !condition(&watch.current()) {
            watch.changed().await;
        }
    };
    if tokio::time::timeout(DEADLINE, seen).await.is_err() {
        panic!("not in time; still {:?}", watch.current());
    }
}

fn addresses(view: &View) -> Vec<&str> {
    view.instances()
        .iter()
        .map(|instance| instance.address.as_str())
        .collect()
}

/// A watched service with one instance at revision 1, and its stream.
async fn followed(mock: &Mock) -> (Client, ServiceWatch, Stream) {
    let client = mock.client();
    let mut watch = client.watch("orders").unwrap();
    let stream = mock.next_stream().await;
    stream.hello(false).await;
    stream.snapshot("orders", 1, &["10.0.0.1"]).await;
    watch.ready().await;
    (client, watch, stream)
}

#[tokio::test]
async fn a_handle_is_fed_by_snapshot_and_differences_which_are_acknowledged() {
    let mock = Mock::start().await;
    let client = mock.client();
    let mut watch = client.watch("orders").unwrap();
    assert!(!watch.current().is_known() && !watch.is_connected());
    let stream = mock.next_stream().await;
    assert_eq!(
        (&stream.services[..], stream.name.as_deref()),
        (&[ORDERS.to_owned()][..], Some("tester"))
    );
    assert_eq!(stream.last_event_id, None);
    stream.hello(false).await;
    stream.snapshot("orders", 1, &["10.0.0.1"]).await;
    assert_eq!(addresses(&*watch.ready().await), ["10.0.0.1"]);
    assert!(watch.is_connected());
    assert_eq!(watch.pick().unwrap().authority(), "10.0.0.1:80");

    let before = watch.current();
    stream
        .delta(delta(1, 2, &["10.0.0.2"], &[("10.0.0.1", "deregistered")]))
        .await;
    sees(&mut watch, |view| view.revision() == 2).await;
    assert_eq!(addresses(&watch.current()), ["10.0.0.2"]);
    let changes = watch.current().changes_since(&before);
    assert!(
        matches!(&changes[..], [Change::Removed { reason: Some(reason), .. }, Change::Added(_)] if reason == "deregistered"),
        "{changes:?}"
    );
    eventually("the newest is acknowledged", || {
        mock.registry.acks.lock().last().is_some_and(|id| id == "e.2")
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_was_cut_is_resumed() {
    let mock = Mock::start().await;
    let (_client, mut watch, stream) = followed(&mock).await;
    // A quiet service in a busy registry: the ping moves the point to resume at.
    stream.send("ping", "e.40", &serde_json::json!({})).await;
    stream.delta(delta(1, 41, &["10.0.0.2"], &[])).await;
    sees(&mut watch, |view| view.revision() == 41).await;
    stream.send("ping", "e.50", &serde_json::json!({})).await;
    // Half an event, and the end.
    stream.send_raw("event: delta\nid: e.51\ndata: {\"namesp").await;
    drop(stream);
    let stream = mock.next_stream().await;
    assert_eq!(stream.last_event_id.as_deref(), Some("e.50"));
    assert_eq!(
        addresses(&watch.current()),
        ["10.0.0.1", "10.0.0.2"],
        "it keeps what it has meanwhile"
    );
    stream.hello(true).await;
    // It starts where the stream went on, though the service changed at 41 last.
    stream.delta(delta(50, 51, &["10.0.0.3"], &[])).await;
    sees(&mut watch, |view| view.instances().len() == 3).await;
}

#[tokio::test]
async fn a_gap_is_closed_by_a_snapshot() {
    let mock = Mock::start().await;
    let (_client, mut watch, stream) = followed(&mock).await;
    stream.delta(delta(5, 6, &["10.0.0.6"], &[])).await;
    stream.closed().await;
    let stream = mock.next_stream().await;
    assert_eq!(stream.last_event_id, None);
    assert_eq!(addresses(&watch.current()), ["10.0.0.1"]);
    stream.hello(false).await;
    stream.snapshot("orders", 6, &["10.0.0.5", "10.0.0.6"]).await;
    sees(&mut watch, |view| addresses(view) == ["10.0.0.5", "10.0.0.6"]).await;

    // A difference in another history is a gap, too.
    stream
        .delta(ServiceDelta {
            epoch: "f".into(),
            ..delta(6, 7, &["10.0.0.7"], &[])
        })
        .await;
    stream.closed().await;
    assert_eq!(mock.next_stream().await.last_event_id, None);
}

#[tokio::test]
async fn services_share_a_stream_which_starts_afresh_when_one_is_added() {
    let mock = Mock::start().await;
    let (client, mut orders, stream) = followed(&mock).await;
    let mut stock = client.watch("stock").unwrap();
    stream.closed().await;
    let stream = mock.next_stream().await;
    assert_eq!(stream.services, [ORDERS, STOCK]);
    assert_eq!(
        stream.last_event_id, None,
        "a resumed stream would not have a snapshot of the new service"
    );
    stream.hello(false).await;
    stream.snapshot("orders", 1, &["10.0.0.1"]).await;
    stream.snapshot("stock", 4, &["10.0.1.1"]).await;
    stock.ready().await;
    // The snapshot told the old reader nothing new.
    let woken = tokio::time::timeout(Duration::from_millis(50), orders.changed()).await;
    assert!(woken.is_err(), "{woken:?}");

    // The last of its handles goes: the stream is resumed without it.
    let clone = stock.clone();
    drop(stock);
    assert_eq!(addresses(&clone.current()), ["10.0.1.1"]);
    drop(clone);
    stream.closed().await;
    let stream = mock.next_stream().await;
    assert_eq!(
        (&stream.services[..], stream.last_event_id.as_deref()),
        (&[ORDERS.to_owned()][..], Some("e.4"))
    );

    // Nothing is left to follow.
    drop(orders);
    stream.closed().await;
    assert!(!mock.has_stream().await);
}

#[tokio::test]
async fn a_program_that_follows_many_services_opens_one_stream() {
    let mock = Mock::start().await;
    let client = mock.client();
    let watches: Vec<_> = (0..50)
        .map(|i| client.watch(format!("s{i:02}")).unwrap())
        .collect();
    let stream = mock.next_stream().await;
    assert_eq!(stream.services.len(), 50);
    stream.hello(false).await;
    for i in 0..50 {
        stream.snapshot(&format!("s{i:02}"), 1, &["10.0.0.1"]).await;
    }
    for mut watch in watches.clone() {
        watch.ready().await;
    }
    assert!(!mock.has_stream().await);

    // Beyond what one stream carries there is another.
    let more: Vec<_> = (0..100)
        .map(|i| client.watch(format!("t{i:02}")).unwrap())
        .collect();
    let (a, b) = (mock.next_stream().await, mock.next_stream().await);
    assert_eq!(a.services.len() + b.services.len(), 150);
    assert_eq!(a.services.len().max(b.services.len()), 128);
    drop((watches, more));
}

#[tokio::test]
async fn until_every_service_had_its_snapshot_nothing_is_resumed_or_acknowledged() {
    let mock = Mock::start().await;
    let client = mock.client();
    let (mut orders, mut stock) = (client.watch("orders").unwrap(), client.watch("stock").unwrap());
    let stream = mock.next_stream().await;
    stream.hello(false).await;
    stream.snapshot("orders", 7, &["10.0.0.1"]).await;
    orders.ready().await;
    drop(stream);
    let stream = mock.next_stream().await;
    assert_eq!(
        stream.last_event_id, None,
        "the snapshot of the other service would never come"
    );
    assert_eq!(*mock.registry.acks.lock(), Vec::<String>::new());
    stream.hello(false).await;
    stream.snapshot("orders", 7, &["10.0.0.1"]).await;
    stream.snapshot("stock", 9, &["10.0.1.1"]).await;
    stock.ready().await;
    eventually("the last one is acknowledged", || {
        *mock.registry.acks.lock() == ["e.9"]
    })
    .await;
}

#[tokio::test]
async fn a_silent_stream_is_opened_again() {
    let mock = Mock::start().await;
    let client = mock
        .builder()
        .with_stream_silence(Duration::from_millis(200))
        .build()
        .unwrap();
    let mut watch = client.watch("orders").unwrap();
    let stream = mock.next_stream().await;
    stream.hello(false).await;
    stream.snapshot("orders", 1, &["10.0.0.1"]).await;
    watch.ready().await;
    // Nothing more, though the connection stands.
    stream.closed().await;
    let next = mock.next_stream().await;
    assert_eq!(next.last_event_id.as_deref(), Some("e.1"));
    eventually("it is noticed", || !watch.is_connected()).await;
}

#[tokio::test]
async fn acknowledgements_wait_for_nobody_and_cover_what_came_before() {
    let mock = Mock::start().await;
    mock.hold(Kind::Ack);
    let (_client, mut watch, stream) = followed(&mock).await;
    eventually("the first is under way", || mock.count(Kind::Ack) == 1).await;
    for revision in 2..=20 {
        stream
            .delta(delta(
                revision - 1,
                revision,
                &[&format!("10.0.0.{revision}")],
                &[],
            ))
            .await;
    }
    sees(&mut watch, |view| view.revision() == 20).await;
    assert_eq!(mock.count(Kind::Ack), 1, "one at a time");
    mock.release(Kind::Ack);
    eventually("the newest is acknowledged", || {
        mock.registry.acks.lock().last().is_some_and(|id| id == "e.20")
    })
    .await;
    assert_eq!(*mock.registry.acks.lock(), ["e.1", "e.20"]);
}

#[tokio::test]
async fn a_slow_reader_sees_the_newest_view() {
    let mock = Mock::start().await;
    let (_client, mut slow, stream) = followed(&mock).await;
    let mut quick = slow.clone();
    for revision in 2..=20 {
        stream
            .delta(delta(
                revision - 1,
                revision,
                &[&format!("10.0.0.{revision}")],
                &[],
            ))
            .await;
    }
    sees(&mut quick, |view| view.revision() == 20).await;
    assert_eq!(slow.changed().await.revision(), 20);
    let woken = tokio::time::timeout(Duration::from_millis(50), slow.changed()).await;
    assert!(woken.is_err(), "{woken:?}");
}

#[tokio::test]
async fn a_service_that_fell_silent_keeps_its_list_and_one_that_was_shut_down_does_not() {
    let mock = Mock::start().await;
    let (_client, mut watch, stream) = followed(&mock).await;
    stream.delta(delta(1, 2, &[], &[("10.0.0.1", "expired")])).await;
    sees(&mut watch, |view| view.stale() == Some(Stale::FellSilent)).await;
    assert!(watch.pick().is_some());
    stream.delta(delta(2, 3, &["10.0.0.2"], &[])).await;
    sees(&mut watch, |view| {
        addresses(view) == ["10.0.0.2"] && view.stale().is_none()
    })
    .await;
    stream
        .delta(delta(3, 4, &[], &[("10.0.0.2", "deregistered")]))
        .await;
    sees(&mut watch, |view| {
        view.instances().is_empty() && view.stale().is_none()
    })
    .await;
    assert!(watch.pick().is_none());
}

#[tokio::test]
async fn a_registry_that_is_warming_up_takes_nothing_away() {
    let mock = Mock::start().await;
    let (_client, mut watch, stream) = followed(&mock).await;
    drop(stream);
    // It restarted and lost everything; the instance has not registered again yet.
    let stream = mock.next_stream().await;
    stream.hello(false).await;
    let mut warming = view("orders", 0, &[]);
    (warming.epoch, warming.complete) = ("f".into(), false);
    stream.send("snapshot", "f.0", &warming).await;
    sees(&mut watch, |view| view.stale() == Some(Stale::Incomplete)).await;
    assert_eq!(addresses(&watch.current()), ["10.0.0.1"]);
    let mut back = view("orders", 1, &["10.0.0.1"]);
    back.epoch = "f".into();
    stream.send("snapshot", "f.1", &back).await;
    sees(&mut watch, |view| view.stale().is_none() && view.is_complete()).await;
}

#[tokio::test]
async fn a_stream_is_opened_at_the_address_that_answers() {
    let mock = Mock::start().await;
    let client = Client::builder(dead_url().await)
        .with_address(&*mock.url)
        .build()
        .unwrap();
    let mut watch = client.watch("orders").unwrap();
    // The client may be dropped: the handle keeps what it needs.
    drop(client);
    let stream = mock.next_stream().await;
    stream.hello(false).await;
    stream.snapshot("orders", 1, &["10.0.0.1"]).await;
    watch.ready().await;
}

#[tokio::test]
async fn a_registry_that_refuses_is_asked_again() {
    let mock = Mock::start().await;
    mock.refuse(Kind::Watch, StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE);
    let client = mock.client();
    let mut watch = client.watch("orders").unwrap();
    eventually("it is asked again", || mock.count(Kind::Watch) > 2).await;
    mock.accept(Kind::Watch);
    let stream = mock.next_stream().await;
    stream.hello(false).await;
    stream.snapshot("orders", 1, &[]).await;
    assert!(watch.ready().await.instances().is_empty());
}
