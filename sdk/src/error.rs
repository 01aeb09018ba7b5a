//! What can go wrong, and whether to try again.

use std::time::Duration;

use beatrix_wire::{Problem, problem};

/// Why a call failed.
///
/// Two questions are answered without reading text: [`is_retryable`](Self::is_retryable) and
/// [`has_no_side_effects`](Self::has_no_side_effects).
///
/// ```
/// # use beatrix_sdk::{Client, Error};
/// # async fn example(client: &Client) {
/// match client.service("orders").await {
///     Ok(view) => println!("{} instances", view.instances().len()),
///     Err(error) if error.is_not_found() => println!("nobody ever registered as orders"),
///     Err(error) if error.is_retryable() => println!("later perhaps: {error}"),
///     Err(error) => println!("never: {error}"),
/// }
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value breaks a rule; nothing was sent.
    #[error("{field} `{value}` {rule}")]
    #[non_exhaustive]
    Invalid {
        /// What the value is.
        field: &'static str,
        /// The value.
        value: String,
        /// The rule.
        rule: &'static str,
    },
    /// No connection to the registry came about; nothing was sent.
    #[error("cannot connect to the registry at {address}")]
    #[non_exhaustive]
    Connect {
        /// The registry's address.
        address: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry did not answer in time. It may have acted nevertheless.
    #[error("the registry at {address} did not answer within {after:?}")]
    #[non_exhaustive]
    Timeout {
        /// The registry's address.
        address: String,
        /// How long it was given.
        after: Duration,
    },
    /// The connection broke before the answer was there. The registry may have acted nevertheless.
    #[error("the connection to the registry at {address} broke")]
    #[non_exhaustive]
    Interrupted {
        /// The registry's address.
        address: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry, or something in front of it, said no.
    #[error("refused by the registry: {} ({}, status {})", .0.detail, .0.title, .0.status)]
    Refused(Box<Problem>),
    /// The answer is not one of the native API.
    #[error("cannot understand the answer of the registry at {address}: {detail}")]
    #[non_exhaustive]
    Answer {
        /// The registry's address.
        address: String,
        /// What is wrong with it.
        detail: String,
    },
}

impl Error {
    /// Whether the same call may succeed later, or at another address of the registry.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } | Self::Interrupted { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            // What answers may be something in front of the registry that will be gone; but a caller cannot count
            // on it.
            Self::Invalid { .. } | Self::Answer { .. } => false,
        }
    }

    /// Whether the call certainly changed nothing. When false, it may have, or may not.
    #[must_use]
    pub fn has_no_side_effects(&self) -> bool {
        match self {
            Self::Invalid { .. } | Self::Connect { .. } => true,
            // A refusal for the caller's fault comes before the write. One for the registry's own fault may come
            // after it: a commit that timed out may still go through.
            Self::Refused(problem) => (400..500).contains(&problem.status) && problem.status != 408,
            Self::Timeout { .. } | Self::Interrupted { .. } | Self::Answer { .. } => false,
        }
    }

    /// What the registry said, where it was the registry that refused.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether the service or the instance asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is_kind(problem::kind::SERVICE_NOT_FOUND) || self.is_kind(problem::kind::INSTANCE_NOT_FOUND)
    }

    /// Whether the registry refused with this kind of problem, a word of [`beatrix_wire::problem::kind`].
    pub(crate) fn is_kind(&self, kind: &str) -> bool {
        self.problem()
            .is_some_and(|problem| problem.kind.strip_prefix(problem::KIND_PREFIX) == Some(kind))
    }

    /// For a log: subscribers write the sources, too.
    pub(crate) fn with_sources(&self) -> &(dyn std::error::Error + 'static) {
        self
    }

    pub(crate) fn invalid(field: &'static str, value: impl Into<String>, rule: &'static str) -> Self {
        Self::Invalid {
            field,
            value: value.into(),
            rule,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, kind: &str) -> Error {
        Error::Refused(Box::new(Problem {
            kind: format!("{}{kind}", problem::KIND_PREFIX),
            title: "Title".into(),
            status,
            detail: "detail".into(),
            field: None,
            rule: None,
        }))
    }

    #[test]
    fn the_two_questions_are_answered_for_every_kind_of_failure() {
        let address = || "http://r".to_owned();
        for (error, retryable, no_side_effects) in [
            (Error::invalid("port", "0", "must be 1 to 65535"), false, true),
            (
                Error::Connect {
                    address: address(),
                    source: "refused".into(),
                },
                true,
                true,
            ),
            (
                Error::Timeout {
                    address: address(),
                    after: Duration::from_secs(1),
                },
                true,
                false,
            ),
            (
                Error::Interrupted {
                    address: address(),
                    source: "reset".into(),
                },
                true,
                false,
            ),
            (
                Error::Answer {
                    address: address(),
                    detail: "no JSON".into(),
                },
                false,
                false,
            ),
            (refused(400, problem::kind::INVALID_VALUE), false, true),
            (refused(404, problem::kind::SERVICE_NOT_FOUND), false, true),
            (refused(409, problem::kind::WRONG_CLUSTER), false, true),
            (refused(429, problem::kind::LIMIT_EXCEEDED), true, true),
            (refused(503, problem::kind::UNAVAILABLE), true, false),
        ] {
            assert_eq!(error.is_retryable(), retryable, "{error}");
            assert_eq!(error.has_no_side_effects(), no_side_effects, "{error}");
        }
    }

    #[test]
    fn a_missing_service_is_told_from_a_missing_path() {
        assert!(refused(404, problem::kind::SERVICE_NOT_FOUND).is_not_found());
        assert!(!refused(404, problem::kind::NOT_FOUND).is_not_found());
    }
}
