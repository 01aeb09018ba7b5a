//! Many instances, and what they cost while nothing happens.

use std::time::Duration;

use anyhow::Context;
use beatrix_tests::proc_fs;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Times};
use crate::report::Report;
use crate::target::{Api, Target};

/// Many instances with two metadata entries each, registered and then left alone.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    fleet: Fleet,
    /// Which protocol is spoken. Nacos instances have the registry's default times.
    #[arg(long, value_enum, default_value_t = Api::Native)]
    api: Api,
    /// How long to wait before looking, so that what registering left behind is done with.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=600))]
    settle_seconds: u64,
    /// How long to look at the idle process.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    idle_seconds: u64,
}

impl Hold {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            fleet,
            api,
            settle_seconds,
            idle_seconds,
        } = self;
        let pid = target
            .pid
            .context("--pid is needed: memory and CPU are what is asked for")?;
        let empty = proc_fs::resident_bytes(pid)?;
        let registered = fleet.register(target.addr, api, Times::LONG).await?;
        sleep(Duration::from_secs(settle_seconds)).await;

        let full = proc_fs::resident_bytes(pid)?;
        let start = Instant::now();
        let before = proc_fs::cpu_time(pid)?;
        sleep(Duration::from_secs(idle_seconds)).await;
        let used = proc_fs::cpu_time(pid)? - before;
        let idle_percent = 100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64();

        Report::new("hold")
            .rate("instances", fleet.instances, registered.elapsed)
            .count("empty_bytes", empty)
            .count("full_bytes", full)
            .number(
                "bytes_each",
                full.saturating_sub(empty) as f64 / fleet.instances as f64,
            )
            .number("idle_cpu_percent", idle_percent)
            .latencies("register_", registered.latencies)
            .print();
        Ok(())
    }
}
