//! Bad input gets a clear error in the protocol's own form, and changes nothing: a file for each protocol.

mod nacos;
mod native;
mod not_http;
mod problem;

use beatrix_tests::native::standing;
use beatrix_tests::registry::Registry;

/// The registry with one good instance, at the revision that must stay.
async fn registry() -> anyhow::Result<(Registry, u64)> {
    let registry = Registry::start().await?;
    let good = registry
        .native()
        .register("orders", "10.0.0.1:80", &standing())
        .await?;
    Ok((registry, good.revision))
}
