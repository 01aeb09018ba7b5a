//! The SDK against a mock registry that speaks the native API on a real socket.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod mock;
mod read;
mod registration;
mod reports;
mod shutdown;
mod watch;
