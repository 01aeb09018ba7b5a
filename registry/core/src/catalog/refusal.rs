//! How the catalog refuses.

use crate::model::{Endpoint, Invalid, Lifetime, Namespace, ServiceKey};

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
    /// The service is for instances of another lifetime, by what was declared or by those that it has.
    #[error("service `{service}` is for {lifetime} instances")]
    OtherLifetime {
        /// The service.
        service: ServiceKey,
        /// Of which lifetime its instances are.
        lifetime: Lifetime,
    },
    /// The service is there already.
    #[error("service `{0}` exists already")]
    ServiceExists(ServiceKey),
    /// The service still has instances.
    #[error("service `{0}` has instances")]
    ServiceNotEmpty(ServiceKey),
    /// The namespace is declared already.
    #[error("namespace `{0}` exists already")]
    NamespaceExists(Namespace),
    /// The namespace is not declared.
    #[error("namespace `{0}` not found")]
    NamespaceNotFound(Namespace),
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
