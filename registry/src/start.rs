//! Puts the registry together with the journal that the configuration names.

use std::sync::Arc;

use anyhow::Context;
use beatrix_engine::clock::{Clock, SystemClock};
use beatrix_engine::journal::Memory;
use beatrix_engine::journal::embedded::{Embedded, EmbeddedConfig};
use beatrix_engine::random::Random;
use beatrix_engine::{Registry, RegistryBuilder};
use beatrix_probes::OwnAddresses;

use crate::asking::Asking;
use crate::config::{Config, JournalKind};

/// Starts the registry. It does not probe what `own` says. With the embedded journal it then knows what it knew before.
///
/// # Errors
/// If the system has no randomness, or the journal cannot be opened or read.
pub(crate) async fn registry(config: &Config, own: OwnAddresses) -> anyhow::Result<Registry> {
    let random = Random::from_system().context("no randomness from the system")?;
    let epoch = random.epoch();
    let clock = Arc::new(SystemClock::new());
    let builder = RegistryBuilder::new(config.engine.clone(), random)
        .with_clock(Arc::clone(&clock) as _)
        .with_own_thread()
        .with_probing(Arc::new(Asking::new(config, own)));
    match config.journal {
        JournalKind::Memory => Ok(builder.start(Memory::new(epoch)).await?),
        JournalKind::Embedded => {
            let began = clock.mono();
            let watch = Arc::clone(&clock);
            let journal = Embedded::open(&config.data_dir, embedded(config, epoch), clock)?;
            let registry = builder.start(journal).await?;
            let status = registry.status();
            tracing::info!(
                data_dir = %config.data_dir.display(),
                instances = status.instances,
                services = status.services,
                revision = status.version.revision.0,
                took_ms = u64::try_from(watch.mono().since(began).as_millis()).unwrap_or(u64::MAX),
                "the journal is read"
            );
            Ok(registry)
        }
    }
}

fn embedded(config: &Config, epoch: beatrix_core::model::Epoch) -> EmbeddedConfig {
    EmbeddedConfig {
        checkpoint_bytes: config.checkpoint_bytes,
        history_age: config.history_age_max,
        history_bytes: config.history_bytes_max,
        free_reserve: config.disk_reserve_bytes,
        ..EmbeddedConfig::new(epoch)
    }
}
