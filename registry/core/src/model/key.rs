//! What a service is called: namespace, group and name together.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use super::{Group, Invalid, Namespace, ServiceName};

/// The full name of a service. A clone shares it: it stands in every change and every mutation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceKey(Arc<Parts>);

/// The parts of a [`ServiceKey`], which derefs to them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parts {
    /// The namespace.
    pub namespace: Namespace,
    /// The group.
    pub group: Group,
    /// The name.
    pub name: ServiceName,
}

/// A [`ServiceKey`] that is borrowed from a request: a look-up needs no allocation.
///
/// It need not be valid; an invalid one is simply never found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceRef<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The group.
    pub group: &'a str,
    /// The name.
    pub name: &'a str,
}

impl std::ops::Deref for ServiceKey {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl ServiceKey {
    /// Puts the parts together.
    #[must_use]
    pub fn new(namespace: Namespace, group: Group, name: ServiceName) -> Self {
        Self(Arc::new(Parts {
            namespace,
            group,
            name,
        }))
    }

    /// Whether it is the other's clone: then they are equal without a look at the names.
    #[must_use]
    pub fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The same name, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> ServiceRef<'_> {
        ServiceRef {
            namespace: self.namespace.as_str(),
            group: self.group.as_str(),
            name: self.name.as_str(),
        }
    }
}

impl ServiceRef<'_> {
    /// The same name, checked and owned.
    ///
    /// # Errors
    /// The first part that breaks its rule.
    pub fn to_key(self) -> Result<ServiceKey, Invalid> {
        Ok(ServiceKey::new(
            self.namespace.parse()?,
            self.group.parse()?,
            self.name.parse()?,
        ))
    }
}

/// Both forms must hash alike, or a borrowed look-up would miss: the borrowed one is the only implementation.
impl Hash for ServiceKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Hash for ServiceRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.namespace.hash(state);
        self.group.hash(state);
        self.name.hash(state);
    }
}

impl papaya::Equivalent<ServiceKey> for ServiceRef<'_> {
    fn equivalent(&self, key: &ServiceKey) -> bool {
        *self == key.borrowed()
    }
}

/// `namespace/group/name`. Neither a namespace nor a group can hold a `/`, so it reads back.
impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.group, self.name)
    }
}

impl FromStr for ServiceKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut parts = text.splitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(namespace), Some(group), Some(name)) => ServiceRef {
                namespace,
                group,
                name,
            }
            .to_key(),
            _ => Err(Invalid::new("service", "must be namespace/group/name", text)),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn both_forms_hash_alike_and_text_reads_back() {
        let key: ServiceKey = "public/DEFAULT_GROUP/a/b".parse().unwrap();
        assert_eq!(key.name.as_str(), "a/b");
        assert_eq!(key.to_string().parse::<ServiceKey>().unwrap(), key);
        let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
        assert_eq!(hasher.hash_one(&key), hasher.hash_one(key.borrowed()));
        assert!(papaya::Equivalent::equivalent(&key.borrowed(), &key));
        assert!("public/orders".parse::<ServiceKey>().is_err());
    }
}
