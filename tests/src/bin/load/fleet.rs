//! The instances that make the load: names, addresses, and how they are registered.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use beatrix_tests::http1::{Request, Response};
use beatrix_tests::native::instance_path;
use beatrix_wire::{Liveness, RegisterRequest, RegisterResponse};
use bytes::Bytes;
use clap::Args;

use crate::pump::{Outcome, pump};
use crate::target::{Api, Bounds};

/// So many instances in so many services.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Fleet {
    /// How many instances there are.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=5_000_000))]
    pub(crate) instances: u64,
    /// How many of them a service has.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) per_service: u64,
}

/// Beat times of native registrations, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) interval: u64,
    pub(crate) unhealthy_after: u64,
    pub(crate) remove_after: u64,
}

impl Times {
    /// Long enough that nobody is missed while something else is measured.
    pub(crate) const LONG: Self = Self {
        interval: 60_000,
        unhealthy_after: 3_600_000,
        remove_after: 7_200_000,
    };
}

/// How an instance of the load lives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lives {
    /// By beats, with these times. Over Nacos they are the registry's defaults.
    Beats(Times),
    /// Until somebody removes it.
    Stands,
}

impl From<Times> for Lives {
    fn from(times: Times) -> Self {
        Self::Beats(times)
    }
}

impl Fleet {
    pub(crate) fn service(&self, number: u64) -> String {
        format!("load-{}", number / self.per_service)
    }

    pub(crate) fn services(&self) -> u64 {
        self.instances.div_ceil(self.per_service)
    }

    /// An address for each instance, so that the port can be the same.
    pub(crate) fn ip(number: u64) -> String {
        let [.., a, b, c] = number.to_be_bytes();
        format!("10.{a}.{b}.{c}")
    }

    /// Another fleet, of other instances in other services of the same size, that has no instance of this one.
    pub(crate) fn beside(&self, instances: u64) -> impl Iterator<Item = u64> + use<> {
        let first = self.services() * self.per_service;
        first..first + instances
    }

    /// Service, ip and port as a form.
    pub(crate) fn form(&self, number: u64) -> String {
        format!(
            "serviceName=DEFAULT_GROUP%40%40{}&ip={}&port=8080",
            self.service(number),
            Self::ip(number)
        )
    }

    /// A registration with two metadata entries.
    pub(crate) fn registration(&self, api: Api, number: u64, lives: impl Into<Lives>) -> Bytes {
        self.registration_again(api, number, 0, lives)
    }

    /// The version that an instance has in its metadata when it registers for the `turn`th time.
    pub(crate) fn version(&self, number: u64, turn: u64) -> String {
        format!("v{}", (number + turn) % 10)
    }

    /// The registration of an instance that registers for the `turn`th time, each time with another version of the
    /// same length: something changes, and an answer with it stays as long as it was.
    pub(crate) fn registration_again(
        &self,
        api: Api,
        number: u64,
        turn: u64,
        lives: impl Into<Lives>,
    ) -> Bytes {
        let version = self.version(number, turn);
        let lives = lives.into();
        let request = match api {
            Api::Nacos => {
                let metadata = format!(
                    "%7B%22version%22%3A%22{version}%22%2C%22zone%22%3A%22zone-{}%22%7D",
                    number % 3
                );
                let ephemeral = matches!(lives, Lives::Beats(_));
                Request::new("POST", "/nacos/v1/ns/instance").form(format!(
                    "{}&metadata={metadata}&ephemeral={ephemeral}",
                    self.form(number)
                ))
            }
            Api::Native => {
                let metadata = [("version", version), ("zone", format!("zone-{}", number % 3))];
                let registration = RegisterRequest {
                    metadata: metadata
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                    liveness: Some(match lives {
                        Lives::Beats(times) => Liveness::Beat {
                            interval_ms: Some(times.interval),
                            unhealthy_after_ms: Some(times.unhealthy_after),
                            remove_after_ms: Some(times.remove_after),
                        },
                        Lives::Stands => Liveness::Static {},
                    }),
                    ..RegisterRequest::default()
                };
                // The type has no keys but text, so it can always be written.
                let body = serde_json::to_vec(&registration).unwrap_or_default();
                let path = instance_path(&self.service(number), &format!("{}:8080", Self::ip(number)));
                Request::new("PUT", path).json(body)
            }
        };
        request.into_bytes().into()
    }

    /// Registers all instances.
    pub(crate) async fn register(&self, addr: SocketAddr, api: Api, times: Times) -> anyhow::Result<Outcome> {
        let fleet = *self;
        let bounds = Bounds::just(self.instances, CONNECTIONS);
        let outcome = pump(
            addr,
            bounds,
            move |number| fleet.registration(api, number, times),
            move |_, it| registered(api, it),
        )
        .await?;
        outcome.ensure_accepted()?;
        Ok(outcome)
    }

    /// Registers all instances natively; gives the cluster and the leases, in the order of the instances.
    pub(crate) async fn lease(
        &self,
        addr: SocketAddr,
        times: Times,
    ) -> anyhow::Result<(String, Vec<String>)> {
        let fleet = *self;
        let count = usize::try_from(self.instances)?;
        let answers = Arc::new(Mutex::new((String::new(), vec![None; count])));
        let seen = Arc::clone(&answers);
        let bounds = Bounds::just(self.instances, CONNECTIONS);
        let outcome = pump(
            addr,
            bounds,
            move |number| fleet.registration(Api::Native, number, times),
            move |number, answer| {
                let Ok(registered) = answer.json::<RegisterResponse>() else {
                    return false;
                };
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                let place = usize::try_from(number)
                    .ok()
                    .and_then(|number| seen.1.get_mut(number));
                if let Some(place) = place {
                    *place = registered.lease;
                }
                seen.0 = registered.cluster_id;
                accepted(answer)
            },
        )
        .await?;
        outcome.ensure_accepted()?;
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        let leases = std::mem::take(&mut answers.1)
            .into_iter()
            .collect::<Option<Vec<_>>>();
        Ok((
            std::mem::take(&mut answers.0),
            leases.context("an instance has no lease")?,
        ))
    }
}

/// Over how many connections a fleet is registered: registrations are committed in groups.
const CONNECTIONS: u32 = 64;

pub(crate) fn accepted(answer: &Response) -> bool {
    (200..300).contains(&answer.status())
}

/// Whether this is the answer to a registration that was taken.
pub(crate) fn registered(api: Api, answer: &Response) -> bool {
    match api {
        Api::Nacos => answer.status() == 200 && &answer.body[..] == b"ok",
        Api::Native => accepted(answer),
    }
}
