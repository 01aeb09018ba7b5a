//! Those who write: each has things of its own and writes to one after the other, until the registry is killed.

use std::net::SocketAddr;

use anyhow::Context;
use beatrix_tests::http1::{Connection, Request};
use beatrix_tests::native::{instance_path, standing};
use beatrix_wire::{Instance, OperatorPatch, RegisterRequest};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ledger::{Ledger, Promise, State, Write};
use super::long;

/// Persistent instances come and go.
const DURABLE: &str = "durable";
/// Instances that live by beats come and go.
const BEHIND: &str = "behind";
/// An operator sets the weight of persistent instances.
const OPERATED: &str = "operated";

/// What is written to.
pub(super) const SERVICES: [&str; 3] = [DURABLE, BEHIND, OPERATED];

/// How many writers there are for each service, and how many things each has.
const WRITERS: u8 = 2;
const THINGS: u8 = 12;

/// The label that carries the number of a registration.
const TAG: &str = "tag";

/// The writers of one round.
pub(super) struct Writers(JoinSet<(Vec<Entry>, u64)>);

/// What one writer did to one thing.
type Entry = (&'static str, String, Promise, Vec<Write>);

impl Writers {
    /// Begins to write, from the state in which the ledger has the things.
    pub(super) fn begin(registry: SocketAddr, ledger: &Ledger, seed: u64) -> Self {
        let mut writers = JoinSet::new();
        for (kind, service) in SERVICES.into_iter().enumerate() {
            for writer in 0..WRITERS {
                let things = (0..THINGS)
                    .map(|thing| {
                        let name = format!("10.78.{writer}.{}:80", thing + 1);
                        let state = ledger.state(service, &name);
                        (name, state)
                    })
                    .collect();
                let seed = seed ^ ((kind as u64) << 8 | u64::from(writer));
                writers.spawn(write(registry, service, things, seed));
            }
        }
        Self(writers)
    }

    /// Waits for them, whose connections have broken, and enters what they did. Returns the newest revision that one of
    /// them was told.
    pub(super) async fn end(mut self, ledger: &mut Ledger) -> anyhow::Result<u64> {
        let mut newest = 0;
        while let Some(ended) = self.0.join_next().await {
            let (entries, revision) = ended?;
            newest = newest.max(revision);
            for (service, name, promise, writes) in entries {
                ledger.enter(service, &name, promise, writes);
            }
        }
        Ok(newest)
    }
}

/// The state of a thing as its service shows it.
pub(super) fn state_of(service: &str, instance: &Instance) -> anyhow::Result<u64> {
    if service == OPERATED {
        let layer = instance.operator.as_ref();
        let weight = layer.and_then(|layer| layer.weight);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "weights here are small whole numbers"
        )]
        return Ok(weight.map_or(0, |weight| weight as u64));
    }
    let tag = instance.metadata.get(TAG).context("an instance without a tag")?;
    Ok(tag.parse()?)
}

/// Writes to random things until the connection breaks.
async fn write(
    registry: SocketAddr,
    service: &'static str,
    mut things: Vec<(String, State)>,
    seed: u64,
) -> (Vec<Entry>, u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let promise = match service {
        BEHIND => Promise::Behind,
        _ => Promise::Durable,
    };
    let mut entries: Vec<Entry> = things
        .iter()
        .map(|(name, _)| (service, name.clone(), promise, Vec::new()))
        .collect();
    let mut newest = 0;
    let Ok(mut connection) = Connection::open(registry).await else {
        return (entries, newest);
    };
    loop {
        let place = random.random_range(0..things.len());
        let (name, state) = &mut things[place];
        let (request, after) = next(service, name, *state, &mut random);
        let answer = connection.request(request).await;
        let told = answer.ok().filter(|answer| (200..300).contains(&answer.status()));
        let revision = told
            .and_then(|answer| answer.json::<Told>().ok())
            .map(|told| told.revision);
        entries[place].3.push(Write {
            state: after,
            acknowledged: revision.map(|_| Instant::now()),
        });
        let Some(revision) = revision else {
            return (entries, newest);
        };
        newest = newest.max(revision);
        *state = after;
    }
}

/// What each answer to a write tells.
#[derive(Deserialize)]
struct Told {
    revision: u64,
}

/// The next write to a thing, and what it makes of it.
fn next(service: &str, name: &str, state: State, random: &mut StdRng) -> (Request, State) {
    let path = instance_path(service, name);
    let put = |registration: &RegisterRequest| {
        let body = serde_json::to_vec(registration).expect("a registration is JSON");
        Request::new("PUT", path.clone()).json(body)
    };
    match (service, state) {
        (OPERATED, None) => (put(&standing()), Some(0)),
        (OPERATED, Some(_)) => {
            let weight = random.random_range(1..10_000_u64);
            let patch = OperatorPatch {
                weight: Some(f64::from(u32::try_from(weight).expect("it is small"))),
                ..OperatorPatch::default()
            };
            let body = serde_json::to_vec(&patch).expect("a patch is JSON");
            (Request::new("PATCH", path).json(body), Some(weight))
        }
        // One in three goes, the others come or change.
        (_, Some(_)) if random.random_range(0..3) == 0 => (Request::new("DELETE", path), None),
        _ => {
            let tag: u64 = random.random();
            let mut registration = match service {
                DURABLE => standing(),
                _ => long(),
            };
            registration.metadata.insert(TAG.into(), tag.to_string());
            (put(&registration), Some(tag))
        }
    }
}
