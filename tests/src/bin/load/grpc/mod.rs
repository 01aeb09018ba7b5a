//! Load of Nacos over gRPC, for a registry and a peer alike. `--addr` is where gRPC is spoken.
//!
//! - [`Push`]: how long until many subscribers were pushed a change.
//! - [`Hold`]: many connections with an instance each, what they cost, and how they go when all are cut at once.
//! - [`Register`], [`Query`]: requests over kept connections, as fast as they are answered.
//!
//! What they are made of:
//!
//! - `client`: a connection that does what an official client does by itself.
//! - `naming`: the requests, and what has to be in the answers.
//! - `fleet`: which instances stand where.
//! - `held`: many connections that can be cut at once.
//! - `watcher`: a subscriber that counts what it is pushed.
//! - `pump`: requests, each as soon as the one before it is answered.
//!
//! Every answer is looked at, and a wrong one ends the load.

mod client;
mod fleet;
mod held;
mod hold;
mod naming;
mod pump;
mod push;
mod query;
mod register;
mod watcher;

pub(crate) use hold::Hold;
pub(crate) use push::Push;
pub(crate) use query::Query;
pub(crate) use register::Register;
