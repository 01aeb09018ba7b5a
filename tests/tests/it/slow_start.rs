//! Slow start: at each step every door shows the same share of a new instance.

use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::eventually::SOON;
use beatrix_tests::native::standing;
use beatrix_tests::registry::Registry;
use beatrix_tests::udp::Subscriber;
use beatrix_tests::{http1, nacos};
use beatrix_wire::{RegisterRequest, ServicePatch, ServiceView, SlowStart};
use tokio::time::{sleep, timeout};

const SERVICE: &str = "orders";

/// What callers are to balance by, by port.
type Weights = Vec<(u16, f64)>;

fn of_view(view: &ServiceView) -> Weights {
    let instances = view.instances.iter();
    instances.map(|it| (it.port, it.balancing_weight())).collect()
}

fn of_hosts(hosts: &[nacos::Host]) -> Weights {
    hosts.iter().map(|host| (host.port, host.weight)).collect()
}

async fn of_v3(registry: &Registry) -> anyhow::Result<Weights> {
    let target = format!("/nacos/v3/client/ns/instance/list?serviceName={SERVICE}");
    let answer: serde_json::Value = http1::get(registry.addr(), &target).await?.json()?;
    let hosts: Vec<nacos::Host> = serde_json::from_value(answer["data"].clone())?;
    Ok(of_hosts(&hosts))
}

#[tokio::test]
async fn every_door_shows_the_same_share_of_a_new_instance_at_each_step() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    native.register(SERVICE, "10.0.0.1:80", &standing()).await?;
    let ramp = SlowStart {
        duration_ms: 20_000,
        curve: Default::default(),
        min_percent: 10,
    };
    let patch = ServicePatch {
        slow_start: Some(Some(ramp)),
    };
    native.declare_service(SERVICE, &patch).await?;
    let mut subscriber = Subscriber::bind(registry.addr()).await?;
    subscriber.subscribe(SERVICE).await?;
    let heavy = RegisterRequest {
        weight: Some(4.0),
        ..standing()
    };
    native.register(SERVICE, "10.0.0.1:81", &heavy).await?;

    // The steps come every two seconds; nothing else changes.
    for share in [0.4, 0.76, 1.12] {
        let expected: Weights = vec![(80, 1.0), (81, share)];
        // The push first: it comes with the step.
        let mut pushed = Vec::new();
        while pushed != expected {
            let push = timeout(SOON, subscriber.push()).await;
            pushed = of_hosts(&push.with_context(|| format!("{share} is not pushed"))??.hosts);
        }
        let before = native.view(SERVICE).await?.context("the service is there")?;
        let (v1, v3) = (
            of_hosts(&nacos::list(registry.addr(), SERVICE).await?.hosts),
            of_v3(&registry).await?,
        );
        let after = native.view(SERVICE).await?.context("the service is there")?;
        ensure!(
            before.revision == after.revision,
            "this machine is too slow to look"
        );
        assert_eq!(
            (of_view(&before), v1, v3),
            (expected.clone(), expected.clone(), expected)
        );
        assert_eq!(before.instances[1].weight, 4.0, "what was set stays");
    }
    // Who ends it ends it everywhere.
    native
        .declare_service(
            SERVICE,
            &ServicePatch {
                slow_start: Some(None),
            },
        )
        .await?;
    sleep(Duration::from_millis(100)).await;
    let all: Weights = vec![(80, 1.0), (81, 4.0)];
    let view = native.view(SERVICE).await?.context("the service is there")?;
    let v1 = nacos::list(registry.addr(), SERVICE).await?;
    assert_eq!((of_view(&view), of_hosts(&v1.hosts)), (all.clone(), all));
    Ok(())
}
