//! Services: the list, and one service with filters, conditional requests and long-poll.

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::catalog::{DirectoryQuery, Refusal, View};
use beatrix_core::model::{Invalid, Member, Namespace, Revision, ServiceKey, Version};
use beatrix_engine::Registry;
use beatrix_engine::hub::Subscribe;
use beatrix_wire as wire;

use crate::extract::{Params, ServicePath};
use crate::instances::json;
use crate::limits::{PAGE_SIZE_MAX, WAIT_MS_MAX};
use crate::problem::{Failure, Result};
use crate::{past, render};

/// The services of a namespace, ordered by group and name, in pages.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/services", tag = "services", operation_id = "services",
    params(
        ("namespace",),
        ("page" = Option<u64>, Query, description = "From 1. Default 1"),
        ("page_size" = Option<u64>, Query, description = "1 to 1000. Default 100"),
        ("search" = Option<String>, Query, description = "Only services whose name contains this"),
        ("group" = Option<String>, Query, description = "Only services of this group"),
    ),
    responses((status = 200, body = wire::ServiceList), (status = 400, body = wire::Problem))
)]
pub(crate) async fn list(
    State(registry): State<Registry>,
    namespace: std::result::Result<Path<String>, axum::extract::rejection::PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::ServiceList>> {
    let Path(namespace) = namespace.map_err(|rejection| {
        Failure::from(Invalid::new(
            "path",
            "must be percent-encoded UTF-8",
            &rejection.body_text(),
        ))
    })?;
    Namespace::check(&namespace)?;
    let params = Params::parse(query.as_deref(), &["page", "page_size", "search", "group"], &[])?;
    let page = params.number("page", 1..=u64::from(u32::MAX))?.unwrap_or(1);
    let page_size = params
        .number("page_size", 1..=PAGE_SIZE_MAX as u64)?
        .unwrap_or(100);
    let found = registry.directory(DirectoryQuery {
        namespace: &namespace,
        group: params.get("group"),
        group_contains: None,
        search: params.get("search"),
        empty: true,
        declared: true,
        offset: usize::try_from((page - 1) * page_size).unwrap_or(usize::MAX),
        limit: usize::try_from(page_size).unwrap_or(PAGE_SIZE_MAX),
    });
    let services = found.services.into_iter().map(|summary| wire::ServiceSummary {
        namespace: summary.key.namespace.to_string(),
        group: summary.key.group.to_string(),
        service: summary.key.name.to_string(),
        instances: summary.instances as u64,
        healthy: summary.healthy as u64,
        serving: summary.serving as u64,
        revision: summary.revision.0,
    });
    let services = services.collect();
    Ok(axum::Json(wire::ServiceList {
        total: found.total as u64,
        page,
        page_size,
        services,
    }))
}

/// The namespaces that have services, with how many each has.
#[utoipa::path(
    get, path = "/api/v1/namespaces", tag = "services", operation_id = "namespaces",
    responses((status = 200, body = std::collections::BTreeMap<String, u64>))
)]
pub(crate) async fn namespaces(
    State(registry): State<Registry>,
) -> axum::Json<std::collections::BTreeMap<String, u64>> {
    let namespaces = registry.namespaces().into_iter();
    axum::Json(
        namespaces
            .filter(|summary| summary.services > 0)
            .map(|summary| (summary.namespace.to_string(), summary.services as u64))
            .collect(),
    )
}

/// Which instances of a service to show.
#[derive(Debug, Default)]
struct Filter {
    healthy: Option<bool>,
    serving: Option<bool>,
    clusters: Vec<String>,
    metadata: Vec<(String, String)>,
}

impl Filter {
    fn parse(params: &Params<'_>) -> Result<Self> {
        let metadata = params.all("metadata").map(|pair| {
            pair.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .ok_or_else(|| Invalid::new("metadata", "must be key=value", pair).into())
        });
        Ok(Self {
            healthy: params.flag("healthy")?,
            serving: params.flag("serving")?,
            clusters: params
                .all("cluster")
                .flat_map(|list| list.split(','))
                .map(str::to_owned)
                .collect(),
            metadata: metadata.collect::<Result<_>>()?,
        })
    }

    fn is_empty(&self) -> bool {
        self.healthy.is_none()
            && self.serving.is_none()
            && self.clusters.is_empty()
            && self.metadata.is_empty()
    }

    fn wants(&self, member: &Member) -> bool {
        let record = &member.record;
        self.healthy.is_none_or(|healthy| member.healthy() == healthy)
            && self.serving.is_none_or(|serving| member.serving() == serving)
            && (self.clusters.is_empty()
                || self
                    .clusters
                    .iter()
                    .any(|cluster| record.cluster().as_str() == cluster))
            && self
                .metadata
                .iter()
                .all(|(key, value)| record.metadata().get(key) == Some(value))
    }
}

/// One service. `ETag` names its state; `If-None-Match` answers 304 while it stands. With `after` and `wait_ms` the
/// answer waits until the service is past that version, or comes as 304 at the end of the wait.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}",
    tag = "services", operation_id = "service",
    params(
        ("namespace",), ("group",), ("service",),
        ("healthy" = Option<bool>, Query, description = "Only instances measured healthy, or only others"),
        ("serving" = Option<bool>, Query, description = "Only instances that callers should use, or only others"),
        ("cluster" = Option<String>, Query, description = "Only of these clusters, separated by commas"),
        ("metadata" = Option<Vec<String>>, Query, description = "Only with this `key=value`; repeatable"),
        ("after" = Option<String>, Query, description = "`epoch.revision` that the caller knows"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for a change after it, at most 60000"),
        ("at_revision" = Option<String>, Query, description = "The service as it was at this revision, or `epoch.revision`"),
        ("at" = Option<String>, Query, description = "The service as it was at this time: RFC 3339, or milliseconds"),
    ),
    responses(
        (status = 200, body = wire::ServiceView), (status = 304, description = "Nothing newer"),
        (status = 400, body = wire::Problem), (status = 404, body = wire::Problem),
        (status = 410, description = "So far back nothing is known", body = wire::Problem),
        (status = 501, description = "The journal is in memory only", body = wire::Problem),
        (status = 503, body = wire::Problem),
    )
)]
pub(crate) async fn get(
    State(registry): State<Registry>,
    ServicePath(service): ServicePath,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response> {
    let once = [
        "healthy",
        "serving",
        "cluster",
        "after",
        "wait_ms",
        "at_revision",
        "at",
    ];
    let params = Params::parse(query.as_deref(), &once, &["metadata"])?;
    let filter = Filter::parse(&params)?;
    let wait_ms = params.number("wait_ms", 0..=WAIT_MS_MAX)?;
    if let Some(when) = past::asked_for(&params, &registry)? {
        if let Some(after) = params.get("after").or(params.get("wait_ms")) {
            return Err(Invalid::new("after", "must not come with an earlier moment", after).into());
        }
        let view = past::service(&registry, service, when).await?;
        return Ok(answer(&view, &filter, &headers));
    }
    if let Some(after) = params.parsed::<Version>("after")? {
        let wait = Duration::from_millis(wait_ms.unwrap_or(0));
        let newest = registry.version();
        if after.epoch == newest.epoch && after.revision > newest.revision {
            let rule = format!("must not be after {newest}");
            return Err(Invalid::new("after", rule, &after.to_string()).into());
        }
        // Another history tells nothing about this one, nor does what was lost: then whatever there is now is news.
        let is_known = after.epoch == newest.epoch && !registry.hub().is_lost(after.revision);
        if is_known && !changed_within(&registry, &service, after.revision, wait).await? {
            return match registry.revision_of(service.borrowed()) {
                Some(_) => Ok(not_modified(&tag(after, registry.complete()))),
                None => Err(Refusal::ServiceNotFound(service).into()),
            };
        }
    } else if wait_ms.is_some() {
        return Err(Invalid::new(
            "wait_ms",
            "must come with after",
            &wait_ms.unwrap_or(0).to_string(),
        )
        .into());
    }
    let Some(view) = registry.view(service.borrowed()) else {
        return Err(Refusal::ServiceNotFound(service).into());
    };
    Ok(answer(&view, &filter, &headers))
}

fn answer(view: &View, filter: &Filter, headers: &HeaderMap) -> Response {
    let tag = tag(view.version(), view.complete);
    if if_none_match(headers, &tag) {
        return not_modified(&tag);
    }
    with_tag(&tag, json(shown(view, filter)))
}

fn shown(view: &View, filter: &Filter) -> bytes::Bytes {
    if filter.is_empty() {
        render::view(view)
    } else {
        render::filtered_view(view, |m| filter.wants(m))
    }
}

/// Waits until the service is past `after`; false if it is not at the end of the wait.
async fn changed_within(
    registry: &Registry,
    service: &ServiceKey,
    after: Revision,
    wait: Duration,
) -> Result<bool> {
    let past = || {
        registry
            .revision_of(service.borrowed())
            .is_some_and(|revision| revision > after)
    };
    if past() || wait.is_zero() {
        return Ok(past());
    }
    let wish = Subscribe {
        services: vec![service.clone()],
        since: Some(after),
        ..Subscribe::default()
    };
    let mut subscription = registry.hub().subscribe(wish)?;
    let changed = async {
        // A service that is not there is told as an empty snapshot first, which is no news.
        while !past() {
            subscription.next().await;
        }
    };
    // Nothing changes any more once the registry stops, and a poll must not keep it from doing so.
    Ok(tokio::select! {
        () = changed => true,
        () = registry.stopping() => past(),
        // What is said about the service moves it on and wakes nobody.
        () = tokio::time::sleep(wait) => past(),
    })
}

/// The tag of a view. The same state has another while it may be incomplete after a restart.
fn tag(version: Version, complete: bool) -> String {
    let warming = if complete { "" } else { ".warming" };
    format!("\"{version}{warming}\"")
}

fn if_none_match(headers: &HeaderMap, tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|candidate| candidate.trim().trim_start_matches("W/"))
        .any(|candidate| candidate == tag || candidate == "*")
}

fn not_modified(tag: &str) -> Response {
    with_tag(tag, StatusCode::NOT_MODIFIED.into_response())
}

/// With a filter the tag is the same: it names the state, and a cache keeps answers by their whole address.
fn with_tag(tag: &str, mut response: Response) -> Response {
    if let Ok(tag) = HeaderValue::try_from(tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
