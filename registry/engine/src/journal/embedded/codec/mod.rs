//! How mutations and pieces of a checkpoint are written as bytes, and read back.
//!
//! The format is our own, compact and versioned: numbers are LEB128, texts have their length before them, each kind of
//! thing begins with a tag. What is read was on a disk, so it is input from outside: names, weights, times and all else
//! are made by the model's own constructors, lengths are checked against what is there, and whatever is left over at the
//! end of a record is an error.
//!
//! - [`frame`]: blocks of records, each with a length and a checksum. It knows what a torn end is.
//! - [`record`]: what is in a record: a committed mutation.
//! - [`piece`]: what is in a record of a checkpoint.
//! - [`instance`], [`service`]: the parts that both share.
//! - [`bytes`]: numbers and texts.
//!
//! Nothing here does I/O.
//!
//! To change the format: raise [`VERSION`], write the new one only, and go on reading the old ones. A number that stands
//! for something is never used again for something else.

pub mod bytes;
pub mod frame;
pub mod instance;
pub mod piece;
pub mod probe;
pub mod record;
pub mod service;
#[cfg(test)]
mod tests;

/// The version of a record's content that is written.
pub const VERSION: u8 = 1;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("it ends too early")]
    Short,
    /// Something is left over.
    #[error("{0} bytes are left over")]
    Left(usize),
    /// A number that stands for something stands for nothing known.
    #[error("{what} {found} is unknown")]
    Unknown {
        /// What it would be.
        what: &'static str,
        /// The number.
        found: u64,
    },
    /// A number or a text is not one.
    #[error("{0} cannot be read")]
    Malformed(&'static str),
    /// A value breaks a rule of the model.
    #[error(transparent)]
    Invalid(#[from] beatrix_core::model::Invalid),
    /// The content has changed since it was written.
    #[error("the checksum does not match")]
    Checksum,
}
