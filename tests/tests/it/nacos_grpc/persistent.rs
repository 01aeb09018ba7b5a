//! A persistent instance that a client registers over gRPC has nothing to do with its connection.

use beatrix_tests::registry::Settings;

use super::driver::Driver;
use super::outside::Place;
use super::{Kind, SERVICE};

const MINE: &str = "127.0.0.1:18401";
const FLAGS: [&str; 3] = ["--service=orders", "--port=18401", "--persistent"];

/// It survives its client, and the registry that knew the client, until somebody deregisters it.
async fn outlives(kind: Kind) -> anyhow::Result<()> {
    let mut registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let place = Place::of(SERVICE);
    let Some(client) = Driver::start(kind, addr, &FLAGS)? else {
        return Ok(());
    };
    client.is_registered().await;
    place.has(addr, &[MINE]).await;
    let liveness = place.instance(addr, MINE).await.map(|it| it.liveness);
    assert_eq!(liveness.as_deref(), Some("probe"));
    client.kill()?;

    registry.process.kill()?;
    registry.start_again().await?;
    place.has(addr, &[MINE]).await;
    assert_eq!(place.reasons(addr, MINE).await?, [""; 0]);

    let Some(client) = Driver::start(kind, addr, &FLAGS)? else {
        return Ok(());
    };
    client.is_registered().await;
    client.goodbye().await?;
    place.is_gone(addr, MINE, "deregistered").await
}

#[tokio::test]
async fn a_persistent_instance_of_the_client_of_pypi_2_outlives_it() -> anyhow::Result<()> {
    outlives(Kind::Python2).await
}

#[tokio::test]
async fn a_persistent_instance_of_the_client_of_pypi_3_outlives_it() -> anyhow::Result<()> {
    outlives(Kind::Python3).await
}

#[tokio::test]
async fn a_persistent_instance_of_the_crate_nacos_sdk_outlives_it() -> anyhow::Result<()> {
    outlives(Kind::NacosSdk).await
}
