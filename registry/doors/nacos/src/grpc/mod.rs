//! Nacos over gRPC, for the clients of Nacos 2.x and 3.x: they hold a connection, and their instances live as long as it
//! does.
//!
//! In the order in which a client meets them:
//!
//! - `transport`: HTTP/2 and the two methods on it; `receiving`: how much may be under way; `codec`, `message`: what goes
//!   over it.
//! - `connection`: who it is, what it has registered, and how it ends; `shared`: what all have in common. `pulse`: when a
//!   client was last heard of, and what follows.
//! - `hearing`: the receiving half of its stream, set-up and acknowledgements. `pushes`: the sending half; `outbox`: what
//!   is to be sent on it.
//! - `calls`: unary calls, checked in the order of Nacos; `kind`, `wire`, `subject`, `answer`: what requests and answers
//!   look like. `naming`: what they do.
//! - `fuzzy`: who watches which services there are.
//! - `clients`: connections as operators see them.
//! - `ref_time`: the time of a list, which grows.
//!
//! # Differences from Nacos
//!
//! - A change of a quiet service is pushed at once, those of the next 50 ms in one more push (Nacos: after 500 ms).
//! - A request that comes right behind the set-up of its connection waits for it, for a second at most.
//! - A server check of a connection that is set up is a sign of life (Nacos: it is none, and drops the clients of
//!   `nacos_rust_client` now and then, which say nothing else while they are idle).
//! - A connection whose stream ends has ended. Nacos lets it live until it is silent; no client uses one.
//! - Who asks for his health on a connection that is not set up is answered by a failed call, `UNAVAILABLE`. Nacos
//!   answers with code 301, which Go's and Python's clients take for health.
//! - A stream that the registry ends ends with `UNAVAILABLE`, and the transport with it.
//! - Mistakes of clients are answered in the type of their request, all of them (Nacos: some as `ErrorResponse`, after
//!   which Java doubts the connection).
//! - An empty namespace is `public`.
//! - One address is one instance. If two connections register it, the last one owns it; when that ends, the other one's
//!   takes its place. Nacos lists both, unless they are equal.
//! - After a restart, while not all instances may be known, a query or subscription whose list would be empty is
//!   refused with code 300, and nothing is pushed until they are. The subscription stands, though.

mod answer;
mod calls;
mod clients;
mod codec;
mod connection;
mod counts;
mod fuzzy;
mod hearing;
mod kind;
mod message;
mod naming;
mod outbox;
mod pulse;
mod pushes;
mod receiving;
mod ref_time;
mod settings;
mod shared;
mod subject;
mod transport;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use beatrix_engine::Registry;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::door::Nacos;
use crate::pushed::Pushed;
use shared::Shared;

pub(crate) use clients::{Described, Reset};
pub use counts::Counts;
pub use settings::Settings;

/// The door. A clone is the same door.
#[derive(Debug, Clone)]
pub struct Grpc(Arc<Shared>);

impl Grpc {
    /// A door to `registry`.
    #[must_use]
    pub fn new(registry: Registry, settings: Settings) -> Self {
        Self(Arc::new(Shared::new(Nacos::new(registry, None, None), settings)))
    }

    /// Serves one connection, of the client at `peer`, until it has ended and has left nothing behind. All connections
    /// end when the registry has stopped.
    pub async fn serve<I>(&self, io: I, peer: SocketAddr)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.serve_holding(io, peer, ()).await;
    }

    /// The same; `held`, a place among the connections that there may be, is let go as soon as the transport has ended.
    pub async fn serve_holding<I, H>(&self, io: I, peer: SocketAddr, held: H)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        H: Send,
    {
        transport::serve(&self.0, io, peer, held).await;
    }

    /// A connection was one too many, and was not served.
    pub fn refuse(&self) {
        counts::count(&self.0.counters.refused);
    }

    /// What was pushed since the count was last set back, which is done now with `reset`.
    pub(crate) fn pushed(&self, reset: bool) -> Pushed {
        self.0.pushed(reset)
    }

    /// What the door has done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counters.counts(self.0.open())
    }
}
