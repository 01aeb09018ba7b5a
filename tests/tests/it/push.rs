//! Whoever subscribes hears of each change, and after a cut of just what was missed.

use anyhow::Context;
use beatrix_tests::eventually::SOON;
use beatrix_tests::nacos;
use beatrix_tests::native::{standing, watch_request};
use beatrix_tests::registry::Registry;
use beatrix_tests::sse::{Event, Mirror, Stream};
use beatrix_wire::Health;
use beatrix_wire::watch::SNAPSHOT;

/// Reads on until the mirror has `instance`; gives the id of the event that brought it.
async fn hear_of(stream: &mut Stream, mirror: &mut Mirror, instance: &str) -> anyhow::Result<String> {
    let what = format!("{instance} is there");
    stream
        .find(&what, SOON, |event| {
            mirror.apply(event);
            mirror.instances.contains_key(instance).then(|| event.id.clone())
        })
        .await
}

/// The first event of a stream with whether it says that the stream is resumed.
async fn resumed(stream: &mut Stream) -> anyhow::Result<bool> {
    let first = stream.next_within(SOON).await?;
    Ok(first.hello().context("the first event is no hello")?.resumed)
}

#[tokio::test]
async fn a_stream_hears_of_what_a_nacos_client_does() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let mut mirror = Mirror::default();

    // A service that nobody has registered yet can be watched: it is empty, at revision 0.
    let mut stream = registry.native().watch(&["orders"], None).await?;
    assert!(!resumed(&mut stream).await?, "there is nothing to resume");
    let empty = stream
        .next_within(SOON)
        .await?
        .snapshot()
        .context("no snapshot")?;
    assert_eq!((empty.revision, empty.instances.len()), (0, 0));

    nacos::register(registry.addr(), "orders", "10.0.0.1", 8080).await?;
    hear_of(&mut stream, &mut mirror, "10.0.0.1:8080").await?;
    assert_eq!(mirror.instances["10.0.0.1:8080"].health, Health::Healthy);

    nacos::deregister(registry.addr(), "orders", "10.0.0.1", 8080).await?;
    stream
        .find("it is gone", SOON, |event| {
            mirror.apply(event);
            mirror.instances.is_empty().then_some(())
        })
        .await?;
    let removal = mirror.removals.last().context("gone without a word")?;
    assert_eq!(
        (&removal.address[..], &removal.reason[..]),
        ("10.0.0.1", "deregistered")
    );
    Ok(())
}

#[tokio::test]
async fn after_a_cut_a_stream_gets_just_what_it_missed() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    let services = ["orders", "payments"];
    native.register("payments", "10.0.1.1:80", &standing()).await?;
    native.register("orders", "10.0.0.1:80", &standing()).await?;

    // Both services come as snapshots, each event with an id; the last one is the one to resume with.
    let mut stream = native.watch(&services, None).await?;
    let mut last_id = String::new();
    let mut orders = Mirror::default();
    for _ in ["hello", "orders", "payments"] {
        let event = stream.next_within(SOON).await?;
        last_id.clone_from(&event.id);
        if event.snapshot().is_some_and(|view| view.service == "orders") {
            orders.apply(&event);
        }
    }
    assert_eq!(orders.instances.len(), 1);
    drop(stream);

    // While nobody listens, one service changes twice and the other one not at all.
    native.register("orders", "10.0.0.2:80", &standing()).await?;
    native.deregister("orders", "10.0.0.1:80").await?;

    let mut stream = native.watch(&services, Some(&last_id)).await?;
    assert!(
        resumed(&mut stream).await?,
        "the change log reaches back that far"
    );
    let missed = stream.next_within(SOON).await?;
    let delta = missed
        .delta()
        .with_context(|| format!("no delta but {missed:?}"))?;
    orders.apply(&missed);
    assert_eq!(delta.service, "orders");
    assert_eq!(delta.upserted.len(), 1, "{delta:?}");
    assert_eq!(delta.removed.len(), 1, "{delta:?}");
    assert_eq!(orders.instances.keys().collect::<Vec<_>>(), ["10.0.0.2:80"]);

    // What comes next is new: nothing of `payments` was repeated.
    native.register("payments", "10.0.1.2:80", &standing()).await?;
    let next = stream.next_within(SOON).await?;
    assert_eq!(
        next.delta().map(|delta| delta.service).as_deref(),
        Some("payments"),
        "{next:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_stream_that_missed_nothing_goes_on_in_silence() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    let mut mirror = Mirror::default();
    native.register("orders", "10.0.0.1:80", &standing()).await?;
    let mut stream = native.watch(&["orders"], None).await?;
    let id = hear_of(&mut stream, &mut mirror, "10.0.0.1:80").await?;
    drop(stream);

    let mut stream = native.watch(&["orders"], Some(&id)).await?;
    assert!(resumed(&mut stream).await?);
    native.register("orders", "10.0.0.2:80", &standing()).await?;
    hear_of(&mut stream, &mut mirror, "10.0.0.2:80").await?;
    assert_eq!(
        (mirror.snapshots, mirror.deltas),
        (1, 1),
        "the snapshot was not repeated"
    );
    Ok(())
}

#[tokio::test]
async fn a_token_of_elsewhere_brings_the_whole_instead() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    native.register("orders", "10.0.0.1:80", &standing()).await?;
    let mut stream = native.watch(&["orders"], None).await?;
    let newest = stream
        .find("a snapshot", SOON, |it| {
            (it.name == SNAPSHOT).then(|| it.id.clone())
        })
        .await?;
    let (epoch, revision) = newest.rsplit_once('.').context("an id without a revision")?;
    let other = Registry::start().await?.native().status().await?.epoch;
    let future = revision.parse::<u64>()? + 1_000;

    for token in [format!("{other}.{revision}"), format!("{epoch}.{future}")] {
        let mut stream = native.watch(&["orders"], Some(&token)).await?;
        assert!(!resumed(&mut stream).await?, "{token} cannot be resumed");
        let event: Event = stream.next_within(SOON).await?;
        let view = event
            .snapshot()
            .with_context(|| format!("{token}: no snapshot but {event:?}"))?;
        assert_eq!(view.instances.len(), 1);
        // The new ids are of this registry again.
        assert!(event.id.starts_with(epoch), "{}", event.id);
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_no_registry_gave_is_refused() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    for garbage in ["garbage", "7", ".", "x.y", "-1.-1", "\u{fc}.1"] {
        let request = watch_request(&["orders"], "", Some(garbage));
        let error = Stream::open(registry.addr(), request).await.err();
        let message = error.with_context(|| format!("{garbage} was taken"))?.to_string();
        assert!(
            message.contains("400") && message.contains("Last-Event-ID"),
            "{garbage}: {message}"
        );
    }
    assert_eq!(registry.revision().await?, 0);
    Ok(())
}
