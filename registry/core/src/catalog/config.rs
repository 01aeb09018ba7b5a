//! The bounds of a catalog and its times.

use std::time::Duration;

use crate::liveness::{FlapConfig, GuardConfig, ProbeConfig, ReportConfig};
use crate::model::Timings;

/// The bounds of a catalog and its times.
#[derive(Debug, Clone)]
pub struct CatalogConfig {
    /// How many instances there may be in all.
    pub instances_max: usize,
    /// How many instances a service may have.
    pub instances_per_service_max: usize,
    /// How many services there may be.
    pub services_max: usize,
    /// How many changes the change log keeps.
    pub change_log_max: usize,
    /// How long a service without instances is kept, so that readers can see why it is empty.
    pub empty_service_kept: Duration,
    /// How long an operator's layer is kept after its instance has gone, unless it is sticky.
    pub layer_kept: Duration,
    /// The mass-expiry guard.
    pub guard: GuardConfig,
    /// When consumers are believed that cannot reach an instance.
    pub reports: ReportConfig,
    /// How health that changes too often is damped.
    pub flap: FlapConfig,
    /// After a restart: the times of instances whose connection died with the process. What was true of them stays so
    /// until they come back or these times are over: nobody shall see that the registry was away.
    pub returning: Timings,
    /// After a restart: for how long the catalog is incomplete at the longest. By then all who beat have beaten. Those of
    /// connections are not waited for: they are in the lists, and which of them are gone is known later.
    pub beat_window: Duration,
    /// How probes are scheduled.
    pub probes: ProbeConfig,
}

impl Default for CatalogConfig {
    fn default() -> Self {
        Self {
            instances_max: 4_000_000,
            instances_per_service_max: 1_000_000,
            services_max: 1_000_000,
            change_log_max: 65_536,
            empty_service_kept: Duration::from_secs(600),
            layer_kept: Duration::from_secs(600),
            guard: GuardConfig::default(),
            reports: ReportConfig::default(),
            flap: FlapConfig::default(),
            returning: Timings::RETURNING,
            beat_window: Timings::DEFAULT.unhealthy_after(),
            probes: ProbeConfig::default(),
        }
    }
}
