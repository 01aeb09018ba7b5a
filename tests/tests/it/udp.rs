//! Subscribers over UDP, as the Nacos clients of the 1.x line are, hear of each change, in order.

use anyhow::Context;
use beatrix_tests::eventually::SOON;
use beatrix_tests::nacos::{self, Host};
use beatrix_tests::registry::Registry;
use beatrix_tests::udp::Subscriber;
use tokio::time::timeout;

const SERVICE: &str = "orders";

fn metadata(version: u64) -> String {
    format!("metadata=version={version}")
}

#[tokio::test]
async fn a_subscriber_over_udp_hears_of_each_change_in_order() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let addr = registry.addr();
    let mut subscriber = Subscriber::bind(addr).await?;
    subscriber.subscribe(SERVICE).await?;

    let (mut last, mut last_id) = (0, i64::MIN);
    for version in 1..=5 {
        nacos::register_with(addr, SERVICE, "10.0.0.1", 80, &metadata(version)).await?;
        // What was subscribed to is told once by itself, so the first may still be without anybody.
        while last < version {
            let push = timeout(SOON, subscriber.push())
                .await
                .with_context(|| format!("version {version} was not pushed"))??;
            assert_eq!(push.name, format!("DEFAULT_GROUP@@{SERVICE}"));
            assert!(push.id > last_id, "{push:?} after {last_id}");
            last_id = push.id;
            let told = match &push.hosts[..] {
                [] => 0,
                [host] => {
                    assert_eq!((&host.ip[..], host.port, host.healthy), ("10.0.0.1", 80, true));
                    told_version(host)?
                }
                _ => panic!("more than one instance: {push:?}"),
            };
            assert!(told >= last, "{push:?} goes back from {last}");
            last = told;
        }
        assert_eq!(last, version, "told before it was");
    }

    nacos::deregister(addr, SERVICE, "10.0.0.1", 80).await?;
    let push = timeout(SOON, subscriber.push())
        .await
        .context("the goodbye was not pushed")??;
    assert_eq!(push.hosts, []);
    Ok(())
}

#[tokio::test]
async fn a_service_too_large_for_a_small_datagram_comes_whole() -> anyhow::Result<()> {
    const INSTANCES: u16 = 20;
    let registry = Registry::start().await?;
    let mut subscriber = Subscriber::bind(registry.addr()).await?;
    subscriber.subscribe(SERVICE).await?;
    for port in 1..=INSTANCES {
        nacos::register(registry.addr(), SERVICE, "10.0.0.1", port).await?;
    }
    loop {
        let push = timeout(SOON, subscriber.push())
            .await
            .context("not all were pushed")??;
        let ports: Vec<_> = push.hosts.iter().map(|it| it.port).collect();
        // What was registered in order is never told with a gap.
        assert_eq!(
            ports,
            (1..=INSTANCES).take(ports.len()).collect::<Vec<_>>(),
            "{push:?}"
        );
        if ports.len() == usize::from(INSTANCES) {
            return Ok(());
        }
    }
}

fn told_version(host: &Host) -> anyhow::Result<u64> {
    Ok(host.metadata.get("version").context("no version")?.parse()?)
}
