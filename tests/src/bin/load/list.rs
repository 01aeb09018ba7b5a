//! Lists of the instances of a service.

use beatrix_tests::http1::Request;
use beatrix_tests::native::service_path;
use bytes::Bytes;
use clap::Args;

use crate::fleet::{Fleet, Times, accepted};
use crate::pump::pump;
use crate::report::Report;
use crate::target::{Api, Bounds, Target};

/// Lists of the instances of a service, the services in turn.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    bounds: Bounds,
    #[command(flatten)]
    fleet: Fleet,
    /// Which protocol is spoken.
    #[arg(long, value_enum, default_value_t = Api::Nacos)]
    api: Api,
}

impl List {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            bounds,
            fleet,
            api,
        } = self;
        fleet.register(target.addr, api, Times::LONG).await?;
        let services = fleet.services();
        let requests: Vec<Bytes> = (0..services)
            .map(|number| {
                let service = fleet.service(number * fleet.per_service);
                let target = match api {
                    Api::Nacos => {
                        format!("/nacos/v1/ns/instance/list?serviceName=DEFAULT_GROUP%40%40{service}")
                    }
                    Api::Native => service_path(&service),
                };
                Request::new("GET", target).into_bytes().into()
            })
            .collect();

        let before = target.cpu_time()?;
        let request = move |number| requests[(number % services) as usize].clone();
        let outcome = pump(target.addr, bounds, request, |_, answer| accepted(answer)).await?;
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let count = outcome.latencies.len() as u64;
        Report::new("list")
            .rate("requests", count, outcome.elapsed)
            .cpu_each("cpu_us_each", used, count)
            .count("refused", outcome.refused)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }
}
