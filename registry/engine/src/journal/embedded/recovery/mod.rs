//! What the store still knows: read, checked and handed on.
//!
//! First the end of the log is looked at. A record there that is cut or does not match its checksum was being written
//! when the power went: it is cut off, with all after it in its block, and reported. The same anywhere else, or in a
//! checkpoint, is damage: then the journal refuses to open and says where, since to leave out something in the middle
//! would be to invent a state that never was. That no block is missing is seen by the revisions, which follow each
//! other. Nor was being written what was there already when a checkpoint was finished, or when the journal was closed in
//! order: damage there is refused, also at the end.

mod tail;

use std::sync::Arc;

use beatrix_core::catalog::{Committed, Piece};
use beatrix_core::model::{Revision, Wall};
use tokio::sync::mpsc;

use crate::journal::{Gap, Known};

use super::codec::DecodeError;
use super::codec::frame::{Frames, Header, Kind};
use super::codec::piece::Pieces;
use super::codec::record::Records;
use super::disk::Disk;
use super::meta::{Checkpoint, Meta, add_span, is_spanned};
use super::store::{Batch, Store, StoreError};
use super::writer::Place;
use super::{EmbeddedConfig, OpenError};
use tail::Tail;

/// How many records are handed over at once.
const PORTION: usize = 1024;
/// How many portions may wait: what is decoded while the catalog is busy with the one before.
pub const PORTIONS: usize = 8;

/// What was found, besides the content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether the process before closed the journal in order.
    pub closed: bool,
    /// Whether the store had to repair itself. What its last, unfinished transaction was to write is gone.
    pub repaired: bool,
    /// Bytes that were cut off the end of the log.
    pub cut_bytes: u64,
    /// Records that were cut off; at least one if anything was. There may have been more where the header of their block
    /// was cut, too.
    pub cut_records: u64,
    /// How many pieces of a checkpoint were read.
    pub pieces: u64,
    /// How many mutations were read after it.
    pub mutations: u64,
    /// Bytes of both.
    pub bytes: u64,
}

/// All that is known after a restart, besides the content.
#[derive(Debug)]
pub struct Recovered {
    /// What the journal knows about itself, as it is written now.
    pub meta: Meta,
    /// Where the log ends.
    pub place: Place,
    /// The newest revision that may have been given out.
    pub newest: Revision,
    /// The number of the next checkpoint.
    pub next_checkpoint: u64,
    /// What was found.
    pub report: Report,
}

/// Where the content goes, in portions. Fails if nobody wants more.
pub type Portions = mpsc::Sender<Vec<Known>>;

/// Reads everything and sends it to `into`.
///
/// # Errors
/// If something is damaged, or cannot be read.
pub fn recover(
    store: &Store,
    disk: &Arc<dyn Disk>,
    config: &EmbeddedConfig,
    into: &Portions,
) -> Result<Recovered, OpenError> {
    let damage = Damage { disk };
    let mut report = Report {
        repaired: store.repaired(),
        ..Report::default()
    };
    let (meta, is_new) = match store.meta()? {
        Some(bytes) => (
            Meta::decode(&bytes).map_err(|error| damage.at("what the journal knows about itself", &error))?,
            false,
        ),
        None => (Meta::new(config.epoch), true),
    };
    let end = Tail::look(store, &damage)?;
    report.cut_bytes = end.cut_bytes;
    report.cut_records = end.cut_records;

    let mut sending = Sending::new(into);
    let checkpoint = meta.checkpoints.last();
    if let Some(checkpoint) = checkpoint {
        report.bytes += read_checkpoint(store, checkpoint, &damage, &mut |piece| {
            report.pieces += 1;
            sending.send(Known::Piece(piece))
        })?;
    }
    let as_of = checkpoint.map_or(Revision::ZERO, |checkpoint| checkpoint.as_of);
    let mut reading = Reading::new(as_of, &meta.gaps, &damage);
    let log = store.log()?;
    let mut checkpoint_offset = None;
    for block in log.from(log.start_after(as_of)?)? {
        let (first, bytes) = block?;
        let whole = if end.last == Some(first) {
            end.whole.as_deref()
        } else {
            Some(bytes.as_slice())
        };
        let Some(bytes) = whole else { break };
        checkpoint_offset = checkpoint_offset.or(Header::read(bytes).ok().map(|header| header.offset));
        report.bytes += bytes.len() as u64;
        reading.block(first, bytes, &mut |committed| {
            report.mutations += 1;
            sending.send(Known::Committed(committed))
        })?;
    }
    sending.flush()?;

    let written = reading.newest.max(end.written);
    let reaches =
        |revision: Revision| written >= revision || is_spanned(&meta.gaps, written, revision.next());
    // A checkpoint was finished, and the journal was closed, together with all that had been committed by then. Where this
    // is not there any more no write was torn: it had been synced.
    let promised = checkpoint.map(|checkpoint| checkpoint.until);
    if let Some(until) = promised.max(meta.closed_at)
        && !reaches(until)
    {
        return Err(damage.missing(written, until));
    }
    report.closed = meta.closed_at.is_some() && !end.is_cut();
    let place = Place {
        written,
        at: end.at.max(checkpoint.map_or(Wall(0), |checkpoint| checkpoint.at)),
        offset: end.offset,
        checkpoint_offset: checkpoint_offset.unwrap_or(end.offset),
    };
    let found = Found { meta, is_new, place };
    begin(store, &damage, config, found, &end, report)
}

/// What the journal knew about itself, and where its log ends.
struct Found {
    meta: Meta,
    is_new: bool,
    place: Place,
}

/// Writes that the journal is in use: what is cut, the gap, and revisions to give out.
fn begin(
    store: &Store,
    damage: &Damage<'_>,
    config: &EmbeddedConfig,
    found: Found,
    end: &Tail,
    report: Report,
) -> Result<Recovered, OpenError> {
    let Found {
        mut meta,
        is_new,
        place,
    } = found;
    let newest = if report.closed || is_new {
        meta.closed_at.unwrap_or(place.written)
    } else {
        let lost = Gap {
            after: place.written,
            until: meta.ceiling,
        };
        add_span(&mut meta.gaps, lost);
        meta.ceiling.max(place.written)
    };
    meta.closed_at = None;
    meta.ceiling = Revision(newest.0 + config.revisions_reserved);
    let mut batch = Batch {
        meta: Some(meta.encode()),
        ..Batch::default()
    };
    if let (Some(first), true) = (end.last, end.is_cut()) {
        batch.cut_after = Some(Revision(first.0.saturating_sub(1)));
        batch.log.extend(end.whole.clone().map(|whole| (first, whole)));
    }
    store.write(&batch).map_err(|error| OpenError::NotWritable {
        file: damage.disk.name(),
        error,
    })?;
    Ok(Recovered {
        next_checkpoint: meta.next_checkpoint(&store.checkpoint_numbers()?),
        meta,
        place,
        newest,
        report,
    })
}

/// Reads the pieces of a checkpoint. Returns how many bytes they took.
///
/// # Errors
/// If one of them is damaged or missing; and those of `send`.
pub fn read_checkpoint(
    store: &Store,
    checkpoint: &Checkpoint,
    damage: &Damage<'_>,
    send: &mut dyn FnMut(Piece) -> Result<(), OpenError>,
) -> Result<u64, OpenError> {
    let mut pieces = Pieces::default();
    let mut next = 0;
    let mut total = 0;
    let name = |block: u32| format!("block {block} of checkpoint {}", checkpoint.number);
    for block in store.checkpoint(checkpoint.number, checkpoint.blocks)? {
        let (number, bytes) = block?;
        if number != next {
            break;
        }
        next += 1;
        total += bytes.len() as u64;
        let frames =
            Frames::new(&bytes, Kind::Checkpoint).map_err(|error| damage.at(&name(number), &error))?;
        for record in frames {
            let piece = record.and_then(|record| pieces.read(record));
            send(piece.map_err(|error| damage.at(&name(number), &error))?)?;
        }
    }
    if next != checkpoint.blocks {
        return Err(damage.gone(&name(next)));
    }
    Ok(total)
}

/// Reads blocks of the log in order, and sees that none is missing.
#[derive(Debug)]
pub struct Reading<'a> {
    /// What is at or before it is left out.
    after: Revision,
    /// The newest revision that was read.
    pub newest: Revision,
    spans: &'a [Gap],
    damage: &'a Damage<'a>,
    records: Records,
}

impl<'a> Reading<'a> {
    /// What comes after `after`. Revisions may be missing in `spans` only.
    #[must_use]
    pub fn new(after: Revision, spans: &'a [Gap], damage: &'a Damage<'a>) -> Self {
        Self {
            after,
            newest: after,
            spans,
            damage,
            records: Records::default(),
        }
    }

    /// Reads the block that begins with `first`.
    ///
    /// # Errors
    /// If it is damaged, or one is missing before it; and those of `send`.
    pub fn block(
        &mut self,
        first: Revision,
        bytes: &[u8],
        send: &mut dyn FnMut(Committed) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let mut expected = first;
        let frames = Frames::new(bytes, Kind::Log).map_err(|error| self.damage.in_log(first, &error))?;
        for record in frames {
            let committed = record.and_then(|record| self.records.read(record));
            let committed = committed.map_err(|error| self.damage.in_log(first, &error))?;
            let revision = committed.revision;
            if revision != expected {
                return Err(self.damage.in_log(first, &DecodeError::Malformed("a revision")));
            }
            expected = expected.next();
            if revision <= self.after {
                continue;
            }
            if revision != self.newest.next() && !is_spanned(self.spans, self.newest, revision) {
                return Err(self.damage.missing(self.newest, revision));
            }
            self.newest = revision;
            send(committed)?;
        }
        Ok(())
    }
}

/// Hands over what was read, in portions.
#[derive(Debug)]
struct Sending<'a> {
    into: &'a Portions,
    portion: Vec<Known>,
}

impl<'a> Sending<'a> {
    fn new(into: &'a Portions) -> Self {
        Self {
            into,
            portion: Vec::with_capacity(PORTION),
        }
    }

    fn send(&mut self, known: Known) -> Result<(), OpenError> {
        self.portion.push(known);
        if self.portion.len() >= PORTION {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), OpenError> {
        let portion = std::mem::replace(&mut self.portion, Vec::with_capacity(PORTION));
        self.into.blocking_send(portion).map_err(|_| OpenError::Stopped)
    }
}

/// Says what is damaged, and what to do about it.
#[derive(Debug)]
pub struct Damage<'a> {
    /// Whose file it is.
    pub disk: &'a Arc<dyn Disk>,
}

impl Damage<'_> {
    /// Something cannot be read.
    pub fn at(&self, place: &str, error: &DecodeError) -> OpenError {
        OpenError::Damaged {
            file: self.disk.name(),
            what: format!("{place}: {error}"),
        }
    }

    /// A block of the log cannot be read.
    pub fn in_log(&self, first: Revision, error: &DecodeError) -> OpenError {
        self.at(
            &format!("the block of the log that begins with revision {first}"),
            error,
        )
    }

    fn gone(&self, place: &str) -> OpenError {
        OpenError::Damaged {
            file: self.disk.name(),
            what: format!("{place} is missing"),
        }
    }

    fn missing(&self, after: Revision, before: Revision) -> OpenError {
        self.gone(&format!(
            "what was committed after revision {after} and up to {before}"
        ))
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
