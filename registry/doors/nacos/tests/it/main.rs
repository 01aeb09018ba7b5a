//! The Nacos door from outside: requests in, answers out, over a registry on paused time.
//!
//! The numbers are those of the conformance checklist that was made from the sources of Nacos 2.x and its clients.

#![expect(clippy::unwrap_used, reason = "a test that fails shall say so where it does")]

mod beat;
mod checklist;
mod deregister;
mod endpoints;
mod golden;
mod grpc;
mod harness;
mod kept;
mod list;
mod operators;
mod peers;
mod property;
mod register;
mod restart;
mod server;
mod slow_start;
mod udp;
mod update;
