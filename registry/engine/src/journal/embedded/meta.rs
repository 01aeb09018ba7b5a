//! What the journal knows about itself: one small record, written with what it tells about.

use beatrix_core::model::{Epoch, Revision, Wall};

use crate::journal::Gap;

use super::codec::bytes::{Reader, put_len, put_number, put_option, unknown};
use super::codec::frame::{Block, Frames, Kind};
use super::codec::{DecodeError, VERSION};

/// How many gaps, and how many holes, are told apart. Beyond, the two closest become one.
pub const SPANS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The history's name.
    pub epoch: Epoch,
    /// No revision above this one has been given out.
    pub ceiling: Revision,
    /// The newest revision, if the journal was closed in order and nothing has been written since.
    pub closed_at: Option<Revision>,
    /// Revisions that were lost in crashes, or never given out.
    pub gaps: Vec<Gap>,
    /// Revisions that happened and are not in the log, since the disk failed: a checkpoint has what became of them.
    pub holes: Vec<Gap>,
    /// The checkpoints that are whole, oldest first; the last is the one to start from.
    pub checkpoints: Vec<Checkpoint>,
}

/// A checkpoint that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// Its number.
    pub number: u64,
    /// The log is needed after this revision.
    pub as_of: Revision,
    /// Nothing in it is of a later revision.
    pub until: Revision,
    /// When it was finished, by the time of the newest record.
    pub at: Wall,
    /// Of how many blocks it is.
    pub blocks: u32,
    /// How many bytes they take.
    pub bytes: u64,
}

impl Meta {
    /// Of a history that begins.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            ceiling: Revision::ZERO,
            closed_at: None,
            gaps: Vec::new(),
            holes: Vec::new(),
            checkpoints: Vec::new(),
        }
    }

    /// The number of the next checkpoint, if there are blocks of these. One that was given up is not among those that
    /// are whole, and its blocks may still be there: no other may have its number, or they would be taken for its own.
    #[must_use]
    pub fn next_checkpoint(&self, left: &[u64]) -> u64 {
        let whole = self.checkpoints.last().map(|last| last.number);
        whole
            .max(left.last().copied())
            .map_or(1, |last| last.saturating_add(1))
    }

    /// As it is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut block = Block::new(Kind::Meta);
        block.add(|out| {
            out.push(VERSION);
            put_number(out, self.epoch.0);
            put_number(out, self.ceiling.0);
            put_option(out, self.closed_at, |out, at| put_number(out, at.0));
            for spans in [&self.gaps, &self.holes] {
                put_len(out, spans.len());
                for span in spans {
                    put_number(out, span.after.0);
                    put_number(out, span.until.0);
                }
            }
            put_len(out, self.checkpoints.len());
            for checkpoint in &self.checkpoints {
                put_number(out, checkpoint.number);
                put_number(out, checkpoint.as_of.0);
                put_number(out, checkpoint.until.0);
                put_number(out, checkpoint.at.0);
                put_number(out, checkpoint.blocks.into());
                put_number(out, checkpoint.bytes);
            }
        });
        block.into_bytes(0)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// If it has changed since it was written.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut frames = Frames::new(bytes, Kind::Meta)?;
        let record = frames.next().ok_or(DecodeError::Short)??;
        if let Some(more) = frames.next() {
            more?;
        }
        let from = &mut Reader::new(record);
        match from.byte()? {
            VERSION => {}
            other => return Err(unknown("the version", other)),
        }
        let meta = Self {
            epoch: Epoch(from.number()?),
            ceiling: Revision(from.number()?),
            closed_at: from.option(Reader::number)?.map(Revision),
            gaps: spans(from)?,
            holes: spans(from)?,
            checkpoints: {
                let count = from.count()?;
                (0..count)
                    .map(|_| checkpoint(from))
                    .collect::<Result<Vec<_>, _>>()?
            },
        };
        from.end()?;
        Ok(meta)
    }
}

fn spans(from: &mut Reader<'_>) -> Result<Vec<Gap>, DecodeError> {
    let count = from.count()?;
    let mut span = || {
        Ok(Gap {
            after: Revision(from.number()?),
            until: Revision(from.number()?),
        })
    };
    (0..count).map(|_| span()).collect()
}

fn checkpoint(from: &mut Reader<'_>) -> Result<Checkpoint, DecodeError> {
    Ok(Checkpoint {
        number: from.number()?,
        as_of: Revision(from.number()?),
        until: Revision(from.number()?),
        at: Wall(from.number()?),
        blocks: from.small()?,
        bytes: from.number()?,
    })
}

/// Adds a span that ends after all others. Spans that touch become one, and so do the two closest where there would be
/// too many: whoever has seen a revision in between is then told everything anew, which is never wrong.
pub fn add_span(spans: &mut Vec<Gap>, span: Gap) {
    if span.after >= span.until {
        return;
    }
    match spans.last_mut() {
        Some(last) if span.after <= last.until => {
            last.after = last.after.min(span.after);
            last.until = last.until.max(span.until);
        }
        _ => spans.push(span),
    }
    while spans.len() > SPANS_MAX {
        let between = |pair: &[Gap]| pair[1].after.0 - pair[0].until.0;
        let closest = (0..spans.len() - 1).min_by_key(|at| between(&spans[*at..=*at + 1]));
        let Some(at) = closest else { return };
        spans[at].until = spans[at + 1].until;
        spans.remove(at + 1);
    }
}

/// Whether all revisions after `after` and before `first` lie in one of `spans`.
#[must_use]
pub fn is_spanned(spans: &[Gap], after: Revision, first: Revision) -> bool {
    spans
        .iter()
        .any(|span| span.after <= after && first.0 <= span.until.0 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(after: u64, until: u64) -> Gap {
        Gap {
            after: Revision(after),
            until: Revision(until),
        }
    }

    #[test]
    fn what_is_known_reads_back_and_a_flipped_bit_is_noticed() {
        let mut meta = Meta::new(Epoch(7));
        meta.ceiling = Revision(1_000_000);
        meta.closed_at = Some(Revision(5));
        meta.gaps = vec![gap(1, 4), gap(9, 1_000)];
        meta.checkpoints.push(Checkpoint {
            number: 3,
            as_of: Revision(2),
            until: Revision(4),
            at: Wall(5),
            blocks: 6,
            bytes: 7,
        });
        let bytes = meta.encode();
        assert_eq!(Meta::decode(&bytes), Ok(meta));
        for at in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[at / 8] ^= 1 << (at % 8);
            assert!(Meta::decode(&bad).is_err(), "bit {at}");
        }
    }

    #[test]
    fn gaps_are_bounded_and_the_closest_become_one() {
        let mut spans = Vec::new();
        add_span(&mut spans, gap(5, 5));
        assert!(spans.is_empty(), "nothing is missing");
        for number in 0..200 {
            add_span(&mut spans, gap(number * number * 10, number * number * 10 + 5));
        }
        assert_eq!(spans.len(), SPANS_MAX);
        for number in 1..200 {
            assert!(
                is_spanned(
                    &spans,
                    Revision(number * number * 10),
                    Revision(number * number * 10 + 6)
                ),
                "{number} is forgotten"
            );
        }
        assert!(spans.is_sorted_by(|a, b| a.until < b.after));
        // Starts that fail one after another lose the same revisions again.
        let mut spans = vec![gap(3, 10)];
        add_span(&mut spans, gap(3, 20));
        add_span(&mut spans, gap(20, 30));
        assert_eq!(spans, [gap(3, 30)]);
    }
}
