//! Clients that nobody makes say anything: what they say by themselves is enough to stay.

use std::time::Duration;

use beatrix_tests::registry::Settings;
use tokio::time::sleep;

use super::Kind;
use super::driver::Driver;
use super::outside::{PASSING, Place};

/// Longer than a registry waits (20 s) before it asks, and for the answer (5 s), and than Python takes to say all of it
/// again by itself (30 s).
const QUIET: Duration = Duration::from_secs(40);

/// Each in a service of its own; none of them may be missed, nor hear of anything.
async fn stay(clients: &[(Kind, &'static str, u16)]) -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let mut there = Vec::new();
    for &(kind, service, port) in clients {
        let flags = [
            format!("--service={service}"),
            format!("--port={port}"),
            "--subscribe".to_owned(),
        ];
        let Some(client) = Driver::start(kind, addr, &flags.each_ref().map(String::as_str))? else {
            continue;
        };
        there.push((Place::of(service), format!("127.0.0.1:{port}"), client));
    }
    for (place, instance, client) in &there {
        client.is_registered().await;
        place.shows_session(addr, instance).await;
        client.shows("heard ", &[instance]).await;
    }
    let before = registry.native().events(0).await?;

    sleep(QUIET).await;

    let after = registry.native().events(before.next_after).await?.events;
    assert!(after.is_empty(), "nothing happened, and this is told: {after:#?}");
    for (place, instance, client) in &there {
        let lists = client.lists("heard ");
        let wanted = [format!("{instance}=healthy")];
        assert!(lists.iter().all(|list| *list == wanted), "{place:?}: {lists:?}");
        place.register(addr, PASSING).await?;
        client.shows("heard ", &[PASSING, instance]).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_says_only_what_it_says_by_itself_is_never_missed() -> anyhow::Result<()> {
    let clients = [
        (Kind::Python2, "quiet-2", 18_501),
        (Kind::Python3, "quiet-3", 18_502),
        (Kind::NacosSdk, "quiet-sdk", 18_503),
    ];
    stay(&clients).await
}

/// It makes server checks, and no health checks, and does not answer when it is asked whether it is there.
#[tokio::test]
async fn a_client_that_shows_by_server_checks_that_it_lives_is_never_missed() -> anyhow::Result<()> {
    stay(&[(Kind::RustClient, "quiet-rust", 18_504)]).await
}
