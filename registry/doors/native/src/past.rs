//! A service as it was, and what became of it since.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use beatrix_core::catalog::{Refusal, View};
use beatrix_core::model::{Invalid, Member, Revision, ServiceKey, Version, Wall};
use beatrix_engine::Registry;
use beatrix_engine::registry::{Past, PastError, When};
use beatrix_wire as wire;
use serde_json::Value;

use crate::extract::{Params, ServicePath};
use crate::history::event;
use crate::problem::{Failure, Result};
use crate::render::InstanceJson;

/// The moment that `at_revision` or `at` names, if one of them does.
pub(crate) fn asked_for(params: &Params<'_>, registry: &Registry) -> Result<Option<When>> {
    match (params.get("at_revision"), params.get("at")) {
        (None, None) => Ok(None),
        (Some(_), Some(at)) => Err(Invalid::new("at", "must not come with at_revision", at).into()),
        (Some(text), None) => revision("at_revision", text, registry).map(Some),
        (None, Some(text)) => Ok(Some(When::At(time("at", text)?))),
    }
}

/// A number, or `epoch.revision` of this history.
fn revision(field: &'static str, text: &str, registry: &Registry) -> Result<When> {
    if !text.contains('.') {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        let rule = "must be a revision, as a number or as epoch.revision";
        let number = number.ok_or_else(|| Invalid::new(field, rule, text))?;
        return Ok(When::Revision(Revision(number)));
    }
    let version: Version = text
        .parse()
        .map_err(|invalid: Invalid| Failure::from(invalid.in_field(field)))?;
    if version.epoch != registry.epoch() {
        let rule = format!("must be of the history {}", registry.epoch());
        return Err(Invalid::new(field, rule, text).into());
    }
    Ok(When::Revision(version.revision))
}

/// RFC 3339, or milliseconds since the Unix epoch.
fn time(field: &'static str, text: &str) -> Result<Wall> {
    let invalid = || {
        Invalid::new(
            field,
            "must be a time as in RFC 3339, or milliseconds since 1970",
            text,
        )
    };
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Wall(text.parse().map_err(|_| invalid())?));
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| invalid())?;
    Ok(Wall(u64::try_from(time.as_millisecond()).map_err(|_| invalid())?))
}

/// The service as it was.
pub(crate) async fn service(
    registry: &Registry,
    service: ServiceKey,
    when: When,
) -> Result<std::sync::Arc<View>> {
    let past = registry.past(service.clone(), when).await?;
    past.view.ok_or_else(|| Refusal::ServiceNotFound(service).into())
}

/// What became of a service between two moments: which instances came, went and changed, in which fields, and the
/// changes that did it. A moment is a revision, `epoch.revision`, or a time as in RFC 3339.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/diff",
    tag = "history", operation_id = "service_difference",
    params(
        ("namespace",), ("group",), ("service",),
        ("from" = String, Query, description = "The earlier moment"),
        ("to" = Option<String>, Query, description = "The later moment. Default now"),
    ),
    responses(
        (status = 200, body = wire::ServiceDifference), (status = 400, body = wire::Problem),
        (status = 404, description = "There was no such service at either moment", body = wire::Problem),
        (status = 410, description = "So far back nothing is known", body = wire::Problem),
        (status = 501, description = "The journal is in memory only", body = wire::Problem),
        (status = 503, body = wire::Problem),
    )
)]
pub(crate) async fn difference(
    State(registry): State<Registry>,
    ServicePath(service): ServicePath,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<wire::ServiceDifference>> {
    let params = Params::parse(query.as_deref(), &["from", "to"], &[])?;
    let moment = |field: &'static str, text: &str| {
        if text.contains(':') {
            Ok(When::At(time(field, text)?))
        } else {
            revision(field, text, &registry)
        }
    };
    let Some(from) = params.get("from") else {
        return Err(Invalid::new("from", "must be given", "").into());
    };
    let from = moment("from", from)?;
    let to = match params.get("to") {
        Some(text) => moment("to", text)?,
        None => When::Revision(registry.version().revision),
    };
    if let (When::Revision(from), When::Revision(to)) = (from, to)
        && to < from
    {
        return Err(Invalid::new("to", "must not be before from", &to.to_string()).into());
    }
    let found = registry.past_difference(service.clone(), from, to).await?;
    if found.from.view.is_none() && found.to.view.is_none() && found.changes.is_empty() {
        return Err(Refusal::ServiceNotFound(service).into());
    }
    let (before, after) = (members(&found.from), members(&found.to));
    let mut difference = wire::ServiceDifference {
        namespace: service.namespace.to_string(),
        group: service.group.to_string(),
        service: service.name.to_string(),
        epoch: registry.epoch().to_string(),
        from_revision: found.from.at.0,
        to_revision: found.to.at.0,
        existed: found.from.view.is_some(),
        exists: found.to.view.is_some(),
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
        changes: found.changes.iter().map(event).collect(),
        truncated: found.truncated,
    };
    for (endpoint, member) in &after {
        match before.get(endpoint) {
            None => difference.added.push(instance(member)?),
            Some(was) => difference.changed.extend(changed(was, member)?),
        }
    }
    for (_, member) in before
        .iter()
        .filter(|(endpoint, _)| !after.contains_key(*endpoint))
    {
        difference.removed.push(instance(member)?);
    }
    Ok(axum::Json(difference))
}

fn members(past: &Past) -> BTreeMap<&beatrix_core::model::Endpoint, &Member> {
    let members = past.view.iter().flat_map(|view| view.members());
    members.map(|member| (&member.endpoint, member)).collect()
}

/// As it is shown everywhere else.
fn instance(member: &Member) -> Result<wire::Instance> {
    let value = fields(member)?;
    serde_json::from_value(Value::Object(value)).map_err(|error| unshown(&error))
}

fn fields(member: &Member) -> Result<serde_json::Map<String, Value>> {
    match serde_json::to_value(InstanceJson(member)).map_err(|error| unshown(&error))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(PastError::Unavailable("an instance is shown as an object".into()).into()),
    }
}

fn unshown(error: &serde_json::Error) -> Failure {
    PastError::Unavailable(error.to_string()).into()
}

/// The fields that are other; `None` if none is. The revision is not a field of its own: it moves with the others.
fn changed(before: &Member, after: &Member) -> Result<Option<wire::InstanceDifference>> {
    if before.state.revision == after.state.revision {
        return Ok(None);
    }
    let (before, mut now) = (flat(fields(before)?), flat(fields(after)?));
    let mut others = Vec::new();
    for (field, from) in before {
        let to = now.remove(&field);
        if to.as_ref() != Some(&from) {
            others.push(wire::FieldDifference {
                field,
                from: Some(from),
                to,
            });
        }
    }
    others.extend(now.into_iter().map(|(field, to)| wire::FieldDifference {
        field,
        from: None,
        to: Some(to),
    }));
    others.sort_by(|a, b| a.field.cmp(&b.field));
    Ok((!others.is_empty()).then(|| wire::InstanceDifference {
        address: after.endpoint.address().to_string(),
        port: after.endpoint.port(),
        fields: others,
    }))
}

/// Labels as fields of their own.
fn flat(fields: serde_json::Map<String, Value>) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    for (field, value) in fields {
        match value {
            Value::Object(labels) if field == "metadata" => {
                flat.extend(
                    labels
                        .into_iter()
                        .map(|(label, value)| (format!("metadata.{label}"), value)),
                );
            }
            value => {
                flat.insert(field, value);
            }
        }
    }
    flat.remove("revision");
    flat
}
