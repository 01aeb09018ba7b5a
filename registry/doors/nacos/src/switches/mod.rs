//! The switches of a Nacos server: settings of the whole registry that an operator changes while it runs.
//!
//! They are kept in the registry, each under `nacos.switch.` and its entry, and so are the same on every node and after a
//! restart. The door keeps them in a parsed form and makes that anew when any setting has changed.
//!
//! These have an effect: `clientBeatInterval`, `lightBeatEnabled`, `pushEnabled`, `pushVersion`, `pushCacheMillis`, `check`,
//! `defaultInstanceEphemeral`, `overriddenServerStatus`, `limitedUrlMap`. All others are checked, kept and shown, since
//! consoles set them, but there is nothing here that they could change.

mod entry;
mod json;
mod kept;

use std::time::Duration;

use beatrix_core::model::Timings;

pub(crate) use entry::change;
pub(crate) use json::SwitchesJson;
pub(crate) use kept::Kept;

/// All switches, parsed. The names and defaults are those of Nacos 2.x (`SwitchDomain`).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Switches {
    /// What beats are answered where the instance names no interval of its own, in milliseconds; `None` for that of the
    /// registry.
    pub(crate) client_beat_interval: Option<u64>,
    /// What beats are told about light beats. They are taken in any case.
    pub(crate) light_beat_enabled: bool,
    /// Whether changes are pushed over UDP.
    pub(crate) push_enabled: bool,
    /// The least version of each client that is pushed to.
    pub(crate) push_versions: PushVersions,
    /// How long clients wait until they ask for a list again, in milliseconds: `cacheMillis` of every list.
    pub(crate) push_cache_millis: u64,
    /// Whether silence makes unhealthy and gone.
    pub(crate) check: bool,
    /// What an instance is that does not say whether it is ephemeral.
    pub(crate) default_instance_ephemeral: bool,
    /// What the server pretends to be.
    pub(crate) server_status: Option<ServerStatus>,
    /// What requests that begin like this are answered.
    pub(crate) limited_urls: Vec<LimitedUrl>,
    /// What has no effect here.
    pub(crate) shown: Shown,
}

/// The least versions that UDP pushes go to, as text `x.y.z`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PushVersions {
    pub(crate) java: String,
    pub(crate) python: String,
    pub(crate) c: String,
    pub(crate) go: String,
    pub(crate) csharp: String,
}

/// What a server says that it is. Nacos 2.x: v1 is refused by one that is not up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerStatus {
    Up,
    Down,
    Starting,
    Paused,
    WriteOnly,
    ReadOnly,
}

/// Requests of v1 whose path and query begin with `start` are answered `status`, without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitedUrl {
    pub(crate) start: String,
    pub(crate) status: u16,
}

/// The switches that are only kept and shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    pub(crate) masters: Option<Vec<String>>,
    pub(crate) default_cache_millis: u64,
    pub(crate) distro_threshold: f64,
    pub(crate) auto_change_health_check_enabled: bool,
    pub(crate) distro_enabled: bool,
    pub(crate) enable_standalone: bool,
    pub(crate) check_times: i32,
    pub(crate) http_health_params: HealthParams,
    pub(crate) tcp_health_params: HealthParams,
    pub(crate) mysql_health_params: HealthParams,
    pub(crate) server_status_period: u64,
    pub(crate) service_status_period: u64,
    pub(crate) disable_add_ip: bool,
    pub(crate) send_beat_only: bool,
    pub(crate) distro_server_expired_millis: i64,
}

/// How often active checks are made, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct HealthParams {
    pub(crate) max: i32,
    pub(crate) min: i32,
    pub(crate) factor: f64,
}

impl Default for HealthParams {
    fn default() -> Self {
        Self {
            max: 5_000,
            min: 500,
            factor: 0.85,
        }
    }
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            client_beat_interval: None,
            light_beat_enabled: true,
            push_enabled: true,
            push_versions: PushVersions {
                java: "0.1.0".into(),
                python: "0.4.3".into(),
                c: "1.0.12".into(),
                go: "0.1.0".into(),
                csharp: "0.9.0".into(),
            },
            push_cache_millis: 10_000,
            check: true,
            default_instance_ephemeral: true,
            server_status: None,
            limited_urls: Vec::new(),
            shown: Shown {
                masters: None,
                default_cache_millis: 3_000,
                distro_threshold: 0.7,
                auto_change_health_check_enabled: true,
                distro_enabled: true,
                enable_standalone: true,
                check_times: 3,
                http_health_params: HealthParams::default(),
                tcp_health_params: HealthParams {
                    max: 5_000,
                    min: 1_000,
                    factor: 0.75,
                },
                mysql_health_params: HealthParams {
                    max: 3_000,
                    min: 2_000,
                    factor: 0.65,
                },
                server_status_period: 2_000,
                service_status_period: 5_000,
                disable_add_ip: false,
                send_beat_only: false,
                distro_server_expired_millis: 10_000,
            },
        }
    }
}

impl Switches {
    /// How often those instances shall beat that name no interval of their own.
    pub(crate) fn beat_interval(&self, defaults: Timings) -> Duration {
        self.client_beat_interval
            .map_or(defaults.interval(), Duration::from_millis)
    }

    /// Whether any is set that a request has to look at.
    pub(crate) fn unusual(&self) -> bool {
        let usual = Self::default();
        self.client_beat_interval != usual.client_beat_interval
            || self.light_beat_enabled != usual.light_beat_enabled
            || self.push_cache_millis != usual.push_cache_millis
            || self.default_instance_ephemeral != usual.default_instance_ephemeral
            || self.server_status.is_some()
            || !self.limited_urls.is_empty()
    }
}

impl ServerStatus {
    const ALL: [Self; 6] = [
        Self::Up,
        Self::Down,
        Self::Starting,
        Self::Paused,
        Self::WriteOnly,
        Self::ReadOnly,
    ];

    /// As Nacos spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::Starting => "STARTING",
            Self::Paused => "PAUSED",
            Self::WriteOnly => "WRITE_ONLY",
            Self::ReadOnly => "READ_ONLY",
        }
    }

    /// The status of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}
