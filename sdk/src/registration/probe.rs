//! How an instance has itself probed.

use std::time::Duration;

use beatrix_wire::probe::{Hidden, ProbeQuestion, ProbeTls};
use beatrix_wire::{Health, Liveness};

/// How the registry is to ask an instance whether it is well. What is not set is the registry's default: every 5 s, 2 s for
/// an answer, two good ones make healthy, three bad ones unhealthy. An instance that is probed stays until it is
/// deregistered, and is unhealthy until it has answered well.
///
/// ```
/// use std::time::Duration;
/// use beatrix_sdk::{Probe, ServiceInstance};
///
/// let probe = Probe::http("/health").with_interval(Duration::from_secs(2)).with_fall(2);
/// let instance = ServiceInstance::new("orders", "10.0.0.7", 8080).with_probe(probe);
/// # let _ = instance;
/// ```
#[derive(Debug, Clone)]
pub struct Probe {
    question: ProbeQuestion,
    port: Option<u16>,
    interval: Option<Duration>,
    timeout: Option<Duration>,
    rise: Option<u8>,
    fall: Option<u8>,
    healthy: bool,
}

impl Probe {
    /// Whether the port takes connections.
    #[must_use]
    pub fn tcp() -> Self {
        Self::of(ProbeQuestion::Tcp {})
    }

    /// A GET of this path; 200 to 399 is a good answer.
    #[must_use]
    pub fn http(path: impl Into<String>) -> Self {
        Self::of(ProbeQuestion::Http {
            method: None,
            path: Some(path.into()),
            headers: Default::default(),
            expected_status: None,
            tls: None,
        })
    }

    /// The gRPC health protocol, for this service; for the server as a whole if it is empty.
    #[must_use]
    pub fn grpc(service: impl Into<String>) -> Self {
        Self::of(ProbeQuestion::Grpc {
            service: Some(service.into()),
            tls: None,
        })
    }

    /// A login to a database that speaks MySQL's protocol, and `select 1`.
    #[must_use]
    pub fn mysql(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::of(ProbeQuestion::Mysql {
            user: Some(user.into()),
            password: Some(Hidden(password.into())),
            command: None,
        })
    }

    /// A `PING` of a store that speaks Redis's protocol, after a login if there is a password.
    #[must_use]
    pub fn redis(password: Option<String>) -> Self {
        Self::of(ProbeQuestion::Redis {
            user: None,
            password: password.map(Hidden),
        })
    }

    /// Any question, as it travels.
    #[must_use]
    pub fn of(question: ProbeQuestion) -> Self {
        Self {
            question,
            port: None,
            interval: None,
            timeout: None,
            rise: None,
            fall: None,
            healthy: false,
        }
    }

    /// By TLS, with a certificate that is good for this name; with any, if there is none. HTTP and gRPC only: the others
    /// stay as they are.
    #[must_use]
    pub fn with_tls(mut self, name: Option<String>) -> Self {
        if let ProbeQuestion::Http { tls, .. } | ProbeQuestion::Grpc { tls, .. } = &mut self.question {
            *tls = Some(ProbeTls { server_name: name });
        }
        self
    }

    /// Sets another port than the registered one, at the same address.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Sets the time from one probe to the next.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// Sets how long connecting and answering may take together.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets how many good answers in a row make it healthy.
    #[must_use]
    pub fn with_rise(mut self, rise: u8) -> Self {
        self.rise = Some(rise);
        self
    }

    /// Sets how many bad answers in a row make it unhealthy.
    #[must_use]
    pub fn with_fall(mut self, fall: u8) -> Self {
        self.fall = Some(fall);
        self
    }

    /// Calls it healthy from the start, before it has answered.
    #[must_use]
    pub fn initially_healthy(mut self) -> Self {
        self.healthy = true;
        self
    }

    pub(super) fn liveness(&self) -> Liveness {
        let ms =
            |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        Liveness::Probe {
            probe: Box::new(self.question.clone()),
            port: self.port,
            interval_ms: ms(self.interval),
            timeout_ms: ms(self.timeout),
            rise: self.rise,
            fall: self.fall,
            initial_health: self.healthy.then_some(Health::Healthy),
        }
    }
}
