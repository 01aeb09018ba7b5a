//! The promises of Beatrix, each tested from outside on real processes: a file for each promise.
//!
//! Every test has a registry of its own on a free port, but for those of probes, which have the servers that are asked.
//! The programs are not built here: `tests/run` does that.

mod backup;
mod bad_input;
mod clients;
mod config;
mod crash;
mod drain;
mod expiry;
mod guard;
mod load;
mod metrics;
mod nacos_grpc;
mod nacos_grpc_load;
mod probed;
mod probes;
mod push;
mod reports;
mod slow_start;
mod slow_subscriber;
mod stall;
mod stop;
mod storage;
mod udp;
