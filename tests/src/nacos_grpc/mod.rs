//! Nacos over gRPC as its clients speak it, message by message: one connection, its unary calls and its stream.
//!
//! It knows nothing of what an official client does by itself (no health checks, no acknowledgements), so that a test
//! says each word, and can leave any unsaid.

mod connection;
mod stream;

pub use connection::{Answer, Connection};
pub use stream::{Pushed, Stream};
