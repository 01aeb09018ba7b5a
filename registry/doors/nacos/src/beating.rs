//! Beats, the requests that come most: every instance, every five seconds. v1 and v2 have the same.
//!
//! A light beat names the instance and nothing else. A full one carries JSON, and registers the instance if it is not
//! there; half of the client families rely on that. Names are not checked before the look-up: what is found is
//! valid, and what is not found is checked then.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use beatrix_core::model::{Endpoint, Invalid, Liveness, ServiceRef, Weight};
use serde::Deserialize;

use crate::door::Nacos;
use crate::error::Error;
use crate::instance::{self, Instance};
use crate::metadata::{self, BEAT_INTERVAL};
use crate::operations::instances;
use crate::params::{Incoming, Param, Params, is_yes};
use crate::reply;
use crate::service::Service;
use crate::switches::Switches;
use crate::wire::{BeatAddressJson, BeatJson, Scalar};

/// Nacos: the beat counted.
const HANDLED: u32 = 10_200;
/// Nacos: there is no such instance, and a light beat cannot make it.
const UNKNOWN: u32 = 20_404;

/// The answer to nearly every beat.
const USUAL: &str = r#"{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}"#;
const USUAL_INTERVAL: Duration = Duration::from_millis(5_000);

/// Which names a beat may use for its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// Bare or grouped, as in v1.
    Any,
    /// Nacos v2: a beat's must be grouped.
    Grouped,
}

/// Answers a beat, light or full.
///
/// # Errors
/// If it breaks a rule, or has to register its instance and cannot.
pub(crate) async fn beat(nacos: &Nacos, names: Names, request: Request) -> Result<Response, Error> {
    let incoming = Incoming::read(request).await?;
    if let Some(answer) = renew(nacos, names, &incoming.params())? {
        return Ok(answer);
    }
    // Boxed, since it is rare and would make the future of every beat large.
    Box::pin(unknown(nacos, incoming)).await
}

/// Renews the instance. `None` if there is none that lives by beats.
///
/// Nacos 2.x: the cluster does not matter. The Python client registers in one and beats in another.
fn renew(nacos: &Nacos, names: Names, params: &Params<'_>) -> Result<Option<Response>, Error> {
    let service = Service::of(params)?;
    if names == Names::Grouped && !service.is_grouped() {
        return Err(Error::NotGrouped(Param::Service));
    }
    let endpoint = match params.get(Param::Beat)? {
        Some(beat) => Some(full_endpoint(params, &beat)?),
        None => light_endpoint(params)?,
    };
    Ok(endpoint.and_then(|endpoint| {
        let interval = nacos.registry.beat_at(service.borrowed(), &endpoint)?;
        Some(handled(nacos, service.borrowed(), &endpoint, interval))
    }))
}

async fn unknown(nacos: &Nacos, incoming: Incoming) -> Result<Response, Error> {
    let params = incoming.params();
    let service = Service::of(&params)?;
    match params.get(Param::Beat)? {
        Some(beat) => register(nacos, &params, &service, &beat).await,
        None => {
            service.key()?;
            let switches = nacos.switches();
            let interval = switches.beat_interval(nacos.registry.config().timings);
            Ok(answer(interval, UNKNOWN, &switches))
        }
    }
}

async fn register(
    nacos: &Nacos,
    params: &Params<'_>,
    service: &Service<'_>,
    beat: &str,
) -> Result<Response, Error> {
    let key = service.key()?;
    let endpoint = full_endpoint(params, beat)?;
    let view = nacos.registry.view(key.borrowed());
    if let Some(member) = view.as_ref().and_then(|view| view.get(&endpoint)) {
        let liveness = &member.record.registration.liveness;
        if !matches!(liveness, Liveness::Beat(_)) {
            return Err(Error::NotBeating {
                service: key,
                endpoint,
                kind: liveness.kind(),
            });
        }
    }
    let json: BeatJson<'_> = parse(beat)?;
    let cluster = match filled(json.cluster) {
        Some(cluster) => cluster,
        None => instance::cluster(params)?,
    };
    let instance = Instance {
        service: key,
        endpoint,
        cluster: cluster.parse().map_err(Error::from)?,
        weight: weight(json.weight)?,
        enabled: true,
        healthy: true,
        ephemeral: ephemeral(json.ephemeral)?,
        metadata: match json.metadata {
            Some(json) => metadata::parse_json(json.get())?,
            None => Default::default(),
        },
        own_id: None,
    };
    let (key, endpoint) = (instance.service.clone(), instance.endpoint.clone());
    let timings = instances::register(nacos, instance).await?;
    Ok(handled(nacos, key.borrowed(), &endpoint, timings.interval()))
}

/// Where a light beat says that it comes from. Nacos: without an address it is no mistake, only unknown.
fn light_endpoint(params: &Params<'_>) -> Result<Option<Endpoint>, Error> {
    let Some(ip) = params.get(Param::Ip)? else {
        return Ok(None);
    };
    let port = params.get(Param::Port)?;
    instance::endpoint(&ip, port.as_deref().unwrap_or("0")).map(Some)
}

/// Where a full beat says that it comes from: what its JSON has comes first.
fn full_endpoint(params: &Params<'_>, beat: &str) -> Result<Endpoint, Error> {
    let json: BeatAddressJson<'_> = parse(beat)?;
    let ip = match filled(json.ip) {
        Some(ip) => ip,
        None => params.require(Param::Ip)?,
    };
    let port = match filled(json.port) {
        Some(port) => Some(port),
        None => params.get(Param::Port)?,
    };
    instance::endpoint(&ip, port.as_deref().unwrap_or("0"))
}

/// Reads the JSON of a beat. An array would be taken for a list of members, in their order.
fn parse<'a, T: Deserialize<'a>>(beat: &'a str) -> Result<T, Error> {
    let json = if beat.starts_with('{') {
        serde_json::from_str(beat).ok()
    } else {
        None
    };
    json.ok_or_else(|| {
        Error::Invalid(Invalid::new(
            Param::Beat.as_str(),
            "must be the JSON object of a beat",
            beat,
        ))
    })
}

/// What is there and not blank.
fn filled(scalar: Option<Scalar<'_>>) -> Option<Cow<'_, str>> {
    scalar
        .map(|Scalar(text)| text)
        .filter(|text| !text.trim().is_empty())
}

/// Nacos 2.x: a beat that names no weight has weight 0.
fn weight(json: Option<Scalar<'_>>) -> Result<Weight, Error> {
    instance::parse_weight(filled(json).as_deref().unwrap_or("0"))
}

/// Whoever beats is ephemeral. Nacos 2.x fails with 500 where the JSON says otherwise.
fn ephemeral(json: Option<Scalar<'_>>) -> Result<bool, Error> {
    match filled(json) {
        Some(text) if !is_yes(&text) => Err(Error::Invalid(Invalid::new(
            Param::Ephemeral.as_str(),
            "must be true in a beat, since persistent instances do not beat",
            &text,
        ))),
        _ => Ok(true),
    }
}

fn handled(nacos: &Nacos, service: ServiceRef<'_>, endpoint: &Endpoint, interval: Duration) -> Response {
    match nacos.unusual() {
        None if interval == USUAL_INTERVAL => reply::json(USUAL),
        None => answer(interval, HANDLED, &Switches::default()),
        Some(switches) => {
            let interval = switched_interval(nacos, service, endpoint, interval, &switches);
            answer(interval, HANDLED, &switches)
        }
    }
}

/// Nacos 2.x: the switch tells the interval of all instances that name none themselves.
fn switched_interval(
    nacos: &Nacos,
    service: ServiceRef<'_>,
    endpoint: &Endpoint,
    interval: Duration,
    switches: &Switches,
) -> Duration {
    let defaults = nacos.registry.config().timings;
    // The view is asked last: it is the one thing here that costs, and most beats need it not.
    let switched = switches.beat_interval(defaults);
    if switched == interval || interval != defaults.interval() {
        return interval;
    }
    let own = || {
        let view = nacos.registry.view(service)?;
        let metadata = &view.get(endpoint)?.record.registration.metadata;
        metadata::millis(metadata, BEAT_INTERVAL)
    };
    if own().is_some() { interval } else { switched }
}

fn answer(interval: Duration, code: u32, switches: &Switches) -> Response {
    let (interval, light) = (interval.as_millis(), switches.light_beat_enabled);
    reply::json(format!(
        r#"{{"clientBeatInterval":{interval},"code":{code},"lightBeatEnabled":{light}}}"#
    ))
}

#[cfg(test)]
mod tests {
    use beatrix_core::model::Timings;

    use super::*;

    #[test]
    fn the_usual_answer_is_the_one_that_would_be_made() {
        assert_eq!(USUAL_INTERVAL, Timings::DEFAULT.interval());
        let made = format!(
            r#"{{"clientBeatInterval":{},"code":{HANDLED},"lightBeatEnabled":true}}"#,
            5_000
        );
        assert_eq!(USUAL, made);
    }
}
