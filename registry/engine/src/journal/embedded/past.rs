//! The journal's [`crate::journal::History`], made of what [`super::history`] reads.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use beatrix_core::catalog::Piece;
use beatrix_core::model::{Revision, ServiceKey, Wall};

use crate::journal::{
    Bounds, BoxFuture, CommittedPage, CommittedQuery, History as Past, JournalError, Known, Sink, is_about,
};

use super::codec::frame::Header;
use super::history::{History, HistoryError, goes_on, oldest_state};
use super::meta::Meta;
use super::recovery::Damage;

/// How many records one question for events looks at.
const LOOKED_AT_MAX: usize = 200_000;
/// How long is waited for the writer, a second: what is written behind is there within 100 ms, unless the disk is slow.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const LOOKS: u32 = 200;

impl From<HistoryError> for JournalError {
    fn from(error: HistoryError) -> Self {
        Self(error.to_string())
    }
}

/// How far back a journal reaches whose log begins with `first`, a block whose last record was proposed at `first_at`.
pub(super) fn bounds_of(meta: &Meta, first: Option<(Revision, Wall)>) -> Bounds {
    let begun = match first {
        Some((first, _)) if goes_on(meta, Revision::ZERO, first) => Revision::ZERO,
        Some((first, _)) => Revision(first.0.saturating_sub(1)),
        // What was in the log is in the newest checkpoint, and what will be comes after it.
        None => meta.checkpoints.last().map_or(Revision::ZERO, |last| last.as_of),
    };
    // What is not in the log is not known, nor is what was before it all that there was.
    let after = meta.holes.last().map_or(begun, |hole| hole.until.max(begun));
    let oldest = oldest_state(meta, first.map(|(first, _)| first));
    Bounds {
        after,
        after_at: first
            .filter(|_| after > Revision::ZERO)
            .map(|(_, at)| at)
            .unwrap_or_default(),
        states_from: oldest.map_or(Revision::ZERO, |one| one.until),
        states_from_at: oldest.map(|one| one.at).unwrap_or_default(),
        newest: Revision::ZERO,
    }
}

impl History {
    /// As the store has it now. The writer tells it from then on.
    pub(super) fn reach(&self) -> Result<Bounds, HistoryError> {
        let store = self.store()?;
        let log = store.log()?;
        let meta = self.meta(&store)?;
        let first = match log.first()? {
            Some((first, block)) => {
                let damage = Damage { disk: &self.disk };
                let header = Header::read(&block).map_err(|error| damage.in_log(first, &error))?;
                Some((first, header.at))
            }
            None => None,
        };
        Ok(bounds_of(&meta, first))
    }

    /// Oldest first it ends after so many records, to go on from there. Newest first the whole log is read: of what is
    /// found the last is kept.
    fn look_for(&self, query: &CommittedQuery) -> Result<CommittedPage, HistoryError> {
        let mut found = VecDeque::new();
        let (mut looked, mut last, mut more) = (0, query.after, false);
        self.committed(query.after, |committed| {
            if committed.revision > query.until {
                return ControlFlow::Break(());
            }
            if !query.newest_first && (found.len() == query.limit || looked == LOOKED_AT_MAX) {
                more = true;
                return ControlFlow::Break(());
            }
            looked += 1;
            last = committed.revision;
            if query.wants(&committed) {
                found.push_back(committed);
                if found.len() > query.limit {
                    found.pop_front();
                    more = true;
                }
            }
            ControlFlow::Continue(())
        })?;
        let mut found: Vec<_> = found.into();
        if query.newest_first {
            found.reverse();
            last = found.last().map_or(query.after, |oldest| oldest.revision);
        }
        Ok(CommittedPage {
            found,
            reached: more.then_some(last),
        })
    }
}

impl Past for History {
    /// As the writer told it last: whoever asks does not wait for the disk.
    fn bounds(&self) -> Bounds {
        let figures = self.state.figures();
        Bounds {
            newest: figures.durable.max(figures.checkpoint_until),
            ..figures.reach
        }
    }

    fn settle(&self, until: Revision) -> BoxFuture<'_, Result<(), JournalError>> {
        Box::pin(async move {
            for _ in 0..LOOKS {
                let figures = self.state.figures();
                // What was not written while the disk failed is in a checkpoint.
                if figures.durable.max(figures.checkpoint_until) >= until {
                    return Ok(());
                }
                if let Some(trouble) = figures.trouble {
                    return Err(JournalError(trouble.error));
                }
                std::thread::sleep(LOOK_EVERY);
            }
            Err(JournalError(format!(
                "what was committed up to revision {until} is not written yet"
            )))
        })
    }

    fn committed<'a>(
        &'a self,
        query: &'a CommittedQuery,
    ) -> BoxFuture<'a, Result<CommittedPage, JournalError>> {
        Box::pin(async move { Ok(self.look_for(query)?) })
    }

    fn revision_at(&self, at: Wall) -> BoxFuture<'_, Result<Option<Revision>, JournalError>> {
        Box::pin(async move { Ok(Self::revision_at(self, at)?) })
    }

    fn past<'a>(
        &'a self,
        service: &'a ServiceKey,
        base: Revision,
        until: Revision,
        into: Sink<'a>,
    ) -> BoxFuture<'a, Result<(), JournalError>> {
        Box::pin(async move {
            let mut of_service = false;
            self.states_between(base, until, |known| {
                let wanted = match &known {
                    Known::Piece(Piece::Service(piece)) => {
                        of_service = piece.key == *service;
                        of_service
                    }
                    Known::Piece(Piece::Instances(_)) => of_service,
                    Known::Piece(_) => false,
                    Known::Committed(committed) => is_about(&committed.mutation, service),
                };
                if wanted {
                    into(vec![known]);
                }
            })?;
            Ok(())
        })
    }
}
