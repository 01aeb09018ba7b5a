//! `beatrix export` and `beatrix import`: backups of a registry that runs, over its native API. `registry/BACKUP.md`
//! describes both and the format.
//!
//! - `lines`: whole lines out of what comes in pieces, bounded. - `api`: the two requests. - `export`; `import`: checks the
//!   whole backup before it sends anything; `replace`: what a backup does not name.
//!
//! A backup may be larger than memory: nothing here holds more of it than some lines.

mod api;
mod export;
mod import;
mod lines;
mod replace;

use std::path::PathBuf;

pub use lines::{LineTooLong, Lines};

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// `beatrix export`.
    Export(Export),
    /// `beatrix import`.
    Import(Import),
}

/// How to export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Where the registry listens.
    pub url: String,
    /// Only this namespace.
    pub namespace: Option<String>,
    /// The file to write, for its owner alone; standard output if there is none.
    pub output: Option<PathBuf>,
}

/// How to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// Where the registry listens.
    pub url: String,
    /// The file to read; standard input if there is none.
    pub input: Option<PathBuf>,
    /// Whether what the backup does not name is taken away.
    pub replace: bool,
    /// Whether instances that beat are left out.
    pub persistent_only: bool,
    /// Whether nothing is changed.
    pub dry_run: bool,
}

/// Does it. Returns what to tell, and whether everything went well.
///
/// # Errors
/// If the backup is not one, or was cut, or the registry cannot be reached or refuses.
pub async fn run(job: Job) -> anyhow::Result<(String, bool)> {
    match job {
        Job::Export(wanted) => export::run(wanted).await.map(|told| (told, true)),
        Job::Import(wanted) => import::run(wanted).await,
    }
}
