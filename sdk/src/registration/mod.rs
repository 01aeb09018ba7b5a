//! Registering, staying alive, and saying goodbye.
//!
//! - [`ServiceInstance`]: what to register.
//! - [`Registration`]: the handle whose life is the registration's.
//! - `shutdown`: going without failing anybody's request.
//! - `keeper`: the one task per client that beats for all registrations and registers again what the registry lost.
//! - `book`: the state behind it, without I/O, of which `entry` is one registration; `batch`: the request made of it.

mod batch;
mod book;
mod entry;
mod instance;
mod keeper;
mod probe;
mod shutdown;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::{DeclaredStatus, DrainRequest, DrainResponse};
use reqwest::Method;
use tokio::sync::watch;

pub use instance::ServiceInstance;
pub(crate) use keeper::Keeper;
pub use probe::Probe;

use crate::transport::Call;
use crate::{Client, Error, ServiceKey};
use book::EntryId;
use entry::Seen;
use instance::Prepared;

/// The longest reason of a status that the registry takes, in bytes.
const REASON_LEN_MAX: usize = 256;

/// A registered instance, which is kept registered while this value lives.
///
/// One task per [`Client`] beats for all its registrations, in one request for all that are due. If the registry
/// does not know an instance any more, it is registered again; if the registry cannot be reached, the task tries
/// its other addresses and never gives up.
///
/// End it with [`deregister`](Self::deregister). **Dropping** it is the fallback: it stops the beats at once, and
/// starts a task that tries to deregister. It cannot promise that this task gets anywhere: a process that exits
/// right after, or a runtime that is shut down, takes the task along, and outside a runtime none is started. Then
/// callers learn of the end by silence only.
///
/// ```no_run
/// # async fn example(client: beatrix_sdk::Client) -> Result<(), beatrix_sdk::Error> {
/// use beatrix_sdk::ServiceInstance;
///
/// let registration = client.register(ServiceInstance::new("orders", "10.0.0.7", 8080)).await?;
/// // … serve …
/// registration.deregister().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping a registration ends it"]
pub struct Registration {
    /// Keeps the client's tasks running, even if the caller drops the client.
    client: Client,
    id: EntryId,
    key: ServiceKey,
    authority: String,
    path: String,
    seen: watch::Receiver<Seen>,
    is_over: bool,
}

impl Registration {
    /// Registers. The value is made first, so that a caller who stops waiting leaves no instance behind.
    pub(crate) async fn register(client: Client, instance: Prepared) -> Result<Self, Error> {
        let (key, authority, path) = (
            instance.key.clone(),
            instance.authority.clone(),
            instance.path.clone(),
        );
        let (id, seen) = client.keeper().open(instance);
        let registration = Self {
            client,
            id,
            key,
            authority,
            path,
            seen,
            is_over: false,
        };
        registration.client.keeper().register(id).await?;
        Ok(registration)
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceKey {
        &self.key
    }

    /// Address and port as a URL has them.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The lease that the registry gave last; none if the instance does not beat. It changes when the registry
    /// lost the instance and it was registered again.
    #[must_use]
    pub fn lease(&self) -> Option<String> {
        self.seen.borrow().lease.clone()
    }

    /// Whether the registry has the instance, as far as this process knows. It is false from the moment in which
    /// the registry says that it does not know the instance until it is registered again, and for good once the
    /// same client registers the same instance again.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.seen.borrow().held
    }

    /// Says how the instance is, with a reason for people of at most 256 bytes. It rides on a beat that is sent at
    /// once, and is repeated until it arrives, and after each new registration. This does not wait for it;
    /// [`status_delivered`](Self::status_delivered) does.
    ///
    /// ```no_run
    /// # async fn example(registration: beatrix_sdk::Registration) -> Result<(), beatrix_sdk::Error> {
    /// use beatrix_sdk::DeclaredStatus;
    ///
    /// registration.set_status(DeclaredStatus::Unhealthy, Some("the database is gone"))?;
    /// registration.status_delivered().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if the reason is too long, or the instance does not beat.
    pub fn set_status(&self, status: DeclaredStatus, reason: Option<&str>) -> Result<(), Error> {
        if let Some(reason) = reason.filter(|reason| reason.len() > REASON_LEN_MAX) {
            return Err(Error::invalid("reason", reason, "must be at most 256 bytes"));
        }
        if self.lease().is_none() {
            return Err(Error::invalid(
                "status",
                format!("{status:?}"),
                "can only be set on an instance that beats",
            ));
        }
        self.client
            .keeper()
            .set_status(self.id, status, reason.map(str::to_owned));
        Ok(())
    }

    /// Waits until the registry has taken the last status that was set, or refused it.
    ///
    /// # Cancel safety
    /// Only the waiting ends; the status is delivered nevertheless.
    pub async fn status_delivered(&self) {
        // An error means that the entry is gone, and with it the status.
        let _ = self.seen.clone().wait_for(Seen::has_nothing_to_deliver).await;
    }

    /// Takes the instance out of traffic and waits until every connected subscriber that acknowledges has taken
    /// note, at most until `deadline`. The answer names those who have not.
    ///
    /// Call it before [`deregister`](Self::deregister) to shut down without failing anybody's request and without
    /// a guessed sleep.
    ///
    /// # Errors
    /// When the registry refuses or cannot be reached.
    pub async fn drain(&self, deadline: Duration) -> Result<DrainResponse, Error> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let transport = self.client.keeper().transport();
        let call = Call::new(Method::POST, format!("{}/drain", self.path))
            .with_json(&DrainRequest {
                deadline_ms: Some(deadline_ms),
            })
            .with_timeout(deadline.saturating_add(transport.request_timeout));
        transport.repeat(&call).await?.json()
    }

    /// Says goodbye: callers learn at once that the instance is gone, and why.
    ///
    /// It takes the place of all that is under way for this instance, and names the lease, so that it never
    /// removes what another process registered at the same address. If this client registered the same instance
    /// again meanwhile, that registration stays.
    ///
    /// # Errors
    /// When the registry could not be told within the client's operation timeout. The beats have ended
    /// nevertheless, so silence ends the instance then.
    ///
    /// # Cancel safety
    /// A future that is dropped before its end is as good as a dropped registration.
    pub async fn deregister(mut self) -> Result<(), Error> {
        let result = self.client.keeper().deregister(self.id).await;
        self.is_over = true;
        result
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let keeper = Arc::clone(self.client.keeper());
        let id = self.id;
        keeper.close(id);
        if !keeper.may_be_registered(id) {
            keeper.forget(id);
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            keeper.forget(id);
            return;
        };
        let (service, authority) = (self.key.clone(), self.authority.clone());
        runtime.spawn(async move {
            if let Err(error) = keeper.deregister(id).await {
                tracing::warn!(%error, %service, instance = authority, "a dropped registration was not deregistered");
            }
        });
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("service", &self.key)
            .field("authority", &self.authority)
            .field("seen", &*self.seen.borrow())
            .finish_non_exhaustive()
    }
}
