//! Subscribers and clients as JSON.

use serde::Serialize;

use crate::operations::clients::Client;
use crate::operations::subscribers::Watching;
use crate::service::grouped_name;

/// A subscriber, as v1 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriberV1Json<'a> {
    addr_str: &'a str,
    agent: &'a str,
    app: &'a str,
    ip: &'a str,
    port: u16,
    namespace_id: &'a str,
    /// Grouped.
    service_name: String,
    cluster: &'a str,
}

impl<'a> From<&'a Watching> for SubscriberV1Json<'a> {
    fn from(watching: &'a Watching) -> Self {
        let Watching { service, peer } = watching;
        Self {
            addr_str: &peer.address,
            agent: &peer.agent,
            app: &peer.app,
            ip: watching.ip(),
            port: watching.port(),
            namespace_id: service.namespace.as_str(),
            service_name: grouped_name(service.borrowed()),
            cluster: &peer.cluster,
        }
    }
}

/// Subscribers, as v1 shows them.
#[derive(Debug, Serialize)]
pub(crate) struct SubscribersV1Json<'a> {
    pub(crate) subscribers: Vec<SubscriberV1Json<'a>>,
    pub(crate) count: usize,
}

/// A subscriber, as v3 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriberV3Json<'a> {
    namespace_id: &'a str,
    group_name: &'a str,
    service_name: &'a str,
    ip: &'a str,
    port: u16,
    agent: &'a str,
    app_name: &'a str,
    address: &'a str,
}

impl<'a> From<&'a Watching> for SubscriberV3Json<'a> {
    fn from(watching: &'a Watching) -> Self {
        let Watching { service, peer } = watching;
        Self {
            namespace_id: service.namespace.as_str(),
            group_name: service.group.as_str(),
            service_name: service.name.as_str(),
            ip: watching.ip(),
            port: watching.port(),
            agent: &peer.agent,
            app_name: &peer.app,
            address: &peer.address,
        }
    }
}

/// A client, as v2 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientV2Json<'a> {
    client_id: &'a str,
    ephemeral: bool,
    /// When it was last heard of. The registry keeps no such time for people; it is the time of the answer.
    last_updated_time: u64,
    client_type: &'static str,
    client_ip: &'a str,
    /// Nacos 2.x: as text.
    client_port: String,
}

impl<'a> ClientV2Json<'a> {
    pub(crate) fn new(client: &'a Client, now: u64) -> Self {
        Self {
            client_id: &client.id,
            ephemeral: client.ephemeral,
            last_updated_time: now,
            client_type: "ipPort",
            client_ip: &client.ip,
            client_port: client.port.to_string(),
        }
    }
}

/// A client, as v3 shows it. Nacos 3.x: what only connections tell is not known of one that has an address and no more,
/// and that address is in its id.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientV3Json<'a> {
    client_id: &'a str,
    ephemeral: bool,
    /// As in v2.
    last_updated_time: u64,
    client_type: &'static str,
    connect_type: Option<()>,
    app_name: Option<()>,
    version: Option<()>,
    client_ip: Option<()>,
    client_port: u16,
}

impl<'a> ClientV3Json<'a> {
    pub(crate) fn new(client: &'a Client, now: u64) -> Self {
        Self {
            client_id: &client.id,
            ephemeral: client.ephemeral,
            last_updated_time: now,
            client_type: "ipPort",
            connect_type: None,
            app_name: None,
            version: None,
            client_ip: None,
            client_port: 0,
        }
    }
}

/// What a client registered, as v2 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublishedV2Json<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) group: &'a str,
    pub(crate) service_name: &'a str,
    pub(crate) registered_instance: PublisherV2Json<'a>,
}

/// Where an instance is, as v2 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublisherV2Json<'a> {
    pub(crate) ip: &'a str,
    pub(crate) port: u16,
    pub(crate) cluster: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_id: Option<&'a str>,
}

/// What a client watches, as v2 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WatchedV2Json<'a> {
    namespace: &'a str,
    group: &'a str,
    service_name: &'a str,
    subscriber_info: WatcherV2Json<'a>,
}

#[derive(Debug, Serialize)]
struct WatcherV2Json<'a> {
    app: &'a str,
    agent: &'a str,
    addr: &'a str,
}

impl<'a> From<&'a Watching> for WatchedV2Json<'a> {
    fn from(Watching { service, peer }: &'a Watching) -> Self {
        Self {
            namespace: service.namespace.as_str(),
            group: service.group.as_str(),
            service_name: service.name.as_str(),
            subscriber_info: WatcherV2Json {
                app: &peer.app,
                agent: &peer.agent,
                addr: &peer.address,
            },
        }
    }
}

/// Who watches a service, as v2 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WatcherOfServiceV2Json<'a> {
    pub(crate) client_id: String,
    pub(crate) ip: &'a str,
    pub(crate) port: u16,
}

/// A service of a client, as v3 shows it: the side that does not apply is `null`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClientServiceV3Json<'a> {
    pub(crate) namespace_id: &'a str,
    pub(crate) group_name: &'a str,
    pub(crate) service_name: &'a str,
    pub(crate) publisher_info: Option<PublisherV3Json<'a>>,
    pub(crate) subscriber_info: Option<WatcherV3Json<'a>>,
}

/// Who registered, as v3 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PublisherV3Json<'a> {
    pub(crate) client_id: &'a str,
    pub(crate) ip: &'a str,
    pub(crate) port: u16,
    pub(crate) cluster_name: &'a str,
}

/// Who watches, as v3 shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WatcherV3Json<'a> {
    client_id: String,
    app_name: &'a str,
    agent: &'a str,
    address: &'a str,
}

impl<'a> From<&'a Watching> for WatcherV3Json<'a> {
    fn from(watching: &'a Watching) -> Self {
        let peer = &watching.peer;
        Self {
            client_id: watching.client_id(),
            app_name: &peer.app,
            agent: &peer.agent,
            address: &peer.address,
        }
    }
}

/// Which server judges a client.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ResponsibleJson {
    pub(crate) responsible_server: String,
}
