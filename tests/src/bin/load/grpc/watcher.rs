//! A subscriber of some services that counts what it is pushed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::client::{Client, Pushed};
use super::naming;

/// How long to wait between two looks at what it was told.
const PAUSE: Duration = Duration::from_millis(10);

/// The subscriber. Dropped, it ends.
#[derive(Debug)]
pub(super) struct Watcher {
    seen: Arc<Mutex<BTreeMap<String, Seen>>>,
    task: JoinHandle<anyhow::Result<()>>,
}

/// What it was told of a service.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    /// How many pushes came since the last [`Watcher::forget`].
    pub(super) pushes: u64,
    /// How many instances there are by the newest push.
    pub(super) instances: usize,
    /// When it came to be so many.
    pub(super) since: Instant,
}

impl Watcher {
    pub(super) async fn start(
        addr: SocketAddr,
        services: impl Iterator<Item = String>,
    ) -> anyhow::Result<Self> {
        let mut client = Client::open(addr).await?;
        let mut seen = BTreeMap::new();
        for service in services {
            let instances = client.caller().subscribe(&service).await?.len();
            let (pushes, since) = (0, Instant::now());
            seen.insert(
                service,
                Seen {
                    pushes,
                    instances,
                    since,
                },
            );
        }
        let seen = Arc::new(Mutex::new(seen));
        let noted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let push = client.next_push().await?;
                note(&mut lock(&noted), &push)?;
            }
        });
        Ok(Self { seen, task })
    }

    /// Counts from zero again.
    pub(super) fn forget(&self) {
        lock(&self.seen).values_mut().for_each(|seen| seen.pushes = 0);
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.seen).values().copied().collect()
    }

    /// Waits until all services have so many instances.
    pub(super) async fn told(&self, instances: usize, within: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while self.seen().iter().any(|seen| seen.instances != instances) {
            ensure!(!self.task.is_finished(), "the subscriber ended");
            ensure!(
                start.elapsed() < within,
                "not told of {instances} instances in {within:?}, but of {:?}",
                self.seen()
            );
            sleep(PAUSE).await;
        }
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn note(seen: &mut BTreeMap<String, Seen>, push: &Pushed) -> anyhow::Result<()> {
    let service = naming::service(&push.info);
    let seen = seen
        .get_mut(service)
        .with_context(|| format!("pushed unasked: {service}"))?;
    let instances = naming::hosts(&push.info)?.len();
    seen.pushes += 1;
    if instances != seen.instances {
        (seen.instances, seen.since) = (instances, push.at);
    }
    Ok(())
}

fn lock(seen: &Mutex<BTreeMap<String, Seen>>) -> MutexGuard<'_, BTreeMap<String, Seen>> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
