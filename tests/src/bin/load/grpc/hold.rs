//! Many connections with an instance each: what they cost, and how they go when all are cut at once.

use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::proc_fs;
use clap::Args;
use tokio::time::{Instant, sleep};

use super::client::Client;
use super::fleet::Fleet;
use super::held::Held;
use super::naming::Caller;
use super::watcher::Watcher;
use crate::report::Report;
use crate::target::Target;

/// How often it is looked whether all are there.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long it may take until all are gone and the subscriber was told.
const GONE: Duration = Duration::from_secs(60);
/// How long to wait between two looks at a service that still has instances.
const PAUSE: Duration = Duration::from_millis(2);
/// How long to wait for pushes that nobody needs any more.
const LATE: Duration = Duration::from_secs(3);

/// Connections over gRPC with an instance each, held and then cut.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    fleet: Fleet,
    /// How many of the services one subscriber watches.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    watched: u32,
    /// How long to wait before looking at memory, so that what was done before is done with.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=600))]
    settle_seconds: u64,
    /// How long the connections are held.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    seconds: u64,
}

impl Hold {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            fleet,
            watched,
            ..
        } = self;
        let pid = target
            .pid
            .context("--pid is needed: memory is what is asked for")?;
        let settle = Duration::from_secs(self.settle_seconds);
        let empty = proc_fs::resident_bytes(pid)?;
        let asker = Client::open(target.addr).await?;
        let caller = asker.caller();
        // Somebody has to say that it lives.
        tokio::spawn(asker.live());
        let services = fleet.services().take(usize::try_from(watched)?);
        let watcher = Watcher::start(target.addr, services).await?;

        let start = Instant::now();
        let (held, registered) = Held::open(target.addr, fleet).await?;
        let connecting = start.elapsed();
        let all_there = fleet.check(&caller).await;
        held.ensure_all()?;
        all_there.context("when all had registered")?;
        sleep(settle).await;
        let connected = proc_fs::resident_bytes(pid)?;

        let cpu = proc_fs::cpu_time(pid)?;
        let start = Instant::now();
        let looks = self.look(&caller, &held).await?;
        let share = (proc_fs::cpu_time(pid)? - cpu).as_secs_f64() / start.elapsed().as_secs_f64();
        let full = proc_fs::resident_bytes(pid)?;

        watcher.forget();
        let cpu = proc_fs::cpu_time(pid)?;
        let cut = Instant::now();
        let closed = held.cut().await?;
        self.wait_until_gone(&caller, cut).await?;
        let gone = cut.elapsed();
        watcher.told(0, GONE).await?;
        sleep(LATE).await;
        let cut_cpu = proc_fs::cpu_time(pid)? - cpu;
        let seen = watcher.seen();
        let told = seen.iter().map(|seen| seen.since.saturating_duration_since(cut));
        let told = told.max().unwrap_or_default();
        sleep(settle).await;
        let after = proc_fs::resident_bytes(pid)?;

        let each = |bytes: u64| bytes.saturating_sub(empty) as f64 / f64::from(fleet.instances);
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Report::new("grpc-hold")
            .rate("connections", u64::from(fleet.instances), connecting)
            .count("empty_bytes", empty)
            .count("connected_bytes", connected)
            .count("full_bytes", full)
            .count("after_bytes", after)
            .number("connected_bytes_each", each(connected))
            .number("bytes_each", each(full))
            .number("after_bytes_each", each(after))
            .number("cpu_percent", 100.0 * share)
            .count("looks", looks)
            .number("closed_ms", ms(closed))
            .number("gone_ms", ms(gone))
            .number("gone_after_ms", ms(gone.saturating_sub(closed)))
            .number("told_ms", ms(told))
            .number("told_after_ms", ms(told.saturating_sub(closed)))
            .number("cut_cpu_ms", ms(cut_cpu))
            .count("watched", seen.len() as u64)
            .count("cut_pushes", seen.iter().map(|seen| seen.pushes).sum())
            .count(
                "cut_pushes_max",
                seen.iter().map(|seen| seen.pushes).max().unwrap_or_default(),
            )
            .latencies("register_", registered)
            .print();
        Ok(())
    }

    /// Holds the connections, and sees that all are there all the while; gives how often it looked.
    async fn look(&self, caller: &Caller, held: &Held) -> anyhow::Result<u64> {
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let mut looks = 0;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            sleep(left.min(LOOK_EVERY)).await;
            let all_there = self.fleet.check(caller).await;
            // Whose connection has ended is missing, and how it ended says more.
            held.ensure_all()?;
            all_there?;
            looks += 1;
            if Instant::now() >= end {
                return Ok(looks);
            }
        }
    }

    /// Asks until the last instance is gone. One service after the other, since what is gone stays gone; that this is
    /// so is looked at in the end.
    async fn wait_until_gone(&self, caller: &Caller, cut: Instant) -> anyhow::Result<()> {
        for service in self.fleet.services() {
            loop {
                let left = caller.query(&service).await?.len();
                if left == 0 {
                    break;
                }
                ensure!(cut.elapsed() < GONE, "{service} still has {left} instances");
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }
}
