//! What a client that watches a pattern is told.

use beatrix_core::model::{Namespace, ServiceKey, ServiceRef};
use serde::Serialize;

use crate::grpc::message::Outgoing;
use crate::service::GROUPED;

/// Nacos 3.x: `namespace@@group@@service`.
fn key_of(service: &ServiceKey) -> String {
    let (namespace, group, name) = (&service.namespace, &service.group, &service.name);
    format!("{namespace}{GROUPED}{group}{GROUPED}{name}")
}

/// The service of such a key. `None` if it is none; then it is none of ours.
pub(in crate::grpc) fn service_of(key: &str) -> Option<ServiceKey> {
    let mut parts = key.splitn(3, GROUPED);
    let (namespace, group, name) = (parts.next()?, parts.next()?, parts.next()?);
    let namespace = if namespace.is_empty() {
        Namespace::DEFAULT
    } else {
        namespace
    };
    let service = ServiceRef {
        namespace,
        group,
        name,
    };
    service.to_key().ok()
}

fn changed_type(there: bool) -> &'static str {
    if there { "ADD_SERVICE" } else { "DELETE_SERVICE" }
}

/// Some of the services that a client does not know yet; or, without any, that it knows all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) of: BatchOf,
    pub(super) services: Vec<ServiceKey>,
    pub(super) number: usize,
    pub(super) total: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BatchOf {
    /// All services, for one who begins.
    Begin,
    /// Those that came while it was away.
    Difference,
    /// The end of those of one who begins.
    Finish,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncJson<'a> {
    sync_type: &'static str,
    group_key_pattern: &'a str,
    contexts: Vec<ContextJson>,
    total_batch: usize,
    current_batch: usize,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ContextJson {
    service_key: String,
    changed_type: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ChangeJson {
    sync_type: &'static str,
    service_key: String,
    changed_type: &'static str,
}

impl Batch {
    pub(super) fn message(&self, pattern: &str, request: u64) -> Outgoing {
        let context = |service| ContextJson {
            service_key: key_of(service),
            changed_type: changed_type(true),
        };
        let sync = SyncJson {
            sync_type: match self.of {
                BatchOf::Begin => "FUZZY_WATCH_INIT_NOTIFY",
                BatchOf::Difference => "FUZZY_WATCH_DIFF_SYNC_NOTIFY",
                BatchOf::Finish => "FINISH_FUZZY_WATCH_INIT_NOTIFY",
            },
            group_key_pattern: pattern,
            contexts: self.services.iter().map(context).collect(),
            total_batch: self.total,
            current_batch: self.number,
        };
        Outgoing::request("NamingFuzzyWatchSyncRequest", Some(request), "naming", sync)
    }
}

/// That a service is there, or is not any more.
pub(super) fn change(service: &ServiceKey, there: bool, request: u64) -> Outgoing {
    let change = ChangeJson {
        sync_type: "FUZZY_WATCH_RESOURCE_CHANGED",
        service_key: key_of(service),
        changed_type: changed_type(there),
    };
    Outgoing::request(
        "NamingFuzzyWatchChangeNotifyRequest",
        Some(request),
        "naming",
        change,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_all_three_parts() {
        let service = "dev/g/a.b".parse().unwrap();
        assert_eq!(key_of(&service), "dev@@g@@a.b");
        assert_eq!(service_of("dev@@g@@a.b"), Some(service));
        assert_eq!(service_of("g@@a"), None);
    }
}
