//! The names of namespaces, groups, services and clusters.
//!
//! The rules are those of Nacos, for every door: a name that one protocol could store and another not even say
//! would break the promise that what one client registers every other sees.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::Invalid;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $field:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Whether `text` obeys the rule, without making a value of it.
            ///
            /// # Errors
            /// The field and the rule that `text` breaks.
            pub fn check(text: &str) -> Result<(), Invalid> {
                let obeys: fn(&str) -> bool = $check;
                if obeys(text) { Ok(()) } else { Err(Invalid::new($field, $rule, text)) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

fn all(text: &str, len_max: usize, also: &[u8]) -> bool {
    (1..=len_max).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || also.contains(&byte))
}

/// Names stand in paths, and whoever normalises a path takes these for steps in it.
fn is_path_step(text: &str) -> bool {
    text == "." || text == ".."
}

name!(
    /// A namespace: services of different namespaces never meet. Nacos 2.x: at most 64 letters, digits, `_`, `-`.
    Namespace,
    "namespace",
    "must be 1 to 64 letters, digits, '_' or '-'",
    |text| all(text, 64, b"_-")
);

name!(
    /// A group of services. Nacos 2.x: at most 128 letters, digits, `-`, `_`, `:`, `.`.
    Group,
    "group",
    "must be 1 to 128 letters, digits, '-', '_', ':' or '.', and not '.' or '..'",
    |text| all(text, 128, b"-_:.") && !is_path_step(text)
);

name!(
    /// The name of a service. Nacos 2.x: at most 512 characters, no white space, no CJK ideographs, no `@@`, no
    /// leading `@`. Control characters are refused besides.
    ServiceName,
    "service",
    "must be 1 to 512 characters without white space, control characters, CJK ideographs or '@@', and neither start with '@' nor be '.' or '..'",
    |text| {
        // A character has at most four bytes: the byte length rules out the absurd before anything is counted.
        !text.is_empty()
            && text.len() <= 4 * 512
            && text.chars().count() <= 512
            && !text.starts_with('@')
            && !text.contains("@@")
            && !is_path_step(text)
            && !text.chars().any(|c| {
                c.is_whitespace() || c.is_control() || ('\u{4E00}'..='\u{9FA5}').contains(&c)
            })
    }
);

name!(
    /// A label of an instance inside its service. Nacos 2.x: at most 64 letters, digits, `-`, `_`.
    Cluster,
    "cluster",
    "must be 1 to 64 letters, digits, '-' or '_'",
    |text| all(text, 64, b"-_")
);

name!(
    /// What a setting of the whole registry is called.
    SettingName,
    "setting",
    "must be 1 to 128 letters, digits, '.', '-' or '_'",
    |text| all(text, 128, b".-_")
);

/// A setting is found by its text.
impl std::borrow::Borrow<str> for SettingName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Namespace {
    /// The namespace of those who name none. Nacos 2.x: `public`.
    pub const DEFAULT: &str = "public";
}

impl Group {
    /// The group of those who name none. Nacos 2.x: `DEFAULT_GROUP`.
    pub const DEFAULT: &str = "DEFAULT_GROUP";
}

impl Cluster {
    /// The cluster of those who name none. Nacos 2.x: `DEFAULT`.
    pub const DEFAULT: &str = "DEFAULT";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_nacos() {
        for (text, namespace, group, service, cluster) in [
            ("public", true, true, true, true),
            ("", false, false, false, false),
            ("a b", false, false, false, false),
            ("a_b", true, true, true, true),
            ("a.b:c", false, true, true, false),
            ("@a", false, false, false, false),
            ("a@@b", false, false, false, false),
            ("a@b", false, false, true, false),
            ("服务", false, false, false, false),
            ("a/b", false, false, true, false),
            (".", false, false, false, false),
            ("..", false, false, false, false),
            ("...", false, true, true, false),
            ("a\u{0}b", false, false, false, false),
        ] {
            assert_eq!(text.parse::<Namespace>().is_ok(), namespace, "namespace {text:?}");
            assert_eq!(text.parse::<Group>().is_ok(), group, "group {text:?}");
            assert_eq!(text.parse::<ServiceName>().is_ok(), service, "service {text:?}");
            assert_eq!(text.parse::<Cluster>().is_ok(), cluster, "cluster {text:?}");
        }
    }

    #[test]
    fn a_setting_has_a_plain_name() {
        for (text, ok) in [
            ("expiry", true),
            ("nacos.switches_2-x", true),
            ("", false),
            ("a b", false),
            ("a/b", false),
        ] {
            assert_eq!(text.parse::<SettingName>().is_ok(), ok, "{text:?}");
        }
        assert!("s".repeat(128).parse::<SettingName>().is_ok());
        assert!("s".repeat(129).parse::<SettingName>().is_err());
    }

    #[test]
    fn lengths_end_exactly_at_the_limit() {
        assert!("n".repeat(64).parse::<Namespace>().is_ok());
        assert!("n".repeat(65).parse::<Namespace>().is_err());
        assert!("é".repeat(512).parse::<ServiceName>().is_ok());
        assert!("é".repeat(513).parse::<ServiceName>().is_err());
        assert!("s".repeat(10_000).parse::<ServiceName>().is_err());
    }
}
