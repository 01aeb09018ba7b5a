//! The client: what a process talks to the registry with.

mod builder;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, DropGuard};

pub use builder::ClientBuilder;

use crate::cache::Cache;
use crate::name::Defaults;
use crate::registration::Keeper;
use crate::reporter::Reporter;
use crate::transport::Transport;
use crate::watch::Shards;
use crate::{Error, Registration, ServiceInstance, ServiceName, ServiceWatch, View};

/// A client of the registry. Clones are cheap and share everything; a process needs one.
///
/// Its tasks run on the runtime in which the first [`register`](Self::register) or [`watch`](Self::watch) was
/// called, and end when the last clone, [`Registration`] and [`ServiceWatch`] is dropped.
///
/// ```no_run
/// # async fn example() -> Result<(), beatrix_sdk::Error> {
/// use beatrix_sdk::Client;
///
/// let client = Client::builder("http://10.0.0.1:8848")
///     .with_address("http://10.0.0.2:8848")
///     .with_namespace("staging")
///     .build()?;
/// for instance in client.service("orders").await?.serving_instances() {
///     println!("{}", instance.authority());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    defaults: Defaults,
    transport: Arc<Transport>,
    keeper: Arc<Keeper>,
    keeper_is_running: AtomicBool,
    shards: Shards,
    reporter: Arc<Reporter>,
    reporter_is_running: AtomicBool,
    cache: Cache,
    stop: CancellationToken,
    /// Ends the tasks, which hold parts of this but never all of it.
    _stop_on_drop: DropGuard,
}

impl Client {
    /// Starts to configure a client of the registry at `address`, such as `http://127.0.0.1:8848`.
    pub fn builder(address: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(address.into())
    }

    /// Registers an instance and keeps it registered while the answer lives. It tries again, also at the other
    /// addresses, until the operation timeout.
    ///
    /// Registering an instance that this client has registered already replaces that registration.
    ///
    /// # Errors
    /// When a value breaks a rule, the registry refuses, or cannot be reached in time.
    ///
    /// # Cancel safety
    /// If the future is dropped before its end, the instance is deregistered as if its [`Registration`] had been
    /// dropped.
    pub async fn register(&self, instance: ServiceInstance) -> Result<Registration, Error> {
        let instance = instance.prepare(&self.inner.defaults)?;
        self.start_keeper();
        Registration::register(self.clone(), instance).await
    }

    /// Follows a service: the answer always has its newest view. It is there at once, and filled as soon as the
    /// registry has answered; [`ServiceWatch::ready`] waits for that. A service that does not exist is an empty one.
    ///
    /// # Errors
    /// When the name breaks a rule.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub fn watch(&self, service: impl Into<ServiceName>) -> Result<ServiceWatch, Error> {
        let key = service.into().resolve(&self.inner.defaults)?;
        self.start_reporter();
        Ok(ServiceWatch::new(self.clone(), &key))
    }

    /// Reads a service once.
    ///
    /// What was read is answered from memory for a short while ([`ClientBuilder::with_cache_ttl`]) and validated
    /// after that. While the registry cannot be reached, the answer is what was read last, marked
    /// [`Stale::Unreachable`](crate::Stale::Unreachable). Who reads a service again and again should
    /// [`watch`](Self::watch) it.
    ///
    /// # Errors
    /// When the name breaks a rule, there is no such service ([`Error::is_not_found`]), or the registry cannot be
    /// reached and nothing was read before.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn service(&self, service: impl Into<ServiceName>) -> Result<Arc<View>, Error> {
        let key = service.into().resolve(&self.inner.defaults)?;
        self.inner.cache.read(&self.inner.transport, key).await
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.inner.keeper
    }

    pub(crate) fn shards(&self) -> &Shards {
        &self.inner.shards
    }

    pub(crate) fn reporter(&self) -> &Reporter {
        &self.inner.reporter
    }

    fn start_reporter(&self) {
        if !self.inner.reporter_is_running.swap(true, Ordering::Relaxed) {
            let task = Arc::clone(&self.inner.reporter).run();
            tokio::spawn(self.inner.stop.clone().run_until_cancelled_owned(task));
        }
    }

    fn start_keeper(&self) {
        if !self.inner.keeper_is_running.swap(true, Ordering::Relaxed) {
            let task = Arc::clone(&self.inner.keeper).run();
            tokio::spawn(self.inner.stop.clone().run_until_cancelled_owned(task));
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("addresses", &self.inner.transport.addresses)
            .field("defaults", &self.inner.defaults)
            .finish_non_exhaustive()
    }
}
