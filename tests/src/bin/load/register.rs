//! Registrations of new instances.

use clap::Args;

use crate::fleet::{Fleet, Lives, Times, registered};
use crate::pump::pump;
use crate::report::Report;
use crate::target::{Api, Bounds, Target};

/// Registrations of new instances, each once.
#[derive(Debug, Args)]
pub(crate) struct Register {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    fleet: Fleet,
    /// Which protocol is spoken.
    #[arg(long, value_enum, default_value_t = Api::Nacos)]
    api: Api,
    /// Registers persistent instances: each is durable when it is acknowledged, where anything is.
    #[arg(long)]
    persistent: bool,
}

impl Register {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            mut bounds,
            fleet,
            api,
            persistent,
        } = self;
        let lives = if persistent {
            Lives::Stands
        } else {
            Lives::Beats(Times::LONG)
        };
        bounds.requests = bounds.requests.min(fleet.instances);
        let before = target.cpu_time()?;
        let request = move |number| fleet.registration(api, number, lives);
        let outcome = pump(target.addr, bounds, request, move |_, answer| {
            registered(api, answer)
        })
        .await?;
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let requests = outcome.latencies.len() as u64;
        Report::new("register")
            .rate("requests", requests, outcome.elapsed)
            .cpu_each("cpu_us_each", used, requests)
            .count("refused", outcome.refused)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }
}
