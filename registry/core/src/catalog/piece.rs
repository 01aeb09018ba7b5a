//! A catalog in pieces: what a checkpoint keeps, and what a restart begins with.
//!
//! Pieces say what is, where mutations say what changed. A checkpoint is captured in steps, and others write meanwhile:
//! so each service is as of a revision of its own, and what the log holds about it up to that revision is in it already.

use std::sync::Arc;

use crate::model::{
    Declared, Endpoint, Incarnation, Lease, Namespace, NamespaceInfo, OperatorLayer, Reason, Registration,
    Revision, ServiceKey, ServiceSettings, SettingName, State,
};

/// A part of a catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// The first piece. What follows about namespaces and settings is as of this revision, and no service is as of an
    /// earlier one: the log is needed from the next revision on.
    Begin {
        /// The revision.
        as_of: Revision,
    },
    /// A declared namespace.
    Namespace {
        /// Its name.
        namespace: Namespace,
        /// What is said about it.
        info: Arc<NamespaceInfo>,
    },
    /// A setting of the whole registry.
    Setting {
        /// Its name.
        name: SettingName,
        /// Its value.
        value: Arc<str>,
    },
    /// A service without its instances; they follow, all as of the same revision, before the next service.
    Service(Box<ServicePiece>),
    /// Instances of the service before them, ordered by endpoint.
    Instances(Vec<InstancePiece>),
}

/// A service without its instances.
#[derive(Debug, Clone, PartialEq)]
pub struct ServicePiece {
    /// Its name.
    pub key: ServiceKey,
    /// The registry's revision at which it was captured.
    pub as_of: Revision,
    /// The revision of its last change.
    pub revision: Revision,
    /// What was declared about it.
    pub settings: Option<Arc<ServiceSettings>>,
    /// Why the last instance left, if it is empty and once was not.
    pub emptied_by: Option<Reason>,
    /// The operator's layers, ordered by endpoint, also of instances that are gone or have yet to come.
    pub layers: Vec<LayerPiece>,
}

/// An operator's layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerPiece {
    /// Whose it is, or was.
    pub endpoint: Endpoint,
    /// What is set.
    pub layer: OperatorLayer,
    /// The run of the process that it is for.
    pub of: LayerOf,
}

/// The run of a process that an operator's layer was set on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LayerOf {
    /// This one.
    Run(Option<Incarnation>),
    /// It was set while there was none: it is for whichever comes next.
    Next,
}

/// An instance without the operator's layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstancePiece {
    /// What names it.
    pub endpoint: Endpoint,
    /// Its lease.
    pub lease: Lease,
    /// What its client registered.
    pub registration: Registration,
    /// What the client says about itself.
    pub declared: Option<Arc<Declared>>,
    /// What was measured.
    pub state: State,
}
