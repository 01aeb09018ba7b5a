//! The events of `GET /api/v1/watch` and their acknowledgement.
//!
//! The stream is Server-Sent Events. [`HELLO`] comes first and carries a [`Hello`]; then, per service, a
//! [`SNAPSHOT`] with a [`ServiceView`](crate::ServiceView) or a [`DELTA`] with a
//! [`ServiceDelta`](crate::ServiceDelta); [`PING`] comes with an empty object when nothing else did for a while.
//! Every event's `id` is `epoch.revision`: sent back as `Last-Event-ID`, it resumes the stream.

use serde::{Deserialize, Serialize};

/// Name of the first event.
pub const HELLO: &str = "hello";
/// Name of the event that carries a whole service.
pub const SNAPSHOT: &str = "snapshot";
/// Name of the event that carries what changed in a service.
pub const DELTA: &str = "delta";
/// Name of the event that only says that the stream lives.
pub const PING: &str = "ping";

/// The first event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hello {
    /// Names this stream in acknowledgements.
    pub subscriber: String,
    /// The cluster.
    pub cluster_id: String,
    /// The history that revisions count in.
    pub epoch: String,
    /// Whether the stream goes on where `Last-Event-ID` left off; otherwise a snapshot of each service follows.
    pub resumed: bool,
    /// Why it does not go on there, when a `Last-Event-ID` was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_resumed: Option<String>,
}

/// The body of `POST /api/v1/watch/{subscriber}/acks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// Everything up to the event with this `id` (`epoch.revision`) has been acted upon.
    pub id: String,
}
