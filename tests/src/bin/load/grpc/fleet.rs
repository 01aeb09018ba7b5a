//! Which instances stand where: one to a connection, spread over services.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use super::naming::{Caller, instance};

const PORT: u16 = 8080;
const MOMENT: Duration = Duration::from_secs(1);

/// Instances, one to a connection.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Fleet {
    /// How many instances there are, each with a connection of its own.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=25_000))]
    pub(super) instances: u32,
    /// How many of them share a service.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) per_service: u32,
}

impl Fleet {
    pub(super) fn services(self) -> impl Iterator<Item = String> {
        (0..self.instances.div_ceil(self.per_service)).map(service)
    }

    /// The service of an instance.
    pub(super) fn service_of(self, number: u32) -> String {
        service(number / self.per_service)
    }

    pub(super) fn instance(number: u32) -> Value {
        instance(&ip(number), PORT)
    }

    /// Sees that all are there, and nobody else.
    pub(super) async fn check(self, caller: &Caller) -> anyhow::Result<()> {
        for (index, service) in self.services().enumerate() {
            let first = u32::try_from(index)? * self.per_service;
            let last = (first + self.per_service).min(self.instances);
            let wanted: BTreeSet<String> = (first..last)
                .map(|number| format!("{}:{PORT}", ip(number)))
                .collect();
            let found = caller.query(&service).await?;
            if found != wanted {
                // Whether it is there a moment later tells a list that is late from an instance that is lost.
                sleep(MOMENT).await;
                let later = caller.query(&service).await?;
                let missing =
                    |found: &BTreeSet<String>| wanted.difference(found).cloned().collect::<Vec<_>>();
                bail!(
                    "{service} has {} of {} instances; missing are {:?}, and {MOMENT:?} later {:?}",
                    found.len(),
                    wanted.len(),
                    missing(&found),
                    missing(&later)
                );
            }
        }
        Ok(())
    }
}

fn service(index: u32) -> String {
    format!("grpc-{index:05}")
}

fn ip(number: u32) -> String {
    let [_, a, b, c] = number.to_be_bytes();
    format!("10.{a}.{b}.{c}")
}
