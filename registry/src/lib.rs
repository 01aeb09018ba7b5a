//! The server: wiring of engine and doors, configuration, logs. The binary is a thin `main` over this.
//!
//! - [`config`]: every key, from file, environment and flags.
//! - [`logs`]: structured logs.
//! - [`serve`]: starts everything, and stops it in order.
//! - `start`: the registry with its journal.
//! - `listener`: the accept loop, with its bound on connections.
//! - `probes`: `/livez` and `/readyz`.
//! - `report`: a log line for each change, in bounded number.

pub mod config;
mod listener;
pub mod logs;
mod probes;
mod report;
pub mod serve;
mod start;
