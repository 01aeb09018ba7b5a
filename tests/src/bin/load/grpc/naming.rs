//! The requests, and what has to be in the answers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_nacos_wire::Payload;
use beatrix_tests::nacos_grpc::{Connection, Stream};
use serde_json::{Value, json};
use tokio::time::timeout;

/// How long an answer may take. Longer than official clients wait, since the load is heavier than theirs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What goes out on a connection. Its clones share the connection, which is closed with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Caller(Arc<Connection>);

impl Caller {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(connection))
    }

    pub(super) async fn set_up(&self) -> anyhow::Result<Stream> {
        Ok(timeout(PATIENCE, self.0.set_up())
            .await
            .context("no stream in time")??)
    }

    pub(super) async fn check_server(&self) -> anyhow::Result<()> {
        let answer = self
            .ask("ServerCheckRequest", &json!({}), "ServerCheckResponse")
            .await?;
        ensure!(answer["connectionId"].is_string(), "no connection id: {answer}");
        Ok(())
    }

    /// What clients send when nothing else is said.
    pub(super) async fn check_health(&self) -> anyhow::Result<()> {
        self.ask("HealthCheckRequest", &json!({}), "HealthCheckResponse")
            .await?;
        Ok(())
    }

    pub(super) async fn register(&self, service: &str, instance: &Value) -> anyhow::Result<()> {
        self.change("registerInstance", service, instance).await
    }

    pub(super) async fn deregister(&self, service: &str, instance: &Value) -> anyhow::Result<()> {
        self.change("deregisterInstance", service, instance).await
    }

    async fn change(&self, kind: &str, service: &str, instance: &Value) -> anyhow::Result<()> {
        let mut request = named(service);
        request["type"] = json!(kind);
        request["instance"] = instance.clone();
        let answer = self.ask("InstanceRequest", &request, "InstanceResponse").await?;
        ensure!(answer["type"] == kind, "asked to {kind}, answered {answer}");
        Ok(())
    }

    /// Subscribes to a service; gives who is there.
    pub(super) async fn subscribe(&self, service: &str) -> anyhow::Result<BTreeSet<String>> {
        let mut request = named(service);
        request["subscribe"] = json!(true);
        request["clusters"] = json!("");
        let answer = self
            .ask("SubscribeServiceRequest", &request, "SubscribeServiceResponse")
            .await?;
        hosts(&answer["serviceInfo"])
    }

    /// Who is there.
    pub(super) async fn query(&self, service: &str) -> anyhow::Result<BTreeSet<String>> {
        let answer = self
            .ask("ServiceQueryRequest", &query(service), "QueryServiceResponse")
            .await?;
        hosts(&answer["serviceInfo"])
    }

    /// The same without reading the answer, which costs more than the question: its bytes.
    pub(super) async fn query_unread(&self, request: &Payload) -> anyhow::Result<Payload> {
        let answer = timeout(PATIENCE, self.0.call(request.clone())).await;
        let answer = answer.context("no answer in time")??;
        ensure!(answer.kind() == "QueryServiceResponse", "{answer:?}");
        Ok(answer)
    }

    async fn ask(&self, kind: &str, request: &Value, wanted: &str) -> anyhow::Result<Value> {
        let answer = timeout(PATIENCE, self.0.request(kind, request)).await;
        let answer = answer.with_context(|| format!("no answer to {kind} in time"))??;
        ensure!(
            answer.kind == wanted && answer.json["resultCode"] == 200,
            "{kind} was answered by {answer:?}"
        );
        Ok(answer.json)
    }
}

pub(super) fn query(service: &str) -> Value {
    let mut request = named(service);
    request["cluster"] = json!("");
    request["healthyOnly"] = json!(false);
    request
}

fn named(service: &str) -> Value {
    json!({
        "headers": {},
        "namespace": "public",
        "groupName": "DEFAULT_GROUP",
        "serviceName": service,
        "module": "naming",
    })
}

/// An instance with all that Java's client says of one.
pub(super) fn instance(ip: &str, port: u16) -> Value {
    json!({
        "ip": ip,
        "port": port,
        "weight": 1.0,
        "healthy": true,
        "enabled": true,
        "ephemeral": true,
        "clusterName": "DEFAULT",
        "metadata": {},
    })
}

/// The addresses in a `serviceInfo`. All of them have to be healthy, since none of this load ever says otherwise.
pub(super) fn hosts(info: &Value) -> anyhow::Result<BTreeSet<String>> {
    let hosts = info["hosts"].as_array();
    let hosts = hosts.with_context(|| format!("no hosts in {info}"))?;
    let mut found = BTreeSet::new();
    for host in hosts {
        let ip = host["ip"].as_str();
        let ip = ip.with_context(|| format!("no address in {host}"))?;
        ensure!(host["healthy"] == true, "not healthy: {host}");
        let addr = format!("{ip}:{}", host["port"]);
        ensure!(found.insert(addr), "twice in a list: {host}");
    }
    Ok(found)
}

/// The name of the service in a `serviceInfo`, without its group.
pub(super) fn service(info: &Value) -> &str {
    let name = info["name"].as_str().unwrap_or_default();
    name.rsplit_once("@@").map_or(name, |(_, service)| service)
}
