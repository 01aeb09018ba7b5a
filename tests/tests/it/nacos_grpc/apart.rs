//! Services of one name in two namespaces and in two groups have nothing to do with each other.

use beatrix_tests::registry::Settings;

use super::driver::Driver;
use super::outside::Place;
use super::{Kind, SERVICE};

/// Of each place: its namespace, its group, and who is there.
const PLACES: [(&str, &str, u16); 3] = [
    ("public", "DEFAULT_GROUP", 18_301),
    ("public", "blue", 18_302),
    ("green", "DEFAULT_GROUP", 18_303),
];

async fn stay_apart(kind: Kind) -> anyhow::Result<()> {
    let registry = Settings::new().start_at_pair().await?;
    let addr = registry.addr();
    let mut clients = Vec::new();
    for (namespace, group, port) in PLACES {
        let place = Place {
            namespace,
            group,
            service: SERVICE,
        };
        let flags = [
            format!("--service={SERVICE}"),
            format!("--namespace={namespace}"),
            format!("--group={group}"),
            format!("--port={port}"),
            "--subscribe".to_owned(),
        ];
        let Some(client) = Driver::start(kind, addr, &flags.each_ref().map(String::as_str))? else {
            return Ok(());
        };
        clients.push((place, format!("127.0.0.1:{port}"), client));
    }
    for (place, instance, client) in &clients {
        client.is_registered().await;
        place.shows_session(addr, instance).await;
    }
    for (place, instance, client) in &clients {
        place.has(addr, &[instance]).await;
        if !subscribes_elsewhere(kind, place) {
            client.shows("heard ", &[instance]).await;
        }
    }
    // One that leaves is missed in its place only.
    let (place, gone, client) = clients.remove(0);
    client.goodbye().await?;
    place.is_gone(addr, &gone, "deregistered").await?;
    for (place, instance, client) in &clients {
        place.has(addr, &[instance]).await;
        if !subscribes_elsewhere(kind, place) {
            let wanted = [format!("{instance}=healthy")];
            let lists = client.lists("heard ");
            assert!(
                lists.iter().all(|list| *list == wanted),
                "{place:?} heard of others: {lists:?}"
            );
        }
    }
    Ok(())
}

/// `nacos_rust_client` subscribes in `public` as well, whatever its namespace, and shows both as one: see
/// `clients/README.md`.
fn subscribes_elsewhere(kind: Kind, place: &Place<'_>) -> bool {
    kind == Kind::RustClient && place.namespace != "public"
}

#[tokio::test]
async fn namespaces_and_groups_of_the_client_of_pypi_2_stay_apart() -> anyhow::Result<()> {
    stay_apart(Kind::Python2).await
}

#[tokio::test]
async fn namespaces_and_groups_of_the_client_of_pypi_3_stay_apart() -> anyhow::Result<()> {
    stay_apart(Kind::Python3).await
}

#[tokio::test]
async fn namespaces_and_groups_of_the_crate_nacos_sdk_stay_apart() -> anyhow::Result<()> {
    stay_apart(Kind::NacosSdk).await
}

/// It compares no times: what comes last counts, be it older.
#[tokio::test]
async fn namespaces_and_groups_of_the_crate_nacos_rust_client_stay_apart() -> anyhow::Result<()> {
    stay_apart(Kind::RustClient).await
}
