//! The Nacos door from outside: requests in, answers out, over a registry on paused time.
//!
//! The numbers are those of the conformance checklist that was made from the sources of Nacos 2.x and its clients.

mod beat;
mod deregister;
mod harness;
mod list;
mod property;
mod register;
mod server;
mod update;
