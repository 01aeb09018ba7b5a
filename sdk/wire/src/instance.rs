//! Registration, the instance as it is shown, and what an operator may set on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::probe::ProbeQuestion;

/// How an instance proves that it lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Liveness {
    /// Periodic beats. Silence makes it unhealthy, longer silence removes it.
    Beat {
        /// How often the client means to beat, in milliseconds. Default 5000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval_ms: Option<u64>,
        /// Silence after which it is unhealthy, in milliseconds. Default 15000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unhealthy_after_ms: Option<u64>,
        /// Silence after which it is removed, in milliseconds. Default 30000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remove_after_ms: Option<u64>,
    },
    /// The registry asks. It stays until it is deregistered, however badly it answers.
    Probe {
        /// What is asked.
        probe: Box<ProbeQuestion>,
        /// At which port, if not at the registered one; always at the registered address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The time from one probe to the next, in milliseconds, 500 to 3600000. Default 5000.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        interval_ms: Option<u64>,
        /// How long connecting and answering may take together, in milliseconds, 50 to 60000 and at most the interval.
        /// Default 2000, or the interval if that is less.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
        /// Good answers in a row that make it healthy, 1 to 10. Default 2.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rise: Option<u8>,
        /// Bad answers in a row that make it unhealthy, 1 to 10. Default 3.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fall: Option<u8>,
        /// What it is called until it was asked often enough. Default `unhealthy`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        initial_health: Option<Health>,
    },
    /// Nobody asks: it stays until it is deregistered.
    Static {},
}

/// The body of `PUT …/instances/{address}:{port}`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// A label inside the service. Default `DEFAULT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Share of the traffic, 0 to 10000. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Whether it wants traffic at all. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Free labels, text to text.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The region it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The zone inside the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// How it proves that it lives. Default: beats, with the registry's default times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Liveness>,
    /// Names this run of the process. A registration under another incarnation gets a new lease and does not
    /// inherit what an operator set on its predecessor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
}

/// The answer to a registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RegisterResponse {
    /// What a beat carries. Opaque. Absent when the instance does not beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
    /// How often to beat, in milliseconds. Absent when the instance does not beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat_interval_ms: Option<u64>,
    /// The cluster that a beat must name.
    pub cluster_id: String,
    /// The history that `revision` counts in.
    pub epoch: String,
    /// A revision of the registry at which the registration stands: it includes it, and may be later than the
    /// instance's own.
    pub revision: u64,
    /// Whether the registration changed anything.
    pub changed: bool,
}

/// The answer to any other write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WriteResponse {
    /// The history that `revision` counts in.
    pub epoch: String,
    /// A revision of the registry at which the write stands: it includes it, and may be later than the write's own.
    pub revision: u64,
    /// Whether the write changed anything.
    pub changed: bool,
}

/// What was measured about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It proved that it lives.
    Healthy,
    /// It did not, or says itself that it is not well.
    Unhealthy,
}

/// One instance as readers see it: the operator's layer over the client's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Instance {
    /// IP address in canonical text (IPv6 without brackets), or host name.
    pub address: String,
    /// Port, 1 to 65535; 0 only where a Nacos client registered it so.
    pub port: u16,
    /// The label inside the service.
    pub cluster: String,
    /// Share of the traffic, as it was set.
    pub weight: f64,
    /// The share of the traffic to give it now, while it is new in a service with a slow start. Absent: `weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_weight: Option<f64>,
    /// Whether it is switched on.
    pub enabled: bool,
    /// Free labels.
    pub metadata: BTreeMap<String, String>,
    /// The region it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The zone inside the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// `beat`, `session`, `probe` or `static`.
    pub liveness: String,
    /// What was measured.
    pub health: Health,
    /// Whether callers should use it now.
    pub serving: bool,
    /// Why `health` is what it is.
    pub reason: String,
    /// What the client said about itself, where it said why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason_text: Option<String>,
    /// It serves, but is in doubt: it fell silent with so many others that the fault is more likely elsewhere (its reason
    /// is `guarded`), or enough consumers cannot reach it (`reported` says so).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
    /// It is known from before a restart only, and has not proved yet that it still lives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfirmed: bool,
    /// Its health changes so often that it is called healthy only after it has been well for a while.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flapping: bool,
    /// Enough consumers say that they cannot reach it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reported: bool,
    /// It is being emptied of traffic.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// When `health` last changed, wall clock.
    pub since_ms: u64,
    /// When it began to serve, by the registry's wall clock. Absent while it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_since_ms: Option<u64>,
    /// The revision of its last change.
    pub revision: u64,
    /// What an operator set, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorLayer>,
}

impl Instance {
    /// The weight to balance by: [`Instance::effective_weight`], or the one that was set.
    #[must_use]
    pub fn balancing_weight(&self) -> f64 {
        self.effective_weight.unwrap_or(self.weight)
    }

    /// Address and port as a URL has them: `10.0.0.1:80`, `[::1]:80`.
    #[must_use]
    pub fn authority(&self) -> String {
        // A colon in an address is found in IPv6 only.
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

/// What an operator set on an instance; it lies over what the client registered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperatorLayer {
    /// Overrides `enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Overrides `weight`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Put over the client's metadata, key by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Set by a drain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draining: bool,
    /// Survives deregistration and another incarnation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sticky: bool,
}

/// The operator's layers of a service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperatorLayers {
    /// Ordered by endpoint.
    pub layers: Vec<ListedLayer>,
}

/// An operator's layer with the instance that it is for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListedLayer {
    /// IP address or host name; IPv6 without brackets.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Whether there is such an instance now.
    pub present: bool,
    /// What is set over it.
    #[serde(flatten)]
    pub layer: OperatorLayer,
}

/// The body of `PATCH …/instances/{address}:{port}`. Absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OperatorPatch {
    /// Overrides `enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Overrides `weight`, 0 to 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Keys to put over the client's metadata; `null` takes the operator's value for a key away.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Option<String>>,
    /// Marks the instance draining, or no longer so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
    /// Whether the layer survives deregistration and another incarnation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<bool>,
}

/// The body of `POST …/instances/{address}:{port}/drain`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// How long to wait for acknowledgements, in milliseconds, 0 to 300000. Default 30000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

/// The answer to a drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrainResponse {
    /// The history that `revision` counts in.
    pub epoch: String,
    /// The revision that subscribers had to acknowledge.
    pub revision: u64,
    /// Whether nobody sends to the instance any more: every subscriber that acknowledges has done so, and the instance
    /// has said since that it has no request in flight, if it says such things. Also when it has gone.
    pub complete: bool,
    /// Names of the subscribers that acknowledged, also after their connection broke and they came back.
    pub acknowledged: Vec<String>,
    /// Names of the subscribers that have not acknowledged; `address:port (nacos-udp)` for those behind UDP push.
    pub waiting: Vec<String>,
    /// Names of the subscribers whose connection broke, and who did not come back by their name within 10 s. They are taken
    /// to be gone; until then they are among `waiting`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
    /// How many connected subscribers of the service never acknowledge anything.
    pub without_acks: u64,
    /// How many requests the instance said last that it has in flight. Absent if it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// What ended the drain early: `removed`, when the instance has gone, or `cancelled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// How many requests an instance has in flight, as it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InFlight {
    /// How many.
    pub count: u64,
    /// When it said so, by the registry's wall clock.
    pub at_ms: u64,
}
