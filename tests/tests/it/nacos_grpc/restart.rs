//! The registry goes and comes back, with its data and at its addresses: the clients' instances are there all the while,
//! and are confirmed as soon as the clients have come back by themselves.

use std::time::Duration;

use beatrix_tests::eventually::SOON;
use beatrix_tests::process::Signal;
use beatrix_tests::registry::{Registry, Settings};
use tokio::time::sleep;

use super::Kind;
use super::driver::Driver;
use super::outside::{PASSING, Place};
use super::witnesses::Witnesses;

/// What lives by a connection is written behind, by as much at most.
const BEHIND_MAX: Duration = Duration::from_millis(100);

/// How the registry goes.
enum End {
    Killed,
    Stopped,
}

impl End {
    async fn of(self, registry: &mut Registry) -> anyhow::Result<()> {
        match self {
            Self::Killed => registry.process.kill(),
            Self::Stopped => {
                registry.signal(Signal::Term)?;
                let status = registry.process.end(SOON).await;
                anyhow::ensure!(status.success(), "it stopped with {status}");
                Ok(())
            }
        }
    }
}

/// All clients with one registry, each in a service of its own.
async fn nobody_is_missed(end: End) -> anyhow::Result<()> {
    let mut registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let mut clients = Vec::new();
    for (kind, service, port) in [
        (Kind::Python2, "back-2", 18_601),
        (Kind::Python3, "back-3", 18_602),
        (Kind::NacosSdk, "back-sdk", 18_603),
        (Kind::RustClient, "back-rust", 18_604),
    ] {
        let flags = [
            format!("--service={service}"),
            format!("--port={port}"),
            "--subscribe".to_owned(),
        ];
        let Some(client) = Driver::start(kind, addr, &flags.each_ref().map(String::as_str))? else {
            continue;
        };
        clients.push((Place::of(service), format!("127.0.0.1:{port}"), client));
    }
    let mut witnesses = Vec::new();
    for (place, instance, client) in &clients {
        client.is_registered().await;
        place.shows_session(addr, instance).await;
        client.shows("heard ", &[instance]).await;
        witnesses.push(Witnesses::begin(addr, *place, instance).await?);
    }
    sleep(BEHIND_MAX).await;

    end.of(&mut registry).await?;
    registry.start_again().await?;

    for (place, instance, client) in &clients {
        place.shows_session(addr, instance).await;
        // It is subscribed again, too.
        place.register(addr, PASSING).await?;
        client.shows("heard ", &[PASSING, instance]).await;
    }
    for witnesses in witnesses {
        witnesses.end(PASSING).await?;
    }
    for (place, instance, client) in clients {
        let reasons = place.reasons(addr, &instance).await?;
        assert_eq!(reasons, [""; 0], "{place:?} was without {instance} for a while");
        client.goodbye().await?;
        place.is_gone(addr, &instance, "deregistered").await?;
    }
    Ok(())
}

#[tokio::test]
async fn clients_come_back_after_a_crash_and_nobody_is_shown_a_list_without_them() -> anyhow::Result<()> {
    nobody_is_missed(End::Killed).await
}

#[tokio::test]
async fn clients_come_back_after_a_stop_and_nobody_is_shown_a_list_without_them() -> anyhow::Result<()> {
    nobody_is_missed(End::Stopped).await
}
