//! A raw Server-Sent Events reader that notes when each event arrived.
//!
//! - [`Stream`]: the connection.
//! - [`Event`]: one event.
//! - [`Mirror`]: what a subscriber of one service knows after the events so far, with the rules of the contract
//!   checked on the way.

mod event;
mod mirror;
mod stream;

pub use event::Event;
pub use mirror::Mirror;
pub use stream::Stream;
