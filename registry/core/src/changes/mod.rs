//! What changed, bounded: the answer to "what did I miss since revision r".
//!
//! The idea is that of Redis's partial resynchronisation: a history has a name (the epoch), a state has a number in
//! it (the revision), and a backlog of bounded length tells the difference between two states as long as it reaches
//! back far enough. Where it does not, a snapshot is the answer, and the reader is told which of the two it got.

mod gap;
mod log;
mod missed;

pub use gap::Gap;
pub(crate) use log::Place;
pub use log::{Change, ChangeKind, ChangeLog};
pub use missed::{Delta, Missed, Removed};
