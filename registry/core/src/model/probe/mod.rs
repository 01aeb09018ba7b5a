//! How the registry asks an instance whether it is well: what to ask, how often, and how many answers decide.
//!
//! Everything here is made by a constructor that checks it, so that whoever asks, and whoever keeps the schedule, need
//! not. The forms in which a protocol or a journal writes a probe are theirs. Passwords and the values of headers are
//! never printed, neither by `Debug` nor by an error.

mod http;
mod login;
mod secret;

use std::time::Duration;

use super::Invalid;
use super::endpoint::is_host_name;

pub use http::{
    ExpectedStatus, HTTP_HEADERS_BYTES_MAX, HTTP_HEADERS_MAX, HTTP_PATH_BYTES_MAX, HttpMethod, HttpProbe,
    STATUS_RANGES_MAX,
};
pub use login::{LOGIN_TEXT_BYTES_MAX, MysqlProbe, RedisProbe};
pub use secret::Secret;

/// The shortest time between two probes of an instance.
pub const PROBE_INTERVAL_MIN: Duration = Duration::from_millis(500);
/// The longest time between two probes of an instance.
pub const PROBE_INTERVAL_MAX: Duration = Duration::from_secs(60 * 60);
/// The shortest time that an answer is waited for.
pub const PROBE_TIMEOUT_MIN: Duration = Duration::from_millis(50);
/// The longest time that an answer is waited for: each probe that hangs has one of few places for so long.
pub const PROBE_TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// The most answers in a row that may be asked for before health flips.
pub const PROBE_COUNT_MAX: u8 = 10;
/// How many bytes the service of a [`GrpcProbe`] may have.
pub const GRPC_SERVICE_BYTES_MAX: usize = 256;

/// How an instance is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    kind: ProbeKind,
    port: Option<u16>,
    interval_ms: u32,
    timeout_ms: u32,
    rise: u8,
    fall: u8,
}

/// When and where to ask. What is absent has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbePlan {
    /// Another port than the registered one, at the same address.
    pub port: Option<u16>,
    /// The time from one probe to the next. Default: 5 s.
    pub interval: Option<Duration>,
    /// How long connecting and answering may take together. Default: 2 s, or the interval if that is less.
    pub timeout: Option<Duration>,
    /// Good answers in a row that make an unhealthy instance healthy. Default: 2.
    pub rise: Option<u8>,
    /// Bad answers in a row that make a healthy instance unhealthy. Default: 3.
    pub fall: Option<u8>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether the port takes connections.
    Tcp,
    /// A request by HTTP/1.1.
    Http(HttpProbe),
    /// The gRPC health protocol, `grpc.health.v1`.
    Grpc(GrpcProbe),
    /// A database that speaks MySQL's protocol.
    Mysql(MysqlProbe),
    /// A store that speaks Redis's protocol.
    Redis(RedisProbe),
}

/// Whether a probe speaks TLS, and whom it trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// No TLS.
    #[default]
    None,
    /// The certificate must be good for this name.
    Verified {
        /// A host name, lower case. Never an IP address.
        server_name: Box<str>,
    },
    /// Any certificate will do. It is what to take with TLS unless something is said, as Kubernetes does: a probe goes to
    /// an address, for which hardly any certificate is made out.
    Unverified,
}

/// What to ask by gRPC.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GrpcProbe {
    service: Box<str>,
    tls: Tls,
}

impl ProbeSpec {
    /// The time from one probe to the next, unless something is said.
    pub const INTERVAL_DEFAULT: Duration = Duration::from_secs(5);
    /// How long an answer may take, unless something is said.
    pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);
    /// Good answers that make healthy, unless something is said.
    pub const RISE_DEFAULT: u8 = 2;
    /// Bad answers that make unhealthy, unless something is said.
    pub const FALL_DEFAULT: u8 = 3;

    /// Checks the plan. Times count in whole milliseconds.
    ///
    /// # Errors
    /// Names what is out of its bounds: `port`, `interval_ms`, `timeout_ms`, `rise` or `fall`.
    pub fn new(kind: ProbeKind, plan: ProbePlan) -> Result<Self, Invalid> {
        if plan.port == Some(0) {
            return Err(Invalid::new("port", "must be a number from 1 to 65535", "0"));
        }
        let interval = plan.interval.unwrap_or(Self::INTERVAL_DEFAULT);
        let interval_ms = millis(interval, PROBE_INTERVAL_MIN, PROBE_INTERVAL_MAX)
            .ok_or_else(|| invalid_time("interval_ms", "must be from 500 to 3600000", interval))?;
        let timeout = plan.timeout.unwrap_or(Self::TIMEOUT_DEFAULT.min(interval));
        let timeout_ms =
            millis(timeout, PROBE_TIMEOUT_MIN, PROBE_TIMEOUT_MAX.min(interval)).ok_or_else(|| {
                let rule = "must be from 50 to 60000 and at most the interval";
                invalid_time("timeout_ms", rule, timeout)
            })?;
        Ok(Self {
            kind,
            port: plan.port,
            interval_ms,
            timeout_ms,
            rise: count("rise", plan.rise.unwrap_or(Self::RISE_DEFAULT))?,
            fall: count("fall", plan.fall.unwrap_or(Self::FALL_DEFAULT))?,
        })
    }

    /// What is asked.
    #[must_use]
    pub fn kind(&self) -> &ProbeKind {
        &self.kind
    }

    /// Another port than the registered one, at the same address.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The time from one probe to the next.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.into())
    }

    /// How long connecting and answering may take together. At most the interval.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }

    /// Good answers in a row that make an unhealthy instance healthy.
    #[must_use]
    pub fn rise(&self) -> u8 {
        self.rise
    }

    /// Bad answers in a row that make a healthy instance unhealthy.
    #[must_use]
    pub fn fall(&self) -> u8 {
        self.fall
    }
}

impl ProbeKind {
    /// The kind as one word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http(_) => "http",
            Self::Grpc(_) => "grpc",
            Self::Mysql(_) => "mysql",
            Self::Redis(_) => "redis",
        }
    }
}

impl Tls {
    /// TLS with a certificate that must be good for a name.
    ///
    /// # Errors
    /// If it is not a host name, or one that some would read as an IPv4 address, such as `0x7f000001`: the name stands in
    /// the address of a request, and must not lead it elsewhere.
    pub fn verified(server_name: &str) -> Result<Self, Invalid> {
        let last = server_name.rsplit('.').next().unwrap_or(server_name);
        let number = last.starts_with(|c: char| c.is_ascii_digit());
        if !is_host_name(server_name) || server_name.ends_with('.') || number {
            let rule = "must be a host name whose last label does not begin with a digit";
            return Err(Invalid::new("server_name", rule, server_name));
        }
        Ok(Self::Verified {
            server_name: server_name.to_ascii_lowercase().into(),
        })
    }
}

impl GrpcProbe {
    /// Asks for a service of the server; for the server as a whole if it is empty.
    ///
    /// # Errors
    /// If the service is longer than [`GRPC_SERVICE_BYTES_MAX`] bytes or has control characters.
    pub fn new(service: &str, tls: Tls) -> Result<Self, Invalid> {
        super::text::check_line("service", service, GRPC_SERVICE_BYTES_MAX)?;
        Ok(Self {
            service: service.into(),
            tls,
        })
    }

    /// The service that is asked for; empty for the server as a whole.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        &self.tls
    }
}

/// The whole milliseconds of a time that lies in bounds.
fn millis(time: Duration, min: Duration, max: Duration) -> Option<u32> {
    (min..=max)
        .contains(&time)
        .then(|| u32::try_from(time.as_millis()).ok())?
}

fn invalid_time(field: &'static str, rule: &'static str, time: Duration) -> Invalid {
    Invalid::new(field, rule, &time.as_millis().to_string())
}

fn count(field: &'static str, count: u8) -> Result<u8, Invalid> {
    if (1..=PROBE_COUNT_MAX).contains(&count) {
        Ok(count)
    } else {
        Err(Invalid::new(field, "must be from 1 to 10", &count.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(interval_ms: u64, timeout_ms: u64) -> ProbePlan {
        ProbePlan {
            interval: Some(Duration::from_millis(interval_ms)),
            timeout: Some(Duration::from_millis(timeout_ms)),
            ..ProbePlan::default()
        }
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let spec = ProbeSpec::new(ProbeKind::Tcp, ProbePlan::default()).unwrap();
        assert_eq!(spec.interval(), Duration::from_secs(5));
        assert_eq!(spec.timeout(), Duration::from_secs(2));
        assert_eq!((spec.rise(), spec.fall(), spec.port()), (2, 3, None));
        // The default must not break the rule that it stands beside.
        let fast = ProbePlan {
            interval: Some(Duration::from_millis(500)),
            ..ProbePlan::default()
        };
        let spec = ProbeSpec::new(ProbeKind::Tcp, fast).unwrap();
        assert_eq!(spec.timeout(), Duration::from_millis(500));
    }

    #[test]
    fn times_lie_in_their_bounds_and_the_timeout_within_the_interval() {
        for (interval, timeout, field) in [
            (500, 50, None),
            (3_600_000, 10_000, None),
            (499, 50, Some("interval_ms")),
            (3_600_001, 50, Some("interval_ms")),
            (1_000, 49, Some("timeout_ms")),
            (1_000, 1_001, Some("timeout_ms")),
            (3_600_000, 10_001, Some("timeout_ms")),
        ] {
            let made = ProbeSpec::new(ProbeKind::Tcp, plan(interval, timeout));
            assert_eq!(
                made.err().map(|invalid| invalid.field).as_deref(),
                field,
                "{interval} {timeout}"
            );
        }
    }

    #[test]
    fn counts_lie_in_their_bounds() {
        for (rise, fall, field) in [(1, 10, None), (0, 1, Some("rise")), (1, 11, Some("fall"))] {
            let plan = ProbePlan {
                rise: Some(rise),
                fall: Some(fall),
                ..ProbePlan::default()
            };
            let made = ProbeSpec::new(ProbeKind::Tcp, plan);
            assert_eq!(made.err().map(|invalid| invalid.field).as_deref(), field);
        }
    }

    #[test]
    fn port_0_is_no_port() {
        let plan = ProbePlan {
            port: Some(0),
            ..ProbePlan::default()
        };
        assert_eq!(ProbeSpec::new(ProbeKind::Tcp, plan).unwrap_err().field, "port");
    }

    #[test]
    fn a_server_name_is_a_host_name_that_nobody_reads_as_an_address() {
        for (name, ok) in [
            ("Orders.Example", true),
            ("a1", true),
            ("10.0.0.1", false),
            ("0x7f000001", false),
            ("a.0x1", false),
            ("a.1", false),
            ("::1", false),
            ("a.example.", false),
            ("a b", false),
            ("a/b", false),
            ("a@b", false),
            ("", false),
        ] {
            assert_eq!(Tls::verified(name).is_ok(), ok, "{name}");
        }
        let server_name = "orders.example".into();
        assert_eq!(Tls::verified("Orders.Example"), Ok(Tls::Verified { server_name }));
    }

    #[test]
    fn a_grpc_service_is_one_line() {
        assert_eq!(GrpcProbe::new("", Tls::None), Ok(GrpcProbe::default()));
        assert!(GrpcProbe::new("orders.v1.Orders", Tls::Unverified).is_ok());
        assert!(GrpcProbe::new("a\nb", Tls::None).is_err());
        assert!(GrpcProbe::new(&"a".repeat(257), Tls::None).is_err());
    }
}
