//! What may be asked of the catalog, what it makes of it, and how it refuses.

use std::sync::Arc;

use crate::model::{
    Declared, Endpoint, Health, Invalid, Lease, LivenessKind, OperatorLayer, OperatorPatch, Reason,
    Registration, Revision, ServiceKey, SessionId, Wall,
};

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
    /// A probe was answered, well or badly.
    Probed {
        /// The service.
        service: ServiceKey,
        /// What names the instance.
        endpoint: Endpoint,
        /// Whether the answer was good.
        good: bool,
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
}

impl Command {
    /// The instance that the command is about, if it is about one. Commands about different instances can be decided
    /// together before any of them is applied; see [`super::Catalog::decide`].
    #[must_use]
    pub fn subject(&self) -> Option<(&ServiceKey, &Endpoint)> {
        match self {
            Self::Register {
                service, endpoint, ..
            }
            | Self::Deregister {
                service, endpoint, ..
            }
            | Self::Operate {
                service, endpoint, ..
            }
            | Self::ClearOperator { service, endpoint }
            | Self::Measure {
                service, endpoint, ..
            }
            | Self::Probed {
                service, endpoint, ..
            } => Some((service, endpoint)),
            Self::Declare { .. } | Self::Returned { .. } | Self::CloseSession { .. } => None,
        }
    }
}

/// A decided change of one instance. It is what a journal keeps, and means the same on every node.
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
        /// Whether the guard protects it.
        suspect: bool,
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
}

impl Mutation {
    /// The instance that it changes.
    #[must_use]
    pub fn subject(&self) -> (&ServiceKey, &Endpoint) {
        match self {
            Self::Registered {
                service, endpoint, ..
            }
            | Self::Removed {
                service, endpoint, ..
            }
            | Self::Measured {
                service, endpoint, ..
            }
            | Self::Declared {
                service, endpoint, ..
            }
            | Self::Operated {
                service, endpoint, ..
            } => (service, endpoint),
        }
    }
}

/// A mutation that a journal has committed.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    /// Its revision.
    pub revision: Revision,
    /// When it was proposed, by the wall clock of its proposer.
    pub at: Wall,
    /// What changes.
    pub mutation: Mutation,
}

/// Why a command is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such service.
    #[error("service `{0}` not found")]
    ServiceNotFound(ServiceKey),
    /// There is no such instance.
    #[error("instance `{1}` not found in service `{0}`")]
    InstanceNotFound(ServiceKey, Endpoint),
    /// No instance has this lease.
    #[error("unknown lease")]
    UnknownLease,
    /// The instance is there, but under another lease.
    #[error("instance `{1}` of service `{0}` is registered under another lease")]
    LeaseMismatch(ServiceKey, Endpoint),
    /// A limit is reached.
    #[error("limit {limit} of {max} is reached")]
    Limit {
        /// The limit's name.
        limit: &'static str,
        /// The limit.
        max: usize,
    },
    /// The result would break a rule.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}
