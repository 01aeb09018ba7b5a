//! Sends requests over kept connections, each as soon as the one before it is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use beatrix_tests::http1::{Connection, Response};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::report::Latencies;
use crate::target::Bounds;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How long the answers took.
    pub(crate) latencies: Latencies,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
    /// How many answers were not as wanted.
    pub(crate) refused: u64,
    /// One of those answers.
    pub(crate) refusal: Option<String>,
}

/// What one connection saw.
#[derive(Debug, Default)]
struct Seen {
    latencies: Latencies,
    refused: u64,
    refusal: Option<String>,
}

/// Sends `request(n)` for n from 0 until a bound is reached; `accept(n, answer)` tells whether the answer is as wanted.
pub(crate) async fn pump<R, A>(
    addr: SocketAddr,
    bounds: Bounds,
    request: R,
    accept: A,
) -> anyhow::Result<Outcome>
where
    R: Fn(u64) -> Bytes + Send + Sync + 'static,
    A: Fn(u64, &Response) -> bool + Send + Sync + 'static,
{
    let connections = u64::from(bounds.connections).min(bounds.requests);
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(
            Connection::open(addr)
                .await
                .with_context(|| format!("cannot connect to {addr}"))?,
        );
    }
    let shared = Arc::new((request, accept, AtomicU64::new(0)));
    let start = Instant::now();
    let end = start + bounds.time();
    let mut tasks = JoinSet::new();
    for mut connection in open {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move {
            let (request, accept, next) = &*shared;
            let mut seen = Seen::default();
            let mut before = Instant::now();
            while before < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= bounds.requests {
                    break;
                }
                let answer = connection.exchange(&request(number)).await?;
                let now = Instant::now();
                seen.latencies.push(now - before);
                before = now;
                if !accept(number, &answer) {
                    seen.refused += 1;
                    seen.refusal
                        .get_or_insert_with(|| format!("{} {}", answer.status(), answer.text()));
                }
            }
            anyhow::Ok(seen)
        });
    }
    let mut outcome = Outcome {
        latencies: Latencies::default(),
        elapsed: Duration::ZERO,
        refused: 0,
        refusal: None,
    };
    while let Some(seen) = tasks.join_next().await {
        let seen = seen??;
        outcome.latencies.extend(seen.latencies);
        outcome.refused += seen.refused;
        outcome.refusal = outcome.refusal.or(seen.refusal);
    }
    outcome.elapsed = start.elapsed();
    Ok(outcome)
}

impl Outcome {
    /// Fails when an answer was not as wanted: what follows would measure something else.
    pub(crate) fn ensure_accepted(&self) -> anyhow::Result<()> {
        match &self.refusal {
            Some(refusal) => anyhow::bail!("{} refused, one with: {refusal}", self.refused),
            None => Ok(()),
        }
    }
}
