//! Errors, as problem+json (RFC 9457). The one place where the façade's errors become statuses.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::catalog::Refusal;
use beatrix_core::model::Invalid;
use beatrix_engine::WriteError;
use beatrix_engine::hub::SubscribeError;
use beatrix_engine::registry::{HISTORY_READS_MAX, PastError};
use beatrix_wire::Problem;
use beatrix_wire::problem::{KIND_PREFIX, MEDIA_TYPE, kind};

/// An error on its way out. Boxed: results carry it on every path, and it is rare.
#[derive(Debug)]
pub(crate) struct Failure(Box<Problem>);

/// What handlers return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: StatusCode, kind: &str, detail: impl Into<String>) -> Self {
        Self(Box::new(Problem {
            kind: format!("{KIND_PREFIX}{kind}"),
            title: title(kind).into(),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            rule: None,
        }))
    }

    /// Names what is at fault.
    pub(crate) fn about(mut self, field: impl Into<String>, rule: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self.0.rule = Some(rule.into());
        self
    }

    /// A limit of this API is exceeded.
    pub(crate) fn limit(status: StatusCode, name: &str, max: usize) -> Self {
        Self::new(
            status,
            kind::LIMIT_EXCEEDED,
            format!("limit {name} of {max} is exceeded"),
        )
        .about(name, format!("must be at most {max}"))
    }
}

fn title(kind: &str) -> &'static str {
    match kind {
        kind::INVALID_VALUE => "A value breaks a rule",
        kind::INVALID_BODY => "The body cannot be read",
        kind::LIMIT_EXCEEDED => "A limit is reached",
        kind::SERVICE_NOT_FOUND => "There is no such service",
        kind::INSTANCE_NOT_FOUND => "There is no such instance",
        kind::NAMESPACE_NOT_FOUND => "There is no such namespace",
        kind::DRAIN_NOT_FOUND => "The instance does not drain",
        kind::SUBSCRIBER_NOT_FOUND => "There is no such subscriber",
        kind::NOT_FOUND => "There is no such path",
        kind::METHOD_NOT_ALLOWED => "The path does not take this method",
        kind::LEASE_MISMATCH => "The instance is registered under another lease",
        kind::OTHER_LIFETIME => "The service is for instances of another lifetime",
        kind::CONFLICT => "It is there already, or not empty yet",
        kind::WRONG_CLUSTER => "The request is meant for another cluster",
        kind::UNAVAILABLE => "The registry cannot do that now",
        kind::HISTORY_TOO_OLD => "So far back nothing is known",
        kind::HISTORY_NOT_KEPT => "Nothing is kept of the past",
        kind::INVALID_BACKUP => "The backup cannot be read",
        _ => "The registry failed",
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::new(StatusCode::BAD_REQUEST, kind::INVALID_VALUE, invalid.to_string())
            .about(invalid.field, invalid.rule)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let detail = error.to_string();
        match error {
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::Unavailable(_) | WriteError::Stopping => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE, detail)
            }
        }
    }
}

impl From<PastError> for Failure {
    fn from(error: PastError) -> Self {
        let detail = error.to_string();
        match error {
            PastError::NotKept => Self::new(StatusCode::NOT_IMPLEMENTED, kind::HISTORY_NOT_KEPT, detail),
            PastError::TooOld { oldest, at } => Self::new(StatusCode::GONE, kind::HISTORY_TOO_OLD, detail)
                .about(
                    "revision",
                    format!("must be at least {oldest}, which was at {} ms", at.0),
                ),
            PastError::NotYet { newest } => Self::new(StatusCode::BAD_REQUEST, kind::INVALID_VALUE, detail)
                .about("revision", format!("must not be after {newest}")),
            PastError::Busy => Self::limit(
                StatusCode::SERVICE_UNAVAILABLE,
                "history_reads_max",
                HISTORY_READS_MAX,
            ),
            PastError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE, detail)
            }
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            Refusal::ServiceNotFound(_) => Self::new(StatusCode::NOT_FOUND, kind::SERVICE_NOT_FOUND, detail),
            Refusal::InstanceNotFound(..) | Refusal::UnknownLease => {
                Self::new(StatusCode::NOT_FOUND, kind::INSTANCE_NOT_FOUND, detail)
            }
            Refusal::LeaseMismatch(..) => Self::new(StatusCode::CONFLICT, kind::LEASE_MISMATCH, detail)
                .about("lease", "must be the current one"),
            Refusal::OtherLifetime { .. } => Self::new(StatusCode::CONFLICT, kind::OTHER_LIFETIME, detail),
            Refusal::ServiceExists(_) | Refusal::ServiceNotEmpty(_) | Refusal::NamespaceExists(_) => {
                Self::new(StatusCode::CONFLICT, kind::CONFLICT, detail)
            }
            Refusal::NamespaceNotFound(_) => {
                Self::new(StatusCode::NOT_FOUND, kind::NAMESPACE_NOT_FOUND, detail)
            }
            Refusal::Limit { limit, max } => Self::limit(StatusCode::TOO_MANY_REQUESTS, limit, max),
            Refusal::Invalid(invalid) => invalid.into(),
        }
    }
}

impl From<SubscribeError> for Failure {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Subscribers(max) => {
                Self::limit(StatusCode::TOO_MANY_REQUESTS, "subscribers_max", max)
            }
            SubscribeError::Services(max) => {
                Self::limit(StatusCode::TOO_MANY_REQUESTS, "services_per_subscriber_max", max)
            }
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is text and numbers: it can always be written.
        let body = serde_json::to_vec(&*self.0).unwrap_or_default();
        let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))];
        (status, media_type, body).into_response()
    }
}

pub(crate) async fn not_found(uri: axum::http::Uri) -> Failure {
    Failure::new(
        StatusCode::NOT_FOUND,
        kind::NOT_FOUND,
        format!("no path {}", uri.path()),
    )
}

pub(crate) async fn method_not_allowed(method: axum::http::Method, uri: axum::http::Uri) -> Failure {
    let detail = format!("{} does not take {method}", uri.path());
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, kind::METHOD_NOT_ALLOWED, detail)
}
