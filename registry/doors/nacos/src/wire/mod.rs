//! The JSON of the protocol, where it is not written by hand.

mod client;
mod service;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub(crate) use client::*;
pub(crate) use service::*;

/// Whose beat a full beat is: all that one needs that finds its instance. Unknown members are ignored.
///
/// `serviceName` is left out on purpose. Nacos 2.x refreshes the service that is named here, 1.x the one of the
/// request, and scripts rely on that; the request's is what both name.
#[derive(Debug, Deserialize)]
pub(crate) struct BeatAddressJson<'a> {
    #[serde(borrow, default)]
    pub(crate) ip: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(crate) port: Option<Scalar<'a>>,
}

/// An instance that a batch is about. Unknown members are ignored.
#[derive(Debug, Deserialize)]
pub(crate) struct BatchEntryJson<'a> {
    #[serde(borrow, default)]
    pub(crate) ip: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(crate) port: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(crate) ephemeral: Option<Scalar<'a>>,
}

/// What else a full beat says, for one that has to register its instance.
#[derive(Debug, Deserialize)]
pub(crate) struct BeatJson<'a> {
    #[serde(borrow, default)]
    pub(crate) cluster: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(crate) weight: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(crate) ephemeral: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(crate) metadata: Option<&'a RawValue>,
}

/// Text, or a number or boolean as text. Nacos (Jackson) takes the one for the other; some clients send ports as text.
#[derive(Debug)]
pub(crate) struct Scalar<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or a boolean")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_bool<E: de::Error>(self, yes: bool) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(if yes { "true" } else { "false" }))
    }
}

/// One instance, as v1 and v2 answer `GET /instance`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceJson<'a> {
    /// Grouped. v1 calls it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<&'a str>,
    /// Grouped. v2 calls it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service_name: Option<&'a str>,
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) cluster_name: &'a str,
    pub(crate) weight: f64,
    pub(crate) healthy: bool,
    /// As it is rendered in lists.
    pub(crate) instance_id: Box<RawValue>,
    pub(crate) metadata: BTreeMap<&'a str, &'a str>,
}

/// Which instances a batch was about.
#[derive(Debug, Serialize)]
pub(crate) struct UpdatedJson {
    pub(crate) updated: Vec<String>,
}

/// The health of the instances of a service.
#[derive(Debug, Serialize)]
pub(crate) struct StatusesJson {
    pub(crate) ips: Vec<String>,
}

/// A page of services of a group.
#[derive(Debug, Serialize)]
pub(crate) struct ServicesJson<'a> {
    /// How many there are in all.
    pub(crate) count: usize,
    /// Bare names.
    pub(crate) doms: Vec<&'a str>,
}

/// A page of services of a group, in v2.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceListJson<'a> {
    /// How many there are in all.
    pub(crate) count: usize,
    /// Bare names.
    pub(crate) services: Vec<&'a str>,
}

/// The state of the server, and how much it holds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MetricsJson {
    /// `UP`, or what keeps it from that.
    pub(crate) status: &'static str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) counts: Option<CountsJson>,
}

/// How much the server holds. Nacos 2.x counts as clients who holds an address; here it is who is registered or
/// subscribed. What is not counted here is left out: clients by kind, and the load of the machine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CountsJson {
    pub(crate) service_count: usize,
    pub(crate) instance_count: usize,
    pub(crate) subscribe_count: usize,
    /// How many instances this server judges. Nacos: not in v2 and v3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) responsible_instance_count: Option<usize>,
    pub(crate) client_count: usize,
    pub(crate) responsible_client_count: usize,
}

/// The frame of every answer of v2 and v3.
#[derive(Debug, Serialize)]
pub(crate) struct ResultJson<T> {
    pub(crate) code: u32,
    pub(crate) message: &'static str,
    pub(crate) data: T,
}

/// What the server is. Nacos: all values are text.
#[derive(Debug, Serialize)]
pub(crate) struct StateJson {
    /// The version of Nacos whose API this is.
    pub(crate) version: &'static str,
    pub(crate) startup_mode: &'static str,
    /// Nacos 1.x called it so.
    pub(crate) standalone_mode: &'static str,
    /// Which of Nacos's functions there are.
    pub(crate) function_mode: &'static str,
    /// Whether there is access control.
    pub(crate) auth_enabled: &'static str,
    /// What answers; not of Nacos.
    pub(crate) server: &'static str,
}

/// An error that no handler made: an unknown path. Nacos: the form of Spring Boot.
#[derive(Debug, Serialize)]
pub(crate) struct FilterErrorJson<'a> {
    pub(crate) timestamp: String,
    pub(crate) status: u16,
    pub(crate) error: &'static str,
    pub(crate) message: String,
    pub(crate) path: &'a str,
}

/// Some answers of v1, framed in another way than those of v2 and v3.
#[derive(Debug, Serialize)]
pub(crate) struct RestResultJson<T> {
    code: u32,
    message: Option<()>,
    data: T,
}

impl<T> RestResultJson<T> {
    /// What went well.
    pub(crate) fn ok(data: T) -> Self {
        Self {
            code: 200,
            message: None,
            data,
        }
    }
}

/// What a login answers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LoginJson<'a> {
    pub(crate) access_token: &'static str,
    /// Seconds, as a number: the Go client takes nothing else.
    pub(crate) token_ttl: u32,
    pub(crate) global_admin: bool,
    pub(crate) username: &'a str,
}

/// A server of the cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MemberJson {
    ip: String,
    port: u16,
    state: &'static str,
    extend_info: BTreeMap<&'static str, &'static str>,
    address: String,
    fail_access_cnt: u32,
    abilities: BTreeMap<&'static str, &'static str>,
}

impl MemberJson {
    /// The server at this address.
    pub(crate) fn new(ip: &str, port: u16, ready: bool) -> Self {
        Self {
            ip: ip.to_owned(),
            port,
            state: if ready { "UP" } else { "STARTING" },
            extend_info: BTreeMap::from([("version", crate::state::VERSION)]),
            address: format!("{ip}:{port}"),
            fail_access_cnt: 0,
            abilities: BTreeMap::new(),
        }
    }
}

/// A namespace in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NamespaceJson {
    namespace: String,
    namespace_show_name: String,
    namespace_desc: Option<String>,
    /// How many configurations it may have. Nacos: 200.
    quota: u32,
    config_count: u32,
    /// 0 for the one that is always there, 2 for all others.
    r#type: u32,
}

impl From<crate::operations::namespaces::Shown> for NamespaceJson {
    fn from(shown: crate::operations::namespaces::Shown) -> Self {
        Self {
            namespace: shown.id,
            namespace_show_name: shown.name,
            namespace_desc: shown.description,
            quota: 200,
            config_count: 0,
            r#type: if shown.is_default { 0 } else { 2 },
        }
    }
}

/// Grouped names of services, by namespace.
#[derive(Debug, Serialize)]
pub(crate) struct ServiceNamesJson {
    pub(crate) services: BTreeMap<String, Vec<String>>,
    pub(crate) count: usize,
}

/// Free text about the server.
#[derive(Debug, Serialize)]
pub(crate) struct HealthJson {
    pub(crate) msg: String,
}

/// How pushing goes.
#[derive(Debug, Serialize)]
pub(crate) struct PushStateJson {
    succeed: u64,
    total: u64,
    ratio: serde_json::Number,
    reset: bool,
}

impl PushStateJson {
    /// So many of `total` datagrams did `succeed`. The ratio of nothing is 0.
    pub(crate) fn new(total: u64, succeed: u64, reset: bool) -> Self {
        let ratio = serde_json::Number::from_f64(succeed as f64 / total as f64);
        Self {
            succeed,
            total,
            ratio: ratio.unwrap_or_else(|| 0.into()),
            reset,
        }
    }
}

/// The servers of the cluster, as Nacos up to 2.1 lists them.
#[derive(Debug, Serialize)]
pub(crate) struct ServersJson {
    pub(crate) servers: [ServerJson; 1],
}

/// A server of the cluster with the members that it had before Nacos 1.3 as well. The C++ client reads these, and counts
/// on each to be there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServerJson {
    #[serde(flatten)]
    member: MemberJson,
    serve_port: u16,
    site: &'static str,
    weight: f32,
    ad_weight: f32,
    alive: bool,
    last_ref_time: u64,
    last_ref_time_str: Option<()>,
    key: String,
}

impl ServerJson {
    /// This server, heard of just now. Nacos 1.x: the site of all that name none is `unknown`.
    pub(crate) fn new(member: MemberJson, now: u64) -> Self {
        Self {
            serve_port: member.port,
            site: "unknown",
            weight: 1.0,
            ad_weight: 0.0,
            alive: true,
            last_ref_time: now,
            last_ref_time_str: None,
            key: member.address.clone(),
            member,
        }
    }
}
