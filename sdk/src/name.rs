//! The names of services, as a caller writes them and in full.
//!
//! Names are checked here by the rules of the registry, before anything is sent: one stream carries many services,
//! and a name that the registry refuses would cost the others their stream.

use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Error;

/// What need not be encoded in a path segment or a query value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

pub(crate) fn encode(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// A service as a caller names it: namespace and group are the client's defaults unless they are given.
///
/// ```
/// use beatrix_sdk::ServiceName;
///
/// let plain: ServiceName = "orders".into();
/// let elsewhere = ServiceName::new("orders").in_namespace("staging").in_group("shop");
/// # let _ = (plain, elsewhere);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceName {
    namespace: Option<String>,
    group: Option<String>,
    service: String,
}

impl ServiceName {
    /// The service of this name in the client's namespace and group.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        Self {
            namespace: None,
            group: None,
            service: service.into(),
        }
    }

    /// The same in another namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The same in another group.
    #[must_use]
    pub fn in_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The name in full.
    pub(crate) fn resolve(&self, defaults: &Defaults) -> Result<ServiceKey, Error> {
        let namespace = self.namespace.as_deref().unwrap_or(&defaults.namespace);
        let group = self.group.as_deref().unwrap_or(&defaults.group);
        check_namespace(namespace)?;
        check_group(group)?;
        check_service(&self.service)?;
        Ok(ServiceKey {
            namespace: namespace.into(),
            group: group.into(),
            service: self.service.as_str().into(),
        })
    }
}

impl From<&str> for ServiceName {
    fn from(service: &str) -> Self {
        Self::new(service)
    }
}

impl From<String> for ServiceName {
    fn from(service: String) -> Self {
        Self::new(service)
    }
}

impl From<&ServiceKey> for ServiceName {
    fn from(key: &ServiceKey) -> Self {
        Self::new(key.service())
            .in_namespace(key.namespace())
            .in_group(key.group())
    }
}

/// The namespace and the group of services that are named without.
#[derive(Debug, Clone)]
pub(crate) struct Defaults {
    pub(crate) namespace: String,
    pub(crate) group: String,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            namespace: "public".into(),
            group: "DEFAULT_GROUP".into(),
        }
    }
}

impl Defaults {
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_namespace(&self.namespace)?;
        check_group(&self.group)
    }
}

/// The full name of a service. It prints as `namespace/group/service`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey {
    namespace: Arc<str>,
    group: Arc<str>,
    service: Arc<str>,
}

impl ServiceKey {
    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &str {
        &self.group
    }

    /// The name of the service inside its group.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The path of the service in the native API.
    pub(crate) fn path(&self) -> String {
        format!(
            "/api/v1/namespaces/{}/groups/{}/services/{}",
            encode(&self.namespace),
            encode(&self.group),
            encode(&self.service)
        )
    }

    /// Whether an event of the stream speaks of this service.
    pub(crate) fn is(&self, namespace: &str, group: &str, service: &str) -> bool {
        *self.service == *service && *self.group == *group && *self.namespace == *namespace
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.namespace, self.group, self.service)
    }
}

fn check_namespace(text: &str) -> Result<(), Error> {
    if is_word(text, 64, b"_-") {
        return Ok(());
    }
    Err(Error::invalid(
        "namespace",
        text,
        "must be 1 to 64 letters, digits, '_' or '-'",
    ))
}

fn check_group(text: &str) -> Result<(), Error> {
    if is_word(text, 128, b"-_:.") && !is_dots(text) {
        return Ok(());
    }
    Err(Error::invalid(
        "group",
        text,
        "must be 1 to 128 letters, digits, '-', '_', ':' or '.', and not '.' or '..'",
    ))
}

fn check_service(text: &str) -> Result<(), Error> {
    let obeys = !text.is_empty()
        && text.chars().count() <= 512
        && !text.starts_with('@')
        && !text.contains("@@")
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || ('\u{4E00}'..='\u{9FA5}').contains(&c))
        && !is_dots(text);
    if obeys {
        return Ok(());
    }
    Err(Error::invalid(
        "service",
        text,
        "must be 1 to 512 characters without white space, control characters, CJK ideographs or '@@', not start with '@', and not be '.' or '..'",
    ))
}

fn is_word(text: &str, len_max: usize, also: &[u8]) -> bool {
    (1..=len_max).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || also.contains(&b))
}

/// A URL cannot have such a segment: it is resolved away, even when it is percent-encoded, and the request would
/// reach another path than the one meant.
fn is_dots(text: &str) -> bool {
    text == "." || text == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(name: impl Into<ServiceName>) -> Result<ServiceKey, Error> {
        name.into().resolve(&Defaults::default())
    }

    #[test]
    fn defaults_fill_what_is_not_given() {
        assert_eq!(
            resolve("orders").unwrap().to_string(),
            "public/DEFAULT_GROUP/orders"
        );
        let elsewhere = ServiceName::new("orders").in_namespace("n").in_group("g");
        assert_eq!(resolve(elsewhere).unwrap().to_string(), "n/g/orders");
    }

    #[test]
    fn a_slash_in_a_name_stays_inside_its_segment() {
        assert!(
            resolve("a/b ".trim())
                .unwrap()
                .path()
                .ends_with("/services/a%2Fb")
        );
    }

    #[test]
    fn names_that_the_registry_refuses_or_a_url_cannot_carry_are_refused_here() {
        for name in ["", ".", "..", "a b", "@a", "a@@b", "服务", "a\nb"] {
            assert!(
                matches!(resolve(name), Err(Error::Invalid { field: "service", .. })),
                "{name:?}"
            );
        }
        assert!(resolve("é".repeat(512)).is_ok());
        assert!(resolve("é".repeat(513)).is_err());
        assert!(resolve(ServiceName::new("a").in_group("..")).is_err());
        assert!(resolve(ServiceName::new("a").in_namespace("a.b")).is_err());
    }
}
