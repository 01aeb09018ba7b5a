//! Registers an instance with the crate `nacos_rust_client`, over HTTP, where it beats by itself, or over gRPC.
//!
//! What it prints and how it is stopped: see `../README.md`. Nothing of the client is replaced or patched.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nacos_rust::{Asked, Differing, Flags, LIFE, log, shown};
use nacos_rust_client::client::naming_client::{
    Instance, InstanceDefaultListener, NamingClient, QueryInstanceListParams, ServiceInstanceKey,
};
use nacos_rust_client::client::{ClientBuilder, HostInfo};
use tokio::time::{sleep, timeout};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    log();
    timeout(LIFE, run()).await.context("nobody stopped it")?
}

async fn run() -> anyhow::Result<()> {
    let flags = Flags::given();
    let service = flags.get("service")?;
    let group = flags.or("group", "DEFAULT_GROUP");
    let mut asked = Asked::listen()?;

    // Its gRPC port is 1000 above, unless it is told.
    let mut host = HostInfo::parse(flags.get("server")?);
    if let Some(port) = flags.number("grpc-port")? {
        host.grpc_port = port;
    }
    let client = ClientBuilder::new()
        .set_hosts(vec![host])
        .set_tenant(flags.or("namespace", "public").to_owned())
        .set_client_ip("127.0.0.1".to_owned())
        .set_use_grpc(flags.has("grpc"))
        .build_naming_client();
    let mut instance = None;
    if let Some(port) = flags.number("port")? {
        let metadata = Some(flags.metadata()?);
        let new = Instance::new(flags.get("ip")?, port, service, group, "", "", metadata);
        client.register(new.clone());
        instance = Some(new);
        // This client does not tell when the registry has said so; the test asks the registry.
        println!("registered");
    }

    let watch = flags.has("watch");
    if watch || flags.has("subscribe") {
        let heard: Arc<dyn Fn(_, _, _) + Send + Sync> = Arc::new(|all: Arc<Vec<Arc<Instance>>>, _, _| {
            println!("heard {}", list(&all));
        });
        let key = ServiceInstanceKey::new(service, group);
        client
            .subscribe(Box::new(InstanceDefaultListener::new(key, Some(heard))))
            .await?;
    }

    let (mut listed, mut selected) = (Differing::new("listed"), Differing::new("selected"));
    while asked.next().await != Some(true) {
        if watch || flags.has("query") {
            look(&client, service, group, &mut listed, &mut selected).await;
        }
    }
    if let Some(instance) = instance {
        client.unregister(instance);
        // This, too, is only handed on to the client's own thread.
        sleep(Duration::from_secs(1)).await;
        println!("deregistered");
    }
    Ok(())
}

/// Prints all instances that the client lists, and those of them that it takes for healthy.
async fn look(
    client: &NamingClient,
    service: &str,
    group: &str,
    listed: &mut Differing,
    selected: &mut Differing,
) {
    let params = |healthy_only| QueryInstanceListParams::new("", group, service, None, healthy_only);
    let all = client.query_instances(params(false)).await.unwrap_or_default();
    listed.now(list(&all));
    let healthy = client.query_instances(params(true)).await.unwrap_or_default();
    selected.now(list(&healthy));
}

fn list(instances: &[Arc<Instance>]) -> String {
    shown(
        instances
            .iter()
            .map(|it| (format!("{}:{}", it.ip, it.port), it.healthy)),
    )
}
