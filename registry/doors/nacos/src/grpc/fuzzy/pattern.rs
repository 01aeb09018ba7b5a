//! What a pattern means: `namespace>>group>>service`, the latter two with a `*` at an end or both.

use beatrix_core::model::{Namespace, ServiceKey};

/// Between the parts of a pattern.
const BETWEEN: &str = ">>";

/// A pattern as it was sent, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::grpc) struct Pattern {
    pub(super) text: String,
    pub(super) namespace: Namespace,
    group: Item,
    service: Item,
}

/// What one part matches. Nacos 3.x: a `*` anywhere else matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Anything,
    Exactly(String),
    Containing(String),
    EndingWith(String),
    BeginningWith(String),
    Nothing,
}

impl Pattern {
    /// Reads a pattern. `None` if it is none.
    pub(in crate::grpc) fn of(text: &str) -> Option<Self> {
        let mut parts = text.split(BETWEEN);
        let (namespace, group, service) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || group.is_empty() || service.is_empty() {
            return None;
        }
        let namespace = match namespace.trim() {
            "" => Namespace::DEFAULT,
            namespace => namespace,
        };
        Some(Self {
            text: text.to_owned(),
            namespace: namespace.parse().ok()?,
            group: Item::of(group),
            service: Item::of(service),
        })
    }

    pub(in crate::grpc) fn matches(&self, service: &ServiceKey) -> bool {
        self.namespace == service.namespace
            && self.group.matches(service.group.as_str())
            && self.service.matches(service.name.as_str())
    }
}

impl Item {
    fn of(text: &str) -> Self {
        // Java's client says `.*` for all services of a group, and Nacos takes that for names that begin with a dot.
        if text == "*" || text == ".*" {
            return Self::Anything;
        }
        let (begins, ends) = (text.starts_with('*'), text.ends_with('*'));
        let inner = text.strip_prefix('*').unwrap_or(text);
        let inner = inner.strip_suffix('*').unwrap_or(inner).to_owned();
        match (begins, ends) {
            _ if inner.contains('*') => Self::Nothing,
            (true, true) => Self::Containing(inner),
            (true, false) => Self::EndingWith(inner),
            (false, true) => Self::BeginningWith(inner),
            (false, false) => Self::Exactly(inner),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Anything => true,
            Self::Exactly(text) => name == text,
            Self::Containing(text) => name.contains(text.as_str()),
            Self::EndingWith(text) => name.ends_with(text.as_str()),
            Self::BeginningWith(text) => name.starts_with(text.as_str()),
            Self::Nothing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_at_the_ends() {
        for (item, matched, not) in [
            ("svc", "svc", "svc1"),
            ("svc*", "svc1", "asvc"),
            ("*svc", "asvc", "svc1"),
            ("*svc*", "asvc1", "sv"),
            ("*", "anything", ""),
            (".*", "anything", ""),
        ] {
            let pattern = Pattern::of(&format!("public>>*>>{item}")).unwrap();
            let key = |name: &str| format!("public/g/{name}").parse().unwrap();
            assert!(pattern.matches(&key(matched)), "{item}");
            assert!(not.is_empty() || !pattern.matches(&key(not)), "{item}");
        }
        let pattern = Pattern::of("public>>*>>s*c").unwrap();
        assert!(!pattern.matches(&"public/g/sc".parse().unwrap()));
    }

    #[test]
    fn the_namespace_is_exact_and_three_parts_there_must_be() {
        let pattern = Pattern::of("dev>>a*>>*").unwrap();
        assert!(pattern.matches(&"dev/ab/s".parse().unwrap()));
        assert!(!pattern.matches(&"public/ab/s".parse().unwrap()));
        assert!(!pattern.matches(&"dev/b/s".parse().unwrap()));
        assert_eq!(Pattern::of(">>*>>*").unwrap().namespace.as_str(), "public");
        for none in [
            "",
            "svc",
            "public>>svc",
            "public>>a>>b>>c",
            "public>>>>b",
            "a b>>*>>*",
        ] {
            assert_eq!(Pattern::of(none), None, "{none}");
        }
    }
}
