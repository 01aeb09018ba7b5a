//! Backups: taking the registry apart while it goes on, and putting parts of it back.

use std::sync::Arc;

use beatrix_core::catalog::{CaptureWalk, Command, Part, Piece};
use beatrix_core::model::{
    Endpoint, Existence, LivenessKind, Namespace, NamespaceInfo, Reason, ServiceKey, ServicePatch,
    ServiceSettings, SettingName,
};
use parking_lot::MutexGuard;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Registry;
use super::owner::Answer;
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

/// What an import asks for.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// This is said about a namespace, and nothing else.
    Namespace(Namespace, NamespaceInfo),
    /// Nothing is said about a namespace.
    NoNamespace(Namespace),
    /// A setting of the whole registry is this; `None`: it is not set.
    Setting(SettingName, Option<Arc<str>>),
    /// This is said about a service, and nothing else.
    Settings(ServiceKey, Box<ServiceSettings>),
    /// There is no such service.
    NoService(ServiceKey),
    /// A part of a service is what a backup says it was. An instance keeps its lease, and what was measured, and has a
    /// fresh deadline; one that is there as it is said to be is left alone.
    Part(ServiceKey, Box<Part>),
    /// There is no operator's layer for this endpoint.
    NoLayer(ServiceKey, Endpoint),
    /// There is no such instance of those that stay until somebody removes them.
    NoInstance(ServiceKey, Endpoint),
}

/// What has its place in the order of all writes.
#[derive(Debug)]
pub struct Proposal(oneshot::Receiver<Answer>);

impl Proposal {
    /// What came of it.
    ///
    /// # Errors
    /// If it was refused, or the registry cannot take writes.
    pub async fn answer(self) -> Result<Written, WriteError> {
        let answered = self.0.await.unwrap_or(Err(WriteError::Stopping));
        answered.map(|(written, _)| written)
    }
}

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

    /// Proposes what an import asks for. It returns once that has its place in the order of all writes, before it is
    /// decided: so one who waits for it before he proposes the next has them carried out in his order, and many of them
    /// in one commit all the same.
    ///
    /// # Errors
    /// If the registry is stopping.
    pub async fn put_back(&self, wanted: Wanted) -> Result<Proposal, WriteError> {
        let command = self.command_for(wanted);
        Ok(Proposal(self.enqueue(command).await?))
    }

    fn command_for(&self, wanted: Wanted) -> Command {
        match wanted {
            Wanted::Namespace(namespace, info) => Command::DeclareNamespace {
                namespace,
                info,
                must: Existence::Any,
            },
            Wanted::NoNamespace(namespace) => Command::RemoveNamespace { namespace },
            Wanted::Setting(name, value) => Command::Set { name, value },
            Wanted::Settings(service, settings) => {
                let view = self.view(service.borrowed());
                let before = view.as_ref().and_then(|view| view.settings.as_deref());
                let patch = Box::new(ServicePatch::replacing(before, &settings));
                Command::DeclareService {
                    service,
                    patch,
                    must: Existence::Any,
                }
            }
            Wanted::NoService(service) => Command::RemoveService { service },
            Wanted::Part(service, part) => Command::Import {
                service,
                part,
                lease: self.inner.random.lease(),
            },
            Wanted::NoLayer(service, endpoint) => Command::ClearOperator { service, endpoint },
            Wanted::NoInstance(service, endpoint) => Command::Deregister {
                service,
                endpoint,
                lease: None,
                only: &[LivenessKind::Static, LivenessKind::Probe],
                reason: Reason::Operator,
            },
        }
    }
}
