//! The Nacos protocol family, so that the clients people already run keep working: the HTTP API under `/nacos`, in all
//! three versions, with push by UDP, and gRPC.
//!
//! An adapter: it parses into the domain's types, calls the [`Registry`], and renders what comes back. In the order in
//! which a request meets them:
//!
//! - `door`: what every handler gets, the registry with the parsed `switches` beside it.
//! - `v1`, `v2`, `v3`: the versions, a file for each resource. They differ in how parameters are spelt and what an answer
//!   looks like, and hold nothing else. `state`, `namespaces`, `members`, `loader`, `login`: what consoles, probes and clients ask in
//!   all versions. `configuration`: what this server is not. `unmatched`: everything else.
//! - `percent`, `params`: parameters from query and form body alike, found in one pass, decoded when asked for.
//! - `service`, `instance`, `metadata`, `checker`: what parameters mean in the domain.
//! - `operations`: what the endpoints do, once for all versions. `beating` and `listing` are the two that are asked most.
//! - `wire`: the JSON of the protocol. `hosts`: the list of hosts, rendered once and shared. `frames`: a body made of
//!   such shared pieces. `reply`, `result`: answers of v1, and framed ones of v2 and v3. `error`: what can go wrong.
//! - [`grpc`]: connections of the clients of Nacos 2.x and 3.x.
//! - [`udp`]: push by datagram, for the clients of Nacos 1.x.
//! - [`limits`]: every limit of this door.
//!
//! # Known differences from Nacos
//!
//! Those of push by datagram are in [`udp`], those of gRPC in [`grpc`].
//!
//! Instances and lists:
//!
//! - A change is visible to the next read; Nacos lets up to 0.6 s pass. Deadlines are exact; Nacos looks every 5 s.
//! - `ip` is an IP address or a host name, in canonical text: IPv6 without brackets, host names in lower case. Nacos
//!   takes any text without white space.
//! - An instance is named by ip and port, in every operation: the cluster is a label (Nacos: for operator overrides
//!   and `GET /instance` it is part of the name; the latter asks for it here as well).
//! - An override ends when the client says goodbye, and ten minutes after its instance was lost (Nacos: one minute
//!   after either).
//! - `DELETE /instance` of an ephemeral instance also removes one that a connection holds (Nacos: only one that beats).
//! - Instances of both kinds in one service are refused here, as in Nacos 2.x. Other doors may register them side by side.
//! - A beat with JSON for an instance that does not live by beats is refused with 400 (Nacos: 500, or a second
//!   instance at the same address).
//! - Whether health may be set by hand is decided on what is there when the request comes. Who changes the checker or the
//!   kind of the instance in that moment may find the health set all the same, until a check or beat says otherwise. In
//!   the same way a new map of metadata replaces the keys that the override had then.
//! - An instance that is drained is not listed, like a disabled one: callers must not use it.
//! - The times in `preserved.*` metadata must be from 1 ms to a day, and are those of the registration: an operator's
//!   metadata is shown but changes no deadline.
//! - Metadata has at most 128 entries, none with an empty key, and a JSON `null` in it becomes the empty text (Nacos: as
//!   many as have room, any key, and `null` stays).
//! - `instanceId` is on every host, also of v2 and v3: the Python client needs it.
//! - After a restart, while the registry may not know all instances yet, the lists that it restored are served, and a list
//!   without hosts is refused with 503 like those of a Nacos that is not up: clients take an empty one as the truth.
//!   Nothing is pushed over UDP until it does, and then to all; the readiness paths follow.
//!
//! - The password of a cluster's `MYSQL` checker is shown to whoever asks for the cluster, since Nacos's JSON has it in the
//!   clear and consoles send back what they got. Give the checker a user who may do nothing but what it asks. The native
//!   API shows it nowhere but in backups.
//!
//! Services, consoles, the server:
//!
//! - A service that has lost its last instance is no longer in the list of services (Nacos: for up to two minutes); the
//!   catalog shows it until it is forgotten, ten minutes later. So long it exists for `POST /service`, too.
//! - A service that was declared is forgotten ten minutes after it was left empty (Nacos: after one to two).
//! - `serviceNameParam` and `groupNameParam` are texts to look for, not pieces of regular expressions.
//! - A selector of type `label` is checked, kept and shown, and chooses nothing, as in a Nacos without CMDB data.
//! - Namespaces that are used are listed, also where nobody declared them.
//! - Names in v2 and v3 may be grouped, as in v1. `GET …/service/names` calls its member `services`, which Nacos does not
//!   from 2.2.1 to 3.1, by mistake.
//! - Switches are the registry's: `debug` does not set one on one node only. `overriddenServerStatus` and `limitedUrlMap`
//!   never shut the paths of the switches themselves, and both go back with `null`. Nobody passes them by his `User-Agent`.
//! - Metrics count as clients who is registered or subscribed; clients by kind and the load of the machine are left out.
//!   `push/state` counts nothing. `operator/log` takes everything and does nothing.
//! - Clients are read from instances and subscribers, and their `lastUpdatedTime` is the time of the answer.
//! - As long as there is no access control, every login succeeds with the token `AUTH_DISABLED`.
//! - The configuration centre is answered with 501 in every version, v2 and v3 in their frame with code 40001.
//!
//! Errors:
//!
//! - Mistakes of clients are 400 where Nacos has 500, since clients take 5xx for a broken server and go on to the next.
//! - Errors of v1 are all plain text. In v2 and v3 those of the check of parameters are bare text, as in Nacos; of them
//!   the length of metadata is framed.
//! - Pages are bounded, see [`limits`]: one that would have more is refused.

mod beating;
mod checker;
mod configuration;
mod door;
mod error;
mod frames;
pub mod grpc;
mod hosts;
mod instance;
pub mod limits;
mod listing;
mod loader;
mod login;
mod members;
mod metadata;
mod namespaces;
mod operations;
mod params;
mod percent;
mod pushed;
mod reply;
mod result;
mod service;
mod state;
mod switches;
pub mod udp;
mod unmatched;
mod v1;
mod v2;
mod v3;
mod wire;

use axum::Router;
use axum::routing::any;
use beatrix_engine::Registry;

use crate::door::Nacos;

/// The paths of the Nacos HTTP API, all under `/nacos`. Nobody is pushed to by datagram.
pub fn router(registry: Registry) -> Router {
    router_beside(registry, None, None)
}

/// The same paths; who asks for lists with a `udpPort` is pushed to by `pusher`, and operators see the connections of
/// `grpc`.
///
/// The paths are written out in full: nesting would copy the URI of every beat.
pub fn router_beside(registry: Registry, pusher: Option<udp::Pusher>, grpc: Option<grpc::Grpc>) -> Router {
    Router::new()
        .merge(v1::routes())
        .merge(v2::routes())
        .merge(v3::routes())
        .merge(login::routes())
        .merge(loader::routes())
        .merge(members::routes())
        .merge(namespaces::routes())
        .merge(configuration::routes())
        .merge(state::routes())
        .route("/nacos", any(unmatched::unmatched))
        .route("/nacos/", any(unmatched::unmatched))
        .route("/nacos/{*path}", any(unmatched::unmatched))
        .method_not_allowed_fallback(unmatched::wrong_method)
        .with_state(Nacos::new(registry, pusher, grpc))
}
