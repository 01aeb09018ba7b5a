//! Registers an instance with the crate `nacos_rust_client` over HTTP, which then beats by itself.
//!
//! What it prints and how it is stopped: see `../README.md`. Nothing of the client is replaced or patched.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use nacos_rust_client::client::ClientBuilder;
use nacos_rust_client::client::naming_client::{
    Instance, InstanceDefaultListener, NamingClient, QueryInstanceListParams, ServiceInstanceKey,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

/// Ends by itself if the test that started it could not.
const LIFE: Duration = Duration::from_secs(300);

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    timeout(LIFE, run()).await.context("nobody stopped it")?
}

async fn run() -> anyhow::Result<()> {
    let flags: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|flag| {
            let (name, value) = flag.strip_prefix("--")?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let flag = |name: &str| flags.get(name).with_context(|| format!("--{name}= is missing"));
    let service = flag("service")?;
    let metadata = serde_json::from_str(flag("metadata")?)?;
    let mut stop = signal(SignalKind::terminate())?;

    let client = ClientBuilder::new()
        .set_endpoint_addrs(flag("server")?)
        .set_tenant("public".to_owned())
        .set_client_ip("127.0.0.1".to_owned())
        .set_use_grpc(false)
        .build_naming_client();
    let instance = Instance::new(
        flag("ip")?,
        flag("port")?.parse()?,
        service,
        "DEFAULT_GROUP",
        "",
        "",
        Some(metadata),
    );
    client.register(instance.clone());
    // This client does not tell when the registry has said so; the test asks the registry.
    println!("registered");

    let key = ServiceInstanceKey::new(service, "DEFAULT_GROUP");
    let heard: Arc<dyn Fn(_, _, _) + Send + Sync> = Arc::new(|all: Arc<Vec<Arc<Instance>>>, _, _| {
        println!("heard {}", shown(&all));
    });
    client
        .subscribe(Box::new(InstanceDefaultListener::new(key, Some(heard))))
        .await?;

    let mut last = (String::new(), String::new());
    loop {
        tokio::select! {
            _ = stop.recv() => break,
            () = sleep(Duration::from_millis(100)) => {}
        }
        let now = look(&client, service).await;
        if now.0 != last.0 {
            println!("listed {}", now.0);
        }
        if now.1 != last.1 {
            println!("selected {}", now.1);
        }
        last = now;
    }
    client.unregister(instance);
    // This, too, is only handed on to the client's own thread.
    sleep(Duration::from_secs(1)).await;
    println!("deregistered");
    Ok(())
}

/// All instances that the client lists, and those of them that it takes for healthy.
async fn look(client: &NamingClient, service: &str) -> (String, String) {
    let params =
        |healthy_only| QueryInstanceListParams::new("", "DEFAULT_GROUP", service, None, healthy_only);
    let all = client.query_instances(params(false)).await.unwrap_or_default();
    let healthy = client.query_instances(params(true)).await.unwrap_or_default();
    (shown(&all), shown(&healthy))
}

fn shown(instances: &[Arc<Instance>]) -> String {
    let mut shown: Vec<_> = instances
        .iter()
        .map(|it| {
            format!(
                "{}:{}={}",
                it.ip,
                it.port,
                if it.healthy { "healthy" } else { "unhealthy" }
            )
        })
        .collect();
    shown.sort();
    shown.join(" ")
}
