//! Many instances that fall silent together: how exactly each is found out, and in how many pushes that is told.

use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::http1::Connection;
use beatrix_tests::native::watch_request;
use beatrix_tests::sse::{Event, Stream};
use beatrix_wire::watch::{DELTA, SNAPSHOT};
use clap::Args;
use tokio::time::{Instant, timeout_at};

use crate::beats::batches;
use crate::clock::wall_ms;
use crate::fleet::{Fleet, Times};
use crate::flips::{Rough, flips};
use crate::report::{Latencies, Report};
use crate::target::Target;

/// Leases in one request, as many as a registry takes.
const LEASES: u64 = 50_000;
/// Services that one stream watches.
const SERVICES_MAX: u64 = 100;

/// Many instances that beat once more, all together, and then never again.
#[derive(Debug, Args)]
pub(crate) struct Silence {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    fleet: Fleet,
    /// Silence after which an instance is unhealthy. Registering all must take less.
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u64).range(100..=300_000))]
    unhealthy_after_ms: u64,
    /// How long to wait for the last one, from when it is due.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    patience_seconds: u64,
}

/// When a batch of leases was renewed: between these two.
#[derive(Debug, Clone, Copy)]
struct Beat {
    sent: Instant,
    answered: Instant,
    sent_ms: u64,
    answered_ms: u64,
}

impl Silence {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            fleet,
            unhealthy_after_ms,
            patience_seconds,
        } = self;
        ensure!(
            fleet.services() <= SERVICES_MAX,
            "at most {SERVICES_MAX} services: raise --per-service"
        );
        let times = Times {
            interval: unhealthy_after_ms / 3,
            unhealthy_after: unhealthy_after_ms,
            remove_after: unhealthy_after_ms + 600_000,
        };
        let (cluster, leases) = fleet.lease(target.addr, times).await?;
        let mut stream = watch(&fleet, target).await?;
        let cpu_before = target.cpu_time()?;
        let beats = beat_once(target, &cluster, &leases).await?;
        let first = beats.first().context("nobody beats")?.sent;
        let last = beats.last().context("nobody beats")?.answered;

        // Only received here: reading what they say would delay the next one.
        let due = Duration::from_millis(unhealthy_after_ms);
        let deadline = last + due + Duration::from_secs(patience_seconds);
        let mut pushes: Vec<Event> = Vec::new();
        let mut rough = Rough::default();
        loop {
            let Ok(event) = timeout_at(deadline, stream.next()).await else {
                break;
            };
            let event = event?.context("the stream ended")?;
            ensure!(
                event.at > first + due || event.name != DELTA,
                "a push before anybody was due"
            );
            rough.note(&event);
            pushes.push(event);
            if rough.count() >= fleet.instances && flips(&fleet, &pushes).len() as u64 == fleet.instances {
                break;
            }
        }
        let used = target
            .cpu_time()?
            .zip(cpu_before)
            .map(|(after, before)| after - before);
        report(&fleet, &beats, &pushes, unhealthy_after_ms)
            .cpu_each("cpu_us_each", used, fleet.instances)
            .count("pushed_bytes", pushes.iter().map(|it| it.data.len() as u64).sum())
            .print();
        Ok(())
    }
}

/// Opens the stream and reads the snapshots.
async fn watch(fleet: &Fleet, target: Target) -> anyhow::Result<Stream> {
    let services: Vec<_> = (0..fleet.services())
        .map(|it| fleet.service(it * fleet.per_service))
        .collect();
    let names: Vec<_> = services.iter().map(String::as_str).collect();
    let mut stream = Stream::open(target.addr, watch_request(&names, "", None)).await?;
    for _ in 0..=services.len() {
        stream.next().await?.context("the stream ended")?;
    }
    Ok(stream)
}

async fn beat_once(target: Target, cluster: &str, leases: &[String]) -> anyhow::Result<Vec<Beat>> {
    let mut connection = Connection::open(target.addr).await?;
    let mut beats = Vec::new();
    for leases in leases.chunks(LEASES as usize) {
        for request in batches(cluster, leases, leases.len() as u64)? {
            let (sent, sent_ms) = (Instant::now(), wall_ms());
            let answer = connection.exchange(&request).await?;
            ensure!(answer.status() == 200, "{} {}", answer.status(), answer.text());
            beats.push(Beat {
                sent,
                answered: Instant::now(),
                sent_ms,
                answered_ms: wall_ms(),
            });
        }
    }
    Ok(beats)
}

/// Compares what each event says, and when it came, with when each instance was due.
fn report(fleet: &Fleet, beats: &[Beat], pushes: &[Event], after_ms: u64) -> Report {
    let after = Duration::from_millis(after_ms);
    let flips = flips(fleet, pushes);
    let mut early = 0;
    let (mut flipped, mut arrived) = (Latencies::default(), Latencies::default());
    for flip in &flips {
        let Some(beat) = beats.get((flip.number / LEASES) as usize) else {
            continue;
        };
        early += u64::from(flip.since_ms < beat.sent_ms + after_ms || flip.at < beat.sent + after);
        let late_ms = flip.since_ms.saturating_sub(beat.answered_ms + after_ms);
        flipped.push(Duration::from_millis(late_ms));
        arrived.push(flip.at.saturating_duration_since(beat.answered + after));
    }
    Report::new("silence")
        .count("instances", fleet.instances)
        .count("flips", flips.len() as u64)
        .count("early", early)
        .count("pushes", pushes.len() as u64)
        .count(
            "snapshots",
            pushes.iter().filter(|it| it.name == SNAPSHOT).count() as u64,
        )
        .latencies("flip_late_", flipped)
        .latencies("arrival_late_", arrived)
}
