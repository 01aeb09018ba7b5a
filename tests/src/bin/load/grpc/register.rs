//! Registrations and deregistrations, in turn on each connection.
//!
//! Not one registration after the other: what a connection registers anew replaces what it has in Nacos, but stands
//! beside it in r-nacos.

use clap::Args;

use super::fleet::Fleet;
use super::pump::pump;
use crate::report::Report;
use crate::target::{Bounds, Target};

/// Registrations and deregistrations over gRPC.
#[derive(Debug, Args)]
pub(crate) struct Register {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    bounds: Bounds,
    /// How many connections share a service.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    per_service: u32,
}

impl Register {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            bounds,
            per_service,
        } = self;
        let fleet = Fleet {
            instances: bounds.connections,
            per_service,
        };
        let before = target.cpu_time()?;
        let outcome = pump(target.addr, bounds, async |caller, connection, nth| {
            let (service, instance) = (fleet.service_of(connection), Fleet::instance(connection));
            if nth % 2 == 0 {
                caller.register(&service, &instance).await
            } else {
                caller.deregister(&service, &instance).await
            }
        })
        .await?;
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let requests = outcome.latencies.len() as u64;
        Report::new("grpc-register")
            .rate("requests", requests, outcome.elapsed)
            .cpu_each("cpu_us_each", used, requests)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }
}
