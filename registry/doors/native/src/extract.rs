//! Taking requests apart: every failure is a problem that names the field and the rule.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use beatrix_core::model::{Endpoint, Invalid, Origin, ServiceKey, ServiceRef, Surface};
use beatrix_engine::Registry;
use beatrix_wire::problem::kind;
use serde::de::DeserializeOwned;

use crate::limits::BODY_BYTES_MAX;
use crate::problem::{Failure, Result};

/// The registry, for writes on behalf of whoever sent the request. Whose connection it is is told by the listener, and
/// by nothing in the request.
#[derive(Debug)]
pub(crate) struct Asked(pub(crate) Registry);

impl FromRequestParts<Registry> for Asked {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        registry: &Registry,
    ) -> std::result::Result<Self, Infallible> {
        Ok(Self(registry.on_behalf_of(origin(parts, Surface::Native))))
    }
}

/// Who sent the request, and by which way.
pub(crate) fn origin(parts: &Parts, surface: Surface) -> Origin {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    Origin {
        surface,
        peer: peer.map(|ConnectInfo(peer)| *peer),
    }
}

/// `/namespaces/{ns}/groups/{group}/services/{service}`.
#[derive(Debug)]
pub(crate) struct ServicePath(pub(crate) ServiceKey);

/// The same, with `/instances/{address}:{port}`.
#[derive(Debug)]
pub(crate) struct InstancePath {
    pub(crate) service: ServiceKey,
    pub(crate) endpoint: Endpoint,
}

fn path(rejection: &PathRejection) -> Failure {
    Failure::new(
        StatusCode::BAD_REQUEST,
        kind::INVALID_VALUE,
        rejection.body_text(),
    )
    .about("path", "must be percent-encoded UTF-8")
}

impl<S: Send + Sync> FromRequestParts<S> for ServicePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Path((namespace, group, name)) =
            Path::<(String, String, String)>::from_request_parts(parts, state)
                .await
                .map_err(|e| path(&e))?;
        let service = ServiceRef {
            namespace: &namespace,
            group: &group,
            name: &name,
        };
        Ok(Self(service.to_key()?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for InstancePath {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let Path((namespace, group, name, instance)) =
            Path::<(String, String, String, String)>::from_request_parts(parts, state)
                .await
                .map_err(|e| path(&e))?;
        let service = ServiceRef {
            namespace: &namespace,
            group: &group,
            name: &name,
        };
        // Port 0 is Nacos's: what it registered so can be seen and operated here, but not registered.
        let endpoint: Endpoint = instance.parse()?;
        Ok(Self {
            service: service.to_key()?,
            endpoint,
        })
    }
}

/// A body as it came, within the limit.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        match Bytes::from_request(request, state).await {
            Ok(body) => Ok(Self(body)),
            Err(BytesRejection::FailedToBufferBody(rejection))
                if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE =>
            {
                Err(Failure::limit(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "body_bytes_max",
                    BODY_BYTES_MAX,
                ))
            }
            Err(rejection) => Err(Failure::new(
                StatusCode::BAD_REQUEST,
                kind::INVALID_BODY,
                rejection.body_text(),
            )),
        }
    }
}

/// A JSON body. The media type is not asked for: what reads as JSON is JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let RawBody(body) = RawBody::from_request(request, state).await?;
        // No body at all stands for the empty object: most fields have defaults.
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        // serde reads an array as a struct, too: field by field, without names.
        if text.trim_ascii_start().first() == Some(&b'[') {
            let detail = "an array is not an object";
            return Err(Failure::new(StatusCode::BAD_REQUEST, kind::INVALID_BODY, detail)
                .about("body", "must be an object"));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            // "." is the whole, and "?" what was broken before it had a name.
            let field = error.path().to_string();
            invalid_body(
                error.inner(),
                (!matches!(field.as_str(), "." | "?")).then_some(field),
            )
        })?;
        deserializer.end().map_err(|error| invalid_body(&error, None))?;
        Ok(Self(value))
    }
}

pub(crate) fn invalid_body(error: &serde_json::Error, field: Option<String>) -> Failure {
    let failure = Failure::new(StatusCode::BAD_REQUEST, kind::INVALID_BODY, error.to_string());
    let rule = if error.is_data() {
        "must be of the type that the API describes"
    } else {
        "must be JSON"
    };
    failure.about(field.unwrap_or_else(|| "body".into()), rule)
}

/// The query of a request: each parameter known, at most once unless it may be repeated, in UTF-8.
#[derive(Debug)]
pub(crate) struct Params<'a>(Vec<(&'static str, Cow<'a, str>)>);

impl<'a> Params<'a> {
    /// Reads `query`, which may name `once` once each and `often` as often as it likes.
    pub(crate) fn parse(
        query: Option<&'a str>,
        once: &[&'static str],
        often: &[&'static str],
    ) -> Result<Self> {
        let mut params = Self(Vec::new());
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let known = |names: &[&'static str]| names.iter().copied().find(|known| *known == name);
            if let Some(known) = known(often) {
                params.0.push((known, value));
            } else if let Some(known) = known(once) {
                if params.get(known).is_some() {
                    return Err(Invalid::new(known, "must be given at most once", &value).into());
                }
                params.0.push((known, value));
            } else {
                let rule = format!("must be one of {}", [once, often].concat().join(", "));
                return Err(Invalid::new("parameter", rule, &name).into());
            }
        }
        Ok(params)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(known, _)| *known == name)
            .map(|(_, value)| &**value)
    }

    /// A parsed parameter, if it is given.
    pub(crate) fn parsed<T: FromStr<Err = Invalid>>(&self, name: &'static str) -> Result<Option<T>> {
        let parse = |text: &str| {
            text.parse()
                .map_err(|invalid: Invalid| invalid.in_field(name).into())
        };
        self.get(name).map(parse).transpose()
    }

    /// A number within `range`, if it is given.
    pub(crate) fn number(
        &self,
        name: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Result<Option<u64>> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match text
            .parse()
            .ok()
            .filter(|number| digits && range.contains(number))
        {
            Some(number) => Ok(Some(number)),
            None => {
                let rule = format!("must be a number from {} to {}", range.start(), range.end());
                Err(Invalid::new(name, rule, text).into())
            }
        }
    }

    /// `true` or `false`, if it is given.
    pub(crate) fn flag(&self, name: &'static str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(Invalid::new(name, "must be true or false", text).into()),
        }
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        text.replace('+', " ").into()
    } else {
        text.into()
    };
    let invalid = |_| Failure::from(Invalid::new("query", "must be percent-encoded UTF-8", text));
    match spaced {
        Cow::Borrowed(text) => percent_encoding::percent_decode_str(text)
            .decode_utf8()
            .map_err(invalid),
        Cow::Owned(text) => {
            let decoded = percent_encoding::percent_decode_str(&text)
                .decode_utf8()
                .map_err(invalid)?;
            Ok(Cow::Owned(decoded.into_owned()))
        }
    }
}
