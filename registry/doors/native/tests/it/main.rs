//! The native API from outside: requests in, responses out, over the router that the server serves.

#![expect(
    clippy::unwrap_used,
    reason = "tests may; clippy sees only #[test] functions as tests"
)]

mod bad_input;
mod door;
mod explain;
mod guard;
mod instances;
mod reports;
mod services;
mod time;
mod watch;
