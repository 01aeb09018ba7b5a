//! Configuring a client.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Client, Inner};
use crate::Error;
use crate::cache::Cache;
use crate::name::Defaults;
use crate::random::Dice;
use crate::registration::Keeper;
use crate::reporter::Reporter;
use crate::transport::{Addresses, Transport, http_client};
use crate::watch::{SILENCE_MAX, Settings, Shards};

/// How long the name of a subscriber may be, in bytes.
const NAME_LEN_MAX: usize = 128;

/// Configures a [`Client`]; made by [`Client::builder`]. Everything has a default but the address.
///
/// ```
/// # fn main() -> Result<(), beatrix_sdk::Error> {
/// use std::time::Duration;
/// use beatrix_sdk::Client;
///
/// let client = Client::builder("http://10.0.0.1:8848")
///     .with_address("http://10.0.0.2:8848")
///     .with_namespace("staging")
///     .with_name("checkout-7f9c")
///     .with_request_timeout(Duration::from_secs(2))
///     .build()?;
/// # let _ = client;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    addresses: Vec<String>,
    defaults: Defaults,
    name: Option<String>,
    connect_timeout: Duration,
    request_timeout: Duration,
    operation_timeout: Duration,
    silence_max: Duration,
    cache_ttl: Duration,
    cache_capacity: u64,
    seed: Option<u64>,
    root_certificates_pem: Vec<Vec<u8>>,
    proxy_from_environment: bool,
}

impl ClientBuilder {
    pub(super) fn new(address: String) -> Self {
        Self {
            addresses: vec![address],
            defaults: Defaults::default(),
            name: None,
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(5),
            operation_timeout: Duration::from_secs(10),
            silence_max: SILENCE_MAX,
            cache_ttl: Duration::from_secs(1),
            cache_capacity: 10_000,
            seed: None,
            root_certificates_pem: Vec::new(),
            proxy_from_environment: false,
        }
    }

    /// Adds another address of the same registry, used when the one in use fails.
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Sets the namespace of services that are named without one; `public` if it is not set.
    pub fn with_namespace(mut self, namespace: impl Into<String>) -> Self {
        self.defaults.namespace = namespace.into();
        self
    }

    /// Sets the group of services that are named without one; `DEFAULT_GROUP` if it is not set.
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.defaults.group = group.into();
        self
    }

    /// Sets the name under which this subscriber shows up in the registry, for instance in the answer to a drain;
    /// the program's name and process id if it is not set.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets how long connecting to an address may take; 2 s if it is not set.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long one attempt may take in all; 5 s if it is not set.
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets how long a call tries again before it fails; 10 s if it is not set. Beats and streams never give up.
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.operation_timeout = timeout;
        self
    }

    /// Sets how long a stream may be silent before it counts as broken; two and a half of the registry's pings
    /// (37.5 s) if it is not set.
    pub fn with_stream_silence(mut self, silence_max: Duration) -> Self {
        self.silence_max = silence_max;
        self
    }

    /// Sets for how long [`Client::service`] answers from memory without asking; 1 s if it is not set.
    pub fn with_cache_ttl(mut self, ttl: Duration) -> Self {
        self.cache_ttl = ttl;
        self
    }

    /// Sets how many services [`Client::service`] remembers; 10,000 if it is not set.
    pub fn with_cache_capacity(mut self, services: u64) -> Self {
        self.cache_capacity = services;
        self
    }

    /// Makes jitter repeatable, for tests.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Trusts the certificates in a PEM file, and only those given so, instead of the system's.
    pub fn with_root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates_pem.push(pem.into());
        self
    }

    /// Sets whether proxy variables of the environment count; they do not if it is not set, since a registry is
    /// next door.
    pub fn with_proxy_from_environment(mut self, enabled: bool) -> Self {
        self.proxy_from_environment = enabled;
        self
    }

    /// Builds the client. Nothing is sent yet, and no runtime is needed.
    ///
    /// # Errors
    /// [`Error::Invalid`] names what cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        self.defaults.check()?;
        for (field, timeout) in [
            ("connect timeout", self.connect_timeout),
            ("request timeout", self.request_timeout),
            ("stream silence", self.silence_max),
        ] {
            if timeout.is_zero() {
                return Err(Error::invalid(field, "0", "must be more than nothing"));
            }
        }
        let is_name = |name: &String| name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
        if let Some(name) = self.name.as_ref().filter(|name| !is_name(name)) {
            let rule = "must be at most 128 bytes without control characters";
            return Err(Error::invalid("subscriber name", name, rule));
        }
        let addresses = Addresses::new(&self.addresses)?;
        let http = http_client(
            &addresses,
            self.connect_timeout,
            &self.root_certificates_pem,
            self.proxy_from_environment,
        )?;
        let transport = Arc::new(Transport {
            http,
            addresses,
            request_timeout: self.request_timeout,
            operation_timeout: self.operation_timeout,
            dice: self.seed.map_or_else(Dice::from_entropy, Dice::from_seed),
        });
        let settings = Settings {
            name: self.name.or_else(own_name),
            silence_max: self.silence_max,
        };
        let reporter = Reporter::new(Arc::clone(&transport), settings.name.as_deref());
        let stop = CancellationToken::new();
        Ok(Client {
            inner: Arc::new(Inner {
                defaults: self.defaults,
                keeper: Arc::new(Keeper::new(Arc::clone(&transport))),
                keeper_is_running: AtomicBool::new(false),
                shards: Shards::new(Arc::clone(&transport), settings, stop.clone()),
                reporter: Arc::new(reporter),
                reporter_is_running: AtomicBool::new(false),
                cache: Cache::new(self.cache_ttl, self.cache_capacity),
                transport,
                _stop_on_drop: stop.clone().drop_guard(),
                stop,
            }),
        })
    }
}

/// The program's name and process id, in characters that need no thought anywhere.
fn own_name() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let program = program.file_stem()?.to_string_lossy();
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = program.chars().filter(is_plain).take(NAME_LEN_MAX - 11).collect();
    Some(format!("{name}-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_built_without_a_runtime_and_more_than_once() {
        Client::builder("http://127.0.0.1:8848").build().unwrap();
        Client::builder("http://127.0.0.1:8848")
            .with_address("http://[::1]:8848/")
            .build()
            .unwrap();
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let field = |builder: ClientBuilder| match builder.build() {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        let builder = || Client::builder("http://127.0.0.1:8848");
        assert_eq!(field(Client::builder("127.0.0.1:8848")), "registry address");
        assert_eq!(field(builder().with_namespace("")), "namespace");
        assert_eq!(field(builder().with_group("a b")), "group");
        assert_eq!(field(builder().with_name("a\nb")), "subscriber name");
        assert_eq!(
            field(builder().with_request_timeout(Duration::ZERO)),
            "request timeout"
        );
        assert_eq!(
            field(builder().with_root_certificates("no PEM")),
            "root certificate"
        );
    }

    #[test]
    fn the_own_name_is_short_and_plain() {
        let name = own_name().unwrap();
        assert!(name.len() <= NAME_LEN_MAX && !name.contains(' '), "{name}");
    }
}
