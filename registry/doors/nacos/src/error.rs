//! What can go wrong with a request, and what that means to a client. What it looks like on the wire is decided by each
//! version of the protocol.

use axum::http::StatusCode;
use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Cluster, Endpoint, Invalid, LivenessKind, ServiceKey};
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
    /// An instance may be asked for like this, but not be registered.
    #[error(transparent)]
    Unregistrable(Invalid),
    /// A name that must be grouped is not.
    #[error("parameter '{}' must be grouped: group@@service", .0.as_str())]
    NotGrouped(Param),
    /// The body is too long.
    #[error("the body must have at most {BODY_BYTES_MAX} bytes")]
    BodyTooLong,
    /// The body did not come in full.
    #[error("the body cannot be read: {0}")]
    BodyBroken(axum::Error),
    /// There is no such instance in this cluster.
    #[error("instance `{1}` not found in service `{0}`")]
    NotFound(ServiceKey, Endpoint),
    /// Nothing can be set over the instances of a service that does not exist.
    #[error("service `{0}` not found, so there is no instance to update")]
    NothingToUpdate(ServiceKey),
    /// There is no such service to look into.
    #[error("service `{0}` not found")]
    NoService(ServiceKey),
    /// There is no such cluster to look into.
    #[error("cluster `{1}` not found in service `{0}`")]
    NoCluster(ServiceKey, Cluster),
    /// There is no such client.
    #[error("client `{0}` not found")]
    NoClient(String),
    /// A beat is for an instance that does not live by beats.
    #[error("instance `{endpoint}` of service `{service}` does not beat: it is {}", .kind.as_str())]
    NotBeating {
        service: ServiceKey,
        endpoint: Endpoint,
        kind: LivenessKind,
    },
    /// The health of an instance is measured, and so cannot be set.
    #[error(
        "health can only be set where the health checker is NONE: that of cluster `{1}` of service `{0}` is not"
    )]
    Checked(ServiceKey, Cluster),
    /// The registry may not know all instances yet. Nacos 2.x: the text begins so, without a space.
    #[error("server is STARTINGnow, not all instances may be known yet, please try again later")]
    Warming,
    /// The registry does not do it.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What v2 and v3 call a mistake. The numbers and texts are those of Nacos 2.x (`ErrorCode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u32, pub(crate) &'static str);

impl Code {
    pub(crate) const SUCCESS: Self = Self(0, "success");
    pub(crate) const PARAMETER_MISSING: Self = Self(10_000, "parameter missing");
    pub(crate) const PARAMETER: Self = Self(20_002, "parameter validate error");
    pub(crate) const NOT_FOUND: Self = Self(20_004, "resource not found");
    pub(crate) const WEIGHT: Self = Self(21_001, "weight error");
    pub(crate) const METADATA: Self = Self(21_002, "instance metadata error");
    pub(crate) const NO_INSTANCE: Self = Self(21_003, "instance not found");
    pub(crate) const INSTANCE: Self = Self(21_004, "instance error");
    pub(crate) const SELECTOR: Self = Self(21_006, "selector error");
    pub(crate) const SERVICE_EXISTS: Self = Self(21_007, "service already exist");
    pub(crate) const NO_SERVICE: Self = Self(21_008, "service not exist");
    pub(crate) const SERVICE_NOT_EMPTY: Self = Self(21_009, "service delete failure");
    pub(crate) const NAMESPACE: Self = Self(22_000, "illegal namespace");
    pub(crate) const NO_NAMESPACE: Self = Self(22_001, "namespace not exist");
    pub(crate) const NAMESPACE_EXISTS: Self = Self(22_002, "namespace already exist");
    pub(crate) const SERVER: Self = Self(30_000, "server error");
    pub(crate) const DISABLED: Self = Self(40_001, "API function disabled.");
}

impl Error {
    /// The status, in every version. Clients go on to the next server on 5xx: it is for what the next server might do
    /// better.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Missing(_)
            | Self::NotUtf8(_)
            | Self::Invalid(_)
            | Self::Unregistrable(_)
            | Self::NotGrouped(_)
            | Self::BodyBroken(_)
            | Self::NothingToUpdate(_)
            | Self::NotBeating { .. }
            | Self::Checked(..) => StatusCode::BAD_REQUEST,
            Self::BodyTooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotFound(..) | Self::NoService(_) | Self::NoCluster(..) | Self::NoClient(_) => {
                StatusCode::NOT_FOUND
            }
            Self::Warming => StatusCode::SERVICE_UNAVAILABLE,
            Self::Write(WriteError::Refused(refusal)) => match refusal {
                // Nacos: what updates and does not find answers 400.
                Refusal::ServiceNotFound(_)
                | Refusal::InstanceNotFound(..)
                | Refusal::UnknownLease
                | Refusal::LeaseMismatch(..)
                | Refusal::OtherLifetime { .. }
                | Refusal::ServiceExists(_)
                | Refusal::ServiceNotEmpty(_)
                | Refusal::NamespaceExists(_)
                | Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
                Refusal::NamespaceNotFound(_) => StatusCode::NOT_FOUND,
                Refusal::Limit { .. } => StatusCode::SERVICE_UNAVAILABLE,
            },
            Self::Write(WriteError::Unavailable(_) | WriteError::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What v2 and v3 call it.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Missing(_) => Code::PARAMETER_MISSING,
            Self::NotUtf8(_) | Self::NotGrouped(_) | Self::BodyTooLong | Self::BodyBroken(_) => {
                Code::PARAMETER
            }
            Self::Invalid(invalid) => match &*invalid.field {
                "weight" => Code::WEIGHT,
                "metadata" => Code::METADATA,
                "selector" => Code::SELECTOR,
                "namespaceName" | "namespaceShowName" | "namespaceDesc" => Code::NAMESPACE,
                field if field.starts_with("preserved.") => Code::INSTANCE,
                _ => Code::PARAMETER,
            },
            Self::Unregistrable(_) | Self::NothingToUpdate(_) | Self::NotBeating { .. } => Code::INSTANCE,
            Self::NotFound(..) | Self::NoClient(_) => Code::NOT_FOUND,
            // Nacos 2.x: these three have no code of their own.
            Self::NoService(_) | Self::NoCluster(..) | Self::Checked(..) => Code::SERVER,
            Self::Warming => Code::SERVER,
            Self::Write(WriteError::Refused(refusal)) => match refusal {
                Refusal::ServiceNotFound(_) => Code::NO_SERVICE,
                Refusal::InstanceNotFound(..) => Code::NOT_FOUND,
                Refusal::Invalid(_) => Code::PARAMETER,
                Refusal::ServiceExists(_) => Code::SERVICE_EXISTS,
                Refusal::ServiceNotEmpty(_) => Code::SERVICE_NOT_EMPTY,
                Refusal::NamespaceExists(_) => Code::NAMESPACE_EXISTS,
                Refusal::NamespaceNotFound(_) => Code::NO_NAMESPACE,
                // Nacos 2.x: an instance of the wrong kind has no code of its own.
                Refusal::OtherLifetime { .. }
                | Refusal::UnknownLease
                | Refusal::LeaseMismatch(..)
                | Refusal::Limit { .. } => Code::SERVER,
            },
            Self::Write(WriteError::Unavailable(_) | WriteError::Stopping) => Code::SERVER,
        }
    }

    /// Whether Nacos finds this before it looks for a handler, by the check of parameters that it makes for all
    /// versions alike. v2 and v3 answer that in a form of its own.
    pub(crate) fn is_of_check(&self) -> bool {
        const CHECKED: [Param; 9] = [
            Param::Namespace,
            Param::Group,
            Param::Service,
            Param::ClusterName,
            Param::Cluster,
            Param::Clusters,
            Param::Ip,
            Param::Port,
            Param::CheckPort,
        ];
        match self {
            Self::Invalid(invalid) => CHECKED.iter().any(|param| param.as_str() == invalid.field),
            _ => false,
        }
    }
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
            "protect_threshold" => Param::ProtectThreshold,
            "namespace_name" => Param::NamespaceName,
            "namespace_description" => Param::NamespaceDesc,
            field if field.starts_with("checker_") => Param::HealthChecker,
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
            assert_eq!(error.status().as_u16(), expected, "{error}");
        }
    }
}
