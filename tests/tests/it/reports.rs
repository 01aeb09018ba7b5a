//! Item 8, end to end: what consumers say about an instance that they cannot reach.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::http1::{self, Connection, Request};
use beatrix_tests::native::{beating, instance_path};
use beatrix_tests::registry::Registry;
use beatrix_tests::sse::Event;
use beatrix_wire::{
    Explanation, FailureReport, Health, Instance, LookExplained, RegisterRequest, ReportRequest,
    ReportResponse,
};
use tokio::net::TcpListener;
use tokio::time::Instant;

const SERVICE: &str = "orders";
/// A push goes out within 50 ms; on a busy machine the processes may be late.
const A_PUSH: Duration = Duration::from_secs(2);

/// A process on a machine of its own, as far as its address goes.
async fn report(registry: &Registry, host: u8, about: SocketAddr) -> anyhow::Result<()> {
    let body = ReportRequest {
        consumer: format!("checkout-{host}"),
        reports: vec![FailureReport {
            namespace: "public".into(),
            group: "DEFAULT_GROUP".into(),
            service: SERVICE.into(),
            address: about.ip().to_string(),
            port: about.port(),
            failures: 2,
            window_ms: 500,
            last_error: "connect: refused".into(),
        }],
    };
    let request = Request::new("POST", "/api/v1/reports").json(serde_json::to_vec(&body)?);
    let mut connection = Connection::open_from(Ipv4Addr::new(127, 0, 0, host), registry.addr()).await?;
    let answer = connection.request(request).await?;
    ensure!(answer.status() == 200, "{}", answer.text());
    let answer: ReportResponse = answer.json()?;
    ensure!((answer.accepted, answer.unknown.len()) == (1, 0), "{answer:?}");
    Ok(())
}

async fn explain(registry: &Registry, at: &str) -> anyhow::Result<Explanation> {
    let path = format!("{}/explain", instance_path(SERVICE, at));
    http1::get(registry.addr(), &path).await?.json()
}

async fn shown(registry: &Registry) -> anyhow::Result<Instance> {
    let mut view = registry.native().view(SERVICE).await?.context("no service")?;
    ensure!(view.instances.len() == 1, "{view:?}");
    Ok(view.instances.remove(0))
}

/// Beats on, though its server may be gone.
fn patient() -> RegisterRequest {
    beating(5_000, 600_000, 1_200_000)
}

/// Claim: reports of enough different consumers mark an instance at once, order a look, and never remove it.
#[tokio::test]
async fn three_consumers_that_cannot_reach_an_instance_mark_it_and_the_registry_looks_itself()
-> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    let server = TcpListener::bind(("127.0.0.1", 0)).await?;
    let about = server.local_addr()?;
    let at = about.to_string();
    native.register(SERVICE, &at, &patient()).await?;
    let mut stream = native.watch(&[SERVICE], None).await?;
    stream.find("a snapshot", SOON, Event::snapshot).await?;
    drop(server);

    report(&registry, 2, about).await?;
    report(&registry, 3, about).await?;
    assert!(!shown(&registry).await?.reported, "two are not enough");
    report(&registry, 4, about).await?;
    let said = Instant::now();
    let told = stream
        .find("it is marked", A_PUSH, |event| {
            let delta = event.delta()?;
            delta.upserted.into_iter().find(|it| it.reported)
        })
        .await?;
    assert!(said.elapsed() <= A_PUSH);
    assert!(told.suspect && told.serving, "{told:?}");
    assert_eq!((told.health, &*told.reason), (Health::Healthy, "reported"));
    let instance = shown(&registry).await?;
    assert!(
        instance.reported && instance.suspect && instance.serving,
        "{instance:?}"
    );

    let looked = looked(&registry, &at).await;
    assert!(!looked.good && looked.text.contains("refused"), "{looked:?}");
    let explained = explain(&registry, &at).await?;
    assert!(explained.marks.contains(&"reported".to_owned()), "{explained:?}");
    let reports = explained.reports.context("it is reported")?;
    assert_eq!((reports.consumers, reports.counted, reports.needed), (3, 3, 3));
    assert_eq!(reports.failures, 6);
    assert_eq!(reports.last_errors, ["connect: refused"]);
    let metrics = native.metrics().await?;
    assert_eq!(
        (metrics["beatrix_reports_instances"], metrics["beatrix_reports"]),
        (1.0, 3.0)
    );
    let status = native.status().await?.reports;
    assert_eq!((status.instances, status.reports, status.forgotten), (1, 3, 0));

    // It comes back, and says so.
    let _server = TcpListener::bind(about).await?;
    native.register(SERVICE, &at, &patient()).await?;
    stream
        .find("the mark is gone", A_PUSH, |event| {
            let delta = event.delta()?;
            delta.upserted.into_iter().find(|it| !it.reported && !it.suspect)
        })
        .await?;
    assert!(!shown(&registry).await?.reported);
    Ok(())
}

/// The registry's look at an instance, once it has looked.
async fn looked(registry: &Registry, at: &str) -> LookExplained {
    eventually("the registry has looked", SOON, async || {
        explain(registry, at).await.ok()?.reports?.looked
    })
    .await
}

/// Whoever registers an instance and reports it could have the registry dial what it likes.
#[tokio::test]
async fn rule_12_the_look_dials_no_address_that_no_service_has() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let about = SocketAddr::from(([169, 254, 169, 254], 80));
    let at = about.to_string();
    registry.native().register(SERVICE, &at, &patient()).await?;
    for host in 2..=4 {
        report(&registry, host, about).await?;
    }
    let looked = looked(&registry, &at).await;
    assert!(!looked.good && looked.text.contains("not dialled"), "{looked:?}");
    Ok(())
}

#[tokio::test]
async fn one_consumer_alone_marks_nothing_however_often_it_reports() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let about = {
        let nobody = TcpListener::bind(("127.0.0.1", 0)).await?;
        nobody.local_addr()?
    };
    let at = about.to_string();
    registry.native().register(SERVICE, &at, &patient()).await?;
    let before = registry.revision().await?;
    for _ in 0..5 {
        report(&registry, 2, about).await?;
    }
    // What it said is known, and is not enough.
    let reports = explain(&registry, &at).await?.reports.context("it is reported")?;
    assert_eq!((reports.consumers, reports.failures), (1, 10));
    assert!(reports.looked.is_none(), "{reports:?}");
    // A mark would be there by now: it is made in the turn that the report wakes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!shown(&registry).await?.reported);
    assert_eq!(registry.revision().await?, before);
    Ok(())
}
