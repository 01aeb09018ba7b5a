//! The types of requests that clients send.

/// A type of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    ServerCheck,
    HealthCheck,
    Instance,
    PersistentInstance,
    BatchInstance,
    Subscribe,
    Query,
    List,
    FuzzyWatch,
    /// A type that only servers send one another.
    OfServers,
}

impl Kind {
    /// The type by its name. Nacos: case matters.
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "ServerCheckRequest" => Self::ServerCheck,
            "HealthCheckRequest" => Self::HealthCheck,
            "InstanceRequest" => Self::Instance,
            "PersistentInstanceRequest" => Self::PersistentInstance,
            "BatchInstanceRequest" => Self::BatchInstance,
            "SubscribeServiceRequest" => Self::Subscribe,
            "ServiceQueryRequest" => Self::Query,
            "ServiceListRequest" => Self::List,
            "NamingFuzzyWatchRequest" => Self::FuzzyWatch,
            "ServerLoaderInfoRequest"
            | "ServerReloadRequest"
            | "DistroDataRequest"
            | "MemberReportRequest"
            | "ConfigChangeClusterSyncRequest" => Self::OfServers,
            _ => return None,
        })
    }

    /// The type of its answer, also when it fails. Go's client panics on another one.
    pub(super) fn answer(self) -> &'static str {
        match self {
            Self::ServerCheck => "ServerCheckResponse",
            Self::HealthCheck => "HealthCheckResponse",
            Self::Instance | Self::PersistentInstance => "InstanceResponse",
            Self::BatchInstance => "BatchInstanceResponse",
            Self::Subscribe => "SubscribeServiceResponse",
            Self::Query => "QueryServiceResponse",
            Self::List => "ServiceListResponse",
            Self::FuzzyWatch => "NamingFuzzyWatchResponse",
            Self::OfServers => ERROR,
        }
    }
}

/// The type of an answer that has none of its own. Clients take it for trouble with the connection.
pub(super) const ERROR: &str = "ErrorResponse";
