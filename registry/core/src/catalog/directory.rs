//! Lists of services, ordered by name, in pages.

use std::ops::Bound;

use crate::model::{Invalid, Namespace, Revision, ServiceKey, ServiceRef};

use super::Catalog;
use super::service::Service;

/// Which services to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryQuery<'a> {
    /// Only of this namespace.
    pub namespace: &'a str,
    /// Only of this group.
    pub group: Option<&'a str>,
    /// Only those whose name contains this.
    pub search: Option<&'a str>,
    /// Whether to list services without instances.
    pub empty: bool,
    /// How many to skip.
    pub offset: usize,
    /// How many to list.
    pub limit: usize,
}

/// A page of services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryPage {
    /// How many match in all.
    pub total: usize,
    /// Those of the page.
    pub services: Vec<Summary>,
}

/// A service in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Which.
    pub key: ServiceKey,
    /// How many instances it has.
    pub instances: usize,
    /// How many of them are healthy.
    pub healthy: usize,
    /// How many of them callers should use now.
    pub serving: usize,
    /// The revision of its last change.
    pub revision: Revision,
}

impl Catalog {
    /// Lists services. It walks all services of the namespace, since it tells how many there are in all.
    #[must_use]
    pub fn directory(&self, query: DirectoryQuery<'_>) -> DirectoryPage {
        let mut page = DirectoryPage {
            total: 0,
            services: Vec::new(),
        };
        for service in self.of_namespace(query.namespace) {
            let key = service.key();
            let matches = query.group.is_none_or(|group| key.group.as_str() == group)
                && query
                    .search
                    .is_none_or(|search| key.name.as_str().contains(search))
                && (query.empty || !service.roster.is_empty());
            if !matches {
                continue;
            }
            if page.total >= query.offset && page.services.len() < query.limit {
                page.services.push(summary(service));
            }
            page.total += 1;
        }
        page
    }

    /// The namespaces that have services, with how many, ordered by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<(Namespace, usize)> {
        let mut namespaces: Vec<(Namespace, usize)> = Vec::new();
        for key in self.directory.keys() {
            match namespaces.last_mut() {
                Some((last, count)) if *last == key.namespace => *count += 1,
                _ => namespaces.push((key.namespace.clone(), 1)),
            }
        }
        namespaces
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Service> {
        // A namespace that cannot be has no services; the range is empty then.
        let start = match least_key(namespace) {
            Ok(least) => Bound::Included(least),
            Err(_) => return None.into_iter().flatten(),
        };
        let services = self
            .directory
            .range((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.namespace.as_str() == namespace)
            .filter_map(|(_, index)| self.services[*index as usize].as_ref());
        Some(services).into_iter().flatten()
    }
}

/// The least key that a namespace can have: of all that groups and names may hold, `-` and `!` come first.
fn least_key(namespace: &str) -> Result<ServiceKey, Invalid> {
    ServiceRef {
        namespace,
        group: "-",
        name: "!",
    }
    .to_key()
}

fn summary(service: &Service) -> Summary {
    Summary {
        key: service.key().clone(),
        instances: service.roster.len(),
        healthy: service.healthy,
        serving: service.serving,
        revision: service.shared.revision(),
    }
}
