//! Backups: taking the registry apart while it goes on, and putting parts of it back.

use std::sync::Arc;

use beatrix_core::catalog::{CaptureWalk, Command, Part, Piece};
use beatrix_core::model::{
    Endpoint, Existence, LivenessKind, Reason, ServiceKey, ServicePatch, ServiceSettings,
};
use parking_lot::MutexGuard;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Registry;
use super::write::{WriteError, Written};

/// How many backups may be written at once. Each holds the chunks of the services that it is at.
pub const EXPORTS_MAX: usize = 2;
/// How many requests may import at once.
pub const IMPORTS_MAX: usize = 1;

/// How many chunks of instances are taken in one hold of the catalog's lock.
const CAPTURE_STEP: usize = 256;

/// Who makes backups, in bounded number.
#[derive(Debug)]
pub(super) struct Places {
    exports: Arc<Semaphore>,
    imports: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            exports: Arc::new(Semaphore::new(EXPORTS_MAX)),
            imports: Arc::new(Semaphore::new(IMPORTS_MAX)),
        }
    }
}

/// A place among those who import; dropped, it is free again.
#[derive(Debug)]
pub struct ImportPlace(#[expect(dead_code, reason = "it is held, not read")] OwnedSemaphorePermit);

/// A backup that is being made, in steps. Between two steps nothing is held but what the last one took.
#[derive(Debug)]
pub struct Export {
    registry: Registry,
    walk: CaptureWalk,
    _place: OwnedSemaphorePermit,
}

impl Export {
    /// The next pieces, which are made as they are asked for; `None` at the end. Each service is as of the moment of its
    /// step.
    pub fn step(&mut self) -> Option<impl Iterator<Item = Piece> + Send + use<>> {
        let catalog = self.registry.inner.catalog.lock();
        let captured = catalog.capture(&mut self.walk, CAPTURE_STEP);
        MutexGuard::unlock_fair(catalog);
        Some(captured?.into_pieces())
    }
}

impl Registry {
    /// Begins a backup. `None` if there are [`EXPORTS_MAX`] already.
    #[must_use]
    pub fn export(&self) -> Option<Export> {
        let places = Arc::clone(&self.inner.backups.exports);
        Some(Export {
            registry: self.clone(),
            walk: CaptureWalk::default(),
            _place: places.try_acquire_owned().ok()?,
        })
    }

    /// A place among those who import. `None` if there are [`IMPORTS_MAX`] already.
    #[must_use]
    pub fn import_place(&self) -> Option<ImportPlace> {
        let places = Arc::clone(&self.inner.backups.imports);
        places.try_acquire_owned().ok().map(ImportPlace)
    }

    /// Makes a part of a service what a backup says it was. An instance keeps its lease, and what was measured, and has
    /// a fresh deadline; one that is there as it is said to be is left alone.
    ///
    /// # Errors
    /// If a limit is reached, the service is for instances of another lifetime, or the registry cannot take writes.
    pub async fn import(&self, service: ServiceKey, part: Part) -> Result<Written, WriteError> {
        let lease = self.inner.random.lease();
        self.write(Command::Import {
            service,
            part: Box::new(part),
            lease,
        })
        .await
    }

    /// Makes what is said about a service this, and nothing else.
    ///
    /// # Errors
    /// If it has instances of another lifetime, a limit is reached, or the registry cannot take writes.
    pub async fn declare_whole(
        &self,
        service: ServiceKey,
        settings: &ServiceSettings,
    ) -> Result<Written, WriteError> {
        let view = self.view(service.borrowed());
        let before = view.as_ref().and_then(|view| view.settings.as_deref());
        let patch = ServicePatch::replacing(before, settings);
        self.declare_service(service, patch, Existence::Any).await
    }

    /// Removes an instance on an operator's behalf, if it would stay until somebody does.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn evict_persistent(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
    ) -> Result<Written, WriteError> {
        self.write(Command::Deregister {
            service,
            endpoint,
            lease: None,
            only: &[LivenessKind::Static, LivenessKind::Probe],
            reason: Reason::Operator,
        })
        .await
    }
}
