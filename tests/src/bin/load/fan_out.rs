//! Many subscribers of one service, and changes: how long until all know, and at what cost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::http1::{Connection, Request};
use beatrix_tests::native::{instance_path, watch_request};
use beatrix_tests::sse::Stream;
use beatrix_wire::watch::DELTA;
use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::report::{Latencies, Report};
use crate::target::Target;

const SERVICE: &str = "fan-out";
/// How long all may take to hear of one change.
const PATIENCE: Duration = Duration::from_secs(30);

/// Many subscribers of one service, and changes.
#[derive(Debug, Args)]
pub(crate) struct FanOut {
    #[command(flatten)]
    target: Target,
    /// How many subscribers there are.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    subscribers: u64,
    /// How many changes are made.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    changes: u64,
    /// The time between two changes; longer than what a registry merges.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    every_ms: u64,
}

/// What subscribers add up together.
#[derive(Debug, Default)]
struct Received {
    events: AtomicU64,
    bytes: AtomicU64,
}

impl FanOut {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            subscribers,
            changes,
            every_ms,
        } = self;
        change(&mut Connection::open(target.addr).await?, u64::MAX).await?;
        let received = Arc::new(Received::default());
        // Room for all events of one change: a subscriber never waits for the driver.
        let (arrivals, mut arrived) = mpsc::channel(usize::try_from(subscribers)?);
        for _ in 0..subscribers {
            let stream = subscribe(target.addr).await?;
            tokio::spawn(listen(stream, arrivals.clone(), Arc::clone(&received)));
        }
        drop(arrivals);

        let mut connection = Connection::open(target.addr).await?;
        let mut ticks = interval(Duration::from_millis(every_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut each, mut all) = (Latencies::default(), Latencies::default());
        let before = target.cpu_time()?;
        let start = Instant::now();
        for number in 0..changes {
            ticks.tick().await;
            let sent = Instant::now();
            change(&mut connection, number).await?;
            let mut last = sent;
            for _ in 0..subscribers {
                let at: Instant = timeout(PATIENCE, arrived.recv())
                    .await
                    .context("not all subscribers heard of a change")?
                    .context("all streams ended")?;
                each.push(at.saturating_duration_since(sent));
                last = last.max(at);
            }
            all.push(last - sent);
        }
        let elapsed = start.elapsed();
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let events = received.events.load(Ordering::Relaxed);
        Report::new("fan-out")
            .rate("events", events, elapsed)
            .count("changes", changes)
            .count(
                "event_bytes",
                received.bytes.load(Ordering::Relaxed) / events.max(1),
            )
            .cpu_each("cpu_us_each", used, events)
            .latencies("each_", each)
            .latencies("all_", all)
            .print();
        Ok(())
    }
}

/// Registers one instance again with another metadata text, so that each time something changes and the event has
/// the same length.
async fn change(connection: &mut Connection, number: u64) -> anyhow::Result<()> {
    let body = format!("{{\"metadata\":{{\"text\":\"{number:020}\"}},\"liveness\":{{\"type\":\"static\"}}}}");
    let request = Request::new("PUT", instance_path(SERVICE, "10.0.0.1:8080")).json(body);
    let answer = connection.request(request).await?;
    ensure!(
        (200..300).contains(&answer.status()),
        "{} {}",
        answer.status(),
        answer.text()
    );
    Ok(())
}

/// Opens a stream and reads what it starts with.
async fn subscribe(addr: SocketAddr) -> anyhow::Result<Stream> {
    let mut stream = Stream::open(addr, watch_request(&[SERVICE], "", None)).await?;
    for _ in ["hello", "snapshot"] {
        stream.next_within(PATIENCE).await?;
    }
    Ok(stream)
}

async fn listen(mut stream: Stream, arrivals: mpsc::Sender<Instant>, received: Arc<Received>) {
    let mut bytes = stream.received();
    while let Ok(Some(event)) = stream.next().await {
        if event.name != DELTA {
            continue;
        }
        received.events.fetch_add(1, Ordering::Relaxed);
        received
            .bytes
            .fetch_add(stream.received() - bytes, Ordering::Relaxed);
        bytes = stream.received();
        if arrivals.send(event.at).await.is_err() {
            return;
        }
    }
}
