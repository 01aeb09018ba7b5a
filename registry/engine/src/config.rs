//! What can be set about the engine.

use std::time::Duration;

use beatrix_core::catalog::CatalogConfig;
use beatrix_core::model::Timings;

/// The engine's settings.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Names the cluster; a native beat for another one is refused.
    pub cluster_id: String,
    /// The times of instances that name none.
    pub timings: Timings,
    /// The longest that a burst of changes of one service is merged before it is pushed. Default 50 ms. The first
    /// change of a quiet service is pushed at once.
    pub push_merge_max: Duration,
    /// How many subscribers there may be; a connection of Nacos over gRPC counts once for each service. Default 1,000,000.
    pub subscribers_max: usize,
    /// How many services one subscriber may watch. Default 1,000.
    pub services_per_subscriber_max: usize,
    /// How often consumers may report instances that they cannot reach.
    pub report_pace: ReportPace,
    /// Whether instances may ask for probes by a method that may change something (POST). Default: no.
    pub probe_methods_unsafe: bool,
    /// Bounds and times of the catalog.
    pub catalog: CatalogConfig,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            cluster_id: "beatrix".into(),
            timings: Timings::DEFAULT,
            push_merge_max: Duration::from_millis(50),
            subscribers_max: 1_000_000,
            services_per_subscriber_max: 1_000,
            report_pace: ReportPace::default(),
            probe_methods_unsafe: false,
            catalog: CatalogConfig::default(),
        }
    }
}

/// How often consumers may report instances that they cannot reach: so many requests at once, and then so many a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportPace {
    /// Requests a second of one consumer. Default 1: the SDK sends no more.
    pub per_consumer: u32,
    /// How many at once. Default 5.
    pub per_consumer_burst: u32,
    /// Requests a second of all consumers at one address. Default 50.
    pub per_address: u32,
    /// How many at once. Default 200.
    pub per_address_burst: u32,
}

impl Default for ReportPace {
    fn default() -> Self {
        Self {
            per_consumer: 1,
            per_consumer_burst: 5,
            per_address: 50,
            per_address_burst: 200,
        }
    }
}
