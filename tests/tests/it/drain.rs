//! A drain answers when everybody knows, or at its deadline with the names of those who do not.

use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::native::standing;
use beatrix_tests::registry::Registry;
use beatrix_tests::sse::{Event, Stream};

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
async fn a_subscriber_that_leaves_is_not_waited_for() -> anyhow::Result<()> {
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

    let answer = tokio::time::timeout(SOON, drain).await???;
    assert!(answer.complete, "{answer:?}");
    Ok(())
}
