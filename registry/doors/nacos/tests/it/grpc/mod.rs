//! Nacos over gRPC from outside: bytes in, bytes out.
//!
//! Numbers in names of tests are those of the conformance checklist that was made from the sources of Nacos and its
//! clients, observed on the wire; `checklist` looks that none is missing.

mod adversary;
mod basics;
mod batches;
mod checklist;
mod envelope;
mod fuzzy;
mod fuzzy_repeats;
pub(crate) mod harness;
mod instances;
mod liveness;
mod loader;
mod persistent;
mod pushes;
mod refusals;
mod repeats;
mod services;
mod setting_up;
mod starting;
