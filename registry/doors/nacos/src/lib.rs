//! The Nacos protocol family, so that the clients people already run keep working. Now: the HTTP API under `/nacos`.
//!
//! An adapter: it parses into the domain's types, calls the [`Registry`], and renders what comes back. In the order in
//! which a request meets them:
//!
//! - `percent`, `params`: parameters from query and form body alike, found in one pass, decoded when asked for.
//! - `service`, `instance`, `metadata`: what the parameters of several resources mean in the domain.
//! - `v1`: the API of the 1.x clients, a file for each resource. `state`: what probes and consoles poll.
//!   `unmatched`: everything else.
//! - `wire`: the JSON of the protocol. `hosts`: the list of hosts, rendered once and shared. `frames`: a body made of
//!   such shared pieces. `reply`: ready-made answers. `error`: what can go wrong.
//! - [`udp`]: push by datagram, for the clients of Nacos 1.x.
//! - [`limits`]: every limit of this door.
//!
//! # Known differences from Nacos
//!
//! - A change is visible to the next read; Nacos lets up to 0.6 s pass. Deadlines are exact; Nacos looks every 5 s.
//! - `ip` is an IP address or a host name, in canonical text: IPv6 without brackets, host names in lower case. Nacos
//!   takes any text without white space.
//! - An instance is named by ip and port, in every operation: the cluster is a label (Nacos: for operator overrides
//!   and `GET /instance` it is part of the name; the latter asks for it here as well).
//! - `PUT /instance` needs the instance, not only the service: there is no override without anything to override. An
//!   override ends when the client says goodbye, and ten minutes after its instance was lost (Nacos: one minute
//!   after either).
//! - `DELETE /instance` of an ephemeral instance also removes one that a connection holds (Nacos: only one that beats).
//! - A persistent instance keeps the health that it was registered with, or that somebody set: active checks are not
//!   made yet. Persistent and ephemeral instances may share a service, as in Nacos 1.x.
//! - A beat with JSON for an instance that does not live by beats is refused with 400 (Nacos: 500, or a second
//!   instance at the same address).
//! - An instance that is drained is not listed, like a disabled one: callers must not use it.
//! - The times in `preserved.*` metadata must be from 1 ms to a day, and are those of the registration: an operator's
//!   metadata is shown but changes no deadline.
//! - A service that has lost its last instance is no longer in the list of services (Nacos: for up to two minutes).
//! - Mistakes of clients are 400 where Nacos has 500, since clients take 5xx for a broken server and go on to the next.
//!   Errors of v1 are all plain text.
//! - While the registry may not know all instances yet, lists are refused with 503 like those of a Nacos that is not
//!   up, instead of being served incomplete.

mod error;
mod frames;
mod hosts;
mod instance;
pub mod limits;
mod metadata;
mod params;
mod percent;
mod reply;
mod service;
mod state;
pub mod udp;
mod unmatched;
mod v1;
mod wire;

use axum::Router;
use axum::routing::any;
use beatrix_engine::Registry;

/// The paths of the Nacos HTTP API, all under `/nacos`. Nobody is pushed to by datagram.
pub fn router(registry: Registry) -> Router {
    routes(registry, None)
}

/// The same paths; who asks for lists with a `udpPort` is pushed to by `pusher`.
pub fn router_with_push(registry: Registry, pusher: udp::Pusher) -> Router {
    routes(registry, Some(pusher))
}

/// The paths are written out in full: nesting would copy the URI of every beat.
fn routes(registry: Registry, pusher: Option<udp::Pusher>) -> Router {
    Router::new()
        .merge(v1::routes(pusher))
        .merge(state::routes())
        .route("/nacos", any(unmatched::unmatched))
        .route("/nacos/", any(unmatched::unmatched))
        .route("/nacos/{*path}", any(unmatched::unmatched))
        .method_not_allowed_fallback(unmatched::wrong_method)
        .with_state(registry)
}
