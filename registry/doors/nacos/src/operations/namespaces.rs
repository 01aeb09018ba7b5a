//! Namespaces. They need not be declared to be used; those that are used are listed, too, so that nothing is out of
//! sight.

use std::sync::Arc;

use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Existence, Invalid, Namespace, NamespaceInfo};
use beatrix_engine::WriteError;

use crate::door::Nacos;
use crate::error::Error;
use crate::params::Param;

/// A namespace.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Nacos: `public` is shown as `""`.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Whether it is the one that is always there.
    pub(crate) is_default: bool,
}

impl Shown {
    fn default_one() -> Self {
        Self {
            id: String::new(),
            name: "public".to_owned(),
            description: Some("Default Namespace".to_owned()),
            is_default: true,
        }
    }

    fn of(id: String, info: Option<&Arc<NamespaceInfo>>) -> Self {
        Self {
            name: info.map_or_else(|| id.clone(), |info| info.name.clone()),
            description: info
                .map(|info| info.description.clone())
                .filter(|text| !text.is_empty()),
            id,
            is_default: false,
        }
    }
}

/// All of them, the default one first.
pub(crate) fn all(nacos: &Nacos) -> Vec<Shown> {
    let summaries = nacos.registry.namespaces();
    let others = summaries
        .iter()
        .filter(|summary| summary.namespace.as_str() != Namespace::DEFAULT)
        .map(|summary| Shown::of(summary.namespace.to_string(), summary.info.as_ref()));
    std::iter::once(Shown::default_one()).chain(others).collect()
}

/// One of them; no id is the default one.
///
/// # Errors
/// If it is neither declared nor used.
pub(crate) fn one(nacos: &Nacos, id: Option<&str>) -> Result<Shown, Error> {
    let Some(id) = id.filter(|id| *id != Namespace::DEFAULT) else {
        return Ok(Shown::default_one());
    };
    let namespace: Namespace = id.parse()?;
    let found = all(nacos).into_iter().find(|shown| shown.id == id);
    found.ok_or_else(|| Error::Write(Refusal::NamespaceNotFound(namespace).into()))
}

/// Whether it is declared. The default one always is.
pub(crate) fn is_declared(nacos: &Nacos, id: &str) -> bool {
    let summaries = nacos.registry.namespaces();
    id == Namespace::DEFAULT
        || summaries
            .iter()
            .any(|summary| summary.namespace.as_str() == id && summary.info.is_some())
}

/// What is said about a namespace.
#[derive(Debug)]
pub(crate) struct Declaration {
    /// `None` for a fresh one.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
}

/// Characters that Nacos 2.x takes in no name of a namespace.
const NOT_IN_NAMES: [char; 7] = ['@', '#', '$', '%', '^', '&', '*'];

/// Declares one. Nacos: without an id it gets one.
///
/// # Errors
/// If there is one, or a text breaks its rule.
pub(crate) async fn create(nacos: &Nacos, declaration: Declaration) -> Result<(), Error> {
    let id = match &declaration.id {
        Some(id) => id.parse()?,
        None => fresh_id(nacos)?,
    };
    declare(nacos, id, declaration, Existence::Absent).await
}

/// Changes what is said about one.
///
/// # Errors
/// If it is not declared, or a text breaks its rule.
pub(crate) async fn update(nacos: &Nacos, declaration: Declaration) -> Result<(), Error> {
    let id: Namespace = match &declaration.id {
        Some(id) => id.parse()?,
        None => return Err(Error::Missing(Param::Namespace)),
    };
    declare(nacos, id, declaration, Existence::Present).await
}

async fn declare(
    nacos: &Nacos,
    id: Namespace,
    declaration: Declaration,
    must: Existence,
) -> Result<(), Error> {
    let Declaration {
        name, description, ..
    } = declaration;
    if name.contains(NOT_IN_NAMES) {
        let rule = "must have none of '@', '#', '$', '%', '^', '&', '*'";
        return Err(Invalid::new(Param::NamespaceName.as_str(), rule, &name).into());
    }
    if id.as_str() == Namespace::DEFAULT {
        return Err(Error::Write(Refusal::NamespaceExists(id).into()));
    }
    let info = NamespaceInfo {
        name,
        description: description.unwrap_or_default(),
    };
    nacos.registry.declare_namespace(id, info, must).await?;
    Ok(())
}

/// Takes a declaration back. Nacos: what is not there is no mistake, and what is registered there stays.
///
/// # Errors
/// If the id breaks its rule, or the registry takes no writes.
pub(crate) async fn remove(nacos: &Nacos, id: &str) -> Result<(), Error> {
    match nacos.registry.remove_namespace(id.parse()?).await {
        Ok(_) | Err(WriteError::Refused(Refusal::NamespaceNotFound(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// An id in the form of Nacos's, which are UUIDs. It has to be new, not secret: it is made of the time and of how much
/// has happened. Of two that are made at once the second is refused.
fn fresh_id(nacos: &Nacos) -> Result<Namespace, Error> {
    let (registry, version) = (&nacos.registry, nacos.registry.version());
    let hex = format!("{:016x}{:016x}", registry.wall().0, version.revision.0);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    Ok(parts.join("-").parse()?)
}
