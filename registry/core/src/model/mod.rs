//! The words of the domain as types that can only hold what they may.
//!
//! Input is parsed into these once, at the edge; nothing behind them checks again. A failed parse is an
//! [`Invalid`] that names the field and the rule. Nothing here knows a protocol.

mod endpoint;
mod health;
mod instance;
mod invalid;
mod key;
mod lease;
mod metadata;
mod name;
mod operator;
mod registration;
mod revision;
mod time;
mod weight;

pub use endpoint::{Endpoint, HOST_NAME_LEN_MAX};
pub use health::{Declared, DeclaredStatus, Health, Reason, State};
pub use instance::{Member, Record};
pub use invalid::Invalid;
pub use key::{ServiceKey, ServiceRef};
pub use lease::Lease;
pub use metadata::{METADATA_BYTES_MAX, METADATA_ENTRIES_MAX, Metadata};
pub use name::{Cluster, Group, Namespace, ServiceName};
pub use operator::{OperatorLayer, OperatorPatch};
pub use registration::{
    BEAT_TIME_MAX, Incarnation, Liveness, LivenessKind, Locality, Registration, SessionId, Timings,
};
pub use revision::{Epoch, Revision, Version};
pub use time::{Mono, Wall};
pub use weight::Weight;
