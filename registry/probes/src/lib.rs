//! How the registry asks an instance whether it is well: one question, one answer, one verdict.
//!
//! What to ask stands in `beatrix_core::model::ProbeSpec`. This package opens the connection, asks, and says what came of
//! it. It knows nothing of schedules, of rise and fall, or of the engine. In the order in which a probe meets them:
//!
//! - [`Prober`]: the way of a probe, and the one deadline of all of it.
//! - [`targets`](Network): which addresses may be dialled at all.
//! - [`Resolve`]: host names. What was checked is what is dialled.
//! - `dial`, `wire`, `tls`: a connection, a bounded exchange over it, and whom to trust.
//! - `http`, `grpc`, `mysql`, `redis`: what each kind asks, and which answer is good.
//! - [`Verdict`], [`ProbeOutcome`]: what came of it.
//!
//! What always holds:
//!
//! - A probe dials the address that the instance is registered with, and no other: no redirect is followed, no proxy is
//!   asked, no name is resolved twice.
//! - A probe ends by its timeout, whatever the other side does, and reads at most [`ANSWER_BYTES_MAX`] of an answer; of the
//!   head of one by HTTP, what the library bears, some 400 KiB.
//! - Nothing of an answer is shown but numbers and texts of our own: what a stranger's server says goes into no log.
//! - A probe that is dropped takes its connection along.

mod dial;
mod finding;
mod grpc;
mod http;
mod mysql;
mod outcome;
mod prober;
mod redis;
mod resolve;
mod targets;
mod tls;
mod wire;

#[cfg(test)]
mod tests;

pub use outcome::{ProbeOutcome, Verdict};
pub use prober::{Prober, ProberConfig};
pub use resolve::{LOOKUPS_MAX, LOOKUPS_OF_DOMAIN_MAX, Resolve, Resolved, SystemResolver};
pub use targets::{Network, OwnAddresses};
pub use wire::ANSWER_BYTES_MAX;
