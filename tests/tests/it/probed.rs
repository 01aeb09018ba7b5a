//! Item 6, end to end: real instances that the real registry probes, by the native API and for a real Nacos client.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::nacos;
use beatrix_tests::native::Native;
use beatrix_tests::process::Process;
use beatrix_tests::programs::{self, Client};
use beatrix_tests::registry::{Registry, Settings};
use beatrix_wire::probe::ProbeQuestion;
use beatrix_wire::{Health, Liveness, RegisterRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A Nacos checker asks each 5 s and needs three good answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// A small server that answers every request with a status. Dropped, nobody listens there any more.
struct Server {
    addr: SocketAddr,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(addr: SocketAddr, status: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(addr).await.context("no place for a server")?;
        let addr = listener.local_addr()?;
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut head = [0; 2048];
                    if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                        let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n");
                        let _whoever_asked_may_have_gone = stream.write_all(answer.as_bytes()).await;
                    }
                });
            }
        });
        Ok(Self { addr, serving })
    }

    /// Ends, and waits until nobody listens.
    async fn stop(self) {
        self.serving.abort();
        let _aborted = self.serving.await;
    }
}

fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn asked(probe: ProbeQuestion) -> RegisterRequest {
    RegisterRequest {
        liveness: Some(Liveness::Probe {
            probe: Box::new(probe),
            port: None,
            interval_ms: Some(500),
            timeout_ms: Some(300),
            rise: Some(2),
            fall: Some(2),
            initial_health: None,
        }),
        ..RegisterRequest::default()
    }
}

fn http() -> ProbeQuestion {
    ProbeQuestion::Http {
        method: None,
        path: Some("/health".into()),
        headers: Default::default(),
        expected_status: Some("200".into()),
        tls: None,
    }
}

async fn becomes(native: &Native, at: SocketAddr, health: Health, reason: &str) {
    eventually(&format!("{at} is {health:?} by {reason}"), SOON, async || {
        let view = native.view("s").await.ok()??;
        let found = view
            .instances
            .iter()
            .find(|it| it.authority() == at.to_string())?;
        (found.health == health && found.reason == reason).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_is_probed_by_http_follows_its_server() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let native = registry.native();
    let server = Server::start(anywhere(), 200).await?;
    let at = server.addr;
    native.register("s", &at.to_string(), &asked(http())).await?;
    becomes(&native, at, Health::Healthy, "probe_passed").await;
    server.stop().await;
    becomes(&native, at, Health::Unhealthy, "probe_failed").await;
    // It answers again, but not as is wanted; then it does.
    let ill = Server::start(at, 500).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    becomes(&native, at, Health::Unhealthy, "probe_failed").await;
    ill.stop().await;
    let _well = Server::start(at, 200).await?;
    becomes(&native, at, Health::Healthy, "probe_passed").await;
    let probes = native.status().await?.probes;
    assert!(
        probes.outcomes["refused"] >= 2 && probes.outcomes["bad_status"] >= 2,
        "{probes:?}"
    );
    Ok(())
}

#[tokio::test]
async fn rule_12_an_address_that_no_service_has_is_not_dialled_unless_it_is_allowed() -> anyhow::Result<()> {
    let forbidden = SocketAddr::from(([0, 0, 0, 0], 9));
    for (registry, outcome) in [
        (Registry::start().await?, "forbidden"),
        (
            Settings::new()
                .flag("probe_targets_allowed", "0.0.0.0/32")
                .start()
                .await?,
            "refused",
        ),
    ] {
        let native = registry.native();
        native
            .register("s", &forbidden.to_string(), &asked(ProbeQuestion::Tcp {}))
            .await?;
        eventually(outcome, SOON, async || {
            let outcomes = native.status().await.ok()?.probes.outcomes;
            outcomes.get(outcome).map(|_| ())
        })
        .await;
    }
    Ok(())
}

#[tokio::test]
async fn where_probes_are_turned_off_none_is_taken() -> anyhow::Result<()> {
    let registry = Settings::new().flag("probes_enabled", false).start().await?;
    let refused = registry
        .native()
        .register("s", "127.0.0.1:9", &asked(ProbeQuestion::Tcp {}))
        .await
        .expect_err("nobody would ask");
    assert!(refused.to_string().contains("probes_enabled"), "{refused}");
    Ok(())
}

/// A real client registers a persistent instance; its server goes and comes back.
async fn persistent(client: Option<Client>) -> anyhow::Result<()> {
    let Some(client) = client else { return Ok(()) };
    let registry = Registry::start().await?;
    let server = Server::start(anywhere(), 200).await?;
    let at = server.addr;
    let client = Process::spawn(client.command().args([
        format!("--server={}", registry.addr()),
        "--service=orders".to_owned(),
        "--ip=127.0.0.1".to_owned(),
        format!("--port={}", at.port()),
        "--beat-interval-ms=5000".to_owned(),
        "--persistent".to_owned(),
    ]))?;
    client
        .line("it has registered", PATIENCE, |line| {
            (line.text == "registered").then_some(())
        })
        .await;
    let listed = async |healthy: bool| {
        eventually(
            &format!("it is listed with healthy {healthy}"),
            PATIENCE,
            async || {
                let list = nacos::list(registry.addr(), "orders").await.ok()?;
                let [host] = &list.hosts[..] else { return None };
                (host.port == at.port() && host.healthy == healthy).then_some(())
            },
        )
        .await;
    };
    let view = registry.native().view("orders").await?.context("no service")?;
    assert_eq!(view.instances[0].liveness, "probe");
    listed(true).await;
    server.stop().await;
    listed(false).await;
    let _server = Server::start(at, 200).await?;
    listed(true).await;
    Ok(())
}

#[tokio::test]
async fn a_persistent_instance_of_the_python_client_follows_its_server() -> anyhow::Result<()> {
    persistent(programs::python_client()).await
}

#[tokio::test]
async fn a_persistent_instance_of_the_node_client_follows_its_server() -> anyhow::Result<()> {
    persistent(programs::node_client()).await
}
