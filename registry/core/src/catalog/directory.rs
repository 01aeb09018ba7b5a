//! Lists of services, ordered by name, in pages.

use std::ops::Bound;
use std::sync::Arc;

use crate::model::{Invalid, Revision, ServiceKey, ServiceRef, ServiceSettings};

use super::Catalog;
use super::service::Service;

/// Which services to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryQuery<'a> {
    /// Only of this namespace.
    pub namespace: &'a str,
    /// Only of this group.
    pub group: Option<&'a str>,
    /// Only of groups whose name contains this.
    pub group_contains: Option<&'a str>,
    /// Only those whose name contains this.
    pub search: Option<&'a str>,
    /// Whether to list services without instances.
    pub empty: bool,
    /// Whether to list, of services without instances, at least those that were declared and never lost one.
    pub declared: bool,
    /// How many to skip.
    pub offset: usize,
    /// How many to list.
    pub limit: usize,
}

/// A page of services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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
    /// In how many clusters they are.
    pub clusters: usize,
    /// The revision of its last change.
    pub revision: Revision,
    /// What was declared about it; `None` if nothing ever was.
    pub settings: Option<Arc<ServiceSettings>>,
}

/// A list that is being made, in steps: there may be a million services, and nobody else has the catalog meanwhile.
#[derive(Debug)]
pub struct DirectoryWalk<'a> {
    query: DirectoryQuery<'a>,
    page: DirectoryPage,
    /// How many of the page were taken out of it.
    taken: usize,
    /// Where to go on; `None` at the end.
    from: Option<Bound<ServiceKey>>,
}

impl<'a> DirectoryWalk<'a> {
    /// A list with nothing in it yet.
    #[must_use]
    pub fn new(query: DirectoryQuery<'a>) -> Self {
        // A namespace or a group that cannot be has no services.
        let from = least_key(query.namespace, query.group).ok();
        Self {
            query,
            page: DirectoryPage::default(),
            taken: 0,
            from: from.map(Bound::Included),
        }
    }

    /// Takes out what was found since this was asked last, for who needs not hold all of the page at once.
    pub fn take_found(&mut self) -> Vec<Summary> {
        self.taken += self.page.services.len();
        std::mem::take(&mut self.page.services)
    }

    /// How many matched so far.
    #[must_use]
    pub fn total(&self) -> usize {
        self.page.total
    }

    /// The list, as far as it was made and not taken out.
    #[must_use]
    pub fn page(self) -> DirectoryPage {
        self.page
    }

    fn look_at(&mut self, service: &Service) {
        let (query, key) = (&self.query, service.key());
        let contains = |text: &str, part: Option<&str>| part.is_none_or(|part| text.contains(part));
        let untouched = || service.settings.is_some() && service.emptied_by.is_none();
        let listed = !service.roster.is_empty() || query.empty || query.declared && untouched();
        if !listed
            || !contains(key.group.as_str(), query.group_contains)
            || !contains(key.name.as_str(), query.search)
        {
            return;
        }
        let page = &mut self.page;
        if page.total >= query.offset && page.services.len() + self.taken < query.limit {
            page.services.push(summary(service));
        }
        page.total += 1;
    }
}

impl Catalog {
    /// Looks at the next `services` services of a list. Returns whether there may be more. What changes between two
    /// steps is in the list if it is behind the place that was reached.
    pub fn walk(&self, walk: &mut DirectoryWalk<'_>, services: usize) -> bool {
        let Some(from) = walk.from.take() else {
            return false;
        };
        let (namespace, group) = (walk.query.namespace, walk.query.group);
        let mut last = None;
        let of_query = self
            .directory
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| {
                key.namespace.as_str() == namespace && group.is_none_or(|group| key.group.as_str() == group)
            });
        for (count, (key, index)) in (1..).zip(of_query) {
            if let Some(service) = self.services[*index as usize].as_ref() {
                walk.look_at(service);
            }
            if count >= services {
                last = Some(key);
                break;
            }
        }
        walk.from = last.cloned().map(Bound::Excluded);
        walk.from.is_some()
    }

    /// Lists services, in one step.
    #[cfg(test)]
    pub(crate) fn directory(&self, query: DirectoryQuery<'_>) -> DirectoryPage {
        let mut walk = DirectoryWalk::new(query);
        while self.walk(&mut walk, usize::MAX) {}
        walk.page()
    }
}

/// The least key that a namespace, or a group of it, can have: of all that groups and names may hold, `-` and `!` come
/// first.
fn least_key(namespace: &str, group: Option<&str>) -> Result<ServiceKey, Invalid> {
    ServiceRef {
        namespace,
        group: group.unwrap_or("-"),
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
        clusters: service.clusters.len(),
        revision: service.shared.revision(),
        settings: service.settings.clone(),
    }
}
