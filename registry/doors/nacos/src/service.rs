//! Which service a request is about.

use std::borrow::Cow;

use beatrix_core::model::{Group, Namespace, ServiceKey, ServiceRef};

use crate::error::Error;
use crate::params::{Param, Params};

/// Between group and name in a grouped name.
pub(crate) const GROUPED: &str = "@@";

/// The names as the request has them; not checked, since what is found in the registry is valid.
#[derive(Debug)]
pub(crate) struct Service<'a> {
    namespace: Cow<'a, str>,
    group: Cow<'a, str>,
    /// Bare or grouped.
    name: Cow<'a, str>,
    /// Where in `name` the group ends.
    grouped: Option<usize>,
}

impl<'a> Service<'a> {
    /// Nacos v1: the name may be grouped, and then that group counts, not `groupName`. No namespace is `public`.
    ///
    /// # Errors
    /// If there is no `serviceName`, or a name is not UTF-8.
    pub(crate) fn of(params: &Params<'a>) -> Result<Self, Error> {
        let name = params.require(Param::Service)?;
        // Not `find`: setting up its search costs more than looking at a name this short.
        let grouped = name
            .as_bytes()
            .windows(GROUPED.len())
            .position(|window| window == GROUPED.as_bytes());
        Ok(Self {
            namespace: params
                .get(Param::Namespace)?
                .unwrap_or(Cow::Borrowed(Namespace::DEFAULT)),
            group: params.get(Param::Group)?.unwrap_or(Cow::Borrowed(Group::DEFAULT)),
            name,
            grouped,
        })
    }

    /// The service of `[namespace##]group@@service`, as the list of statuses names it.
    ///
    /// # Errors
    /// If it is not grouped, or a name breaks its rule.
    pub(crate) fn of_key(key: &'a str) -> Result<Self, Error> {
        let (namespace, name) = key.split_once("##").unwrap_or((Namespace::DEFAULT, key));
        let Some(grouped) = name.find(GROUPED) else {
            return Err(Error::NotGrouped(Param::Key));
        };
        let service = Self {
            namespace: Cow::Borrowed(namespace),
            group: Cow::Borrowed(Group::DEFAULT),
            name: Cow::Borrowed(name),
            grouped: Some(grouped),
        };
        service.key()?;
        Ok(service)
    }

    /// Whether the name came with its group.
    pub(crate) fn is_grouped(&self) -> bool {
        self.grouped.is_some()
    }

    /// The names, to look them up.
    pub(crate) fn borrowed(&self) -> ServiceRef<'_> {
        let (group, name) = match self.grouped {
            Some(at) => (&self.name[..at], &self.name[at + GROUPED.len()..]),
            None => (&*self.group, &*self.name),
        };
        ServiceRef {
            namespace: &self.namespace,
            group,
            name,
        }
    }

    /// The names, checked.
    ///
    /// # Errors
    /// Names the parameter that breaks its rule.
    pub(crate) fn key(&self) -> Result<ServiceKey, Error> {
        Ok(self.borrowed().to_key()?)
    }
}

/// `group@@service`, as clients and other replies call it.
pub(crate) fn grouped_name(service: ServiceRef<'_>) -> String {
    [service.group, GROUPED, service.name].concat()
}
