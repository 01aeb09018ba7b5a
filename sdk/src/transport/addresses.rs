//! The addresses of the registry, and which of them is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Url;

use crate::Error;

/// All addresses of one registry. Everything in a client uses the same one, until it fails.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// Never empty.
    bases: Vec<Arc<str>>,
    /// Counts up; modulo the number of addresses it says which one is in use.
    turn: AtomicUsize,
}

/// The address that was in use when it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    base: Arc<str>,
    turn: usize,
}

impl Addresses {
    pub(crate) fn new(urls: &[String]) -> Result<Self, Error> {
        if urls.is_empty() {
            return Err(Error::invalid("registry address", "", "must be given"));
        }
        let bases = urls.iter().map(|url| base(url)).collect::<Result<_, _>>()?;
        Ok(Self {
            bases,
            turn: AtomicUsize::new(0),
        })
    }

    pub(crate) fn current(&self) -> Address {
        let turn = self.turn.load(Ordering::Relaxed);
        Address {
            base: Arc::clone(&self.bases[turn % self.bases.len()]),
            turn,
        }
    }

    /// Moves on to the next address, unless somebody has moved on from this one already.
    pub(crate) fn failed(&self, address: &Address) {
        let next = address.turn.wrapping_add(1);
        let moved = self
            .turn
            .compare_exchange(address.turn, next, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_ok() && self.bases.len() > 1 {
            tracing::info!(from = %address.base, to = %self.bases[next % self.bases.len()], "another registry address");
        }
    }

    /// Whether no address needs TLS.
    pub(crate) fn are_plain(&self) -> bool {
        self.bases.iter().all(|base| base.starts_with("http://"))
    }
}

impl Address {
    pub(crate) fn url(&self, path: &str) -> String {
        debug_assert!(path.starts_with('/'), "a path starts with a slash");
        format!("{}{path}", self.base)
    }

    pub(crate) fn failure(&self, error: reqwest::Error) -> Error {
        // The address is in our own message; in the source it would be there twice, with a long query.
        let error = error.without_url();
        let address = self.base.to_string();
        if error.is_connect() {
            Error::Connect {
                address,
                source: error.into(),
            }
        } else if error.is_builder() {
            self.not_understood(error.to_string())
        } else {
            Error::Interrupted {
                address,
                source: error.into(),
            }
        }
    }

    pub(crate) fn broken(&self, why: &'static str) -> Error {
        Error::Interrupted {
            address: self.base.to_string(),
            source: why.into(),
        }
    }

    pub(crate) fn timeout(&self, after: Duration) -> Error {
        Error::Timeout {
            address: self.base.to_string(),
            after,
        }
    }

    pub(crate) fn not_understood(&self, detail: impl Into<String>) -> Error {
        Error::Answer {
            address: self.base.to_string(),
            detail: detail.into(),
        }
    }
}

/// Checks an address; what is left has no slash at its end, no query and no fragment.
fn base(text: &str) -> Result<Arc<str>, Error> {
    let rule = "must be an http or https URL without query and fragment, such as http://127.0.0.1:8848";
    let invalid = || Error::invalid("registry address", text, rule);
    let url = Url::parse(text).map_err(|_| invalid())?;
    let usable = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none();
    if usable {
        Ok(url.as_str().trim_end_matches('/').into())
    } else {
        Err(invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(urls: &[&str]) -> Addresses {
        Addresses::new(&urls.iter().map(|&url| url.to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_failure_moves_on_once_however_many_saw_it() {
        let addresses = addresses(&["http://a:1", "http://b:2/"]);
        // Two calls are under way at the same address.
        let (first, second) = (addresses.current(), addresses.current());
        addresses.failed(&first);
        addresses.failed(&second);
        assert_eq!(addresses.current().url("/x"), "http://b:2/x");
        addresses.failed(&addresses.current());
        assert_eq!(addresses.current().url("/x"), "http://a:1/x");
    }

    #[test]
    fn a_path_before_the_api_is_kept() {
        assert_eq!(
            addresses(&["https://proxy/beatrix/"]).current().url("/api"),
            "https://proxy/beatrix/api"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "127.0.0.1:8848",
            "ftp://a",
            "http://a?x=1",
            "http://a#x",
            "unix:/x",
        ] {
            assert!(base(text).is_err(), "{text}");
        }
        assert!(Addresses::new(&[]).is_err());
    }
}
