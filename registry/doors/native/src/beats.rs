//! Batches of beats: the path of every SDK, every few seconds.
//!
//! The body is read in one pass into leases, without a `String` for each; then all are renewed in a row.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use axum::http::StatusCode;
use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Declared, DeclaredStatus, Lease};
use beatrix_engine::{Registry, WriteError};
use beatrix_wire as wire;
use beatrix_wire::problem::kind;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::extract::{Asked, RawBody, invalid_body};
use crate::limits::{IN_FLIGHT_PER_REQUEST_MAX, LEASES_PER_REQUEST_MAX, STATUSES_PER_REQUEST_MAX};
use crate::problem::{Failure, Result};

/// [`wire::BeatRequest`], borrowed from the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BeatsBody<'a> {
    #[serde(borrow)]
    cluster_id: Cow<'a, str>,
    #[serde(default)]
    leases: Leases,
    #[serde(default)]
    statuses: Vec<wire::StatusReport>,
    #[serde(default)]
    in_flight: BTreeMap<String, u64>,
}

/// Leases, and what came in their place: nothing can be registered under that, so it is unknown.
#[derive(Default)]
struct Leases {
    count: usize,
    leases: Vec<Lease>,
    never: Vec<String>,
}

impl<'de> Deserialize<'de> for Leases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_seq(LeasesVisitor)
    }
}

struct LeasesVisitor;

impl<'de> Visitor<'de> for LeasesVisitor {
    type Value = Leases;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of leases")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Leases, A::Error> {
        let mut leases = Leases::default();
        while let Some(LeaseText(lease)) = seq.next_element()? {
            leases.count += 1;
            if leases.count > LEASES_PER_REQUEST_MAX {
                // Read to the end without being kept; the whole request is refused then.
                continue;
            }
            match lease {
                Ok(lease) => leases.leases.push(lease),
                Err(text) => leases.never.push(text),
            }
        }
        Ok(leases)
    }
}

/// A lease, or the text that is none.
struct LeaseText(std::result::Result<Lease, String>);

impl<'de> Deserialize<'de> for LeaseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct TextVisitor;

        impl Visitor<'_> for TextVisitor {
            type Value = LeaseText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a lease")
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<LeaseText, E> {
                let lease = Lease::parse_bytes(text.as_bytes());
                Ok(LeaseText(lease.ok_or_else(|| text.to_owned())))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Renews all leases of a process in one request. Those that renew nothing are answered: register their instances
/// again. A request for another cluster is refused as a whole.
#[utoipa::path(
    post, path = "/api/v1/beats", tag = "instances", operation_id = "beat",
    request_body = wire::BeatRequest,
    responses(
        (status = 200, body = wire::BeatResponse), (status = 400, body = wire::Problem),
        (status = 409, body = wire::Problem), (status = 413, body = wire::Problem),
    )
)]
pub(crate) async fn beat(
    Asked(registry): Asked,
    RawBody(body): RawBody,
) -> Result<axum::Json<wire::BeatResponse>> {
    let (mut response, statuses) = renew(&registry, &body)?;
    for report in statuses {
        if declare(&registry, &report).await? {
            response.renewed += 1;
        } else {
            response.unknown.push(report.lease);
        }
    }
    Ok(axum::Json(response))
}

/// Reads a batch and renews its leases. The statuses that it carries are left to do: they are writes.
pub(crate) fn renew(
    registry: &Registry,
    body: &[u8],
) -> Result<(wire::BeatResponse, Vec<wire::StatusReport>)> {
    let BeatsBody {
        cluster_id,
        leases: Leases { count, leases, never },
        statuses,
        in_flight,
    } = serde_json::from_slice(body).map_err(|error| invalid_body(&error, None))?;
    if cluster_id != registry.config().cluster_id {
        let detail = format!(
            "this is cluster {}, not {cluster_id}",
            registry.config().cluster_id
        );
        return Err(Failure::new(StatusCode::CONFLICT, kind::WRONG_CLUSTER, detail)
            .about("cluster_id", "must be that of the registration"));
    }
    if count > LEASES_PER_REQUEST_MAX {
        let max = LEASES_PER_REQUEST_MAX;
        return Err(Failure::limit(
            StatusCode::BAD_REQUEST,
            "leases_per_request_max",
            max,
        ));
    }
    if statuses.len() > STATUSES_PER_REQUEST_MAX {
        let max = STATUSES_PER_REQUEST_MAX;
        return Err(Failure::limit(
            StatusCode::BAD_REQUEST,
            "statuses_per_request_max",
            max,
        ));
    }
    if in_flight.len() > IN_FLIGHT_PER_REQUEST_MAX {
        let max = IN_FLIGHT_PER_REQUEST_MAX;
        return Err(Failure::limit(
            StatusCode::BAD_REQUEST,
            "in_flight_per_request_max",
            max,
        ));
    }
    for report in &statuses {
        declared(report)?;
    }
    let mut unknown = never;
    let report = registry.beat(&leases, |position| unknown.push(leases[position].to_string()));
    // After the beats, which wait for no lock. That a lease is unknown is told by the answer to its beat.
    let said = in_flight.into_iter().filter_map(|(lease, count)| {
        let lease = Lease::parse_bytes(lease.as_bytes())?;
        Some((lease, count))
    });
    registry.report_all_in_flight(said.collect());
    Ok((
        wire::BeatResponse {
            renewed: report.renewed as u64,
            unknown,
        },
        statuses,
    ))
}

/// Returns whether the lease is known.
async fn declare(registry: &Registry, report: &wire::StatusReport) -> Result<bool> {
    let Some(lease) = Lease::parse_bytes(report.lease.as_bytes()) else {
        return Ok(false);
    };
    match registry.declare(lease, declared(report)?).await {
        Ok(_) => Ok(true),
        Err(WriteError::Refused(Refusal::UnknownLease)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn declared(report: &wire::StatusReport) -> Result<Option<Declared>> {
    let status = match report.status {
        wire::DeclaredStatus::Up => return Ok(None),
        wire::DeclaredStatus::Draining => DeclaredStatus::Draining,
        wire::DeclaredStatus::Unhealthy => DeclaredStatus::Unhealthy,
    };
    Ok(Some(Declared::new(status, report.reason.as_deref())?))
}
