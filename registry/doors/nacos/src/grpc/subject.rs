//! Which service a request is about.

use beatrix_core::model::{Group, Namespace, ServiceKey, ServiceRef};

use super::answer::Failure;
use crate::wire::Scalar;

/// What is blank is the default. Nacos 2.x takes an empty namespace for one of its own; Python's client says `""` in some
/// requests and `public` in others, and means the same.
fn or<'a>(name: Option<&'a Scalar<'_>>, default: &'static str) -> &'a str {
    match shown(name) {
        name if name.trim().is_empty() => default,
        name => name,
    }
}

fn shown<'a>(name: Option<&'a Scalar<'_>>) -> &'a str {
    name.map_or("", |Scalar(text)| text)
}

/// The namespace.
pub(super) fn namespace<'a>(name: Option<&'a Scalar<'_>>) -> &'a str {
    or(name, Namespace::DEFAULT)
}

/// Which service a request is about, as it says.
#[derive(Debug)]
pub(super) struct Names<'a> {
    namespace: Option<Scalar<'a>>,
    group: Option<Scalar<'a>>,
    service: Option<Scalar<'a>>,
}

impl<'a> Names<'a> {
    /// What a request has for each.
    pub(super) fn of(
        namespace: Option<Scalar<'a>>,
        group: Option<Scalar<'a>>,
        service: Option<Scalar<'a>>,
    ) -> Self {
        Self {
            namespace,
            group,
            service,
        }
    }

    /// The group and the name as the request says them, right or not.
    pub(super) fn as_said(&self) -> (&str, &str) {
        (shown(self.group.as_ref()), shown(self.service.as_ref()))
    }

    /// The names, checked.
    ///
    /// # Errors
    /// Names the one that breaks its rule.
    pub(super) fn key(&self) -> Result<ServiceKey, Failure> {
        let service = ServiceRef {
            namespace: namespace(self.namespace.as_ref()),
            group: or(self.group.as_ref(), Group::DEFAULT),
            name: shown(self.service.as_ref()),
        };
        Ok(service.to_key()?)
    }
}
