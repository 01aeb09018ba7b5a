//! Plugs who asks into the engine: the prober, which knows protocols, behind the engine's trait, which knows none.

use std::sync::Arc;

use beatrix_core::model::{Endpoint, ProbeSpec};
use beatrix_engine::probing::{self, Probing};
use beatrix_probes::{OwnAddresses, Prober, ProberConfig};

use crate::config::Config;

/// Asks by the network.
#[derive(Debug)]
pub(crate) struct Asking(Prober);

impl Asking {
    pub(crate) fn new(config: &Config, own: OwnAddresses) -> Self {
        Self(Prober::new(ProberConfig {
            allow: config.probe_targets_allowed.clone(),
            deny: config.probe_targets_denied.clone(),
            own,
            ..ProberConfig::default()
        }))
    }
}

impl Probing for Asking {
    fn probe(&self, endpoint: Endpoint, spec: Arc<ProbeSpec>) -> probing::Asking {
        let prober = self.0.clone();
        Box::pin(async move { prober.probe(&endpoint, &spec).await.into() })
    }
}
