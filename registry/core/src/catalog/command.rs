//! What may be asked of the catalog, and what it makes of it.

use std::sync::Arc;

use crate::model::{
    Declared, Endpoint, Existence, Health, Lease, LivenessKind, Marks, Namespace, NamespaceInfo,
    OperatorLayer, OperatorPatch, Origin, Reason, Registration, Revision, ServiceKey, ServicePatch,
    ServiceSettings, SessionId, SettingName, Share, Wall,
};

use super::importing::Part;

/// A wish to change something. Proposed by a door; nothing has happened yet.
#[derive(Debug, Clone)]
pub enum Command {
    /// Adds an instance, or replaces what its client said about it.
    Register {
        /// The service; it comes into being with its first instance.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// All that the client says.
        registration: Box<Registration>,
        /// The health to begin with.
        health: Health,
        /// A fresh lease, taken if the instance does not keep the one it has.
        lease: Lease,
        /// Only if the service has no instance of the other [`Lifetime`](crate::model::Lifetime).
        uniform: bool,
    },
    /// Makes what a connection has in a service exactly this, at once: what it had besides goes. Those that are in the list
    /// are registered, each only if the service has no instance of the other lifetime; all of them or none.
    Publish {
        /// The service; it comes into being with its first instance.
        service: ServiceKey,
        /// The connection.
        session: SessionId,
        /// All that it has there. Each lives by the connection; of those with one name the last counts.
        instances: Vec<Publication>,
    },
    /// Removes an instance.
    Deregister {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// Only if it holds this lease.
        lease: Option<Lease>,
        /// Only if it lives in one of these ways; empty for any.
        only: &'static [LivenessKind],
        /// Why.
        reason: Reason,
    },
    /// Changes the operator's layer of an instance.
    Operate {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// The change.
        patch: Box<OperatorPatch>,
        /// Also if there is no such instance: the layer then waits for it to register.
        ahead: bool,
    },
    /// Ends the operator's layer, also that of an instance that is gone.
    ClearOperator {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
    },
    /// Sets what an instance says about itself; `None` for nothing.
    Declare {
        /// Whose status it is.
        lease: Lease,
        /// The status.
        declared: Option<Arc<Declared>>,
    },
    /// Sets the measured health of an instance that does not live by beats.
    Measure {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// What was measured.
        health: Health,
        /// Why.
        reason: Reason,
    },
    /// What consumers say about an instance is to be forgotten, by an operator's hand.
    EndReports {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
    },
    /// A beat came for an instance that was found silent.
    Returned {
        /// The instance, as the beat found it.
        slot: u32,
    },
    /// A connection closed: all its instances go.
    CloseSession {
        /// The connection.
        session: SessionId,
    },
    /// Makes a service, or changes what is said about it.
    DeclareService {
        /// The service.
        service: ServiceKey,
        /// The change.
        patch: Box<ServicePatch>,
        /// What must be true of the service. It is present when the catalog has it at all, also emptied.
        must: Existence,
    },
    /// Removes a service without instances, with all that was said about it.
    RemoveService {
        /// The service.
        service: ServiceKey,
    },
    /// Declares a namespace, or changes what is said about it.
    DeclareNamespace {
        /// The namespace.
        namespace: Namespace,
        /// What is said.
        info: NamespaceInfo,
        /// What must be true of the declaration. That the namespace has services is none.
        must: Existence,
    },
    /// Takes a namespace's declaration back. Its services stay.
    RemoveNamespace {
        /// The namespace.
        namespace: Namespace,
    },
    /// Sets or ends a setting of the whole registry.
    Set {
        /// Its name.
        name: SettingName,
        /// Its value; `None` for none.
        value: Option<Arc<str>>,
    },
    /// Makes a part of a service what a backup says it was.
    Import {
        /// The service; it comes into being with its first part.
        service: ServiceKey,
        /// The part.
        part: Box<Part>,
        /// A fresh lease, taken if another instance has the one that the backup tells.
        lease: Lease,
    },
}

/// An instance as its client registers it.
#[derive(Debug, Clone)]
pub struct Publication {
    /// What names the instance.
    pub endpoint: Endpoint,
    /// All that the client says.
    pub registration: Box<Registration>,
    /// The health to begin with.
    pub health: Health,
    /// A fresh lease, taken if the instance does not keep the one it has.
    pub lease: Lease,
}

/// A decided change of one thing. It is what a journal keeps, and means the same on every node.
#[derive(Debug, Clone, PartialEq)]
pub enum Mutation {
    /// The instance is as its client registered it.
    Registered {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// All that the client says.
        registration: Box<Registration>,
        /// The health to begin with.
        health: Health,
        /// The lease that it has from now on.
        lease: Lease,
    },
    /// The instance is gone.
    Removed {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// Why.
        reason: Reason,
    },
    /// Its health was measured.
    Measured {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// What was measured.
        health: Health,
        /// What else there is to know about it from now on.
        marks: Marks,
        /// Why.
        reason: Reason,
    },
    /// It said something about itself.
    Declared {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// What it said.
        declared: Option<Arc<Declared>>,
    },
    /// An operator's layer was set, or ended.
    Operated {
        /// The service.
        service: ServiceKey,
        /// What names the instance, or named it.
        endpoint: Endpoint,
        /// The layer from now on.
        layer: Option<Box<OperatorLayer>>,
    },
    /// New instances get another share of their weight. One mutation for all of a service that step together: no change
    /// of membership, but a change of the view.
    Ramped {
        /// The service.
        service: ServiceKey,
        /// Which instances, and their shares from now on.
        shares: Vec<(Endpoint, Share)>,
    },
    /// The service is there, and this is said about it.
    ServiceDeclared {
        /// The service.
        service: ServiceKey,
        /// All that is said about it.
        settings: Box<ServiceSettings>,
    },
    /// The service is gone, if it has no instances, with all that was said about it.
    ServiceRemoved {
        /// The service.
        service: ServiceKey,
    },
    /// This is said about the namespace.
    NamespaceDeclared {
        /// The namespace.
        namespace: Namespace,
        /// All that is said about it.
        info: Arc<NamespaceInfo>,
    },
    /// Nothing is said about the namespace any more.
    NamespaceRemoved {
        /// The namespace.
        namespace: Namespace,
    },
    /// A setting of the whole registry changed.
    SettingChanged {
        /// Its name.
        name: SettingName,
        /// Its value; `None` for none.
        value: Option<Arc<str>>,
    },
    /// A part of the service came from a backup.
    Imported {
        /// The service.
        service: ServiceKey,
        /// The part as it is from now on; its revision is that of the mutation.
        part: Box<Part>,
    },
    /// After a restart: the registry knows all instances again. All views are new from here on.
    Warmed,
}

/// A mutation that is to be committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposed {
    /// What changes.
    pub mutation: Mutation,
    /// Who asked for it.
    pub by: Origin,
}

/// A mutation that a journal has committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Its revision.
    pub revision: Revision,
    /// When it was proposed, by the wall clock of its proposer.
    pub at: Wall,
    /// Who asked for it.
    pub by: Origin,
    /// What changes.
    pub mutation: Mutation,
}
