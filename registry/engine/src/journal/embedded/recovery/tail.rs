//! The end of the log, as far as it is whole.

use beatrix_core::model::{Revision, Wall};

use super::{Damage, OpenError};
use crate::journal::embedded::codec::frame::{Block, Frames, Header, Kind};
use crate::journal::embedded::codec::record::Records;
use crate::journal::embedded::store::Store;

/// The end of the log.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// The first revision of the last block.
    pub(super) last: Option<Revision>,
    /// What is whole of it; `None` if nothing is.
    pub(super) whole: Option<Vec<u8>>,
    /// The last revision of that, or of the block before.
    pub(super) written: Revision,
    pub(super) at: Wall,
    /// How many bytes of log there are up to there.
    pub(super) offset: u64,
    pub(super) cut_bytes: u64,
    pub(super) cut_records: u64,
}

impl Tail {
    pub(super) fn is_cut(&self) -> bool {
        self.cut_records > 0
    }

    pub(super) fn look(store: &Store, damage: &Damage<'_>) -> Result<Self, OpenError> {
        let log = store.log()?;
        let Some((first, bytes)) = log.last()? else {
            return Ok(Self::default());
        };
        let mut tail = Self {
            last: Some(first),
            ..Self::default()
        };
        let before = match first.0.checked_sub(1) {
            Some(before) => log.at(Revision(before))?,
            None => None,
        };
        if let Some((first, bytes)) = before {
            let header = Header::read(&bytes).map_err(|error| damage.in_log(first, &error))?;
            tail.written = header.last;
            tail.at = header.at;
            tail.offset = header.offset + bytes.len() as u64;
        }
        let (whole, records) = whole_records(&bytes);
        let kept = whole.as_ref().map_or(0, Vec::len);
        if whole.as_ref() != Some(&bytes) {
            let claimed = Header::read(&bytes).map_or(0, |header| u64::from(header.records));
            // Where the header itself is cut nobody knows how many there were; there was one.
            tail.cut_records = claimed.saturating_sub(records).max(1);
            tail.cut_bytes = bytes.len().saturating_sub(kept) as u64;
        }
        if let Some(whole) = &whole {
            let header = Header::read(whole).map_err(|error| damage.in_log(first, &error))?;
            tail.written = header.last;
            tail.at = tail.at.max(header.at);
            tail.offset = header.offset + whole.len() as u64;
        }
        tail.whole = whole;
        Ok(tail)
    }
}

/// The block as far as its records are whole, and how many they are.
fn whole_records(bytes: &[u8]) -> (Option<Vec<u8>>, u64) {
    let Ok(header) = Header::read(bytes) else {
        return (None, 0);
    };
    let Ok(frames) = Frames::new(bytes, Kind::Log) else {
        return (None, 0);
    };
    let mut block = Block::new(Kind::Log);
    let mut records = Records::default();
    let mut torn = false;
    for record in frames {
        let read = record.and_then(|record| Ok((record, records.read(record)?)));
        let Ok((record, committed)) = read else {
            torn = true;
            break;
        };
        block.add_at(committed.revision, committed.at, |out| {
            out.extend_from_slice(record);
        });
    }
    let count = block.records();
    match (torn, count) {
        (false, _) => (Some(bytes.to_vec()), count),
        (true, 0) => (None, 0),
        (true, _) => (Some(block.into_bytes(header.offset)), count),
    }
}
