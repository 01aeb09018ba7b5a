//! Services as JSON. Each version has its own names for the same.

use std::collections::BTreeMap;

use beatrix_core::catalog::Summary;
use beatrix_core::model::{ClusterSettings, Metadata};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::checker::{CheckerJson, SelectorJson};
use crate::operations::catalog::is_triggered;
use crate::operations::services::Known;

/// Metadata as a JSON object.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MetadataJson<'a>(pub(crate) &'a Metadata);

impl Serialize for MetadataJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// A service, as v1 answers `GET /service`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceV1Json<'a> {
    namespace_id: &'a str,
    group_name: &'a str,
    name: &'a str,
    protect_threshold: f64,
    metadata: MetadataJson<'a>,
    selector: SelectorJson<'a>,
    clusters: Vec<ClusterV1Json<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterV1Json<'a> {
    name: &'a str,
    health_checker: CheckerJson<'a>,
    metadata: MetadataJson<'a>,
}

impl<'a> From<&'a Known> for ServiceV1Json<'a> {
    fn from(known: &'a Known) -> Self {
        let (key, settings) = (&known.view.key, &known.settings);
        let clusters = known.clusters.iter().map(|(name, settings)| ClusterV1Json {
            name: name.as_str(),
            health_checker: (&settings.checker).into(),
            metadata: MetadataJson(&settings.metadata),
        });
        Self {
            namespace_id: key.namespace.as_str(),
            group_name: key.group.as_str(),
            name: key.name.as_str(),
            protect_threshold: settings.protect_threshold.get(),
            metadata: MetadataJson(&settings.metadata),
            selector: (&settings.selector).into(),
            clusters: clusters.collect(),
        }
    }
}

/// A service and its clusters, as the catalog of v1 shows them.
#[derive(Debug, Serialize)]
pub(crate) struct CatalogServiceJson<'a> {
    service: CatalogNamesJson<'a>,
    clusters: Vec<CatalogClusterJson<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogNamesJson<'a> {
    name: &'a str,
    group_name: &'a str,
    protect_threshold: f64,
    selector: SelectorJson<'a>,
    metadata: MetadataJson<'a>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CatalogClusterJson<'a> {
    /// Grouped.
    service_name: &'a str,
    name: &'a str,
    health_checker: CheckerJson<'a>,
    default_port: u16,
    default_check_port: u16,
    /// Nacos 1.x spells it so, 2.x the other way; both are there.
    use_ip_port4_check: bool,
    #[serde(rename = "useIPPort4Check")]
    use_ip_port4_check_v2: bool,
    metadata: MetadataJson<'a>,
}

impl<'a> CatalogServiceJson<'a> {
    /// The service; `grouped` is its name.
    pub(crate) fn new(known: &'a Known, grouped: &'a str) -> Self {
        let (key, settings) = (&known.view.key, &known.settings);
        let clusters = known.clusters.iter().map(|(name, settings)| CatalogClusterJson {
            service_name: grouped,
            name: name.as_str(),
            health_checker: (&settings.checker).into(),
            default_port: 80,
            default_check_port: settings.check_port,
            use_ip_port4_check: settings.use_instance_port,
            use_ip_port4_check_v2: settings.use_instance_port,
            metadata: MetadataJson(&settings.metadata),
        });
        Self {
            service: CatalogNamesJson {
                name: key.name.as_str(),
                group_name: key.group.as_str(),
                protect_threshold: settings.protect_threshold.get(),
                selector: (&settings.selector).into(),
                metadata: MetadataJson(&settings.metadata),
            },
            clusters: clusters.collect(),
        }
    }
}

/// A service in detail, as v2 and v3 show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceDetailJson<'a> {
    /// v2 calls it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    /// v3 calls it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_id: Option<&'a str>,
    service_name: &'a str,
    group_name: &'a str,
    cluster_map: BTreeMap<&'a str, ClusterDetailJson<'a>>,
    metadata: MetadataJson<'a>,
    protect_threshold: f64,
    selector: SelectorJson<'a>,
    ephemeral: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClusterDetailJson<'a> {
    cluster_name: &'a str,
    health_checker: CheckerJson<'a>,
    /// Not in v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    healthy_check_port: Option<u16>,
    /// Not in v2.
    #[serde(skip_serializing_if = "Option::is_none")]
    use_instance_port_for_check: Option<bool>,
    metadata: MetadataJson<'a>,
    /// `null` where nobody asked for them.
    hosts: Option<Box<RawValue>>,
}

impl<'a> ServiceDetailJson<'a> {
    /// As v2 shows it.
    pub(crate) fn v2(known: &'a Known) -> Self {
        let mut json = Self::v3(known, |_| None);
        std::mem::swap(&mut json.namespace, &mut json.namespace_id);
        for cluster in json.cluster_map.values_mut() {
            (cluster.healthy_check_port, cluster.use_instance_port_for_check) = (None, None);
        }
        json
    }

    /// As v3 shows it, with what `hosts` makes of each cluster.
    pub(crate) fn v3(known: &'a Known, mut hosts: impl FnMut(&str) -> Option<Box<RawValue>>) -> Self {
        let (key, settings) = (&known.view.key, &known.settings);
        let mut detail = |name: &'a str, settings: &'a ClusterSettings| ClusterDetailJson {
            cluster_name: name,
            health_checker: (&settings.checker).into(),
            healthy_check_port: Some(settings.check_port),
            use_instance_port_for_check: Some(settings.use_instance_port),
            metadata: MetadataJson(&settings.metadata),
            hosts: hosts(name),
        };
        let clusters = known.clusters.iter();
        Self {
            namespace: None,
            namespace_id: Some(key.namespace.as_str()),
            service_name: key.name.as_str(),
            group_name: key.group.as_str(),
            cluster_map: clusters
                .map(|(name, settings)| (name.as_str(), detail(name.as_str(), settings)))
                .collect(),
            metadata: MetadataJson(&settings.metadata),
            protect_threshold: settings.protect_threshold.get(),
            selector: (&settings.selector).into(),
            ephemeral: known.ephemeral,
        }
    }
}

/// A service in a list for consoles.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceViewJson<'a> {
    name: &'a str,
    group_name: &'a str,
    cluster_count: usize,
    ip_count: usize,
    healthy_instance_count: usize,
    /// Nacos: a yes or no as text.
    trigger_flag: &'static str,
}

impl<'a> From<&'a Summary> for ServiceViewJson<'a> {
    fn from(summary: &'a Summary) -> Self {
        Self {
            name: summary.key.name.as_str(),
            group_name: summary.key.group.as_str(),
            cluster_count: summary.clusters,
            ip_count: summary.instances,
            healthy_instance_count: summary.healthy,
            trigger_flag: if is_triggered(summary) { "true" } else { "false" },
        }
    }
}

/// Services in a list for consoles, as v1 shows them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CatalogServicesJson<'a> {
    pub(crate) count: usize,
    pub(crate) service_list: Vec<ServiceViewJson<'a>>,
}

/// A service with its hosts, as v1 lists them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CatalogHostsJson {
    pub(crate) service_name: String,
    pub(crate) group_name: String,
    pub(crate) cluster_map: BTreeMap<String, HostsJson>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The hosts of a cluster, as v1 lists them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct HostsJson {
    pub(crate) hosts: Vec<HostJson>,
}

/// A host, as v1 lists it with its service.
#[derive(Debug, Serialize)]
pub(crate) struct HostJson {
    pub(crate) valid: bool,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) port: u16,
    pub(crate) ip: String,
    pub(crate) weight: f64,
    pub(crate) enabled: bool,
}

/// A page of v3. Nacos 3.x: `pagesAvailable` is one too many where the last page is full.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageJson<T> {
    total_count: usize,
    page_number: usize,
    pages_available: usize,
    page_items: Vec<T>,
}

impl<T> PageJson<T> {
    /// The page `page` of `total` items.
    pub(crate) fn new(total: usize, page: crate::operations::catalog::Page, items: Vec<T>) -> Self {
        let available = if total == 0 { 0 } else { total / page.size + 1 };
        Self {
            total_count: total,
            page_number: page.number,
            pages_available: available,
            page_items: items,
        }
    }
}
