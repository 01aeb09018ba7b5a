//! Many connections with an instance each, which can be cut at once.
//!
//! They live in a runtime and a thread of their own: what drops a runtime drops all its tasks and their sockets, one
//! after the other and with nothing in between, as the kernel does when a process dies. And who looks at what becomes
//! of it is not held up by the dropping.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::client::Client;
use super::fleet::Fleet;
use crate::report::Latencies;

/// How many connect at the same time.
const CONNECTING: usize = 64;

/// The connections.
#[derive(Debug)]
pub(super) struct Held {
    lost: Arc<Lost>,
    /// Dropped, it cuts as well.
    cut: oneshot::Sender<()>,
    closed: oneshot::Receiver<Duration>,
}

/// Those that ended by themselves.
#[derive(Debug, Default)]
struct Lost {
    count: AtomicU64,
    /// How the first of them did.
    why: Mutex<Option<String>>,
}

impl Held {
    /// Opens all, and registers their instances; gives how long the registrations took.
    pub(super) async fn open(addr: SocketAddr, fleet: Fleet) -> anyhow::Result<(Self, Latencies)> {
        let lost = Arc::<Lost>::default();
        let (cut, cutting) = oneshot::channel::<()>();
        let (open, opened) = oneshot::channel();
        let (close, closed) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let holding = Arc::clone(&lost);
        std::thread::Builder::new()
            .name("held".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    // That nobody waits any more is as good as a cut.
                    let _ = open.send(open_all(addr, fleet, &holding).await);
                    let _ = cutting.await;
                });
                let start = Instant::now();
                drop(runtime);
                let _ = close.send(start.elapsed());
            })?;
        let registered = opened.await.context("the thread of the connections ended")??;
        Ok((Self { lost, cut, closed }, registered))
    }

    /// Sees that none has ended.
    pub(super) fn ensure_all(&self) -> anyhow::Result<()> {
        let count = self.lost.count.load(Ordering::Relaxed);
        if count > 0 {
            let why = self.lost.why.lock().unwrap_or_else(PoisonError::into_inner);
            bail!(
                "{count} connections ended, the first so: {}",
                why.as_deref().unwrap_or_default()
            );
        }
        Ok(())
    }

    /// Closes all sockets, with no word before; gives how long that took.
    pub(super) async fn cut(self) -> anyhow::Result<Duration> {
        let _ = self.cut.send(());
        self.closed.await.context("the thread of the connections ended")
    }
}

async fn open_all(addr: SocketAddr, fleet: Fleet, lost: &Arc<Lost>) -> anyhow::Result<Latencies> {
    stream::iter(0..fleet.instances)
        .map(async |number| {
            let client = Client::open(addr).await?;
            let start = Instant::now();
            let instance = Fleet::instance(number);
            client
                .caller()
                .register(&fleet.service_of(number), &instance)
                .await?;
            let took = start.elapsed();
            let lost = Arc::clone(lost);
            tokio::spawn(async move { lost.note(&client.live().await) });
            anyhow::Ok(took)
        })
        .buffer_unordered(CONNECTING)
        .try_fold(Latencies::default(), async |mut latencies, took| {
            latencies.push(took);
            Ok(latencies)
        })
        .await
}

impl Lost {
    fn note(&self, error: &anyhow::Error) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        why.get_or_insert_with(|| format!("{error:#}"));
    }
}
