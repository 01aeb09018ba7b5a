//! The server: wiring of engine and doors, configuration, logs. The binary is a thin `main` over this.
//!
//! - [`backup`]: `beatrix export` and `beatrix import`.
//! - [`config`]: every key, from file, environment and flags.
//! - [`logs`]: structured logs.
//! - [`serve`]: starts everything, and stops it in order.
//! - `start`: the registry with its journal.
//! - `listener`: the accept loop, with its bound on connections.
//! - `metrics`: `/metrics`, in the text format of Prometheus.
//! - `probes`: `/livez` and `/readyz`.
//! - `asking`: probes of instances, plugged into the engine.
//! - `report`: a log line for each change, in bounded number.

mod asking;
pub mod backup;
pub mod config;
mod listener;
pub mod logs;
mod metrics;
mod probes;
mod report;
pub mod serve;
mod start;
