//! Many instances that the registry probes: whether it keeps its schedule, and what that costs.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::http1::Request;
use beatrix_tests::native::{Native, instance_path};
use beatrix_wire::probe::{ProbeQuestion, ProbeStatus};
use beatrix_wire::{Health, Liveness, RegisterRequest};
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::fleet::accepted;
use crate::pump::pump;
use crate::report::Report;
use crate::target::{Bounds, Target};

/// Addresses of the loopback interface; at each there is one listener for TCP and one for HTTP.
const ADDRESSES: u8 = 100;
/// Over how many connections instances are registered.
const CONNECTIONS: u32 = 64;

/// Many instances that are probed, by TCP and by HTTP in turn, at a few listeners of this program.
#[derive(Debug, Args)]
pub(crate) struct Probes {
    #[command(flatten)]
    target: Target,
    /// How many instances are probed.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=200_000))]
    instances: u64,
    /// The time from one probe of an instance to the next.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(500..=60_000))]
    interval_ms: u64,
    /// How long it is looked at, after all were registered and one interval has passed.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// Where the instances are, and how often they were connected to.
struct Peers {
    addresses: Vec<SocketAddr>,
    accepted: Arc<AtomicU64>,
}

impl Probes {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            instances,
            interval_ms,
            seconds,
        } = self;
        let native = Native::new(target.addr);
        let peers = Peers::listen().await?;
        let places = peers.addresses.clone();
        let outcome = pump(
            target.addr,
            Bounds::just(instances, CONNECTIONS),
            move |number| registration(&places, number, interval_ms),
            |_, answer| accepted(answer),
        )
        .await?;
        outcome.ensure_accepted()?;
        sleep(Duration::from_millis(interval_ms * 2)).await;

        let before = native.status().await?.probes;
        let (cpu_before, seen_before) = (target.cpu_time()?, peers.accepted.load(Ordering::Relaxed));
        let start = Instant::now();
        sleep(Duration::from_secs(seconds)).await;
        let elapsed = start.elapsed();
        let after = native.status().await?.probes;
        let used = target
            .cpu_time()?
            .zip(cpu_before)
            .map(|(after, before)| after - before);
        let seen = peers.accepted.load(Ordering::Relaxed) - seen_before;
        report(&before, &after, elapsed)
            .count("instances", instances)
            .count("healthy", native.status().await?.healthy)
            .count("connections_seen", seen)
            .number(
                "cpu_percent",
                used.map_or(0.0, |used| 100.0 * used.as_secs_f64() / elapsed.as_secs_f64()),
            )
            .cpu_each("cpu_us_each", used, after.passed - before.passed)
            .print();
        Ok(())
    }
}

fn report(before: &ProbeStatus, after: &ProbeStatus, elapsed: Duration) -> Report {
    Report::new("probes")
        .rate("probes", after.passed - before.passed, elapsed)
        .count("failed", after.failed - before.failed)
        .count("dropped", after.dropped - before.dropped)
        .count("missed", after.missed)
        .count("late_p50_ms", after.late_p50_ms)
        .count("late_p99_ms", after.late_p99_ms)
        .count("late_p999_ms", after.late_p999_ms)
        .count("late_max_ms", after.late_max_ms)
}

/// Each place stands in many services: an instance is named by all three.
fn registration(places: &[SocketAddr], number: u64, interval_ms: u64) -> bytes::Bytes {
    let place = (number % places.len() as u64) as usize;
    let probe = if place.is_multiple_of(2) {
        ProbeQuestion::Tcp {}
    } else {
        ProbeQuestion::Http {
            method: None,
            path: Some("/health".into()),
            headers: Default::default(),
            expected_status: None,
            tls: None,
        }
    };
    let registration = RegisterRequest {
        liveness: Some(Liveness::Probe {
            probe: Box::new(probe),
            port: None,
            interval_ms: Some(interval_ms),
            timeout_ms: None,
            rise: Some(1),
            fall: None,
            initial_health: Some(Health::Unhealthy),
        }),
        ..RegisterRequest::default()
    };
    // The type has no keys but text, so it can always be written.
    let body = serde_json::to_vec(&registration).unwrap_or_default();
    let service = format!("probed-{}", number / places.len() as u64);
    let path = instance_path(&service, &places[place].to_string());
    Request::new("PUT", path).json(body).into_bytes().into()
}

impl Peers {
    async fn listen() -> anyhow::Result<Self> {
        let counted = Arc::new(AtomicU64::new(0));
        let mut addresses = Vec::new();
        for number in 1..=ADDRESSES {
            for http in [false, true] {
                let ip = Ipv4Addr::new(127, 1, 0, number);
                let listener = TcpListener::bind((ip, 0)).await.context("no listener")?;
                addresses.push(listener.local_addr()?);
                tokio::spawn(answer(listener, http, Arc::clone(&counted)));
            }
        }
        ensure!(addresses.len() == usize::from(ADDRESSES) * 2, "too few listeners");
        Ok(Self {
            addresses,
            accepted: counted,
        })
    }
}

/// Takes connections, and answers a request on each if it is HTTP.
async fn answer(listener: TcpListener, http: bool, accepted: Arc<AtomicU64>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of files, or reset before it was taken: the next may go better.
            sleep(Duration::from_millis(1)).await;
            continue;
        };
        accepted.fetch_add(1, Ordering::Relaxed);
        if http {
            tokio::spawn(async move {
                let mut head = [0; 2048];
                if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    let _whoever_asked_may_have_gone = stream.write_all(answer).await;
                    // Until the other side closes: who closes first keeps the port for a minute.
                    let _ = stream.read(&mut head).await;
                }
            });
        }
    }
}
