//! Nacos over gRPC from outside: bytes in, bytes out.
//!
//! Numbers in names of tests are those of the conformance checklist that was made from the sources of Nacos and its
//! clients, observed on the wire.

mod basics;
pub(crate) mod harness;
