//! Many subscribers of one service, each with a connection of its own: how long until all were pushed a change.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::client::Client;
use super::naming::{hosts, instance};
use crate::report::{Latencies, Report};
use crate::target::Target;

const SERVICE: &str = "grpc-push";
const IP: &str = "10.0.0.1";
/// The port in the first round; each round has its own, so that its instance is a new one.
const PORT: u16 = 10_000;
/// How long all may take to be pushed one change.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for what subscribing itself may bring.
const SETTLE: Duration = Duration::from_secs(2);
/// How many subscribers connect before the next ones do.
const CONNECTING: usize = 32;

/// Subscribers over gRPC, and an instance that comes and goes.
#[derive(Debug, Args)]
pub(crate) struct Push {
    #[command(flatten)]
    target: Target,
    /// How many subscribers there are.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=20_000))]
    subscribers: u64,
    /// How often the instance comes and goes.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// The shortest time between what all have heard of and the next change. Longer than what a server merges.
    #[arg(long, default_value_t = 700, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pause_ms: u64,
    /// How much longer the longest is. A server that looks at what has changed from time to time would otherwise meet
    /// every change at the same moment of its period.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    spread_ms: u64,
}

/// A subscriber was pushed a list that differs from the one before.
#[derive(Debug)]
struct Arrival {
    /// The instance in it.
    instance: Option<String>,
    at: Instant,
}

/// What subscribers have in common.
#[derive(Debug)]
struct Shared {
    arrivals: mpsc::Sender<anyhow::Result<Arrival>>,
    /// Counts those that change nothing as well.
    pushes: AtomicU64,
}

impl Push {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            subscribers,
            rounds,
            ..
        } = self;
        // Room for all arrivals of one change: a subscriber never waits for the driver.
        let (arrivals, arrived) = mpsc::channel(usize::try_from(subscribers)?);
        let pushes = AtomicU64::new(0);
        let shared = Arc::new(Shared { arrivals, pushes });
        subscribe(target.addr, subscribers, &shared).await?;
        let mut audience = Audience { arrived, subscribers };
        let provider = Client::open(target.addr).await?;
        let caller = provider.caller();
        // Somebody has to say that it lives.
        tokio::spawn(provider.live());
        sleep(SETTLE).await;

        let (mut sent, mut answered, mut all) =
            (Latencies::default(), Latencies::default(), Latencies::default());
        let (mut gone, mut registered) = (Latencies::default(), Latencies::default());
        let pushes = shared.pushes.load(Ordering::Relaxed);
        let before = target.cpu_time()?;
        for round in 0..rounds {
            let port = PORT + round;
            let instance = instance(IP, port);
            sleep(self.pause(2 * round)).await;
            let start = Instant::now();
            caller.register(SERVICE, &instance).await?;
            let answer = Instant::now();
            registered.push(answer - start);
            let told = audience.told(Some(&format!("{IP}:{port}"))).await?;
            for at in &told {
                sent.push(*at - start);
                // Who was told before the answer was there waited for nothing.
                answered.push(at.saturating_duration_since(answer));
            }
            told.iter()
                .max()
                .into_iter()
                .for_each(|last| all.push(*last - start));

            sleep(self.pause(2 * round + 1)).await;
            let start = Instant::now();
            caller.deregister(SERVICE, &instance).await?;
            let told = audience.told(None).await?;
            told.iter().for_each(|at| gone.push(*at - start));
        }
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let pushes = shared.pushes.load(Ordering::Relaxed) - pushes;
        Report::new("grpc-push")
            .count("subscribers", subscribers)
            .count("rounds", u64::from(rounds))
            .count("pushes", pushes)
            .cpu_each("cpu_us_each", used, pushes)
            .latencies("sent_", sent)
            .latencies("answered_", answered)
            .latencies("all_", all)
            .latencies("gone_", gone)
            .latencies("register_", registered)
            .print();
        Ok(())
    }

    /// The pause before a change: evenly spread, and the same in each run.
    fn pause(&self, change: u16) -> Duration {
        let share = (f64::from(change) * 0.618_033_988_75).fract();
        Duration::from_millis(self.pause_ms) + Duration::from_millis(self.spread_ms).mul_f64(share)
    }
}

/// Those who listen.
#[derive(Debug)]
struct Audience {
    arrived: mpsc::Receiver<anyhow::Result<Arrival>>,
    subscribers: u64,
}

impl Audience {
    /// Waits until each of them was pushed a list with just this instance; gives when they were.
    async fn told(&mut self, instance: Option<&str>) -> anyhow::Result<Vec<Instant>> {
        let mut told = Vec::new();
        for heard in 0..self.subscribers {
            let arrival = timeout(PATIENCE, self.arrived.recv()).await;
            let arrival = arrival.with_context(|| format!("only {heard} were pushed {instance:?}"))?;
            let arrival = arrival.context("all subscribers ended")??;
            ensure!(
                arrival.instance.as_deref() == instance,
                "pushed {:?} instead of {instance:?}",
                arrival.instance
            );
            told.push(arrival.at);
        }
        Ok(told)
    }
}

async fn subscribe(addr: SocketAddr, subscribers: u64, shared: &Arc<Shared>) -> anyhow::Result<()> {
    stream::iter(0..subscribers)
        .map(async |_| {
            let client = Client::open(addr).await?;
            let there = client.caller().subscribe(SERVICE).await?;
            ensure!(there.is_empty(), "from an earlier run, or not ours: {there:?}");
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                let Err(error) = listen(client, &shared).await;
                // When the load has ended nobody takes it, nor needs it.
                let _ = shared.arrivals.send(Err(error)).await;
            });
            Ok(())
        })
        .buffer_unordered(CONNECTING)
        .try_collect()
        .await
}

/// Tells of each push that changes what is known.
async fn listen(mut client: Client, shared: &Shared) -> anyhow::Result<Infallible> {
    let (mut known, mut version) = (None, 0);
    loop {
        let push = client.next_push().await?;
        shared.pushes.fetch_add(1, Ordering::Relaxed);
        let mut hosts = hosts(&push.info)?;
        let instance = hosts.pop_first();
        ensure!(hosts.is_empty(), "one too many: {hosts:?}");
        if instance == known {
            continue;
        }
        // Some clients throw away what is not newer by this number.
        let number = push.info["lastRefTime"].as_i64().unwrap_or_default();
        ensure!(number > version, "lastRefTime {number} after {version}");
        (known, version) = (instance.clone(), number);
        let at = push.at;
        shared
            .arrivals
            .send(Ok(Arrival { instance, at }))
            .await
            .ok()
            .context("the load has ended")?;
    }
}
