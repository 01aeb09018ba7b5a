//! The words of the domain as types that can only hold what they may.
//!
//! Input is parsed into these once, at the edge; nothing behind them checks again. A failed parse is an
//! [`Invalid`] that names the field and the rule. Nothing here knows a protocol.

mod asked;
mod checker;
mod endpoint;
mod health;
mod instance;
mod invalid;
mod key;
mod lease;
mod marks;
mod metadata;
mod name;
mod namespace;
mod operator;
mod origin;
mod probe;
mod registration;
mod revision;
mod selector;
mod settings;
mod slow_start;
mod text;
mod threshold;
mod time;
mod weight;

pub use checker::{CHECKER_TEXT_BYTES_MAX, Checker};
pub use endpoint::{Endpoint, HOST_NAME_LEN_MAX};
pub use health::{Declared, DeclaredStatus, Health, Reason, State};
pub use instance::{Member, Record};
pub use invalid::Invalid;
pub use key::{ServiceKey, ServiceRef};
pub use lease::Lease;
pub use marks::Marks;
pub use metadata::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX, Metadata};
pub use name::{Cluster, Group, Namespace, ServiceName, SettingName};
pub use namespace::{NAMESPACE_DESCRIPTION_BYTES_MAX, NAMESPACE_NAME_BYTES_MAX, NamespaceInfo};
pub use operator::{OperatorLayer, OperatorPatch};
pub use origin::{Origin, Surface};
pub use probe::{
    ExpectedStatus, GRPC_SERVICE_BYTES_MAX, GrpcProbe, HTTP_HEADERS_BYTES_MAX, HTTP_HEADERS_MAX,
    HTTP_PATH_BYTES_MAX, HttpMethod, HttpProbe, LOGIN_TEXT_BYTES_MAX, MysqlProbe, PROBE_COUNT_MAX,
    PROBE_INTERVAL_MAX, PROBE_INTERVAL_MIN, PROBE_TIMEOUT_MAX, PROBE_TIMEOUT_MIN, ProbeKind, ProbePlan,
    ProbeSpec, RedisProbe, STATUS_RANGES_MAX, Secret, Tls,
};
pub use registration::{
    BEAT_TIME_MAX, Incarnation, Lifetime, Liveness, LivenessKind, Locality, OWN_ID_BYTES_MAX, OwnId, Probe,
    Registration, SessionId, Timings,
};
pub use revision::{Epoch, Revision, Version};
pub use selector::{EXPRESSION_BYTES_MAX, Selector};
pub use settings::{CLUSTERS_SET_MAX, ClusterSettings, Existence, ServicePatch, ServiceSettings};
pub use slow_start::{Begun, Curve, SLOW_START_MS_MAX, Share, SlowStart};
pub use threshold::Threshold;
pub use time::{Mono, Wall};
pub use weight::Weight;
