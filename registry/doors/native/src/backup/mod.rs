//! Backups: everything that a registry knows as JSON lines, and back. `registry/BACKUP.md` describes the format.
//!
//! - [`entry`]: what a line means in the domain. - [`mod@write`]: pieces of a catalog to lines. - [`check`]: the lines of a whole
//!   backup, in order, complete and unharmed. - `export`, `import`: the two requests.
//!
//! The command line reads and writes the same lines by the same code.

pub mod check;
pub mod entry;
pub(crate) mod export;
pub(crate) mod import;
pub mod write;

/// How many bytes a line of a backup may have, and the body of an import. The longest are those of services with many
/// clusters.
pub const IMPORT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a client may neither send nor read of a backup before it is given up.
pub(crate) const STILL_MAX: std::time::Duration = std::time::Duration::from_secs(30);
