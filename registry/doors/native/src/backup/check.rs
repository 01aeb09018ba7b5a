//! Reading a whole backup line by line: that it is one, of a version that is known, in order, complete and unharmed.

use beatrix_core::model::Invalid;
use beatrix_wire as wire;

use super::entry::{Entry, Place, entry};

/// What is wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct BadLine {
    /// The number of the line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Follows the lines of a backup. It keeps the last place and the sums, however long the backup is.
#[derive(Debug, Default)]
pub struct Follower {
    line: u64,
    header: Option<wire::BackupHeader>,
    last: Option<Place>,
    sums: wire::BackupEnd,
    crc: crc32fast::Hasher,
    ended: bool,
}

/// Reads one line, without its place among others.
///
/// # Errors
/// Why it cannot be read.
pub fn parse(text: &[u8]) -> Result<wire::BackupLine, String> {
    serde_json::from_slice(text).map_err(|error| format!("cannot be read: {error}"))
}

impl Follower {
    /// Takes the next line, with or without its end. Returns what it says if it is neither the first nor the last.
    ///
    /// # Errors
    /// What is wrong with it, and its number.
    pub fn take(&mut self, text: &[u8]) -> Result<Option<Entry>, BadLine> {
        self.line += 1;
        self.follow(text).map_err(|what| BadLine {
            line: self.line,
            what,
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If the backup's last line is missing: then it was cut.
    pub fn end(&self) -> Result<(), BadLine> {
        if self.ended {
            return Ok(());
        }
        Err(BadLine {
            line: self.line + 1,
            what: "the last line is missing: the backup was cut".into(),
        })
    }

    /// The first line, once it was taken.
    #[must_use]
    pub fn header(&self) -> Option<&wire::BackupHeader> {
        self.header.as_ref()
    }

    /// How many there were of each, so far.
    #[must_use]
    pub fn sums(&self) -> &wire::BackupEnd {
        &self.sums
    }

    fn follow(&mut self, text: &[u8]) -> Result<Option<Entry>, String> {
        if self.ended {
            return Err("there is something behind the last line".into());
        }
        let bare = text.strip_suffix(b"\n").unwrap_or(text);
        let line = if self.header.is_none() {
            return self.begin(bare).map(|()| None);
        } else {
            parse(bare)?
        };
        if let wire::BackupLine::End(end) = line {
            self.check_end(&end)?;
            self.ended = true;
            return Ok(None);
        }
        self.sum(bare);
        let sums = &mut self.sums;
        *match &line {
            wire::BackupLine::Namespace(_) => &mut sums.namespaces,
            wire::BackupLine::Setting(_) => &mut sums.settings,
            wire::BackupLine::Service(_) => &mut sums.services,
            wire::BackupLine::Layer(_) => &mut sums.layers,
            wire::BackupLine::Instance(_) => &mut sums.instances,
            wire::BackupLine::Header(_) => return Err("there is a second header".into()),
            wire::BackupLine::Remove(_) | wire::BackupLine::End(_) => {
                return Err("does not belong into a backup".into());
            }
        } += 1;
        let Some(entry) = entry(line).map_err(|invalid: Invalid| invalid.to_string())? else {
            return Ok(None);
        };
        let place = entry.place();
        if self.last.as_ref().is_some_and(|last| *last >= place) {
            return Err(format!("is out of order, or stands there twice: {place:?}"));
        }
        self.last = Some(place);
        Ok(Some(entry))
    }

    /// Looks at format and version alone before anything else: of a newer one no line may be understood.
    fn begin(&mut self, text: &[u8]) -> Result<(), String> {
        #[derive(serde::Deserialize)]
        struct Version {
            format: String,
            version: u32,
        }
        let found: Version = serde_json::from_slice(text)
            .ok()
            .filter(|found: &Version| found.format == wire::BACKUP_FORMAT)
            .ok_or("this is no backup of Beatrix")?;
        if found.version != wire::BACKUP_VERSION {
            return Err(format!(
                "the backup is of version {}, and this program reads version {}",
                found.version,
                wire::BACKUP_VERSION
            ));
        }
        let wire::BackupLine::Header(header) = parse(text)? else {
            return Err("the first line must be the header".into());
        };
        self.header = Some(header);
        self.sum(text);
        Ok(())
    }

    fn sum(&mut self, bare: &[u8]) {
        self.crc.update(bare);
        self.crc.update(b"\n");
    }

    fn check_end(&mut self, end: &wire::BackupEnd) -> Result<(), String> {
        let found = wire::BackupEnd {
            crc32: format!("{:08x}", self.crc.clone().finalize()),
            ..self.sums.clone()
        };
        if found == *end {
            return Ok(());
        }
        Err("the backup is not what was written: counts or checksum do not match".into())
    }
}
