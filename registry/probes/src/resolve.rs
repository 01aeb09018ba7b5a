//! From a host name to addresses, once for each probe: whoever owns a name may answer differently the second time.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::outcome::{ProbeOutcome, Step};

/// How many names are looked up at a time. The system's lookup takes a thread for each and cannot be called off, so that
/// a name server that is silent would take all threads of the process. Who waits longer than his timeout for his turn was
/// not asked.
pub const LOOKUPS_MAX: usize = 32;

/// What a lookup gives, some time.
pub type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Whoever knows the addresses of host names.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name, the preferred ones first.
    fn resolve(&self, name: &str) -> Resolved;
}

/// The system's own lookup: its hosts file, its name servers, its search list. Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str) -> Resolved {
        let name = name.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        });
        Box::pin(async move { lookup.await.map_err(io::Error::other)? })
    }
}

/// Lookups in bounded number.
pub(crate) struct Lookups {
    resolver: Arc<dyn Resolve>,
    turns: Arc<Semaphore>,
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver,
            turns: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }

    /// All addresses of a name; at least one.
    pub(crate) async fn addresses(&self, name: &str, deadline: Instant) -> Step<Vec<IpAddr>> {
        let turn = timeout_at(deadline, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(ProbeOutcome::OwnTrouble("too many names are being looked up"));
        };
        let lookup = self.resolver.resolve(name);
        // A task, so that a lookup keeps its turn until it really ends, also when nobody waits for it any more.
        let lookup = tokio::spawn(async move {
            let found = lookup.await;
            drop(turn);
            found
        });
        match timeout_at(deadline, lookup).await {
            Ok(Ok(Ok(found))) if !found.is_empty() => Ok(found),
            Ok(Err(_)) => Err(ProbeOutcome::OwnTrouble("the lookup of the name ended early")),
            Ok(Ok(_)) | Err(_) => Err(ProbeOutcome::Unresolved),
        }
    }
}
