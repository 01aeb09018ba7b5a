//! Namespaces: how many services each has, and what was declared about it.

use std::sync::Arc;

use crate::model::{Existence, Namespace, NamespaceInfo};

use super::Catalog;
use super::command::Mutation;
use super::decide::Decision;
use super::refusal::Refusal;

/// How many namespaces may be declared. Others have services, which have a limit of their own.
pub const NAMESPACES_MAX: usize = 10_000;

/// A namespace in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceSummary {
    /// Which.
    pub namespace: Namespace,
    /// How many services it has.
    pub services: usize,
    /// What was declared about it.
    pub info: Option<Arc<NamespaceInfo>>,
}

/// What is kept of a namespace; nothing of one that neither has services nor is declared.
#[derive(Debug, Default)]
pub(super) struct Entry {
    services: usize,
    info: Option<Arc<NamespaceInfo>>,
}

impl Catalog {
    /// The namespaces that have services or are declared, ordered by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<NamespaceSummary> {
        let all = self.namespaces.iter().map(|(namespace, entry)| NamespaceSummary {
            namespace: namespace.clone(),
            services: entry.services,
            info: entry.info.clone(),
        });
        all.collect()
    }

    pub(super) fn namespace_info(&self, namespace: &Namespace) -> Option<&Arc<NamespaceInfo>> {
        self.namespaces.get(namespace)?.info.as_ref()
    }

    pub(super) fn decide_declare_namespace(
        &self,
        namespace: Namespace,
        info: NamespaceInfo,
        must: Existence,
    ) -> Result<Decision, Refusal> {
        info.check()?;
        match (self.namespace_info(&namespace), must) {
            (None, Existence::Present) => return Err(Refusal::NamespaceNotFound(namespace)),
            (Some(_), Existence::Absent) => return Err(Refusal::NamespaceExists(namespace)),
            (Some(known), _) if **known == info => return Ok(Decision::Nothing),
            (None, _) if self.namespaces_declared >= NAMESPACES_MAX => {
                return Err(Refusal::Limit {
                    limit: "namespaces_max",
                    max: NAMESPACES_MAX,
                });
            }
            _ => {}
        }
        Ok(Decision::Commit(vec![Mutation::NamespaceDeclared {
            namespace,
            info: Arc::new(info),
        }]))
    }

    pub(super) fn declare_namespace(&mut self, namespace: Namespace, info: Arc<NamespaceInfo>) {
        let entry = self.namespaces.entry(namespace).or_default();
        if entry.info.replace(info).is_none() {
            self.namespaces_declared += 1;
        }
    }

    pub(super) fn remove_namespace(&mut self, namespace: &Namespace) {
        let Some(entry) = self.namespaces.get_mut(namespace) else {
            return;
        };
        if entry.info.take().is_some() {
            self.namespaces_declared -= 1;
        }
        if entry.services == 0 {
            self.namespaces.remove(namespace);
        }
    }

    /// Counts a service of the namespace in, or out.
    pub(super) fn count_namespace(&mut self, namespace: &Namespace, comes: bool) {
        if comes {
            self.namespaces.entry(namespace.clone()).or_default().services += 1;
        } else if let Some(entry) = self.namespaces.get_mut(namespace) {
            entry.services -= 1;
            if entry.services == 0 && entry.info.is_none() {
                self.namespaces.remove(namespace);
            }
        }
    }
}
