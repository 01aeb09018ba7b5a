//! The journal's [`crate::journal::History`], made of what [`super::history`] reads.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

use beatrix_core::catalog::Piece;
use beatrix_core::model::{Revision, ServiceKey, Wall};

use crate::journal::{
    Bounds, BoxFuture, CommittedPage, CommittedQuery, History as Past, JournalError, Known, Sink, is_about,
};

use super::history::{History, HistoryError, goes_on};

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

impl History {
    fn reach(&self) -> Result<Bounds, HistoryError> {
        let store = self.store()?;
        let log = store.log()?;
        let meta = self.meta(&store)?;
        let newest = self.state.figures().durable;
        let first = log.first()?.map(|(first, _)| first);
        let begun = match first {
            Some(first) if goes_on(&meta, Revision::ZERO, first) => Revision::ZERO,
            Some(first) => Revision(first.0 - 1),
            None if meta.checkpoints.is_empty() => Revision::ZERO,
            None => newest,
        };
        // What is not in the log is not known, nor is what was before it all that there was.
        let after = meta.holes.last().map_or(begun, |hole| hole.until.max(begun));
        let states_from = self.oldest_state()?;
        let oldest = meta.checkpoints.first().filter(|one| one.until == states_from);
        Ok(Bounds {
            after,
            after_at: self.state.figures().history_since.unwrap_or_default(),
            states_from,
            states_from_at: oldest.map(|one| one.at).unwrap_or_default(),
            newest,
        })
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
    fn bounds(&self) -> Bounds {
        // Where the disk has failed nothing is known of what was.
        self.reach().unwrap_or_else(|_| {
            let newest = self.state.figures().durable;
            Bounds {
                after: newest,
                states_from: newest,
                newest,
                ..Bounds::default()
            }
        })
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
