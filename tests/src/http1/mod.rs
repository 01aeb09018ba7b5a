//! A small HTTP/1.1 client over one TCP connection.
//!
//! It is written by hand for two reasons: a load program must cost less than what it measures, and a test of bad
//! input must be able to send bytes that a decent client refuses to send.
//!
//! - [`Request`]: the bytes to send.
//! - [`Connection`]: sends them and reads the answer; kept alive, no pipelining, addresses of this machine only.
//! - [`Head`]: status and headers of an answer.
//! - [`body`]: where an answer ends: by length, by chunks, or with the connection.

pub mod body;
mod connection;
mod head;
mod request;

pub use connection::{Connection, Response, get, send, stays_here};
pub use head::Head;
pub use request::Request;
