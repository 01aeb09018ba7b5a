//! Blocks: a header, and records with a length and a checksum each.
//!
//! ```text
//! block   magic "BXJ1" · kind u8 · 3 bytes of zero · records u32 · last revision u64 · last time u64
//!         · bytes of the log before it u64 · crc32 of all that u32
//! record  length u32 · crc32 of length and content u32 · content
//! ```
//!
//! All little-endian. A block is written at once, so that its header can tell what is in it; a reader believes the header
//! only if its checksum is right and the records bear it out.

use beatrix_core::model::{Revision, Wall};

use super::DecodeError;

const MAGIC: [u8; 4] = *b"BXJ1";
/// How many bytes a block's header takes.
pub const HEADER: usize = 40;
/// How many bytes stand before a record's content.
pub const RECORD_HEADER: usize = 8;
/// From how many bytes on a block is full. A store that gives values a power of two of pages wastes nothing if it stays
/// a little below one.
pub const BLOCK_BYTES: usize = 1_000_000;

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Committed mutations.
    Log,
    /// Pieces of a checkpoint.
    Checkpoint,
    /// What the journal knows about itself.
    Meta,
}

/// What the header of a block says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the block holds.
    pub kind: Kind,
    /// How many records.
    pub records: u32,
    /// The revision of the last one; in a checkpoint 0.
    pub last: Revision,
    /// When the last one was proposed; in a checkpoint 0.
    pub at: Wall,
    /// How many bytes of log were ever written before it; so that the first and the last block tell how long the log
    /// is. In a checkpoint 0.
    pub offset: u64,
}

/// A block that is being written.
#[derive(Debug)]
pub struct Block {
    bytes: Vec<u8>,
    header: Header,
}

impl Block {
    /// An empty one.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            bytes: vec![0; HEADER],
            header: Header {
                kind,
                records: 0,
                last: Revision::ZERO,
                at: Wall(0),
                offset: 0,
            },
        }
    }

    /// Adds a record that `put` writes.
    pub fn add(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; RECORD_HEADER]);
        put(&mut self.bytes);
        let (_, record) = self.bytes.split_at_mut(start);
        let (header, content) = record.split_at_mut(RECORD_HEADER);
        // A record of 4 GiB cannot come about: all that is in it is bounded.
        let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_le_bytes();
        let crc = checksum(length, content);
        header[..4].copy_from_slice(&length);
        header[4..].copy_from_slice(&crc.to_le_bytes());
        self.header.records += 1;
    }

    /// Adds a record of the log, which is as of `revision`.
    pub fn add_at(&mut self, revision: Revision, at: Wall, put: impl FnOnce(&mut Vec<u8>)) {
        self.add(put);
        self.header.last = revision;
        self.header.at = at;
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.header.records == 0
    }

    /// How many records there are.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.header.records.into()
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the next record belongs into another block.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BLOCK_BYTES
    }

    /// The revision of the last record.
    #[must_use]
    pub fn last(&self) -> Revision {
        self.header.last
    }

    /// When the last record was proposed.
    #[must_use]
    pub fn at(&self) -> Wall {
        self.header.at
    }

    /// The block as it is stored, with so many bytes of log before it.
    #[must_use]
    pub fn into_bytes(mut self, offset: u64) -> Vec<u8> {
        self.header.offset = offset;
        let header = self.header.encode();
        self.bytes[..HEADER].copy_from_slice(&header);
        self.bytes
    }
}

impl Header {
    fn encode(&self) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[..4].copy_from_slice(&MAGIC);
        header[4] = match self.kind {
            Kind::Log => 0,
            Kind::Checkpoint => 1,
            Kind::Meta => 2,
        };
        header[8..12].copy_from_slice(&self.records.to_le_bytes());
        header[12..20].copy_from_slice(&self.last.0.to_le_bytes());
        header[20..28].copy_from_slice(&self.at.0.to_le_bytes());
        header[28..36].copy_from_slice(&self.offset.to_le_bytes());
        let crc = crc32fast::hash(&header[..36]);
        header[36..].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// Reads the header of a block.
    ///
    /// # Errors
    /// If there is none, or it has changed since it was written.
    pub fn read(block: &[u8]) -> Result<Self, DecodeError> {
        let header: &[u8; HEADER] = block.first_chunk().ok_or(DecodeError::Short)?;
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let half = |at: usize| (word(at - 4) >> 32) as u32;
        if header[..4] != MAGIC {
            return Err(DecodeError::Malformed("the beginning of a block"));
        }
        if half(36) != crc32fast::hash(&header[..36]) {
            return Err(DecodeError::Checksum);
        }
        Ok(Self {
            kind: match header[4] {
                0 => Kind::Log,
                1 => Kind::Checkpoint,
                2 => Kind::Meta,
                other => return Err(super::bytes::unknown("the kind of block", other)),
            },
            records: half(8),
            last: Revision(word(12)),
            at: Wall(word(20)),
            offset: word(28),
        })
    }
}

/// The records of a block, as far as they are whole. After the first that is not there are no more.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    left: u32,
    whole: usize,
}

impl<'a> Frames<'a> {
    /// Of a block of this kind.
    ///
    /// # Errors
    /// If it has no good header, or is of another kind.
    pub fn new(block: &'a [u8], kind: Kind) -> Result<Self, DecodeError> {
        let header = Header::read(block)?;
        if header.kind != kind {
            return Err(DecodeError::Malformed("the kind of block"));
        }
        Ok(Self {
            rest: block.get(HEADER..).unwrap_or_default(),
            left: header.records,
            whole: HEADER,
        })
    }

    /// How many bytes, from the beginning of the block, were whole so far.
    #[must_use]
    pub fn whole(&self) -> usize {
        self.whole
    }

    /// How many records the header tells of that have not come.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.left
    }

    fn record(&mut self) -> Result<&'a [u8], DecodeError> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or(DecodeError::Short)?;
        let (crc, rest) = rest.split_first_chunk::<4>().ok_or(DecodeError::Short)?;
        let bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (content, rest) = rest.split_at_checked(bytes).ok_or(DecodeError::Short)?;
        if checksum(*length, content) != u32::from_le_bytes(*crc) {
            return Err(DecodeError::Checksum);
        }
        self.rest = rest;
        self.whole += RECORD_HEADER + bytes;
        Ok(content)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            // What is left over was not written by us.
            let left = std::mem::take(&mut self.rest).len();
            return (left > 0).then_some(Err(DecodeError::Left(left)));
        }
        let record = self.record();
        match record {
            Ok(_) => self.left -= 1,
            Err(_) => {
                self.left = 0;
                self.rest = &[];
            }
        }
        Some(record)
    }
}

/// With the length, so that zeros are no record.
fn checksum(length: [u8; 4], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(content);
    hasher.finalize()
}
