//! Where the store's bytes are: a folder, or whatever a test puts in its place.
//!
//! All that the journal asks of a disk goes through here, so that tests can fill it, break it and cut its power.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A place for the store's one file.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens the store's file, or makes it.
    ///
    /// # Errors
    /// The store's.
    fn open(&self, builder: &mut redb::Builder) -> Result<redb::Database, redb::DatabaseError>;

    /// How many bytes are free.
    ///
    /// # Errors
    /// The system's.
    fn free(&self) -> io::Result<u64>;

    /// What to call the file in front of people.
    fn name(&self) -> String;
}

/// A folder of the file system.
#[derive(Debug)]
pub struct Folder {
    folder: PathBuf,
}

/// What the store's file is called.
pub const FILE: &str = "journal.redb";

/// Who may read and write the files: only who runs the registry. Leases are in them, and whoever knows one can beat with it.
pub(super) const FILE_MODE: u32 = 0o600;
/// The same of the folder.
pub(super) const FOLDER_MODE: u32 = 0o700;

impl Folder {
    /// This one, which is there.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }
}

impl Disk for Folder {
    fn open(&self, builder: &mut redb::Builder) -> Result<redb::Database, redb::DatabaseError> {
        let new = !self.file().try_exists()?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.file())?;
        let store = builder.create_with_backend(redb::backends::FileBackend::new(file)?)?;
        if new {
            // The file's name is in the folder, which is synced for itself.
            File::open(&self.folder)?.sync_all()?;
        }
        Ok(store)
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn name(&self) -> String {
        self.file().display().to_string()
    }
}
