//! The promises of Beatrix, each tested from outside on real processes: a file for each promise.
//!
//! Every test has a registry of its own on a free port. The programs are not built here: `tests/run` does that.

mod bad_input;
mod clients;
mod config;
mod crash;
mod drain;
mod expiry;
mod load;
mod push;
mod slow_subscriber;
mod stall;
mod stop;
mod udp;
