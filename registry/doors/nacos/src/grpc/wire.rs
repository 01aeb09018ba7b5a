//! The JSON of requests. Whatever is missing or `null` is as if it were not there: clients send both, and much that
//! only Java's getters made part of the protocol, which is passed over.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use serde_json::value::RawValue;

use crate::wire::Scalar;

/// `InstanceRequest` and `PersistentInstanceRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceRequest<'a> {
    #[serde(borrow, default)]
    pub(super) namespace: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) group_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) service_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) r#type: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) instance: Option<Object<InstanceJson<'a>>>,
}

/// `BatchInstanceRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BatchRequest<'a> {
    #[serde(borrow, default)]
    pub(super) namespace: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) group_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) service_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) r#type: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) instances: Option<Vec<Object<InstanceJson<'a>>>>,
}

/// An instance as a client describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InstanceJson<'a> {
    #[serde(borrow, default)]
    pub(super) ip: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) port: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) weight: Option<f64>,
    #[serde(default)]
    pub(super) healthy: Option<bool>,
    #[serde(default)]
    pub(super) enabled: Option<bool>,
    #[serde(borrow, default)]
    pub(super) cluster_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) instance_id: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) metadata: Option<&'a RawValue>,
}

/// `SubscribeServiceRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscribeRequest<'a> {
    #[serde(borrow, default)]
    pub(super) namespace: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) group_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) service_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) clusters: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) subscribe: Option<bool>,
}

/// `ServiceQueryRequest`. Python's client says `healthOnly` and means `healthyOnly`; Nacos knows only the latter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryRequest<'a> {
    #[serde(borrow, default)]
    pub(super) namespace: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) group_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) service_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) cluster: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) healthy_only: Option<bool>,
}

/// `ServiceListRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListRequest<'a> {
    #[serde(borrow, default)]
    pub(super) namespace: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) group_name: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) page_no: Option<i64>,
    #[serde(default)]
    pub(super) page_size: Option<i64>,
}

/// `NamingFuzzyWatchRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FuzzyWatchRequest<'a> {
    #[serde(borrow, default)]
    pub(super) group_key_pattern: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) watch_type: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) initializing: Option<bool>,
    #[serde(borrow, default)]
    pub(super) received_group_keys: Option<Vec<Scalar<'a>>>,
}

/// `ConnectionSetupRequest`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetupRequest<'a> {
    #[serde(borrow, default)]
    pub(super) client_version: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    pub(super) labels: Option<Labels<'a>>,
    /// Whether there is one is what counts.
    #[serde(default)]
    pub(super) ability_table: Option<serde::de::IgnoredAny>,
}

/// What a client says about itself.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Labels<'a> {
    #[serde(borrow, default, rename = "AppName")]
    pub(super) app: Option<Scalar<'a>>,
}

/// An answer on the stream. Only its code says how it went: Go's client says `success: false` to all, and Python's and
/// Rust's say nothing of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AnswerJson<'a> {
    #[serde(borrow, default)]
    pub(super) request_id: Option<Scalar<'a>>,
    #[serde(default)]
    pub(super) result_code: Option<i64>,
}

/// A JSON object. An array would be taken for its members, in the order in which they stand here.
#[derive(Debug)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(de::Error::custom("it is no object"));
        }
        serde_json::from_str(raw.get())
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// The text of a member, or nothing.
pub(super) fn text(scalar: Option<Scalar<'_>>) -> Cow<'_, str> {
    scalar.map_or(Cow::Borrowed(""), |Scalar(text)| text)
}
