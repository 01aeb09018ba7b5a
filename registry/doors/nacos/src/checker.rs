//! Selectors and health checkers, as JSON in a parameter and in answers.

use beatrix_core::model::{Checker, Invalid, Selector};
use serde::{Deserialize, Serialize};

use crate::params::Param;
use crate::percent;

/// The status that an HTTP checker expects if it names none.
const OK: u16 = 200;

/// A selector on the wire. Nacos 2.x: with the kind of labels that it compares.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum SelectorJson<'a> {
    /// `none`.
    #[serde(rename_all = "camelCase")]
    None { context_type: &'static str },
    /// `label`.
    #[serde(rename_all = "camelCase")]
    Label {
        context_type: &'static str,
        expression: &'a str,
    },
}

impl<'a> From<&'a Selector> for SelectorJson<'a> {
    fn from(selector: &'a Selector) -> Self {
        match selector {
            Selector::None => Self::None { context_type: "NONE" },
            Selector::Label { expression } => Self::Label {
                context_type: "CMDB",
                expression,
            },
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum SelectorRead {
    None {},
    Label {
        #[serde(default)]
        expression: String,
    },
}

/// The types of selectors that there are.
pub(crate) const SELECTOR_TYPES: [&str; 2] = ["none", "label"];

/// Reads a selector. Nacos 2.x: some clients encode it twice.
///
/// # Errors
/// If it is no JSON object, or of an unknown type.
pub(crate) fn selector(text: &str) -> Result<Selector, Invalid> {
    let decoded = if text.starts_with('%') {
        percent::decode(text.as_bytes())
    } else {
        None
    };
    let json = decoded.as_deref().unwrap_or(text);
    let read = object(json).ok_or_else(|| {
        let rule = "must be a JSON object whose type is none or label";
        Invalid::new(Param::Selector.as_str(), rule, text)
    })?;
    Ok(match read {
        SelectorRead::None {} => Selector::None,
        SelectorRead::Label { expression } => Selector::Label { expression },
    })
}

/// A health checker on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub(crate) enum CheckerJson<'a> {
    /// `TCP`.
    Tcp {},
    /// `HTTP`.
    #[serde(rename_all = "camelCase")]
    Http {
        path: &'a str,
        headers: &'a str,
        expected_response_code: u16,
    },
    /// `MYSQL`.
    Mysql {
        user: Option<&'a str>,
        pwd: Option<&'a str>,
        cmd: Option<&'a str>,
    },
    /// `NONE`.
    None {},
}

impl<'a> From<&'a Checker> for CheckerJson<'a> {
    fn from(checker: &'a Checker) -> Self {
        match checker {
            Checker::None => Self::None {},
            Checker::Tcp => Self::Tcp {},
            Checker::Http {
                path,
                headers,
                expected_status,
            } => Self::Http {
                path,
                headers,
                expected_response_code: *expected_status,
            },
            Checker::Mysql {
                user,
                password,
                command,
            } => Self::Mysql {
                user: Some(user),
                pwd: Some(password),
                cmd: Some(command),
            },
        }
    }
}

/// Each kind of checker as it is before anything is said about it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) struct CheckersJson {
    tcp: CheckerJson<'static>,
    http: CheckerJson<'static>,
    mysql: CheckerJson<'static>,
    none: CheckerJson<'static>,
}

impl Default for CheckersJson {
    fn default() -> Self {
        Self {
            tcp: CheckerJson::Tcp {},
            http: CheckerJson::Http {
                path: "",
                headers: "",
                expected_response_code: OK,
            },
            mysql: CheckerJson::Mysql {
                user: None,
                pwd: None,
                cmd: None,
            },
            none: CheckerJson::None {},
        }
    }
}

/// All that any kind of checker may say.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct CheckerRead {
    r#type: Option<String>,
    path: Option<String>,
    headers: Option<String>,
    expected_response_code: Option<u16>,
    user: Option<String>,
    pwd: Option<String>,
    cmd: Option<String>,
}

/// Reads a health checker. Nacos 2.x: one of an unknown type is none.
///
/// # Errors
/// If it is no JSON object, or its members are not what they must be.
pub(crate) fn checker(text: &str) -> Result<Checker, Invalid> {
    let read: CheckerRead = object(text).ok_or_else(|| {
        // Not repeated: there may be a password in it.
        let rule = "must be the JSON object of a health checker";
        Invalid::new(Param::HealthChecker.as_str(), rule, "something else")
    })?;
    let text = Option::unwrap_or_default;
    Ok(match read.r#type.as_deref() {
        Some("TCP") => Checker::Tcp,
        Some("HTTP") => Checker::Http {
            path: text(read.path),
            headers: text(read.headers),
            expected_status: read.expected_response_code.unwrap_or(OK),
        },
        Some("MYSQL") => Checker::Mysql {
            user: text(read.user),
            password: text(read.pwd),
            command: text(read.cmd),
        },
        _ => Checker::None,
    })
}

/// A JSON object. An array would be taken for a list of members, in their order.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let is_object = json.trim_start().starts_with('{');
    is_object.then(|| serde_json::from_str(json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_of_unknown_types_are_refused_and_such_checkers_are_none() {
        for (text, found) in [
            (r#"{"type":"none"}"#, Some(Selector::None)),
            (
                r#"{"type":"label","expression":"a=b","labels":[]}"#,
                Some(Selector::Label {
                    expression: "a=b".into(),
                }),
            ),
            ("%7B%22type%22%3A%22none%22%7D", Some(Selector::None)),
            (r#"{"type":"bogus"}"#, None),
            ("{}", None),
            (r#"["none"]"#, None),
            ("none", None),
        ] {
            assert_eq!(selector(text).ok(), found, "{text}");
        }
        for (text, found) in [
            (r#"{"type":"TCP","port":1}"#, Some(Checker::Tcp)),
            (r#"{"type":"tcp"}"#, Some(Checker::None)),
            ("{}", Some(Checker::None)),
            (r#"{"type":"HTTP","expectedResponseCode":"x"}"#, None),
            ("[]", None),
            ("TCP", None),
        ] {
            assert_eq!(checker(text).ok(), found, "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in [
            r#"{"type":"TCP"}"#,
            r#"{"type":"NONE"}"#,
            r#"{"type":"HTTP","path":"/x","headers":"a:b|c:d","expectedResponseCode":204}"#,
            r#"{"type":"MYSQL","user":"u","pwd":"p","cmd":"select 1"}"#,
        ] {
            let read = checker(text).unwrap();
            assert_eq!(serde_json::to_string(&CheckerJson::from(&read)).unwrap(), text);
        }
    }

    #[test]
    fn a_refused_checker_does_not_repeat_its_password() {
        let error = checker(r#"{"type":"MYSQL","pwd":"hunter2","user":1}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
