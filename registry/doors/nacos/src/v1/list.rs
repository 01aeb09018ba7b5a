//! `GET /nacos/v1/ns/instance/list`: the instances that callers may use.
//!
//! Around the hosts stand few bytes that are of the request: the echo of `clusters` and the time. Who filters gets
//! hosts that are rendered for him. Protection thresholds belong to services that were made by the service API and
//! apply after the filters; a service that came with its instances has none, as in Nacos.

use axum::extract::Request;
use axum::response::Response;
use beatrix_core::catalog::View;
use beatrix_core::model::{Cluster, ServiceRef, Wall};
use beatrix_engine::Registry;
use bytes::Bytes;

use crate::error::Error;
use crate::frames;
use crate::hosts::{Hosts, string};
use crate::params::{Param, Params};
use crate::reply;
use crate::service::{Service, grouped_name};
use crate::udp::{Pusher, Wish};

use super::error::TextError;

/// How long a client shall wait until it asks again. Nacos 2.x: always this.
const CACHE_MILLIS: u32 = 10_000;

/// Around what the hosts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// The answer to a request.
    Listed,
    /// What is pushed. Nacos: without `groupName`.
    Pushed,
}

pub(super) async fn list(
    registry: Registry,
    pusher: Option<Pusher>,
    request: Request,
) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let service = Service::of(&params)?;
    let clusters = params.get(Param::Clusters)?.unwrap_or_default();
    let healthy_only = params.is_true(Param::HealthyOnly, false)?;
    let wish = Wish::of(&params)?;
    // Nacos: a blank part names no cluster, and is no mistake.
    for cluster in clusters.split(',').filter(|cluster| !cluster.trim().is_empty()) {
        Cluster::check(cluster).map_err(|invalid| invalid.in_field(Param::Clusters.as_str()))?;
    }
    let pieces = match registry.view(service.borrowed()) {
        Some(view) => {
            known(view.complete)?;
            hosts(&registry, &view, &clusters, healthy_only)
        }
        None => {
            service.key()?;
            known(registry.complete())?;
            Vec::new()
        }
    };
    let json = around(
        service.borrowed(),
        Frame::Listed,
        &clusters,
        pieces,
        registry.wall(),
    );
    if let (Some(pusher), Some(wish)) = (pusher, wish) {
        wish.subscribe(&pusher, request.headers(), service.borrowed(), &clusters);
    }
    Ok(reply::json(frames::body(json)))
}

/// An incomplete list is never served as the truth: clients take an empty one at its word.
fn known(complete: bool) -> Result<(), Error> {
    if complete { Ok(()) } else { Err(Error::Warming) }
}

/// The hosts of a list, in pieces that together are the members of a JSON array. What is pushed is made by it as well.
pub(crate) fn hosts(registry: &Registry, view: &View, clusters: &str, healthy_only: bool) -> Vec<Bytes> {
    let hosts = Hosts::new(&view.key, registry.config().timings);
    if clusters.is_empty() && !healthy_only {
        hosts.all(view)
    } else {
        vec![filtered(&hosts, view, clusters, healthy_only)]
    }
}

fn filtered(hosts: &Hosts<'_>, view: &View, clusters: &str, healthy_only: bool) -> Bytes {
    hosts.some(view, |member| {
        let cluster = member.record.cluster().as_str();
        (clusters.is_empty() || clusters.split(',').any(|wanted| wanted == cluster))
            && (!healthy_only || member.healthy())
    })
}

/// Puts what is of the request around the hosts. Nacos: `clusters` is echoed as it came, since clients find their
/// cache by it.
pub(crate) fn around(
    service: ServiceRef<'_>,
    frame: Frame,
    clusters: &str,
    hosts: Vec<Bytes>,
    now: Wall,
) -> Vec<Bytes> {
    let mut head = Vec::with_capacity(256);
    head.extend_from_slice(b"{\"name\":");
    string(&mut head, &grouped_name(service));
    if frame == Frame::Listed {
        head.extend_from_slice(b",\"groupName\":");
        string(&mut head, service.group);
    }
    head.extend_from_slice(b",\"clusters\":");
    string(&mut head, clusters);
    head.extend_from_slice(format!(",\"cacheMillis\":{CACHE_MILLIS},\"hosts\":[").as_bytes());
    let tail = format!(
        "],\"lastRefTime\":{},\"checksum\":\"\",\"allIPs\":false,\"reachProtectionThreshold\":false,\"valid\":true}}",
        now.0
    );
    let mut pieces = Vec::with_capacity(hosts.len() + 2);
    pieces.push(Bytes::from(head));
    pieces.extend(hosts);
    pieces.push(Bytes::from(tail));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_may_not_know_all_serves_no_list() {
        assert!(known(true).is_ok());
        assert!(matches!(known(false), Err(Error::Warming)));
    }

    #[test]
    fn names_and_clusters_are_escaped() {
        let service = ServiceRef {
            namespace: "public",
            group: "g",
            name: "a\"b\\",
        };
        let hosts = vec![Bytes::from_static(b"{}")];
        let json = around(service, Frame::Listed, "c\u{1}\"", hosts, Wall(7)).concat();
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["name"], "g@@a\"b\\");
        assert_eq!(json["clusters"], "c\u{1}\"");
        assert_eq!(json["lastRefTime"], 7);
    }
}
