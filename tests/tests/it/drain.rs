//! A drain answers when everybody knows, or at its deadline with the names of those who do not.

use std::time::Duration;

use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::native::{beating, standing};
use beatrix_tests::process::{Line, Process};
use beatrix_tests::registry::Registry;
use beatrix_tests::sse::{Event, Stream};
use beatrix_tests::{programs, udp};

/// A subscriber that acknowledges, with the name by which it is known to the registry.
struct Subscriber {
    id: String,
    stream: Stream,
}

impl Subscriber {
    async fn connect(registry: &Registry, name: &str) -> anyhow::Result<Self> {
        let mut stream = registry.native().watch_with_acks(&["orders"], name).await?;
        let hello = stream.find("a hello", SOON, Event::hello).await?;
        Ok(Self {
            id: hello.subscriber,
            stream,
        })
    }

    /// Waits until it is told that an instance is draining, and gives the event's id.
    async fn hears_of_drain(&mut self) -> anyhow::Result<String> {
        self.stream
            .find("an instance drains", SOON, |event| {
                let changed = match event.snapshot() {
                    Some(view) => view.instances,
                    None => event.delta()?.upserted,
                };
                changed
                    .iter()
                    .any(|it| it.draining && !it.serving)
                    .then(|| event.id.clone())
            })
            .await
    }
}

#[tokio::test]
async fn a_drain_answers_when_all_have_acknowledged() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    native.register("orders", "10.0.0.1:80", &standing()).await?;
    let mut alice = Subscriber::connect(&registry, "alice").await?;
    let mut bob = Subscriber::connect(&registry, "bob").await?;
    // One that never acknowledges anything is counted, and not waited for.
    let mut silent = native.watch(&["orders"], None).await?;
    silent.find("a snapshot", SOON, Event::snapshot).await?;

    let drain = tokio::spawn(async move { native.drain("orders", "10.0.0.1:80", 60_000).await });

    let id = alice.hears_of_drain().await?;
    native.acknowledge(&alice.id, &id).await?;
    let id = bob.hears_of_drain().await?;
    assert!(!drain.is_finished(), "answered before bob acknowledged");
    native.acknowledge(&bob.id, &id).await?;

    let mut answer = drain.await??;
    answer.acknowledged.sort();
    assert!(answer.complete, "{answer:?}");
    assert_eq!(answer.acknowledged, ["alice", "bob"]);
    assert!(answer.waiting.is_empty(), "{answer:?}");
    assert_eq!(answer.without_acks, 1);
    Ok(())
}

#[tokio::test]
async fn a_drain_names_who_has_not_acknowledged_at_the_deadline() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    native.register("orders", "10.0.0.1:80", &standing()).await?;
    let mut alice = Subscriber::connect(&registry, "alice").await?;
    let bob = Subscriber::connect(&registry, "bob").await?;

    let drain = tokio::spawn(async move { native.drain("orders", "10.0.0.1:80", 3_000).await });
    let id = alice.hears_of_drain().await?;
    native.acknowledge(&alice.id, &id).await?;

    let answer = drain.await??;
    assert!(!answer.complete, "{answer:?}");
    assert_eq!(answer.waiting, ["bob"]);
    assert_eq!(answer.acknowledged, ["alice"]);
    drop(bob);
    Ok(())
}

#[tokio::test]
async fn a_subscriber_whose_stream_breaks_is_waited_for_a_while_and_then_gone() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    native.register("orders", "10.0.0.1:80", &standing()).await?;
    let bob = Subscriber::connect(&registry, "bob").await?;

    let drain = tokio::spawn(async move { native.drain("orders", "10.0.0.1:80", 60_000).await });
    eventually("the instance drains", SOON, async || {
        let view = native.view("orders").await.ok()??;
        view.instances.iter().all(|it| it.draining).then_some(())
    })
    .await;
    drop(bob);
    let broke = tokio::time::Instant::now();

    let grace = Duration::from_secs(10);
    let answer = tokio::time::timeout(SOON + grace, drain).await???;
    assert!(answer.complete, "{answer:?}");
    assert_eq!(answer.gone, ["bob"]);
    assert!(
        broke.elapsed() >= grace - Duration::from_secs(1),
        "{:?}",
        broke.elapsed()
    );
    Ok(())
}

#[tokio::test]
async fn a_drain_waits_for_the_acknowledgement_of_a_subscriber_over_udp() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    for instance in ["10.0.0.1:80", "10.0.0.1:81"] {
        native.register("orders", instance, &standing()).await?;
    }
    let mut subscriber = udp::Subscriber::bind(registry.addr()).await?;
    subscriber.subscribe("orders").await?;
    while subscriber.push().await?.hosts.len() < 2 {}
    let drain = tokio::spawn(async move { native.drain("orders", "10.0.0.1:80", 60_000).await });
    eventually("the instance drains", SOON, async || {
        let view = native.view("orders").await.ok()??;
        view.instances[0].draining.then_some(())
    })
    .await;
    assert!(!drain.is_finished(), "answered before the push was acknowledged");
    let push = tokio::time::timeout(SOON, subscriber.push()).await??;
    assert_eq!((push.hosts.len(), push.hosts[0].port), (1, 81));
    let answer = tokio::time::timeout(SOON, drain).await???;
    assert!(answer.complete, "{answer:?}");
    assert!(answer.acknowledged[0].ends_with("(nacos-udp)"), "{answer:?}");
    Ok(())
}

/// The client is real and unmodified: it acknowledges what it is pushed by itself.
#[tokio::test]
async fn a_drain_is_complete_with_the_acknowledgement_of_the_client_of_npm() -> anyhow::Result<()> {
    let Some(client) = programs::node_client() else {
        return Ok(());
    };
    let registry = Registry::start().await?;
    let native = registry.native();
    native
        .register("orders", "10.0.0.1:80", &beating(60_000, 600_000, 600_000))
        .await?;
    let client = Process::spawn(client.command().args([
        format!("--server={}", registry.addr()),
        "--service=orders".to_owned(),
        "--ip=127.0.0.1".to_owned(),
        "--port=18094".to_owned(),
        "--watch".to_owned(),
    ]))?;
    let says = async |what: &str| {
        let found =
            |line: &Line| (line.text.starts_with(what) && line.text.contains("10.0.0.1:80")).then_some(());
        client.line(what, 4 * SOON, found).await;
    };
    says("heard").await;
    // It hears of a change by a push: so it is subscribed, and takes them.
    native
        .register("orders", "10.0.0.1:81", &beating(60_000, 600_000, 600_000))
        .await?;
    says("pushed").await;
    let answer = native.drain("orders", "10.0.0.1:80", 60_000).await?;
    assert!(answer.complete, "{answer:?}");
    assert_eq!(
        (answer.acknowledged.len(), answer.waiting.len()),
        (1, 0),
        "{answer:?}"
    );
    assert!(answer.acknowledged[0].ends_with("(nacos-udp)"), "{answer:?}");
    Ok(())
}
