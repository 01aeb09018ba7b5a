//! Requests over kept connections, each as soon as the one before it on its connection is answered.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use super::client::Client;
use super::naming::Caller;
use crate::report::Latencies;
use crate::target::Bounds;

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    /// How long the answers took.
    pub(super) latencies: Latencies,
    /// From the first request to the last answer.
    pub(super) elapsed: Duration,
}

/// Sends `request(connection, nth)` on each of so many connections until a bound is reached. A request that fails ends
/// all.
pub(super) async fn pump(
    addr: SocketAddr,
    bounds: Bounds,
    request: impl AsyncFn(&Caller, u32, u64) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let open = try_join_all((0..bounds.connections).map(|_| Client::open(addr))).await?;
    let sent = AtomicU64::new(0);
    let start = Instant::now();
    let end = start + bounds.time();
    let (request, sent) = (&request, &sent);
    // Those who ask do not listen to their stream. That they ask shows that they live.
    let seen = try_join_all(open.into_iter().zip(0..).map(async |(client, connection)| {
        let caller = client.caller();
        let mut latencies = Latencies::default();
        let mut before = Instant::now();
        for nth in 0.. {
            if before >= end || sent.fetch_add(1, Ordering::Relaxed) >= bounds.requests {
                break;
            }
            request(&caller, connection, nth).await?;
            let now = Instant::now();
            latencies.push(now - before);
            before = now;
        }
        anyhow::Ok(latencies)
    }))
    .await?;
    let mut outcome = Outcome {
        latencies: Latencies::default(),
        elapsed: start.elapsed(),
    };
    seen.into_iter()
        .for_each(|latencies| outcome.latencies.extend(latencies));
    Ok(outcome)
}
