//! One-shot reads, with a local cache.
//!
//! A view is fresh for a short while and answered from memory then. After that it is validated with its `ETag`,
//! which costs the registry next to nothing if nothing changed. Callers that ask for the same service at once share
//! one request. When the registry cannot be reached, the last view is answered, marked so.

use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::ServiceView;
use moka::Entry;
use moka::future::Cache as Moka;
use moka::ops::compute::{CompResult, Op};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

use crate::transport::{Call, Transport};
use crate::view::{Mirror, Stale};
use crate::{Error, ServiceKey, View};

/// How long a service that nobody asks for is remembered.
const IDLE_MAX: Duration = Duration::from_secs(600);

/// The services read last.
#[derive(Debug)]
pub(crate) struct Cache {
    kept: Moka<ServiceKey, Arc<Kept>>,
    fresh_for: Duration,
}

/// A service as it was read last.
#[derive(Debug)]
struct Kept {
    /// What to show, made by the same rules as for a service that is followed.
    view: Arc<View>,
    /// Shared with the `Kept` that replaces this one.
    mirror: Arc<Mutex<Mirror>>,
    etag: Option<String>,
    fresh_until: Instant,
}

impl Cache {
    pub(crate) fn new(fresh_for: Duration, services_max: u64) -> Self {
        let kept = Moka::builder()
            .max_capacity(services_max)
            .time_to_idle(IDLE_MAX)
            .build();
        Self { kept, fresh_for }
    }

    pub(crate) async fn read(&self, transport: &Transport, key: ServiceKey) -> Result<Arc<View>, Error> {
        if let Some(kept) = self.kept.get(&key).await.filter(|kept| kept.is_fresh()) {
            return Ok(Arc::clone(&kept.view));
        }
        // One at a time per service: who waits here finds the view that the first one fetched.
        let outcome = self
            .kept
            .entry(key.clone())
            .and_try_compute_with(async |entry| {
                let before = entry.map(Entry::into_value);
                if before.as_ref().is_some_and(|kept| kept.is_fresh()) {
                    return Ok(Op::Nop);
                }
                self.fetch(transport, &key, before.as_deref())
                    .await
                    .map(|kept| Op::Put(Arc::new(kept)))
            })
            .await;
        match outcome {
            Ok(
                CompResult::Inserted(entry) | CompResult::ReplacedWith(entry) | CompResult::Unchanged(entry),
            ) => Ok(Arc::clone(&entry.into_value().view)),
            Ok(CompResult::StillNone(_) | CompResult::Removed(_)) => {
                unreachable!("nothing is left alone only if it is there, and nothing is removed")
            }
            Err(error) => {
                if error.is_not_found() {
                    self.kept.invalidate(&key).await;
                }
                Err(error)
            }
        }
    }

    async fn fetch(
        &self,
        transport: &Transport,
        key: &ServiceKey,
        before: Option<&Kept>,
    ) -> Result<Kept, Error> {
        let etag = before.and_then(|kept| kept.etag.clone());
        let call = Call::new(Method::GET, key.path()).with_if_none_match(etag.clone());
        let answer = match before {
            // A caller with something to go by is not kept waiting while the registry is away.
            Some(_) => transport.once(&call).await,
            None => transport.repeat(&call).await,
        };
        let fresh_until = Instant::now() + self.fresh_for;
        match (answer, before) {
            (Ok(answer), Some(before)) if answer.status == StatusCode::NOT_MODIFIED => {
                let view = Arc::clone(before.mirror.lock().shown());
                Ok(Kept {
                    view,
                    mirror: Arc::clone(&before.mirror),
                    etag,
                    fresh_until,
                })
            }
            (Ok(answer), before) => {
                let told: ServiceView = answer.json()?;
                let mirror = before.map_or_else(
                    || Arc::new(Mutex::new(Mirror::new(key.clone()))),
                    |before| Arc::clone(&before.mirror),
                );
                let view = Arc::clone(mirror.lock().replace(told));
                Ok(Kept {
                    view,
                    mirror,
                    etag: answer.etag,
                    fresh_until,
                })
            }
            (Err(error), Some(before)) if error.is_retryable() => {
                tracing::debug!(%error, service = %key, "answering with what was read last");
                let view = Arc::new(before.mirror.lock().shown().marked(Stale::Unreachable));
                Ok(Kept {
                    view,
                    mirror: Arc::clone(&before.mirror),
                    etag,
                    fresh_until,
                })
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl Kept {
    fn is_fresh(&self) -> bool {
        Instant::now() < self.fresh_until
    }
}
