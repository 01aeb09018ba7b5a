//! From a host name to addresses, once for each probe: whoever owns a name may answer differently the second time.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::outcome::{ProbeOutcome, Step};

/// How many names are looked up at a time. The system's lookup takes a thread for each and cannot be called off, so that
/// a name server that is silent would take all threads of the process. Who waits longer than his timeout for his turn was
/// not asked.
pub const LOOKUPS_MAX: usize = 32;

/// How many of them may be of names under one domain, by its last two labels: its name servers may be silent, and those of
/// others must not wait for them.
pub const LOOKUPS_OF_DOMAIN_MAX: usize = 4;

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
    domains: Arc<Domains>,
}

/// The domains of which somebody looks up names, or waits for his turn to.
#[derive(Debug, Default)]
struct Domains(Mutex<HashMap<String, Arc<Semaphore>>>);

/// Somebody who has to do with a domain. The last one takes its entry along.
struct InDomain {
    domains: Arc<Domains>,
    domain: String,
    turns: Option<Arc<Semaphore>>,
    turn: Option<OwnedSemaphorePermit>,
}

impl Domains {
    fn of(self: &Arc<Self>, name: &str) -> InDomain {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let from = name.rmatch_indices('.').nth(1).map_or(0, |(dot, _)| dot + 1);
        let domain = name[from..].to_owned();
        let mut known = self.known();
        let turns = known
            .entry(domain.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(LOOKUPS_OF_DOMAIN_MAX)));
        InDomain {
            turns: Some(Arc::clone(turns)),
            domains: Arc::clone(self),
            domain,
            turn: None,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InDomain {
    async fn wait(&mut self) {
        if let Some(turns) = &self.turns {
            // Never closed.
            self.turn = Arc::clone(turns).acquire_owned().await.ok();
        }
    }
}

impl Drop for InDomain {
    fn drop(&mut self) {
        let mut known = self.domains.known();
        (self.turn, self.turns) = (None, None);
        // Others are counted under this lock only.
        if known
            .get(&self.domain)
            .is_some_and(|turns| Arc::strong_count(turns) == 1)
        {
            known.remove(&self.domain);
        }
    }
}

impl Lookups {
    pub(crate) fn new(resolver: Arc<dyn Resolve>) -> Self {
        Self {
            resolver,
            turns: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            domains: Arc::default(),
        }
    }

    /// All addresses of a name; at least one.
    pub(crate) async fn addresses(&self, name: &str, deadline: Instant) -> Step<Vec<IpAddr>> {
        let mut domain = self.domains.of(name);
        // First that of the domain, so that nobody holds one of all while he waits for his own domain.
        let turn = timeout_at(deadline, async {
            domain.wait().await;
            Arc::clone(&self.turns).acquire_owned().await
        });
        let Ok(Ok(turn)) = turn.await else {
            return Err(ProbeOutcome::OwnTrouble("too many names are being looked up"));
        };
        let lookup = self.resolver.resolve(name);
        // A task, so that a lookup keeps its turn until it really ends, also when nobody waits for it any more.
        let lookup = tokio::spawn(async move {
            let found = lookup.await;
            drop((turn, domain));
            found
        });
        match timeout_at(deadline, lookup).await {
            Ok(Ok(Ok(found))) if !found.is_empty() => Ok(found),
            Ok(Err(_)) => Err(ProbeOutcome::OwnTrouble("the lookup of the name ended early")),
            Ok(Ok(_)) | Err(_) => Err(ProbeOutcome::Unresolved),
        }
    }
}
