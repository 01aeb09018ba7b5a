//! What errors look like in v1: a status and a line of text that names the parameter.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use beatrix_core::catalog::Refusal;
use beatrix_engine::WriteError;

use crate::error::Error;
use crate::reply;

/// An error on its way to a client of v1.
#[derive(Debug)]
pub(super) struct TextError(Error);

impl<E: Into<Error>> From<E> for TextError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for TextError {
    fn into_response(self) -> Response {
        reply::text(status(&self.0), self.0.to_string())
    }
}

/// Clients go on to the next server on 5xx: it is for what the next server might do better.
fn status(error: &Error) -> StatusCode {
    match error {
        Error::Missing(_)
        | Error::NotUtf8(_)
        | Error::Invalid(_)
        | Error::BodyBroken(_)
        | Error::NotBeating { .. } => StatusCode::BAD_REQUEST,
        Error::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
        Error::NotFound(..) => StatusCode::NOT_FOUND,
        Error::Warming => StatusCode::SERVICE_UNAVAILABLE,
        Error::Write(WriteError::Refused(refusal)) => match refusal {
            // Nacos: what updates and does not find answers 400.
            Refusal::ServiceNotFound(_) | Refusal::InstanceNotFound(..) => StatusCode::BAD_REQUEST,
            Refusal::UnknownLease
            | Refusal::LeaseMismatch(..)
            | Refusal::OtherLifetime { .. }
            | Refusal::ServiceExists(_)
            | Refusal::ServiceNotEmpty(_)
            | Refusal::NamespaceExists(_)
            | Refusal::NamespaceNotFound(_)
            | Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Limit { .. } => StatusCode::SERVICE_UNAVAILABLE,
        },
        Error::Write(WriteError::Unavailable(_) | WriteError::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_clients_fault_is_5xx() {
        let limit = Error::Write(
            Refusal::Limit {
                limit: "instances_max",
                max: 1,
            }
            .into(),
        );
        for (error, expected) in [
            (Error::Warming, 503),
            (limit, 503),
            (Error::Write(WriteError::Stopping), 503),
            (Error::BodyTooLong, 413),
        ] {
            assert_eq!(status(&error).as_u16(), expected, "{error}");
        }
    }
}
