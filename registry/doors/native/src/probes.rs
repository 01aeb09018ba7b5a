//! Probes: what a registration asks for, what is known about those of an instance, and one out of turn.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use beatrix_core::catalog::{ProbeReport, Refusal};
use beatrix_core::liveness::{Finding, LastProbe};
use beatrix_core::model::{
    Endpoint, GrpcProbe, Health, HttpMethod, HttpProbe, Invalid, Liveness, MysqlProbe, Probe, ProbeKind,
    ProbePlan, ProbeSpec, RedisProbe, ServiceKey, Tls,
};
use beatrix_engine::Registry;
use beatrix_engine::registry::{ORDER_ONCE_IN, ProbeOrder};
use beatrix_wire as wire;

use crate::extract::InstancePath;
use crate::problem::Result;
use crate::render::ms;

/// When to ask, as a registration says it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) port: Option<u16>,
    pub(crate) interval_ms: Option<u64>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) rise: Option<u8>,
    pub(crate) fall: Option<u8>,
}

/// The liveness of an instance that is to be asked so.
pub(crate) fn liveness(
    question: &wire::ProbeQuestion,
    plan: &Plan,
) -> std::result::Result<Liveness, Invalid> {
    let plan = ProbePlan {
        port: plan.port,
        interval: plan.interval_ms.map(Duration::from_millis),
        timeout: plan.timeout_ms.map(Duration::from_millis),
        rise: plan.rise,
        fall: plan.fall,
    };
    let spec = ProbeSpec::new(kind(question)?, plan)?;
    Ok(Liveness::Probe(Probe::Own(Arc::new(spec))))
}

fn kind(question: &wire::ProbeQuestion) -> std::result::Result<ProbeKind, Invalid> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(match question {
        wire::ProbeQuestion::Tcp {} => ProbeKind::Tcp,
        wire::ProbeQuestion::Http {
            method,
            path,
            headers,
            expected_status,
            tls: by_tls,
        } => {
            let headers = headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.0.as_str()));
            let method = method.as_deref().map(str::parse).transpose()?;
            let expected = expected_status.as_deref().map(str::parse).transpose()?;
            ProbeKind::Http(HttpProbe::new(
                method.unwrap_or_default(),
                path.as_deref().unwrap_or("/"),
                headers,
                expected.unwrap_or_default(),
                tls(by_tls.as_ref())?,
            )?)
        }
        wire::ProbeQuestion::Grpc { service, tls: by_tls } => {
            ProbeKind::Grpc(GrpcProbe::new(&text(service), tls(by_tls.as_ref())?)?)
        }
        wire::ProbeQuestion::Mysql {
            user,
            password,
            command,
        } => {
            let password = password.as_ref().map_or("", |password| &password.0);
            ProbeKind::Mysql(MysqlProbe::new(&text(user), password, &text(command))?)
        }
        wire::ProbeQuestion::Redis { user, password } => {
            let password = password.as_ref().map(|password| password.0.as_str());
            ProbeKind::Redis(RedisProbe::new(user.as_deref(), password)?)
        }
    })
}

/// What is asked, with its secrets: for backups, and for nothing else.
pub(crate) fn whole(kind: &ProbeKind) -> wire::ProbeQuestion {
    match kind {
        ProbeKind::Tcp => wire::ProbeQuestion::Tcp {},
        ProbeKind::Http(http) => wire::ProbeQuestion::Http {
            method: Some(http.method().as_str().into()),
            path: Some(http.path().into()),
            headers: http
                .headers()
                .map(|(name, value)| (name.to_owned(), value.reveal().into()))
                .collect(),
            expected_status: Some(http.expected().to_string()),
            tls: whole_tls(http.tls()),
        },
        ProbeKind::Grpc(grpc) => wire::ProbeQuestion::Grpc {
            service: Some(grpc.service().into()),
            tls: whole_tls(grpc.tls()),
        },
        ProbeKind::Mysql(mysql) => wire::ProbeQuestion::Mysql {
            user: Some(mysql.user().into()),
            password: Some(mysql.password().reveal().into()),
            command: Some(mysql.command().into()),
        },
        ProbeKind::Redis(redis) => {
            let login = redis.login();
            wire::ProbeQuestion::Redis {
                user: login.and_then(|(user, _)| user.map(str::to_owned)),
                password: login.map(|(_, password)| password.reveal().into()),
            }
        }
    }
}

fn whole_tls(tls: &Tls) -> Option<wire::ProbeTls> {
    match tls {
        Tls::None => None,
        Tls::Unverified => Some(wire::ProbeTls::default()),
        Tls::Verified { server_name } => Some(wire::ProbeTls {
            server_name: Some(server_name.to_string()),
        }),
    }
}

fn tls(tls: Option<&wire::ProbeTls>) -> std::result::Result<Tls, Invalid> {
    match tls {
        None => Ok(Tls::None),
        Some(wire::ProbeTls { server_name: None }) => Ok(Tls::Unverified),
        Some(wire::ProbeTls {
            server_name: Some(name),
        }) => Tls::verified(name),
    }
}

/// Refuses probe instances where nobody would ask them, or where they may not be asked so.
pub(crate) fn check_allowed(registry: &Registry, liveness: &Liveness) -> std::result::Result<(), Invalid> {
    if matches!(liveness, Liveness::Probe(_)) && !registry.probes() {
        let rule = "must not be probe: probes are turned off in this registry (probes_enabled)";
        return Err(Invalid::new("liveness", rule, "probe"));
    }
    check_method(registry, liveness)
}

/// Refuses those that want to be asked by `POST`: whoever may register could change state wherever the registry reaches.
pub(crate) fn check_method(registry: &Registry, liveness: &Liveness) -> std::result::Result<(), Invalid> {
    if let Liveness::Probe(Probe::Own(spec)) = liveness
        && let ProbeKind::Http(http) = spec.kind()
        && http.method() == HttpMethod::Post
        && !registry.config().probe_methods_unsafe
    {
        let rule = "must be GET, HEAD or OPTIONS: POST is turned off in this registry (probe_methods_unsafe)";
        return Err(Invalid::new("method", rule, "POST"));
    }
    Ok(())
}

/// The health that a registration begins with. One that is probed has to prove itself, unless it says otherwise.
pub(crate) fn initial_health(liveness: Option<&wire::Liveness>) -> Health {
    match liveness {
        Some(wire::Liveness::Probe {
            initial_health: None | Some(wire::Health::Unhealthy),
            ..
        }) => Health::Unhealthy,
        _ => Health::Healthy,
    }
}

/// What is known about the probes of an instance: what is asked, when next, and what came of it last. Passwords and the
/// values of headers are not shown.
#[utoipa::path(
    get, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/probe",
    tag = "instances", operation_id = "probe",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::ProbeReport), (status = 400, body = wire::Problem),
        (status = 404, description = "No such instance, or it does not live by probes", body = wire::Problem),
    )
)]
pub(crate) async fn get(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<axum::Json<wire::ProbeReport>> {
    match registry.probe_report(&service, &endpoint) {
        Some(report) => Ok(axum::Json(shown(&report))),
        None => Err(missing(&registry, service, endpoint).into()),
    }
}

/// Has an instance probed now, before its turn: each once in 5 s. The answer says why not.
#[utoipa::path(
    post, path = "/api/v1/namespaces/{namespace}/groups/{group}/services/{service}/instances/{instance}/probe",
    tag = "instances", operation_id = "probe_now",
    params(("namespace",), ("group",), ("service",), ("instance", description = "`address:port`")),
    responses(
        (status = 200, body = wire::ProbeOrdered), (status = 400, body = wire::Problem),
        (status = 404, body = wire::Problem),
    )
)]
pub(crate) async fn order(
    State(registry): State<Registry>,
    InstancePath { service, endpoint }: InstancePath,
) -> Result<axum::Json<wire::ProbeOrdered>> {
    let order = registry.probe_now(&service, &endpoint);
    let there = registry
        .view(service.borrowed())
        .is_some_and(|view| view.get(&endpoint).is_some());
    if order == ProbeOrder::NotProbed && !there {
        return Err(missing(&registry, service, endpoint).into());
    }
    let reason = match order {
        ProbeOrder::Ordered => None,
        ProbeOrder::NotProbed => Some("it is not an instance that is probed".into()),
        ProbeOrder::TooSoon => Some(format!(
            "it was ordered within the last {} s",
            ORDER_ONCE_IN.as_secs()
        )),
        ProbeOrder::TooMany => Some("too many instances were ordered of late".into()),
    };
    let ordered = order == ProbeOrder::Ordered;
    Ok(axum::Json(wire::ProbeOrdered { ordered, reason }))
}

fn missing(registry: &Registry, service: ServiceKey, endpoint: Endpoint) -> Refusal {
    match registry.view(service.borrowed()) {
        Some(_) => Refusal::InstanceNotFound(service, endpoint),
        None => Refusal::ServiceNotFound(service),
    }
}

fn shown(report: &ProbeReport) -> wire::ProbeReport {
    let scheduled = report.scheduled.as_ref();
    let due = scheduled.and_then(|scheduled| scheduled.due);
    wire::ProbeReport {
        of_cluster: report.of_cluster,
        asked: scheduled.map(|scheduled| asked(&scheduled.spec)),
        next_in_ms: due.map(|due| ms(due.since(report.now))),
        last: scheduled
            .and_then(|scheduled| scheduled.last.as_ref())
            .map(result),
    }
}

fn asked(spec: &ProbeSpec) -> wire::AskedProbe {
    let (path, expected_status, service) = match spec.kind() {
        ProbeKind::Http(http) => (
            // A query may carry a secret.
            http.path().split('?').next().map(str::to_owned),
            Some(http.expected().to_string()),
            None,
        ),
        ProbeKind::Grpc(grpc) => (None, None, Some(grpc.service().to_owned())),
        ProbeKind::Tcp | ProbeKind::Mysql(_) | ProbeKind::Redis(_) => (None, None, None),
    };
    wire::AskedProbe {
        kind: spec.kind().as_str().into(),
        port: spec.port(),
        interval_ms: ms(spec.interval()),
        timeout_ms: ms(spec.timeout()),
        rise: spec.rise(),
        fall: spec.fall(),
        path,
        expected_status,
        service,
    }
}

pub(crate) fn result(last: &LastProbe) -> wire::ProbeResult {
    wire::ProbeResult {
        good: last.result.finding == Finding::Good,
        outcome: last.result.word.into(),
        text: last.result.text.to_string(),
        took_us: u64::try_from(last.result.took.as_micros()).unwrap_or(u64::MAX),
        at_ms: last.at.0,
        streak: last.streak,
    }
}

/// All probes, for the status of the registry.
pub(crate) fn status(registry: &Registry) -> wire::ProbeStatus {
    let counts = registry.probe_counts();
    let late = |thousandths| ms(counts.lateness.percentile(thousandths));
    wire::ProbeStatus {
        enabled: registry.probes(),
        instances: counts.instances as u64,
        in_flight: counts.in_flight as u64,
        passed: counts.passed,
        failed: counts.failed,
        dropped: counts.dropped,
        missed: counts.missed,
        outcomes: counts
            .results
            .iter()
            .map(|(word, count)| ((*word).to_owned(), *count))
            .collect(),
        late_p50_ms: late(500),
        late_p99_ms: late(990),
        late_p999_ms: late(999),
        late_max_ms: ms(counts.lateness.max()),
    }
}
