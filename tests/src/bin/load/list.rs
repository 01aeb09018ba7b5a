//! Lists of the instances of a service, alone or with registrations among them.

use std::path::PathBuf;

use anyhow::{Context, ensure};
use beatrix_tests::http1::{Connection, Request, Response};
use beatrix_tests::nacos::ServiceInfo;
use beatrix_tests::native::service_path;
use beatrix_wire::{Health, ServiceView};
use bytes::Bytes;
use clap::{Args, ValueEnum};

use crate::fleet::{Fleet, Times, registered};
use crate::pump::{Outcome, pump};
use crate::report::Report;
use crate::target::{Api, Bounds, Target};

/// So many instances register again and again where other services are written to.
const OTHERS: u64 = 1_000;
/// How often each of those that register does so with prepared bytes, before these come again.
const TURNS: u64 = 10;

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
    /// How many of a hundred requests are registrations instead, each of which changes an instance.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=90))]
    writes_percent: u64,
    /// Whose instances register.
    #[arg(long, value_enum, default_value_t = Writes::Same)]
    writes: Writes,
    /// Writes the body of the first answer to a file, for `bare` to answer with.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Nobody is registered and no answer is looked into: what answers is `bare`.
    #[arg(long)]
    bare: bool,
}

/// Whose instances register while lists are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Writes {
    /// Those of the services that are listed.
    Same,
    /// Those of other services.
    Other,
}

/// The requests, and how long the answer to each list is.
struct Load {
    lists: Vec<(Bytes, usize)>,
    writes: Vec<Bytes>,
    writes_percent: u64,
}

impl List {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let load = self.prepare().await?;
        let (before, outcome) = (self.target.cpu_time()?, self.pump(load).await?);
        let used = self
            .target
            .cpu_time()?
            .zip(before)
            .map(|(after, before)| after - before);
        let count = outcome.latencies.len() as u64;
        if let Some(refusal) = &outcome.refusal {
            anyhow::bail!(
                "{} of {count} refused, one with: {}",
                outcome.refused,
                start(refusal)
            );
        }
        Report::new("list")
            .rate("requests", count, outcome.elapsed)
            .cpu_each("cpu_us_each", used, count)
            .count("refused", outcome.refused)
            .latencies("", outcome.latencies)
            .print();
        Ok(())
    }

    /// Registers everybody and looks closely at one answer for each service.
    async fn prepare(&self) -> anyhow::Result<Load> {
        let Self {
            target, fleet, api, ..
        } = *self;
        ensure!(
            self.writes_percent == 0 || fleet.instances.is_multiple_of(fleet.per_service),
            "services of one size are needed: --instances must be a multiple of --per-service"
        );
        let registering: Vec<u64> = match self.writes {
            Writes::Same => (0..fleet.instances).collect(),
            Writes::Other => fleet.beside(OTHERS).collect(),
        };
        let mut connection = Connection::open(target.addr).await?;
        if !self.bare {
            fleet.register(target.addr, api, Times::LONG).await?;
            if self.writes == Writes::Other {
                for number in &registering {
                    let request = fleet.registration(api, *number, Times::LONG);
                    let answer = connection.exchange(&request).await?;
                    ensure!(registered(api, &answer), "{} {}", answer.status(), answer.text());
                }
            }
        }

        let mut lists = Vec::new();
        for service in 0..fleet.services() {
            let first = service * fleet.per_service;
            let size = fleet.per_service.min(fleet.instances - first);
            let request: Bytes = request(api, &fleet.service(first)).into_bytes().into();
            let answer = connection.exchange(&request).await?;
            if let Some(path) = self.keep.as_ref().filter(|_| service == 0) {
                std::fs::write(path, &answer.body).context("cannot keep the answer")?;
            }
            if !self.bare {
                is_right(api, size, &answer)?;
            }
            lists.push((request, answer.body.len()));
        }
        let writes = (1..=TURNS).flat_map(|turn| {
            let again = registering.iter();
            again.map(move |number| fleet.registration_again(api, *number, turn, Times::LONG))
        });
        Ok(Load {
            lists,
            writes: writes.collect(),
            writes_percent: self.writes_percent,
        })
    }

    async fn pump(&self, load: Load) -> anyhow::Result<Outcome> {
        let api = self.api;
        let load = std::sync::Arc::new(load);
        let asked = std::sync::Arc::clone(&load);
        pump(
            self.target.addr,
            self.bounds,
            move |number| match asked.write(number) {
                Some(write) => asked.writes[write % asked.writes.len()].clone(),
                None => asked.lists[number as usize % asked.lists.len()].0.clone(),
            },
            move |number, answer| match load.write(number) {
                Some(_) => registered(api, answer),
                // Everything in an answer has the same length each time, the time stamp too.
                None => {
                    answer.status() == 200
                        && answer.body.len() == load.lists[number as usize % load.lists.len()].1
                }
            },
        )
        .await
    }
}

impl Load {
    /// Whether the request with this number is a registration, and the how manieth; they are spread evenly.
    fn write(&self, number: u64) -> Option<usize> {
        let before = number * self.writes_percent / 100;
        let after = (number + 1) * self.writes_percent / 100;
        (after > before).then_some(before as usize)
    }
}

fn request(api: Api, service: &str) -> Request {
    let target = match api {
        Api::Nacos => format!("/nacos/v1/ns/instance/list?serviceName=DEFAULT_GROUP%40%40{service}"),
        Api::Native => service_path(service),
    };
    Request::new("GET", target)
}

/// Checks that a list has so many instances and that all are healthy.
fn is_right(api: Api, size: u64, answer: &Response) -> anyhow::Result<()> {
    ensure!(answer.status() == 200, "{} {}", answer.status(), answer.text());
    let (count, healthy) = match api {
        Api::Nacos => {
            let list: ServiceInfo = answer.json()?;
            (list.hosts.len(), list.hosts.iter().all(|it| it.healthy))
        }
        Api::Native => {
            let view: ServiceView = answer.json()?;
            let mut instances = view.instances.iter();
            (
                view.instances.len(),
                instances.all(|it| it.health == Health::Healthy),
            )
        }
    };
    ensure!(
        count as u64 == size && healthy,
        "not {size} instances, all healthy, but {count}: {}",
        start(&answer.text())
    );
    Ok(())
}

/// As much of an answer as fits into a message.
fn start(answer: &str) -> String {
    answer.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_spread_evenly() {
        let load = Load {
            lists: Vec::new(),
            writes: Vec::new(),
            writes_percent: 10,
        };
        let writes: Vec<_> = (0..40).filter_map(|number| load.write(number)).collect();
        assert_eq!(writes, [0, 1, 2, 3]);
        let load = Load {
            writes_percent: 0,
            ..load
        };
        assert!((0..1_000).all(|number| load.write(number).is_none()));
    }
}
