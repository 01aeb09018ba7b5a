//! Registers an instance with the crate `nacos-sdk`, the official one, over gRPC.
//!
//! What it prints and how it is stopped: see `../README.md`. Nothing of the client is replaced or patched.

use std::sync::Arc;

use anyhow::Context;
use nacos_rust::{Asked, Differing, Flags, LIFE, log, shown};
use nacos_sdk::api::naming::{
    NamingChangeEvent, NamingEventListener, NamingService, NamingServiceBuilder, ServiceInstance,
};
use nacos_sdk::api::props::ClientProps;
use tokio::time::timeout;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    log();
    timeout(LIFE, run()).await.context("nobody stopped it")?
}

/// A service by its name and group, and the client that knows it.
struct Service {
    client: NamingService,
    name: String,
    group: Option<String>,
}

struct Heard;

impl NamingEventListener for Heard {
    fn event(&self, event: Arc<NamingChangeEvent>) {
        println!("heard {}", list(event.instances.as_deref().unwrap_or_default()));
    }
}

async fn run() -> anyhow::Result<()> {
    let flags = Flags::given();
    let mut asked = Asked::listen()?;
    let mut props = ClientProps::new()
        .env_first(false)
        .server_addr(flags.get("server")?)
        .namespace(flags.or("namespace", ""));
    // 1000 above the server's, unless it is told.
    if let Some(port) = flags.number("grpc-port")? {
        props = props.remote_grpc_port(port);
    }
    let service = Service {
        client: NamingServiceBuilder::new(props).build().await?,
        name: flags.get("service")?.to_owned(),
        group: Some(flags.or("group", "DEFAULT_GROUP").to_owned()),
    };

    let new = |port| {
        anyhow::Ok(ServiceInstance {
            ip: flags.get("ip")?.to_owned(),
            port,
            metadata: flags.metadata()?,
            ephemeral: !flags.has("persistent"),
            ..ServiceInstance::default()
        })
    };
    let batch = |name: &str| {
        let ports = flags.ports(name)?.into_iter();
        ports.map(&new).collect::<anyhow::Result<Vec<_>>>()
    };
    let (first, second) = (batch("batch")?, batch("batch-again")?);
    let mut instance = None;
    if let Some(port) = flags.number("port")? {
        instance = Some(new(port)?);
        service.register(new(port)?).await?;
        println!("registered");
    } else if !first.is_empty() {
        instance = first.first().cloned();
        service.register_batch(first).await?;
        println!("registered");
    }

    let watch = flags.has("watch");
    if watch || flags.has("subscribe") {
        let (name, group) = (service.name.clone(), service.group.clone());
        service
            .client
            .subscribe(name, group, Vec::new(), Arc::new(Heard))
            .await?;
    }

    let (mut listed, mut selected) = (Differing::new("listed"), Differing::new("selected"));
    loop {
        match asked.next().await {
            Some(true) => break,
            Some(false) => {
                service.register_batch(second.clone()).await?;
                println!("registered again");
            }
            None => {}
        }
        if watch || flags.has("query") {
            service.look(&mut listed, &mut selected).await;
        }
    }
    if let Some(instance) = instance {
        let (name, group) = (service.name.clone(), service.group.clone());
        service.client.deregister_instance(name, group, instance).await?;
        println!("deregistered");
    }
    Ok(())
}

impl Service {
    async fn register(&self, instance: ServiceInstance) -> anyhow::Result<()> {
        let (name, group) = (self.name.clone(), self.group.clone());
        Ok(self.client.register_instance(name, group, instance).await?)
    }

    async fn register_batch(&self, instances: Vec<ServiceInstance>) -> anyhow::Result<()> {
        let (name, group) = (self.name.clone(), self.group.clone());
        Ok(self
            .client
            .batch_register_instance(name, group, instances)
            .await?)
    }

    /// Prints all instances that the registry lists, and the healthy ones. Not from what the subscription keeps: these
    /// ask the registry each time.
    async fn look(&self, listed: &mut Differing, selected: &mut Differing) {
        let (name, group) = (self.name.clone(), self.group.clone());
        match self
            .client
            .get_all_instances(name, group, Vec::new(), false)
            .await
        {
            Ok(all) => listed.now(list(&all)),
            // The registry is away, as the test wants it to be for a while.
            Err(error) => eprintln!("{error}"),
        }
        let (name, group) = (self.name.clone(), self.group.clone());
        let healthy = self.client.select_instances(name, group, Vec::new(), false, true);
        match healthy.await {
            Ok(healthy) => selected.now(list(&healthy)),
            Err(error) => eprintln!("{error}"),
        }
    }
}

fn list(instances: &[ServiceInstance]) -> String {
    shown(instances.iter().map(|it| (it.ip_and_port(), it.healthy)))
}
