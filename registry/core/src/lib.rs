//! The domain of Beatrix, without I/O, without a clock and without a runtime: time comes in as an argument, changes
//! come out as values. So everything here is tested without sleeping.
//!
//! In the order in which a request meets them:
//!
//! - [`model`]: the words, as types that can only hold what they may.
//! - [`liveness`]: beats and their deadlines, the wheel that fires them, the guard against mass expiry, stalls.
//! - [`catalog`]: which instances there are. Decides what a command would change, applies what was committed.
//! - [`changes`]: the bounded log of changes; answers "what did I miss since revision r".
//!
//! This crate may not touch sockets, files, clocks or the async runtime.

pub mod catalog;
pub mod changes;
pub mod liveness;
pub mod model;
