//! A client's life with one registry.

use beatrix_tests::registry::Settings;

use super::driver::Driver;
use super::outside::{PASSING, Place, STAYING};
use super::{Kind, SERVICE};

const MINE: &str = "127.0.0.1:18101";
const OTHERS: &str = "127.0.0.1:18102";

/// It registers, is seen, sees others that come and go by each way, and says goodbye.
async fn whole_life(kind: Kind) -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let place = Place::of(SERVICE);
    place.register(addr, STAYING).await?;

    let flags = ["--service=orders", "--port=18101", "--subscribe"];
    let Some(client) = Driver::start(kind, addr, &flags)? else {
        return Ok(());
    };
    client.is_registered().await;
    place.shows_session(addr, MINE).await;
    client.shows("heard ", &[MINE, STAYING]).await;

    place.register(addr, PASSING).await?;
    client.shows("heard ", &[MINE, PASSING, STAYING]).await;
    place.deregister(addr, PASSING).await?;
    client.shows("heard ", &[MINE, STAYING]).await;

    let flags = ["--service=orders", "--port=18102"];
    let Some(other) = Driver::start(kind.other(), addr, &flags)? else {
        return Ok(());
    };
    place.shows_session(addr, OTHERS).await;
    client.shows("heard ", &[MINE, OTHERS, STAYING]).await;
    other.goodbye().await?;
    client.shows("heard ", &[MINE, STAYING]).await;
    place.is_gone(addr, OTHERS, "deregistered").await?;

    client.goodbye().await?;
    place.is_gone(addr, MINE, "deregistered").await?;
    place.has(addr, &[STAYING]).await;
    Ok(())
}

/// It only asks, and is told of who registered over HTTP and of who did over gRPC.
async fn asks(kind: Kind) -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let place = Place::of(SERVICE);
    place.register(addr, STAYING).await?;
    let flags = ["--service=orders", "--port=18102"];
    let Some(_other) = Driver::start(kind.other(), addr, &flags)? else {
        return Ok(());
    };
    place.shows_session(addr, OTHERS).await;

    let Some(client) = Driver::start(kind, addr, &["--service=orders", "--query"])? else {
        return Ok(());
    };
    client.shows("listed ", &[OTHERS, STAYING]).await;
    client.shows("selected ", &[OTHERS, STAYING]).await;
    Ok(())
}

/// It is killed, and its instance is gone because its connection is, for everybody.
async fn is_killed(kind: Kind) -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let place = Place::of(SERVICE);
    place.register(addr, STAYING).await?;
    let flags = ["--service=orders", "--subscribe"];
    let Some(watcher) = Driver::start(kind.other(), addr, &flags)? else {
        return Ok(());
    };
    let flags = ["--service=orders", "--port=18101"];
    let Some(client) = Driver::start(kind, addr, &flags)? else {
        return Ok(());
    };
    place.shows_session(addr, MINE).await;
    watcher.shows("heard ", &[MINE, STAYING]).await;

    client.kill()?;
    place.is_gone(addr, MINE, "session_closed").await?;
    watcher.shows("heard ", &[STAYING]).await;
    Ok(())
}

#[tokio::test]
async fn the_client_of_pypi_2_lives_its_whole_life() -> anyhow::Result<()> {
    whole_life(Kind::Python2).await
}

#[tokio::test]
async fn the_client_of_pypi_3_lives_its_whole_life() -> anyhow::Result<()> {
    whole_life(Kind::Python3).await
}

#[tokio::test]
async fn the_crate_nacos_sdk_lives_its_whole_life() -> anyhow::Result<()> {
    whole_life(Kind::NacosSdk).await
}

#[tokio::test]
async fn the_crate_nacos_rust_client_lives_its_whole_life() -> anyhow::Result<()> {
    whole_life(Kind::RustClient).await
}

#[tokio::test]
async fn the_client_of_pypi_2_that_asks_is_told_of_all() -> anyhow::Result<()> {
    asks(Kind::Python2).await
}

#[tokio::test]
async fn the_client_of_pypi_3_that_asks_is_told_of_all() -> anyhow::Result<()> {
    asks(Kind::Python3).await
}

#[tokio::test]
async fn the_crate_nacos_sdk_that_asks_is_told_of_all() -> anyhow::Result<()> {
    asks(Kind::NacosSdk).await
}

#[tokio::test]
async fn the_crate_nacos_rust_client_that_asks_is_told_of_all() -> anyhow::Result<()> {
    asks(Kind::RustClient).await
}

#[tokio::test]
async fn the_client_of_pypi_2_that_is_killed_leaves_nothing() -> anyhow::Result<()> {
    is_killed(Kind::Python2).await
}

#[tokio::test]
async fn the_client_of_pypi_3_that_is_killed_leaves_nothing() -> anyhow::Result<()> {
    is_killed(Kind::Python3).await
}

#[tokio::test]
async fn the_crate_nacos_sdk_that_is_killed_leaves_nothing() -> anyhow::Result<()> {
    is_killed(Kind::NacosSdk).await
}

#[tokio::test]
async fn the_crate_nacos_rust_client_that_is_killed_leaves_nothing() -> anyhow::Result<()> {
    is_killed(Kind::RustClient).await
}
