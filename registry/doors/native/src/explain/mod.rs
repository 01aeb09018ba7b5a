//! Why an instance is as it is: the catalog's facts, put into words ([`words`]), as JSON or as a page for people
//! ([`page`]).

mod page;
mod words;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::catalog::{BeatFacts, Explained, Explanation, Gone, GuardFacts, Refusal, Spared, There};
use beatrix_core::liveness::{FlapReading, GuardReading, ReportReading};
use beatrix_core::model::{Mono, Wall};
use beatrix_engine::Registry;
use beatrix_wire as wire;

use crate::extract::InstancePath;
use crate::history::event;
use crate::operator::layer;
use crate::problem::Result;
use crate::render::ms;
use crate::{probes, render};

/// Why an instance is as it is, since when, which rule said so with its numbers, and what would change it. Also of one
/// that is gone, as long as the change log remembers it. With `Accept: text/plain` it is a page to read.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/explain",
    tag = "instances", operation_id = "explain",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::Explanation), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn explain(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
    headers: HeaderMap,
) -> Result<Response> {
    let Some(explanation) = registry.explain(service.borrowed(), &endpoint) else {
        return Err(Refusal::InstanceNotFound(service, endpoint).into());
    };
    let told = told(&explanation, registry.wall());
    if wants_text(&headers) {
        let subject = format!("{service} {endpoint}");
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        return Ok(([(header::CONTENT_TYPE, plain)], page::page(&subject, &told)).into_response());
    }
    Ok(axum::Json(told).into_response())
}

/// Whether plain text is asked for before JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|media| media.split(';').next().unwrap_or_default().trim())
        .find(|media| matches!(*media, "text/plain" | "application/json"))
        == Some("text/plain")
}

fn told(explanation: &Explanation, wall: Wall) -> wire::Explanation {
    let (now, version) = (explanation.now, explanation.version);
    let mut told = wire::Explanation {
        epoch: version.epoch.to_string(),
        revision: version.revision.0,
        complete: explanation.complete,
        ..match &explanation.explained {
            Explained::There(there) => of_there(there, now),
            Explained::Gone(gone) => of_gone(gone, now),
        }
    };
    told.since_ms_ago = wall.0.saturating_sub(told.since_ms);
    told
}

/// What is the same of all.
fn blank(rule: wire::Coded, because: Vec<wire::Coded>) -> wire::Explanation {
    wire::Explanation {
        state: String::new(),
        summary: String::new(),
        because,
        rule,
        since_ms: 0,
        since_ms_ago: 0,
        epoch: String::new(),
        revision: 0,
        complete: true,
        instance: None,
        marks: Vec::new(),
        beats: None,
        probes: None,
        reports: None,
        flap: None,
        guards: None,
        operator: None,
        next: Vec::new(),
        ways: Vec::new(),
        changes: Vec::new(),
    }
}

fn of_there(there: &There, now: Mono) -> wire::Explanation {
    let state = &there.member.state;
    let because: Vec<_> = there
        .not_serving
        .iter()
        .map(|why| words::not_serving(*why))
        .collect();
    let rule = words::rule(there, now);
    let (word, summary) = match because.first() {
        Some(first) => ("not_serving", format!("not serving: {}", first.text)),
        None => ("serving", format!("serving: {}", rule.text)),
    };
    wire::Explanation {
        state: word.into(),
        summary,
        since_ms: state.since.0,
        // What is rendered reads back: a test of the door says so.
        instance: serde_json::from_slice(&render::instance(&there.member)).ok(),
        marks: state.marks.names().map(str::to_owned).collect(),
        beats: there.beats.as_ref().map(|beats| beats_told(beats, now)),
        probes: there.probe.as_ref().map(|probe| wire::ProbesExplained {
            rise: probe.rise.into(),
            fall: probe.fall.into(),
            against: probe.against.into(),
            next_in_ms: probe.due.map(|due| ms(due.since(now))),
            last: probe.last.as_ref().map(probes::result),
        }),
        reports: there.reports.as_ref().map(|reports| reports_told(reports, now)),
        flap: there.flap.map(flap_told),
        guards: Some(guards_told(&there.guard, now)),
        next: there
            .deadlines
            .iter()
            .map(|deadline| words::next(*deadline, now))
            .collect(),
        ways: there.ways.iter().map(|way| words::way(*way)).collect(),
        changes: there.changes.iter().map(event).collect(),
        ..blank(rule, because)
    }
}

fn of_gone(gone: &Gone, now: Mono) -> wire::Explanation {
    let last = gone.changes.first();
    let rule = words::gone(last);
    let next = gone.layer_ends.map(|at| wire::Next {
        in_ms: ms(at.since(now)),
        code: "layer_ends".into(),
        text: "what the operator set over it is forgotten".into(),
    });
    wire::Explanation {
        state: "gone".into(),
        summary: format!("gone: {}", rule.text),
        since_ms: last.map_or(0, |change| change.at.0),
        operator: gone.layer.as_ref().map(layer),
        next: next.into_iter().collect(),
        ways: vec![words::comes_back()],
        changes: gone.changes.iter().map(event).collect(),
        ..blank(rule.clone(), vec![rule])
    }
}

fn beats_told(beats: &BeatFacts, now: Mono) -> wire::BeatsExplained {
    wire::BeatsExplained {
        interval_ms: ms(beats.timings.interval()),
        unhealthy_after_ms: ms(beats.timings.unhealthy_after()),
        remove_after_ms: ms(beats.timings.remove_after()),
        last_ms_ago: ms(now.since(beats.last)),
        last_gap_ms: beats.reading.last_gap.map(ms),
        late_from_ms: ms(beats.late_from),
        late: beats
            .reading
            .late
            .iter()
            .map(|late| wire::LateBeat {
                ms_ago: ms(now.since(late.at)),
                gap_ms: ms(late.gap),
            })
            .collect(),
        spared_by: beats.spared.map(|spared| {
            let who = match spared {
                Spared::Instance => "instance",
                Spared::Service => "service",
                Spared::Registry => "registry",
            };
            who.to_owned()
        }),
    }
}

fn reports_told(reports: &ReportReading, now: Mono) -> wire::ReportsExplained {
    wire::ReportsExplained {
        consumers: reports.reporters as u64,
        counted: reports.counted as u64,
        needed: reports.needed as u64,
        failures: reports.failures,
        since_ms_ago: ms(now.since(reports.since)),
        newest_ms_ago: ms(now.since(reports.newest)),
        last_errors: reports.errors.iter().map(ToString::to_string).collect(),
        looked: reports.recheck.as_ref().map(|found| wire::LookExplained {
            ms_ago: ms(now.since(found.at)),
            good: found.good,
            text: found.text.to_string(),
        }),
    }
}

fn flap_told(flap: FlapReading) -> wire::FlapExplained {
    wire::FlapExplained {
        score: (flap.score * 100.0).round() / 100.0,
        flapping: flap.flapping,
        hold_ms: ms(flap.hold),
    }
}

fn guards_told(guards: &GuardFacts, now: Mono) -> wire::GuardsExplained {
    let guard = |reading: &GuardReading| wire::GuardExplained {
        holding: reading.since.is_some(),
        forced: reading.forced,
        since_ms_ago: reading.since.map(|since| ms(now.since(since))),
        ends_in_ms: reading.until.map(|until| ms(until.since(now))),
        population: reading.population.into(),
        silent: reading.silent.into(),
        suspects: reading.suspects.into(),
    };
    wire::GuardsExplained {
        enabled: guards.enabled,
        threshold_percent: guards.threshold_percent.into(),
        population_min: guards.population_min.into(),
        holds: guards.holds,
        service: guard(&guards.service),
        registry: guard(&guards.registry),
    }
}
