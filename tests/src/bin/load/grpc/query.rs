//! Queries of one service.

use anyhow::ensure;
use beatrix_nacos_wire::Payload;
use clap::Args;

use super::client::Client;
use super::fleet::Fleet;
use super::held::Held;
use super::naming;
use super::pump::pump;
use crate::report::Report;
use crate::target::{Bounds, Target};

/// What stands once in the JSON of each instance, and nowhere else.
const ONCE_EACH: &[u8] = b"\"instanceId\":";

/// Queries over gRPC.
#[derive(Debug, Args)]
pub(crate) struct Query {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    bounds: Bounds,
    /// How many instances the service has, each with a connection of its own.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    instances: u32,
}

impl Query {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            bounds,
            instances,
        } = self;
        let fleet = Fleet {
            instances,
            per_service: instances,
        };
        let (held, _) = Held::open(target.addr, fleet).await?;
        let looker = Client::open(target.addr).await?;
        fleet.check(&looker.caller()).await?;

        let query = naming::query(&fleet.service_of(0)).to_string();
        let query = Payload::of("ServiceQueryRequest", query);
        let query = &query;
        let before = target.cpu_time()?;
        let outcome = pump(target.addr, bounds, async |caller, _, _| {
            // To read all of it would cost more than what is measured.
            let answer = caller.query_unread(query).await?;
            let found = count(answer.json(), ONCE_EACH);
            ensure!(found == instances as usize, "{found} instances: {answer:?}");
            Ok(())
        })
        .await?;
        let used = target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        held.ensure_all()?;
        fleet.check(&looker.caller()).await?;
        let requests = outcome.latencies.len() as u64;
        Report::new("grpc-query")
            .rate("requests", requests, outcome.elapsed)
            .cpu_each("cpu_us_each", used, requests)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }
}

fn count(text: &[u8], what: &[u8]) -> usize {
    text.windows(what.len()).filter(|window| *window == what).count()
}
