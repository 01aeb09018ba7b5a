//! Following services.
//!
//! - [`ServiceWatch`]: the handle, which always has the newest view of its service.
//! - `feed`: one service, fed by a stream and read by handles.
//! - `shard`: the services that share a stream; `shards`: which service is in which.
//! - `follow`: keeps a shard's stream open, resumes it, or starts it afresh; `connection`: one stream, from its
//!   beginning to its end; `sse`: its format; `acks`: tells the registry what was acted upon.
//!
//! All services of a client share one stream, up to [`shard::SERVICES_MAX`]; beyond that there is one more stream.
//! When a service is added, its stream is opened afresh, without `Last-Event-ID`, since only then is a snapshot of
//! the new service certain; the others get one as well, which changes nothing for their readers. Additions within
//! a few milliseconds share one such reopening. When a service is dropped, its stream is resumed.

mod acks;
mod connection;
mod feed;
mod follow;
mod shard;
mod shards;
mod sse;

use std::fmt;
use std::sync::Arc;

use beatrix_wire::Instance;
use tokio::sync::watch::Receiver;

pub(crate) use shards::{SILENCE_MAX, Settings, Shards};

use crate::{Client, ServiceKey, View};
use shards::Place;

/// A service that is being followed. Clones share what they read and are told of changes each for itself.
///
/// It reads from memory and never waits for the registry. While the registry cannot be reached it keeps what was
/// known last. When the last clone is dropped, the client stops following the service.
///
/// ```no_run
/// # async fn example(client: beatrix_sdk::Client) -> Result<(), beatrix_sdk::Error> {
/// let mut orders = client.watch("orders")?;
/// orders.ready().await;
/// if let Some(instance) = orders.pick() {
///     println!("calling http://{}/", instance.authority());
/// }
/// loop {
///     let view = orders.changed().await;
///     println!("{} instances at revision {}", view.instances().len(), view.revision());
/// }
/// # }
/// ```
pub struct ServiceWatch {
    /// Keeps the client's tasks running, even if the caller drops the client.
    client: Client,
    place: Place,
    receiver: Receiver<Arc<View>>,
}

impl ServiceWatch {
    pub(crate) fn new(client: Client, key: &ServiceKey) -> Self {
        let place = client.shards().add(key);
        let receiver = place.feed().subscribe();
        Self {
            client,
            place,
            receiver,
        }
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceKey {
        self.place.feed().key()
    }

    /// The newest view. Before the registry has said anything it is empty and not [`known`](View::is_known).
    #[must_use]
    pub fn current(&self) -> Arc<View> {
        Arc::clone(&self.receiver.borrow())
    }

    /// All instances in the newest view.
    #[must_use]
    pub fn instances(&self) -> Vec<Arc<Instance>> {
        self.current().instances().to_vec()
    }

    /// The instances in the newest view that callers should use now.
    #[must_use]
    pub fn serving_instances(&self) -> Vec<Arc<Instance>> {
        self.current().serving_instances().cloned().collect()
    }

    /// Chooses an instance to call, as [`View::pick`] does.
    #[must_use]
    pub fn pick(&self) -> Option<Arc<Instance>> {
        self.receiver.borrow().pick().cloned()
    }

    /// Says that an instance could not be reached, and why. The registry is told within a second or two, together with
    /// what else failed; this returns at once, and nothing is kept for a registry that is away. When enough consumers
    /// say the same, the registry marks the instance, and all prefer others.
    pub fn report_failure(&self, instance: &Instance, error: impl fmt::Display) {
        self.client.reporter().failed(self.service(), instance, &error);
    }

    /// Says that an instance could be reached: failures that the registry was not told of yet are forgotten.
    pub fn report_success(&self, instance: &Instance) {
        self.client.reporter().succeeded(self.service(), instance);
    }

    /// Waits until the registry has said something about the service, and answers with the newest view.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn ready(&mut self) -> Arc<View> {
        match self.receiver.wait_for(|view| view.is_known()).await {
            Ok(view) => Arc::clone(&view),
            Err(_) => unreachable_end().await,
        }
    }

    /// Waits for a view that this handle has not answered with from here before, and answers with the newest one.
    /// Who is slow skips the views between; [`View::changes_since`] tells what happened since the last one read.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn changed(&mut self) -> Arc<View> {
        match self.receiver.changed().await {
            Ok(()) => Arc::clone(&self.receiver.borrow_and_update()),
            Err(_) => unreachable_end().await,
        }
    }

    /// Whether the stream that feeds this handle is open now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.place.is_connected()
    }
}

/// The handle holds the sender's owner, so that the sender cannot be gone while the handle waits.
async fn unreachable_end() -> Arc<View> {
    debug_assert!(false, "a feed lives as long as its handles");
    std::future::pending().await
}

impl Clone for ServiceWatch {
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            place: self.place.clone(),
            receiver: self.receiver.clone(),
        }
    }
}

impl fmt::Debug for ServiceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceWatch")
            .field("service", self.service())
            .field("view", &*self.receiver.borrow())
            .finish_non_exhaustive()
    }
}
