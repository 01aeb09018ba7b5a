//! Changes of a service, and how long until a subscriber over UDP hears of each.

use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::http1::Connection;
use beatrix_tests::udp::Subscriber;
use clap::Args;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::fleet::{Fleet, Times, registered};
use crate::report::{Latencies, Report};
use crate::target::{Api, Target};

/// How long a datagram may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the subscriber asks again, as clients do, so that it is not forgotten.
const AGAIN_EVERY: Duration = Duration::from_secs(5);
/// One instance in a service of its own, beyond those of all other loads.
const INSTANCE: u64 = 5_000_000;
const FLEET: Fleet = Fleet {
    instances: 1,
    per_service: 1,
};

/// Changes of a service that is watched over UDP, as the Nacos clients of the 1.x line do.
#[derive(Debug, Args)]
pub(crate) struct Udp {
    #[command(flatten)]
    target: Target,
    /// How many changes are made.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    changes: u64,
    /// The time between two changes, at least; the next one is never made before the one before has been heard of.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    every_ms: u64,
}

impl Udp {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self {
            target,
            changes,
            every_ms,
        } = self;
        let service = FLEET.service(INSTANCE);
        let mut connection = Connection::open(target.addr).await?;
        change(&mut connection, 0).await?;
        let mut subscriber = Subscriber::bind(target.addr).await?;
        subscriber.subscribe(&service).await?;

        let mut ticks = interval(Duration::from_millis(every_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut latencies = Latencies::default();
        let (mut asked, mut datagrams) = (Instant::now(), 0);
        for turn in 1..=changes {
            ticks.tick().await;
            if asked.elapsed() > AGAIN_EVERY {
                subscriber.subscribe(&service).await?;
                asked = Instant::now();
            }
            let sent = Instant::now();
            change(&mut connection, turn).await?;
            let version = FLEET.version(INSTANCE, turn);
            let heard = async {
                loop {
                    let push = subscriber.push().await?;
                    datagrams += 1;
                    let told = push.hosts.iter().filter_map(|it| it.metadata.get("version"));
                    if told.into_iter().any(|it| *it == version) {
                        return anyhow::Ok(push.at);
                    }
                }
            };
            let at = timeout(PATIENCE, heard)
                .await
                .with_context(|| format!("change {turn} was not pushed"))??;
            latencies.push(at.saturating_duration_since(sent));
        }
        Report::new("udp")
            .count("changes", latencies.len() as u64)
            .count("datagrams", datagrams)
            .latencies("", latencies)
            .print();
        Ok(())
    }
}

async fn change(connection: &mut Connection, turn: u64) -> anyhow::Result<()> {
    let request = FLEET.registration_again(Api::Nacos, INSTANCE, turn, Times::LONG);
    let answer = connection.exchange(&request).await?;
    ensure!(
        registered(Api::Nacos, &answer),
        "{} {}",
        answer.status(),
        answer.text()
    );
    Ok(())
}
