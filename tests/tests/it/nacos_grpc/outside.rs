//! What everybody else sees of what a client registers: over the native API and over Nacos's HTTP.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use beatrix_tests::eventually::eventually;
use beatrix_tests::http1;
use beatrix_tests::nacos::{self, ServiceInfo};
use beatrix_tests::native::Native;
use beatrix_wire::{ChangeKind, Health, Instance, ServiceView};

use super::PATIENCE;

/// One in a service all the time, registered over HTTP: most clients pass over a list that is empty.
pub(super) const STAYING: &str = "10.9.8.7:80";
/// One more, which comes and goes.
pub(super) const PASSING: &str = "10.9.8.6:80";

/// Metadata of an instance that nobody has to beat for while a test lasts.
const LONG_LIVED: &str = "metadata=preserved.heart.beat.timeout=600000,preserved.ip.delete.timeout=600000";

/// A service, by all that names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) namespace: &'a str,
    pub(super) group: &'a str,
    pub(super) service: &'a str,
}

impl<'a> Place<'a> {
    /// Where a service is if nobody says otherwise.
    pub(super) fn of(service: &'a str) -> Self {
        Self {
            namespace: "public",
            group: "DEFAULT_GROUP",
            service,
        }
    }

    /// Registers an instance over HTTP.
    pub(super) async fn register(&self, registry: SocketAddr, instance: &str) -> anyhow::Result<()> {
        let (ip, port) = parts(instance)?;
        nacos::register_with(registry, self.service, ip, port, LONG_LIVED).await
    }

    /// Deregisters it over HTTP.
    pub(super) async fn deregister(&self, registry: SocketAddr, instance: &str) -> anyhow::Result<()> {
        let (ip, port) = parts(instance)?;
        nacos::deregister(registry, self.service, ip, port).await
    }

    /// The service over the native API, or `None` when there is none.
    pub(super) async fn view(&self, registry: SocketAddr) -> anyhow::Result<Option<ServiceView>> {
        let Self {
            namespace,
            group,
            service,
        } = self;
        let path = format!("/api/v1/namespaces/{namespace}/groups/{group}/services/{service}");
        let answer = http1::get(registry, &path).await?;
        if answer.status() == 404 {
            return Ok(None);
        }
        ensure!(answer.status() == 200, "{} {}", answer.status(), answer.text());
        answer.json().map(Some)
    }

    /// An instance as the native API shows it, if it does.
    pub(super) async fn instance(&self, registry: SocketAddr, instance: &str) -> Option<Instance> {
        let view = self.view(registry).await.ok()??;
        view.instances.into_iter().find(|it| it.authority() == instance)
    }

    /// Who is in the list over Nacos's HTTP.
    pub(super) async fn listed(&self, registry: SocketAddr) -> anyhow::Result<Vec<String>> {
        let Self {
            namespace,
            group,
            service,
        } = self;
        let query = format!("serviceName={service}&groupName={group}&namespaceId={namespace}");
        let answer = http1::get(registry, &format!("/nacos/v1/ns/instance/list?{query}")).await?;
        ensure!(answer.status() == 200, "{} {}", answer.status(), answer.text());
        let info: ServiceInfo = answer.json()?;
        let hosts = info.hosts.iter().map(|host| format!("{}:{}", host.ip, host.port));
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort();
        Ok(hosts)
    }

    /// Waits until everybody sees that an instance lives by its connection.
    pub(super) async fn shows_session(&self, registry: SocketAddr, instance: &str) {
        eventually(&format!("{self:?} shows {instance}"), PATIENCE, async || {
            let found = self.instance(registry, instance).await?;
            let zone = found.metadata.get("zone").map(String::as_str);
            let well = found.health == Health::Healthy && !found.unconfirmed;
            (well && found.liveness == "session" && zone == Some("a")).then_some(())
        })
        .await;
        self.lists(registry, instance).await;
    }

    /// Waits until the list over HTTP has an instance.
    pub(super) async fn lists(&self, registry: SocketAddr, instance: &str) {
        eventually(&format!("{self:?} lists {instance}"), PATIENCE, async || {
            let listed = self.listed(registry).await.ok()?;
            listed.iter().any(|it| it == instance).then_some(())
        })
        .await;
    }

    /// Waits until these are there and no other, by both APIs.
    pub(super) async fn has(&self, registry: SocketAddr, instances: &[&str]) {
        let mut wanted: Vec<_> = instances.iter().map(|it| (*it).to_owned()).collect();
        wanted.sort();
        eventually(&format!("{self:?} has {wanted:?}"), PATIENCE, async || {
            let view = self.view(registry).await.ok()??;
            let mut shown: Vec<_> = view.instances.iter().map(Instance::authority).collect();
            shown.sort();
            let listed = self.listed(registry).await.ok()?;
            (shown == wanted && listed == wanted).then_some(())
        })
        .await;
    }

    /// Why an instance left, each time that it did.
    pub(super) async fn reasons(&self, registry: SocketAddr, instance: &str) -> anyhow::Result<Vec<String>> {
        let events = Native::new(registry).events(0).await?.events.into_iter();
        let gone = events.filter(|event| {
            let of = (&event.namespace[..], &event.group[..], &event.service[..]);
            event.kind == ChangeKind::Removed
                && of == (self.namespace, self.group, self.service)
                && format!("{}:{}", event.address, event.port) == instance
        });
        Ok(gone.map(|event| event.reason).collect())
    }

    /// Waits until an instance is gone, for everybody and for this reason.
    pub(super) async fn is_gone(
        &self,
        registry: SocketAddr,
        instance: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        eventually(&format!("{instance} is gone"), PATIENCE, async || {
            let view = self.view(registry).await.ok()?;
            let mut there = view.iter().flat_map(|view| &view.instances);
            there.all(|it| it.authority() != instance).then_some(())
        })
        .await;
        // While the registry warms it has no lists over HTTP.
        let listed = eventually(&format!("{self:?} is listed"), PATIENCE, async || {
            self.listed(registry).await.ok()
        })
        .await;
        ensure!(
            !listed.iter().any(|it| it == instance),
            "it is listed: {listed:?}"
        );
        let reasons = self.reasons(registry, instance).await?;
        ensure!(reasons == [reason], "{instance} left because of {reasons:?}");
        Ok(())
    }
}

fn parts(instance: &str) -> anyhow::Result<(&str, u16)> {
    let (ip, port) = instance.split_once(':').context("address and port")?;
    Ok((ip, port.parse()?))
}
