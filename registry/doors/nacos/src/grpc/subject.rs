//! Which service a request is about.

use std::borrow::Cow;

use beatrix_core::model::{Group, Namespace, ServiceKey, ServiceRef};

use super::answer::Failure;
use super::wire::{Names, text};
use crate::wire::Scalar;

/// What is blank is the default. Nacos 2.x takes an empty namespace for one of its own; Python's client says `""` in some
/// requests and `public` in others, and means the same.
fn or<'a>(name: Option<Scalar<'a>>, default: &'static str) -> Cow<'a, str> {
    match text(name) {
        name if name.trim().is_empty() => Cow::Borrowed(default),
        name => name,
    }
}

/// The namespace.
pub(super) fn namespace(name: Option<Scalar<'_>>) -> Cow<'_, str> {
    or(name, Namespace::DEFAULT)
}

impl Names<'_> {
    /// The names, checked.
    ///
    /// # Errors
    /// Names the one that breaks its rule.
    pub(super) fn key(self) -> Result<ServiceKey, Failure> {
        let namespace = namespace(self.namespace);
        let group = or(self.group, Group::DEFAULT);
        let name = text(self.service);
        let service = ServiceRef {
            namespace: &namespace,
            group: &group,
            name: &name,
        };
        Ok(service.to_key()?)
    }
}
