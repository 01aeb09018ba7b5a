//! The connections as operators see them, and the word to leave.

use std::net::SocketAddr;
use std::sync::Arc;

use beatrix_core::model::{Endpoint, Wall};
use serde::Serialize;

use super::Grpc;
use super::connection::{Client, Connection};
use super::message::Outgoing;

/// A connection.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) id: String,
    pub(crate) peer: SocketAddr,
    /// Empty until its client has said who it is.
    pub(crate) app: String,
    pub(crate) version: String,
    pub(crate) opened: Wall,
    /// When its client was last heard of.
    pub(crate) heard: Wall,
}

/// Where a client is to go; without an address to the next in its list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reset {
    pub(crate) to: Option<Endpoint>,
}

/// Nacos 2.x: the port is text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResetJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    server_ip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_port: Option<String>,
}

impl Grpc {
    /// The connections, the first `max` of them, in the order in which they came.
    pub(crate) fn describe(&self, max: usize) -> Vec<Described> {
        let now = self.0.nacos.registry.wall();
        let connections = self.0.connections(max);
        connections
            .iter()
            .map(|connection| connection.describe(now))
            .collect()
    }

    /// Tells a client to leave. Returns whether there is such a connection.
    pub(crate) fn reset(&self, id: &str, reset: &Reset) -> bool {
        let found = self.0.connections(usize::MAX);
        let found = found.iter().find(|connection| connection.id == id);
        found.is_some_and(|connection| {
            connection.reset(reset);
            true
        })
    }

    /// Tells so many clients to leave that `kept` stay: those that came last.
    pub(crate) fn reset_down_to(&self, kept: usize, reset: &Reset) {
        for connection in self.0.connections(usize::MAX).iter().skip(kept) {
            connection.reset(reset);
        }
    }
}

impl Connection {
    fn describe(&self, now: Wall) -> Described {
        let client = self.client();
        Described {
            id: self.id.clone(),
            peer: self.peer,
            app: client.map(|Client { app, .. }| app.clone()).unwrap_or_default(),
            version: client
                .map(|Client { version, .. }| version.clone())
                .unwrap_or_default(),
            opened: self.opened,
            heard: Wall(now.0.saturating_sub(self.pulse.quiet_for_ms())),
        }
    }

    fn reset(self: &Arc<Self>, reset: &Reset) {
        let rest = ResetJson {
            server_ip: reset.to.as_ref().map(|to| to.address().to_string()),
            server_port: reset.to.as_ref().map(|to| to.port().to_string()),
        };
        let request = self.shared.next_request();
        let word = Outgoing::request("ConnectResetRequest", Some(request), "internal", rest);
        self.outbox.say(word);
    }
}
