//! The envelope of every answer, and what can go wrong in the codes of this protocol.

use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Invalid, Lifetime};
use beatrix_engine::WriteError;
use bytes::Bytes;
use serde::Serialize;

use super::kind::{ERROR, Kind};
use super::message::Outgoing;
use crate::error::Error;
use crate::service::grouped_name;

/// What went wrong. The numbers are those of Nacos 2.x (`NacosException`).
pub(super) mod codes {
    /// The server is not ready.
    pub(crate) const NOT_READY: u32 = 300;
    /// The connection was not set up.
    pub(crate) const UNREGISTERED: u32 = 301;
    /// There is no such request.
    pub(crate) const NO_HANDLER: u32 = 302;
    /// A parameter breaks a rule.
    pub(crate) const INVALID: u32 = 400;
    /// The registry failed.
    pub(crate) const SERVER: u32 = 500;
    /// It cannot be read, or is none of a client's requests.
    pub(crate) const BAD_GATEWAY: u32 = 502;
    /// A limit is reached.
    pub(crate) const OVER_THRESHOLD: u32 = 503;
    /// There are too many patterns of services.
    pub(crate) const TOO_MANY_PATTERNS: u32 = 50_310;
    /// Too many services match a pattern.
    pub(crate) const TOO_MANY_MATCHES: u32 = 50_311;
}

/// Why a request is not carried out. Nothing has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// One of [`codes`], or one of the protocol that stands for one case alone.
    pub(super) code: i32,
    pub(super) message: String,
}

/// The members that every answer has. Nacos 2.x: the server adds `success`, and only Go's client reads it; Rust's needs
/// both codes; Python's wants `errorCode` 0 on success and no `null` anywhere.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<T> {
    result_code: i32,
    error_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    success: bool,
    #[serde(flatten)]
    rest: T,
}

/// Nothing more than what every message has.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// What stands before the list of an answer that has one.
pub(super) const BEFORE_LIST: &str =
    r#"{"resultCode":200,"errorCode":0,"message":"success","success":true,"serviceInfo":"#;
/// What stands behind it.
pub(super) const AFTER_LIST: &str = "}";

/// An answer of success with members of its own.
pub(super) fn success(kind: Kind, rest: impl Serialize) -> Outgoing {
    Outgoing::of(
        kind.answer(),
        &Envelope {
            result_code: 200,
            error_code: 0,
            message: None,
            success: true,
            rest,
        },
    )
}

/// An answer of success with a list of instances.
pub(super) fn listed(kind: Kind, list: Vec<Bytes>) -> Outgoing {
    Outgoing::around(kind.answer(), BEFORE_LIST.to_owned(), list, AFTER_LIST)
}

impl Failure {
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code: i32::try_from(code).unwrap_or(i32::MAX),
            message: message.into(),
        }
    }

    /// The client's connection has ended while the request was under way. Nacos: `CLIENT_DISCONNECT`.
    pub(super) fn disconnected() -> Self {
        Self {
            code: -401,
            message: "the connection has ended".to_owned(),
        }
    }

    /// As an answer of the request's own type: clients take it for an answer, and not for trouble with the connection.
    /// `rest` is what they expect in it all the same: Rust's and Python's cannot read an answer without.
    pub(super) fn typed(self, kind: Kind, rest: impl Serialize) -> Outgoing {
        self.answer(kind.answer(), 500, rest)
    }

    /// As an answer about the connection. Java repeats the request, and then looks whether the connection lives.
    pub(super) fn of_connection(self) -> Outgoing {
        self.answer(ERROR, 500, Nothing {})
    }

    fn answer(self, kind: &'static str, result_code: i32, rest: impl Serialize) -> Outgoing {
        let Self { code, message } = self;
        let envelope = Envelope {
            result_code,
            error_code: code,
            message: Some(message),
            success: false,
            rest,
        };
        Outgoing::of(kind, &envelope)
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Error::from(invalid).into()
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Error::from(error).into()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = match &error {
            // Nacos 2.x begins so, and people look for it in their logs.
            Error::Invalid(_) => format!("Param check invalid:{error}"),
            Error::Write(WriteError::Refused(Refusal::OtherLifetime { service, lifetime })) => {
                let (there, wanted) = match lifetime {
                    Lifetime::Ephemeral => ("ephemeral", "persistent"),
                    Lifetime::Persistent => ("persistent", "ephemeral"),
                };
                let name = grouped_name(service.borrowed());
                format!("Current service {name} is {there} service, can't register {wanted} instance.")
            }
            _ => error.to_string(),
        };
        Self::new(code(&error), message)
    }
}

fn code(error: &Error) -> u32 {
    match error {
        Error::Missing(_)
        | Error::NotUtf8(_)
        | Error::Invalid(_)
        | Error::Unregistrable(_)
        | Error::NotGrouped(_)
        | Error::BodyTooLong
        | Error::BodyBroken(_)
        | Error::NotFound(..)
        | Error::NothingToUpdate(_)
        | Error::NoService(_)
        | Error::NoCluster(..)
        | Error::NoClient(_)
        | Error::NotBeating { .. }
        | Error::Checked(..) => codes::INVALID,
        Error::Warming => codes::NOT_READY,
        Error::Write(WriteError::Refused(Refusal::Limit { .. })) => codes::OVER_THRESHOLD,
        Error::Write(WriteError::Refused(_)) => codes::INVALID,
        Error::Write(WriteError::Unavailable(_)) => codes::SERVER,
        Error::Write(WriteError::Stopping) => codes::NOT_READY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_both_codes_and_no_null() {
        let json = success(Kind::HealthCheck, Nothing {}).pieces.concat();
        assert_eq!(json, br#"{"resultCode":200,"errorCode":0,"success":true}"#);
        let failure = Failure::new(codes::UNREGISTERED, "Connection is unregistered.");
        let answer = failure.of_connection();
        assert_eq!(answer.kind, "ErrorResponse");
        let expected =
            r#"{"resultCode":500,"errorCode":301,"message":"Connection is unregistered.","success":false}"#;
        assert_eq!(answer.pieces.concat(), expected.as_bytes());
    }

    #[test]
    fn a_service_of_the_other_kind_is_told_in_the_words_of_nacos() {
        let refusal = Refusal::OtherLifetime {
            service: "public/g/s".parse().unwrap(),
            lifetime: Lifetime::Persistent,
        };
        let failure = Failure::from(WriteError::Refused(refusal));
        let text = "Current service g@@s is persistent service, can't register ephemeral instance.";
        assert_eq!((failure.code, failure.message.as_str()), (400, text));
    }
}
