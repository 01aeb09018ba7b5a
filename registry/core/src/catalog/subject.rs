//! What a command or a mutation is about: by that is known which of them can be decided together, whom a change
//! concerns, and what a restored piece holds already.

use crate::model::{Endpoint, Namespace, ServiceKey, SettingName};

use super::command::{Command, Mutation};

/// What a command or a mutation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject<'a> {
    /// One instance, or the layer kept for it.
    Instance(&'a ServiceKey, &'a Endpoint),
    /// A service as a whole.
    Service(&'a ServiceKey),
    /// A namespace.
    Namespace(&'a Namespace),
    /// A setting of the whole registry.
    Setting(&'a SettingName),
    /// The registry as a whole.
    Registry,
}

impl<'a> Subject<'a> {
    /// The instance, if it is one.
    #[must_use]
    pub fn instance(self) -> Option<(&'a ServiceKey, &'a Endpoint)> {
        match self {
            Self::Instance(service, endpoint) => Some((service, endpoint)),
            Self::Service(_) | Self::Namespace(_) | Self::Setting(_) | Self::Registry => None,
        }
    }

    /// The service that it is, or is in.
    #[must_use]
    pub fn service(self) -> Option<&'a ServiceKey> {
        match self {
            Self::Instance(service, _) | Self::Service(service) => Some(service),
            Self::Namespace(_) | Self::Setting(_) | Self::Registry => None,
        }
    }
}

impl Command {
    /// What the command is about, if it is one thing and the command names it. Commands about different instances can be
    /// decided together before any of them is applied. See [`super::Catalog::decide`].
    #[must_use]
    pub fn subject(&self) -> Option<Subject<'_>> {
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
            | Self::EndReports { service, endpoint }
            | Self::Measure {
                service, endpoint, ..
            } => Some(Subject::Instance(service, endpoint)),
            Self::Import { service, part, .. } => Some(Subject::Instance(service, part.endpoint())),
            Self::DeclareService { service, .. } | Self::RemoveService { service } => {
                Some(Subject::Service(service))
            }
            Self::DeclareNamespace { namespace, .. } | Self::RemoveNamespace { namespace } => {
                Some(Subject::Namespace(namespace))
            }
            Self::Set { name, .. } => Some(Subject::Setting(name)),
            Self::Publish { .. }
            | Self::Declare { .. }
            | Self::Returned { .. }
            | Self::CloseSession { .. } => None,
        }
    }

    /// Whether it is about more than instances, and so can be decided together with no other.
    #[must_use]
    pub fn stands_alone(&self) -> bool {
        self.subject().is_some_and(|subject| subject.instance().is_none())
    }
}

impl Mutation {
    /// What it changes.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
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
            } => Subject::Instance(service, endpoint),
            Self::Imported { service, part } => Subject::Instance(service, part.endpoint()),
            Self::Ramped { service, .. }
            | Self::ServiceDeclared { service, .. }
            | Self::ServiceRemoved { service } => Subject::Service(service),
            Self::NamespaceDeclared { namespace, .. } | Self::NamespaceRemoved { namespace } => {
                Subject::Namespace(namespace)
            }
            Self::SettingChanged { name, .. } => Subject::Setting(name),
            Self::Warmed => Subject::Registry,
        }
    }
}
