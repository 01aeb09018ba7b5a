//! What a process registers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use beatrix_wire::{Liveness, RegisterRequest};
use bytes::Bytes;

use super::Probe;
use crate::name::{Defaults, encode};
use crate::{Error, ServiceKey, ServiceName, random};

/// The longest host name that the registry takes, in bytes.
const HOST_NAME_LEN_MAX: usize = 128;

/// An instance to register: where it listens, and what callers should know about it. What is not set is the
/// registry's default.
///
/// ```
/// use std::time::Duration;
/// use beatrix_sdk::ServiceInstance;
///
/// let instance = ServiceInstance::new("orders", "10.0.0.7", 8080)
///     .with_weight(2.0)
///     .with_zone("eu-1a")
///     .with_metadata("version", "1.4")
///     .with_beat_interval(Duration::from_secs(2));
/// # let _ = instance;
/// ```
#[derive(Debug, Clone)]
pub struct ServiceInstance {
    service: ServiceName,
    address: String,
    port: u16,
    request: RegisterRequest,
    beats: Beats,
    is_static: bool,
    probe: Option<Probe>,
}

#[derive(Debug, Clone, Default)]
struct Beats {
    interval: Option<Duration>,
    unhealthy_after: Option<Duration>,
    remove_after: Option<Duration>,
}

impl ServiceInstance {
    /// An instance of `service` at an IP address or host name and a port.
    #[must_use]
    pub fn new(service: impl Into<ServiceName>, address: impl Into<String>, port: u16) -> Self {
        Self {
            service: service.into(),
            address: address.into(),
            port,
            request: RegisterRequest::default(),
            beats: Beats::default(),
            is_static: false,
            probe: None,
        }
    }

    /// An instance of `service` at a socket address. It must be one that callers can reach: not `0.0.0.0`.
    #[must_use]
    pub fn at(service: impl Into<ServiceName>, address: SocketAddr) -> Self {
        Self::new(service, address.ip().to_string(), address.port())
    }

    /// Sets its share of the traffic, 0 to 10000; 1 if it is not set.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.request.weight = Some(weight);
        self
    }

    /// Sets whether it wants traffic at all; it does if it is not set.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.request.enabled = Some(enabled);
        self
    }

    /// Adds a free label.
    #[must_use]
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.metadata.insert(key.into(), value.into());
        self
    }

    /// Sets the label of the part of the service that it belongs to; `DEFAULT` if it is not set.
    #[must_use]
    pub fn with_cluster(mut self, cluster: impl Into<String>) -> Self {
        self.request.cluster = Some(cluster.into());
        self
    }

    /// Sets the region that it runs in.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.request.region = Some(region.into());
        self
    }

    /// Sets the zone inside the region.
    #[must_use]
    pub fn with_zone(mut self, zone: impl Into<String>) -> Self {
        self.request.zone = Some(zone.into());
        self
    }

    /// Sets how often to beat.
    #[must_use]
    pub fn with_beat_interval(mut self, interval: Duration) -> Self {
        self.beats.interval = Some(interval);
        self
    }

    /// Sets after how much silence it counts as unhealthy.
    #[must_use]
    pub fn with_unhealthy_after(mut self, silence: Duration) -> Self {
        self.beats.unhealthy_after = Some(silence);
        self
    }

    /// Sets after how much silence it is removed.
    #[must_use]
    pub fn with_remove_after(mut self, silence: Duration) -> Self {
        self.beats.remove_after = Some(silence);
        self
    }

    /// Makes it stay until it is deregistered, without beats.
    #[must_use]
    pub fn without_beats(mut self) -> Self {
        self.is_static = true;
        self
    }

    /// Has the registry ask it whether it is well, instead of beats. It stays until it is deregistered.
    #[must_use]
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Names this run of the process, instead of the random name that all registrations of a process carry.
    /// A registration under another incarnation does not inherit what an operator set on its predecessor.
    #[must_use]
    pub fn with_incarnation(mut self, incarnation: impl Into<String>) -> Self {
        self.request.incarnation = Some(incarnation.into());
        self
    }

    /// Checks all that would make a wrong request, and renders the request once.
    pub(crate) fn prepare(self, defaults: &Defaults) -> Result<Prepared, Error> {
        let key = self.service.resolve(defaults)?;
        let host = host(&self.address)?;
        if self.port == 0 {
            return Err(Error::invalid("port", "0", "must be 1 to 65535"));
        }
        if let Some(weight) = self
            .request
            .weight
            .filter(|weight| !(0.0..=10_000.0).contains(weight))
        {
            return Err(Error::invalid("weight", weight.to_string(), "must be 0 to 10000"));
        }
        let mut request = self.request;
        request.liveness = match &self.probe {
            Some(probe) => Some(probe.liveness()),
            None => liveness(&self.beats, self.is_static),
        };
        request
            .incarnation
            .get_or_insert_with(|| random::process_incarnation().to_owned());
        let body = serde_json::to_vec(&request).expect("weights were found finite and keys are text");
        let path = format!("{}/instances/{host}:{}", key.path(), self.port);
        Ok(Prepared {
            key,
            path,
            body: body.into(),
            authority: format!("{host}:{}", self.port),
        })
    }
}

/// An instance that has been checked; what is sent at each registration.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) key: ServiceKey,
    /// The path of the instance, which also says which registrations are of the same instance.
    pub(crate) path: String,
    pub(crate) body: Bytes,
    /// For people.
    pub(crate) authority: String,
}

/// The address as a URL has it, in canonical text.
fn host(address: &str) -> Result<String, Error> {
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match bare.unwrap_or(address).parse() {
        Ok(IpAddr::V6(ip)) => return Ok(format!("[{ip}]")),
        Ok(IpAddr::V4(ip)) if bare.is_none() => return Ok(ip.to_string()),
        _ => {}
    }
    let is_host_name = (1..=HOST_NAME_LEN_MAX).contains(&address.len())
        && address
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !is_host_name {
        return Err(Error::invalid(
            "address",
            address,
            "must be an IP address or a host name",
        ));
    }
    Ok(encode(&address.to_ascii_lowercase()).to_string())
}

fn liveness(beats: &Beats, is_static: bool) -> Option<Liveness> {
    if is_static {
        return Some(Liveness::Static {});
    }
    // Without any of the three the registry decides on all of it.
    beats.interval.or(beats.unhealthy_after).or(beats.remove_after)?;
    let ms = |time: Option<Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    Some(Liveness::Beat {
        interval_ms: ms(beats.interval),
        unhealthy_after_ms: ms(beats.unhealthy_after),
        remove_after_ms: ms(beats.remove_after),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(instance: ServiceInstance) -> Result<Prepared, Error> {
        instance.prepare(&Defaults::default())
    }

    fn path(address: &str) -> String {
        prepare(ServiceInstance::new("s", address, 80))
            .unwrap()
            .path
            .rsplit('/')
            .next()
            .unwrap()
            .into()
    }

    #[test]
    fn one_address_has_one_path_however_it_is_written() {
        assert_eq!(path("10.0.0.1"), "10.0.0.1:80");
        assert_eq!(path("::1"), "[::1]:80");
        assert_eq!(path("[0:0:0:0:0:0:0:1]"), "[::1]:80");
        assert_eq!(path("Host.Example"), "host.example:80");
    }

    #[test]
    fn what_would_make_a_wrong_request_is_refused() {
        for (instance, field) in [
            (ServiceInstance::new("", "10.0.0.1", 80), "service"),
            (ServiceInstance::new("s", "", 80), "address"),
            (ServiceInstance::new("s", "a/b", 80), "address"),
            (ServiceInstance::new("s", "[10.0.0.1]", 80), "address"),
            (ServiceInstance::new("s", "10.0.0.1", 0), "port"),
            (
                ServiceInstance::new("s", "10.0.0.1", 80).with_weight(f64::NAN),
                "weight",
            ),
            (
                ServiceInstance::new("s", "10.0.0.1", 80).with_weight(-1.0),
                "weight",
            ),
        ] {
            assert!(
                matches!(prepare(instance), Err(Error::Invalid { field: found, .. }) if found == field),
                "{field}"
            );
        }
    }

    #[test]
    fn the_request_says_only_what_was_set() {
        let body = |instance| {
            let request: RegisterRequest = serde_json::from_slice(&prepare(instance).unwrap().body).unwrap();
            request
        };
        let plain = body(ServiceInstance::new("s", "10.0.0.1", 80));
        assert_eq!(plain.incarnation.as_deref(), Some(random::process_incarnation()));
        assert_eq!(
            RegisterRequest {
                incarnation: None,
                ..plain
            },
            RegisterRequest::default()
        );

        let timed = body(ServiceInstance::new("s", "10.0.0.1", 80).with_remove_after(Duration::from_secs(9)));
        let expected = Liveness::Beat {
            interval_ms: None,
            unhealthy_after_ms: None,
            remove_after_ms: Some(9000),
        };
        assert_eq!(timed.liveness, Some(expected));
        let still = body(ServiceInstance::new("s", "10.0.0.1", 80).without_beats());
        assert_eq!(still.liveness, Some(Liveness::Static {}));
        let probe = Probe::http("/up").with_port(81).initially_healthy();
        let probed = body(ServiceInstance::new("s", "10.0.0.1", 80).with_probe(probe));
        let json = serde_json::to_value(probed.liveness).unwrap();
        let expected = serde_json::json!({
            "type": "probe", "probe": {"kind": "http", "path": "/up"}, "port": 81, "initial_health": "healthy",
        });
        assert_eq!(json, expected);
    }
}
