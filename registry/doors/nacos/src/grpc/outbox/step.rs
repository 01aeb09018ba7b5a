//! What comes out of an outbox: what its sender is to do, and what becomes of what is put in.

use std::sync::Arc;

use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::hub::SubscribeError;
use tokio::time::Instant;

use super::watch::News;
use crate::grpc::message::Outgoing;
use crate::limits::GRPC_SUBSCRIPTIONS_PER_CONNECTION_MAX;

/// What the sender is to do next.
#[derive(Debug)]
pub(in crate::grpc) enum Step {
    /// Say this.
    Say(Outgoing),
    /// Tell this list.
    Tell(Told),
    /// End the stream, for this reason.
    End(&'static str),
    /// Wait until he is woken, or until then.
    Wait(Option<Instant>),
}

/// A list that is to be told.
#[derive(Debug)]
pub(in crate::grpc) struct Told {
    pub(in crate::grpc) watch: u32,
    pub(in crate::grpc) service: ServiceKey,
    pub(in crate::grpc) clusters: Arc<str>,
    pub(in crate::grpc) news: News,
}

/// Why a subscription is not made.
#[derive(Debug, thiserror::Error)]
pub(in crate::grpc) enum WatchError {
    #[error("the connection has ended")]
    Ended,
    #[error(
        "limit grpc_subscriptions_per_connection_max of {GRPC_SUBSCRIPTIONS_PER_CONNECTION_MAX} is reached"
    )]
    TooMany,
    #[error(transparent)]
    Hub(#[from] SubscribeError),
}

/// What somebody acknowledged, for the hub.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::grpc) struct Acknowledged {
    pub(in crate::grpc) subscriber: u64,
    pub(in crate::grpc) revision: Revision,
}
