//! How a cluster of instances is asked whether it is well.

use std::fmt;

use super::Invalid;
use super::text::{check_length, check_line};

/// How many bytes each text of a [`Checker`] may have.
pub const CHECKER_TEXT_BYTES_MAX: usize = 1024;

/// How to ask the instances of a cluster. Nacos 2.x: the health checker of a cluster.
#[derive(Clone, PartialEq, Eq)]
pub enum Checker {
    /// Nobody asks.
    None,
    /// By connecting.
    Tcp,
    /// By a GET.
    Http {
        /// What to ask for.
        path: String,
        /// What to send along, in the words of whoever set it.
        headers: String,
        /// The status that is a good answer.
        expected_status: u16,
    },
    /// By a command to a database.
    Mysql {
        /// Who asks.
        user: String,
        /// His password.
        password: String,
        /// What to ask.
        command: String,
    },
}

impl Checker {
    /// Checks the texts: each at most [`CHECKER_TEXT_BYTES_MAX`] bytes, and those that go out in a request on one line.
    ///
    /// # Errors
    /// Names the text and the rule that it breaks.
    pub fn check(&self) -> Result<(), Invalid> {
        let max = CHECKER_TEXT_BYTES_MAX;
        match self {
            Self::None | Self::Tcp => Ok(()),
            Self::Http { path, headers, .. } => {
                check_line("checker_path", path, max)?;
                check_line("checker_headers", headers, max)
            }
            Self::Mysql {
                user,
                password,
                command,
            } => {
                check_length("checker_user", user, max)?;
                check_length("checker_password", password, max)?;
                check_length("checker_command", command, max)
            }
        }
    }
}

/// By hand: a password has no place in a log.
impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Tcp => f.write_str("Tcp"),
            Self::Http {
                path,
                headers,
                expected_status,
            } => f
                .debug_struct("Http")
                .field("path", path)
                .field("headers", headers)
                .field("expected_status", expected_status)
                .finish(),
            Self::Mysql { user, command, .. } => f
                .debug_struct("Mysql")
                .field("user", user)
                .field("command", command)
                .finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mysql(password: &str) -> Checker {
        Checker::Mysql {
            user: "u".into(),
            password: password.into(),
            command: "select 1\n".into(),
        }
    }

    #[test]
    fn texts_are_bounded_and_what_goes_into_a_request_is_one_line() {
        let http = |path: &str, headers: &str| Checker::Http {
            path: path.into(),
            headers: headers.into(),
            expected_status: 200,
        };
        assert!(Checker::Tcp.check().is_ok());
        assert!(http("/health", "a:b|c:d").check().is_ok());
        assert_eq!(http("/a\r\nb", "").check().unwrap_err().field, "checker_path");
        assert_eq!(http("/", "a\nb").check().unwrap_err().field, "checker_headers");
        assert!(mysql(&"p".repeat(CHECKER_TEXT_BYTES_MAX)).check().is_ok());
        assert!(mysql(&"p".repeat(CHECKER_TEXT_BYTES_MAX + 1)).check().is_err());
    }

    #[test]
    fn a_password_is_neither_printed_nor_repeated_by_an_error() {
        assert!(!format!("{:?}", mysql("hunter2")).contains("hunter2"));
        let long = "hunter2".repeat(CHECKER_TEXT_BYTES_MAX);
        assert!(!mysql(&long).check().unwrap_err().to_string().contains("hunter2"));
    }
}
