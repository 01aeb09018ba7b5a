//! The native API from outside: requests in, responses out, over the router that the server serves.

#![expect(
    clippy::unwrap_used,
    reason = "tests may; clippy sees only #[test] functions as tests"
)]

mod backup;
mod bad_input;
mod door;
mod drains;
mod explain;
mod guard;
mod instances;
mod kept;
mod past;
mod probes;
mod remembered;
mod reports;
mod restart;
mod services;
mod slow_start;
mod time;
mod watch;
