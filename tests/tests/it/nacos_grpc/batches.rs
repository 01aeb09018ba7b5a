//! A client registers several instances at once, and others in their place: what it says last is all that it has.

use beatrix_tests::registry::Settings;

use super::driver::Driver;
use super::outside::{Place, STAYING};
use super::{Kind, SERVICE};

async fn replaces(kind: Kind) -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let place = Place::of(SERVICE);
    place.register(addr, STAYING).await?;
    let flags = [
        "--service=orders",
        "--batch=18201,18202,18203",
        "--batch-again=18201,18204",
        "--subscribe",
    ];
    let Some(client) = Driver::start(kind, addr, &flags)? else {
        return Ok(());
    };
    client.is_registered().await;
    let [one, two, three, four] = [18_201, 18_202, 18_203, 18_204].map(|port| format!("127.0.0.1:{port}"));
    place.has(addr, &[&one, &two, &three, STAYING]).await;
    place.shows_session(addr, &three).await;
    client.shows("heard ", &[&one, &two, &three, STAYING]).await;

    client.again()?;
    client.says("registered again").await;
    place.has(addr, &[&one, &four, STAYING]).await;
    client.shows("heard ", &[&one, &four, STAYING]).await;
    place.is_gone(addr, &two, "deregistered").await?;
    // Who is in both batches never left.
    assert_eq!(place.reasons(addr, &one).await?, [""; 0]);

    client.goodbye().await?;
    place.has(addr, &[STAYING]).await;
    place.is_gone(addr, &four, "deregistered").await
}

#[tokio::test]
async fn a_batch_of_the_client_of_pypi_2_replaces_the_one_before() -> anyhow::Result<()> {
    replaces(Kind::Python2).await
}

#[tokio::test]
async fn a_batch_of_the_client_of_pypi_3_replaces_the_one_before() -> anyhow::Result<()> {
    replaces(Kind::Python3).await
}

#[tokio::test]
async fn a_batch_of_the_crate_nacos_sdk_replaces_the_one_before() -> anyhow::Result<()> {
    replaces(Kind::NacosSdk).await
}
