//! Keeps the stream of a shard open.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Connection, End};
use super::shard::Shard;
use super::shards::Settings;
use crate::backoff::Backoff;
use crate::transport::Transport;

const WAIT_MIN: Duration = Duration::from_millis(100);
const WAIT_MAX: Duration = Duration::from_secs(3);
/// A stream that lived this long was a good one: after it the waits start at the minimum again. One that ends as
/// soon as it has begun must not be reopened in a tight loop.
const GOOD_LIFE: Duration = Duration::from_secs(1);
/// How long to wait after a change of the set for more changes, so that a program that starts to follow fifty
/// services opens one stream, not fifty.
const SETTLE: Duration = Duration::from_millis(10);
/// The same, when the set has changed just before: a set that changes all the time must not be asked for afresh all
/// the time.
const SETTLE_BUSY: Duration = Duration::from_millis(250);
const BUSY: Duration = Duration::from_secs(2);

/// Follows the services of `shard`, whichever they are, for as long as it is polled.
pub(super) async fn run(shard: Arc<Shard>, transport: Arc<Transport>, settings: Settings) {
    let mut waits = Backoff::new(WAIT_MIN, WAIT_MAX, transport.dice.clone());
    let mut last_id = None;
    let mut last_change: Option<Instant> = None;
    let mut failures = 0_u32;
    loop {
        while shard.feeds().is_empty() {
            shard.changed.notified().await;
        }
        if failures == 0 {
            let is_busy = last_change.is_some_and(|change| change.elapsed() < BUSY);
            tokio::time::sleep(if is_busy { SETTLE_BUSY } else { SETTLE }).await;
            last_change = Some(Instant::now());
        }
        let address = transport.addresses.current();
        let opened_at = Instant::now();
        let connection = Connection {
            shard: &shard,
            transport: &transport,
            settings: &settings,
            address: &address,
            feeds: shard.feeds(),
        };
        let end = connection.run(&mut last_id).await;
        shard.set_connected(false);
        let error = match end {
            End::SetChanged => {
                failures = 0;
                continue;
            }
            End::Gap => None,
            End::Broken(error) => Some(error),
        };
        if opened_at.elapsed() >= GOOD_LIFE {
            waits.reset();
            failures = 0;
        }
        failures += 1;
        if let Some(error) = &error {
            transport.addresses.failed(&address);
            if !error.is_retryable() {
                waits.exhaust();
            }
        }
        let wait = waits.next().unwrap_or(WAIT_MAX);
        match error {
            None => tracing::info!("a change is missing in the stream: starting it afresh"),
            Some(error) if failures == 1 => {
                tracing::warn!(error = error.with_sources(), ?wait, "the stream of changes broke");
            }
            Some(error) => tracing::debug!(
                error = error.with_sources(),
                ?wait,
                "the stream of changes cannot be opened"
            ),
        }
        tokio::time::sleep(wait).await;
    }
}
