//! What consumers say about instances that they cannot reach.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::model::{Endpoint, Invalid, ServiceRef};
use beatrix_engine::registry::{ConsumerReport, ReportError, Status};
use beatrix_wire as wire;
use beatrix_wire::problem::kind;

use crate::extract::{Asked, InstancePath, Json};
use crate::instances::written_json;
use crate::limits::{REPORT_ERROR_BYTES_MAX, REPORT_WINDOW_MS_MAX, REPORTS_PER_REQUEST_MAX};
use crate::problem::{Failure, Result};

/// How long the id of a consumer may be, in bytes.
const CONSUMER_BYTES_MAX: usize = 128;

/// Says which instances a consumer could not reach. Enough different consumers within half a minute mark an instance
/// `reported`: it goes on serving, but consumers prefer others. Reports never make an instance unhealthy and never remove
/// it. Those about instances that are not there are named in the answer and change nothing.
#[utoipa::path(
    post, path = "/api/v1/reports", tag = "instances", operation_id = "report_failures",
    request_body = wire::ReportRequest,
    responses(
        (status = 200, body = wire::ReportResponse), (status = 400, body = wire::Problem),
        (status = 413, body = wire::Problem),
        (status = 429, description = "Too often; `Retry-After` says how long to wait", body = wire::Problem),
    )
)]
pub(crate) async fn report(
    Asked(registry): Asked,
    Json(request): Json<wire::ReportRequest>,
) -> std::result::Result<axum::Json<wire::ReportResponse>, Response> {
    let (consumer, reports) = parsed(&request).map_err(IntoResponse::into_response)?;
    match registry.report_failures(consumer, &reports) {
        Ok(unknown) => Ok(axum::Json(wire::ReportResponse {
            accepted: (reports.len() - unknown.len()) as u64,
            unknown: unknown.into_iter().map(|place| place as u64).collect(),
        })),
        Err(error) => Err(too_often(&error)),
    }
}

fn parsed(request: &wire::ReportRequest) -> Result<(Arc<str>, Vec<ConsumerReport>)> {
    let consumer = &*request.consumer;
    if consumer.is_empty() || consumer.len() > CONSUMER_BYTES_MAX || consumer.chars().any(char::is_control) {
        let rule = "must be 1 to 128 bytes without control characters";
        return Err(Invalid::new("consumer", rule, consumer).into());
    }
    if request.reports.len() > REPORTS_PER_REQUEST_MAX {
        return Err(Failure::limit(
            StatusCode::BAD_REQUEST,
            "reports_per_request_max",
            REPORTS_PER_REQUEST_MAX,
        ));
    }
    let reports = request.reports.iter().map(parsed_one);
    Ok((consumer.into(), reports.collect::<Result<_>>()?))
}

fn parsed_one(report: &wire::FailureReport) -> Result<ConsumerReport> {
    let service = ServiceRef {
        namespace: &report.namespace,
        group: &report.group,
        name: &report.service,
    };
    if report.failures == 0 {
        return Err(Invalid::new("failures", "must be 1 or more", "0").into());
    }
    if report.window_ms > REPORT_WINDOW_MS_MAX {
        let rule = "must be from 0 to 60000";
        return Err(Invalid::new("window_ms", rule, &report.window_ms.to_string()).into());
    }
    let error = &*report.last_error;
    if error.len() > REPORT_ERROR_BYTES_MAX || error.chars().any(char::is_control) {
        let rule = "must be at most 256 bytes without control characters";
        return Err(Invalid::new("last_error", rule, error).into());
    }
    Ok(ConsumerReport {
        service: service.to_key()?,
        endpoint: Endpoint::new(&report.address, report.port)?,
        failures: report.failures,
        within: Duration::from_millis(report.window_ms),
        error: error.into(),
    })
}

fn too_often(error: &ReportError) -> Response {
    let (limit, wait) = match error {
        ReportError::Consumer(wait) => ("reports_per_second_of_consumer_max", wait),
        ReportError::Address(wait) => ("reports_per_second_of_address_max", wait),
    };
    let failure = Failure::new(
        StatusCode::TOO_MANY_REQUESTS,
        kind::LIMIT_EXCEEDED,
        error.to_string(),
    )
    .about(limit, "must not be asked more often");
    let mut response = failure.into_response();
    let seconds = wait.as_millis().div_ceil(1_000).max(1);
    if let Ok(seconds) = HeaderValue::from_str(&seconds.to_string()) {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// Forgets what consumers say about an instance.
#[utoipa::path(
    delete, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/reports",
    tag = "instances", operation_id = "end_reports",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::WriteResponse), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn end(
    Asked(registry): Asked,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<axum::Json<wire::WriteResponse>> {
    let written = registry.end_reports(service, endpoint).await?;
    Ok(written_json(&registry, written))
}

/// What all consumers say, for the status of the registry.
pub(crate) fn status(status: &Status) -> wire::ReportStatus {
    let kept = &status.reports;
    wire::ReportStatus {
        instances: kept.instances as u64,
        reports: kept.reports as u64,
        paces: kept.paced,
        forgotten: kept.forgotten,
    }
}
