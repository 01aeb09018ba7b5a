//! The native API from outside: requests in, responses out, over the router that the server serves.

mod bad_input;
mod door;
mod instances;
mod services;
mod time;
mod watch;
