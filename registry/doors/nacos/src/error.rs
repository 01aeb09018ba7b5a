//! What can go wrong with a request. What it looks like on the wire is decided by each version of the protocol.

use beatrix_core::model::{Endpoint, Invalid, LivenessKind, ServiceKey};
use beatrix_engine::WriteError;

use crate::limits::BODY_BYTES_MAX;
use crate::params::Param;

/// Why a request is not carried out. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A parameter that must be there is not.
    #[error("parameter '{}' is required", .0.as_str())]
    Missing(Param),
    /// A parameter is not text.
    #[error("parameter '{}' must be UTF-8", .0.as_str())]
    NotUtf8(Param),
    /// A parameter breaks a rule.
    #[error(transparent)]
    Invalid(Invalid),
    /// The body is too long.
    #[error("the body must have at most {BODY_BYTES_MAX} bytes")]
    BodyTooLong,
    /// The body did not come in full.
    #[error("the body cannot be read: {0}")]
    BodyBroken(axum::Error),
    /// There is no such instance in this cluster.
    #[error("instance `{1}` not found in service `{0}`")]
    NotFound(ServiceKey, Endpoint),
    /// A beat is for an instance that does not live by beats.
    #[error("instance `{endpoint}` of service `{service}` does not beat: it is {}", .kind.as_str())]
    NotBeating {
        service: ServiceKey,
        endpoint: Endpoint,
        kind: LivenessKind,
    },
    /// The registry may not know all instances yet. Nacos 2.x: the text begins so, without a space.
    #[error("server is STARTINGnow, not all instances may be known yet, please try again later")]
    Warming,
    /// The registry does not do it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The domain's errors name its fields; here they are named as the protocol does.
impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        let name = match &*invalid.field {
            "namespace" => Param::Namespace,
            "group" => Param::Group,
            "service" => Param::Service,
            "cluster" => Param::ClusterName,
            "address" => Param::Ip,
            _ => return Self::Invalid(invalid),
        };
        Self::Invalid(invalid.in_field(name.as_str()))
    }
}

impl From<axum::Error> for Error {
    fn from(error: axum::Error) -> Self {
        match std::error::Error::source(&error) {
            Some(source) if source.is::<http_body_util::LengthLimitError>() => Self::BodyTooLong,
            _ => Self::BodyBroken(error),
        }
    }
}
