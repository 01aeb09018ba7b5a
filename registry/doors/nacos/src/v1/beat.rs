//! `PUT /nacos/v1/ns/instance/beat`, the request that comes most: every instance, every five seconds.
//!
//! A light beat names the instance and nothing else. A full one carries JSON, and registers the instance if it is not
//! there; half of the client families rely on that. Names are not checked before the look-up: what is found is
//! valid, and what is not found is checked then.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use beatrix_core::model::{Endpoint, Invalid, Liveness, LivenessKind, Metadata, Weight};
use beatrix_engine::Registry;
use serde_json::value::RawValue;

use crate::error::Error;
use crate::instance::{self, Instance, Registering};
use crate::metadata;
use crate::params::{Incoming, Param, Params, is_yes};
use crate::reply;
use crate::service::Service;
use crate::wire::BeatJson;

use super::error::TextError;

/// Nacos: the beat counted.
const HANDLED: u32 = 10_200;
/// Nacos: there is no such instance, and a light beat cannot make it.
const UNKNOWN: u32 = 20_404;

/// The answer to nearly every beat.
const USUAL: &str = r#"{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}"#;
const USUAL_INTERVAL: Duration = Duration::from_millis(5_000);

pub(super) async fn beat(State(registry): State<Registry>, request: Request) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let service = Service::of(&params)?;
    let (ip, port) = (params.get(Param::Ip)?, params.get(Param::Port)?);
    match params.get(Param::Beat)? {
        None => light(&registry, &service, ip.as_deref(), port.as_deref()),
        Some(json) => full(&registry, &params, &service, Sent::read(&json, ip, port)?).await,
    }
}

fn light(
    registry: &Registry,
    service: &Service<'_>,
    ip: Option<&str>,
    port: Option<&str>,
) -> Result<Response, TextError> {
    // Nacos: without an address it is no mistake, only unknown.
    if let Some(ip) = ip {
        let endpoint = instance::endpoint(ip, port.unwrap_or("0"))?;
        if let Some(interval) = registry.beat_at(service.borrowed(), &endpoint) {
            return Ok(handled(interval));
        }
    }
    service.key()?;
    Ok(answer(registry.config().timings.interval(), UNKNOWN))
}

async fn full(
    registry: &Registry,
    params: &Params<'_>,
    service: &Service<'_>,
    sent: Sent<'_>,
) -> Result<Response, TextError> {
    let endpoint = sent.endpoint()?;
    // Nacos 2.x: by address only. The Python client registers in one cluster and beats in another.
    if let Some(interval) = registry.beat_at(service.borrowed(), &endpoint) {
        return Ok(handled(interval));
    }
    let key = service.key()?;
    if let Some(kind) = other_kind(registry, service, &endpoint) {
        return Err(Error::NotBeating {
            service: key,
            endpoint,
            kind,
        }
        .into());
    }
    let cluster = match sent.cluster()? {
        Some(cluster) => cluster,
        None => instance::cluster(params)?,
    };
    let instance = Instance {
        service: key,
        endpoint,
        cluster: cluster.parse().map_err(Error::from)?,
        weight: sent.weight()?,
        enabled: true,
        healthy: true,
        ephemeral: sent.ephemeral()?,
        metadata: sent.metadata()?,
    };
    let Registering {
        service,
        endpoint,
        registration,
        health,
        timings,
    } = instance.registration(registry.config().timings)?;
    registry.register(service, endpoint, registration, health).await?;
    Ok(handled(timings.interval()))
}

/// How the instance lives, if not by beats.
fn other_kind(registry: &Registry, service: &Service<'_>, endpoint: &Endpoint) -> Option<LivenessKind> {
    let view = registry.view(service.borrowed())?;
    let liveness = view.get(endpoint)?.record.registration.liveness;
    (!matches!(liveness, Liveness::Beat(_))).then(|| liveness.kind())
}

/// What a full beat says, with the address of the request where the JSON has none.
struct Sent<'a> {
    json: BeatJson<'a>,
    ip: Cow<'a, str>,
    port: Cow<'a, str>,
}

impl<'a> Sent<'a> {
    fn read(text: &'a str, ip: Option<Cow<'a, str>>, port: Option<Cow<'a, str>>) -> Result<Self, Error> {
        // An array would be read as a list of members, in their order.
        let json = if text.starts_with('{') {
            serde_json::from_str::<BeatJson<'_>>(text).ok()
        } else {
            None
        };
        let json = json.ok_or_else(|| {
            Error::Invalid(Invalid::new(
                Param::Beat.as_str(),
                "must be the JSON object of a beat",
                text,
            ))
        })?;
        Ok(Self {
            ip: filled(json.ip, Param::Ip)?.or(ip).unwrap_or_default(),
            port: filled(json.port, Param::Port)?
                .or(port)
                .unwrap_or(Cow::Borrowed("0")),
            json,
        })
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        instance::endpoint(&self.ip, &self.port)
    }

    fn cluster(&self) -> Result<Option<Cow<'a, str>>, Error> {
        filled(self.json.cluster, Param::Cluster)
    }

    /// Nacos 2.x: a beat that names no weight has weight 0.
    fn weight(&self) -> Result<Weight, Error> {
        filled(self.json.weight, Param::Weight)?.map_or(Weight::new(0.0).map_err(Error::from), |text| {
            instance::parse_weight(&text)
        })
    }

    /// Whoever beats is ephemeral. Nacos 2.x fails with 500 where the JSON says otherwise.
    fn ephemeral(&self) -> Result<bool, Error> {
        match filled(self.json.ephemeral, Param::Ephemeral)? {
            Some(text) if !is_yes(&text) => Err(Error::Invalid(Invalid::new(
                Param::Ephemeral.as_str(),
                "must be true in a beat, since persistent instances do not beat",
                &text,
            ))),
            _ => Ok(true),
        }
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        Ok(self
            .json
            .metadata
            .map(|json| metadata::parse_json(json.get()))
            .transpose()?
            .unwrap_or_default())
    }
}

/// The text of a scalar, if it is there and not blank.
fn filled(json: Option<&RawValue>, name: Param) -> Result<Option<Cow<'_, str>>, Error> {
    let Some(json) = json else { return Ok(None) };
    match metadata::scalar(json) {
        Some(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
        None => Err(Error::Invalid(Invalid::new(
            name.as_str(),
            "must be text or a number in a beat",
            json.get(),
        ))),
    }
}

fn handled(interval: Duration) -> Response {
    if interval == USUAL_INTERVAL {
        reply::json(USUAL)
    } else {
        answer(interval, HANDLED)
    }
}

fn answer(interval: Duration, code: u32) -> Response {
    let interval = interval.as_millis();
    reply::json(format!(
        r#"{{"clientBeatInterval":{interval},"code":{code},"lightBeatEnabled":true}}"#
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
