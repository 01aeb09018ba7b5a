//! `/nacos/v1/ns/catalog`: what the consoles of Nacos 1.x and 2.x show.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::Response;
use beatrix_core::catalog::View;
use beatrix_core::model::Metadata;
use bytes::Bytes;

use crate::door::Nacos;
use crate::frames;
use crate::listing::Filter;
use crate::operations::catalog::{self, Page};
use crate::operations::{instances, services};
use crate::params::{Incoming, Param, Params};
use crate::reply;
use crate::service::{Service, grouped_name};
use crate::wire::{CatalogHostsJson, CatalogServiceJson, CatalogServicesJson, HostJson, HostsJson};

use super::admitted::Admitted;
use super::error::TextError;

/// `GET …/service`.
pub(super) async fn service(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let known = services::known(&nacos, Service::of(&params)?.key()?)?;
    let grouped = grouped_name(known.view.key.borrowed());
    let json = CatalogServiceJson::new(&known, &grouped);
    Ok(reply::json_of(StatusCode::OK, &json))
}

/// `…/instances`, with any method: a page of the instances of a cluster, also of those that callers may not use, with the
/// health that was measured.
pub(super) async fn instances(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    params.require(Param::Service)?;
    params.require(Param::ClusterName)?;
    let page = Page::lenient(&params, None)?;
    let (view, cluster) = instances::of_cluster(&nacos, &params)?;
    let wanted = Filter {
        clusters: cluster.as_str(),
        healthy_only: false,
    }
    .wanted();
    let (json, total) = catalog::hosts_of_page(&nacos, &view, page, |member| wanted.passes(member))?;
    let pieces = vec![
        Bytes::from_static(b"{\"list\":["),
        json,
        format!("],\"count\":{total}}}").into(),
    ];
    Ok(reply::json(frames::body(pieces)))
}

/// `GET …/services`: a page of services, or with `withInstances` of services and their hosts.
pub(super) async fn services(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let page = Page { number: 1, size: 500 };
    let page = Page::lenient(&params, Some(page))?;
    let with_hosts = params.flag(Param::WithInstances)?.unwrap_or_default();
    let with_instances_only = params.flag(Param::HasIpCount)?.unwrap_or_default();
    let found = catalog::search(&nacos, &params, page, !with_instances_only).await?;
    if with_hosts {
        let views = catalog::views(&nacos, &found.services).await?;
        let json: Vec<_> = views.iter().map(|view| with_its_hosts(view)).collect();
        return Ok(reply::json_of(StatusCode::OK, &json));
    }
    let json = CatalogServicesJson {
        count: found.total,
        service_list: found.services.iter().map(Into::into).collect(),
    };
    Ok(reply::json_of(StatusCode::OK, &json))
}

fn with_its_hosts(view: &View) -> CatalogHostsJson {
    let map = |metadata: &Metadata| {
        let entries = metadata.iter();
        entries
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let mut clusters: BTreeMap<String, HostsJson> = BTreeMap::new();
    for member in view.members() {
        let host = HostJson {
            valid: member.healthy(),
            metadata: map(member.record.metadata()),
            port: member.endpoint.port(),
            ip: member.endpoint.address().to_string(),
            weight: member.record.weight().get(),
            enabled: member.record.enabled(),
        };
        let cluster = clusters.entry(member.record.cluster().to_string());
        cluster.or_default().hosts.push(host);
    }
    let settings = view.settings.as_ref();
    CatalogHostsJson {
        service_name: view.key.name.to_string(),
        group_name: view.key.group.to_string(),
        cluster_map: clusters,
        metadata: settings
            .map(|settings| map(&settings.metadata))
            .unwrap_or_default(),
    }
}
