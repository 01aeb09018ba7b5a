//! Membership changes: the newest from the change log, older ones from the journal's history.

use beatrix_core::changes::Change;
use beatrix_core::model::{Revision, ServiceKey, Version, Wall};

use super::Registry;
use super::noticed::GuardEntry;
use super::past::{PastError, Reader};
use crate::journal::CommittedQuery;

/// Which changes to read.
#[derive(Debug, Clone, Default)]
pub struct EventsQuery {
    /// Those after this revision.
    pub after: Revision,
    /// Only those before this one.
    pub before: Option<Revision>,
    /// Only of this service.
    pub service: Option<ServiceKey>,
    /// Only those at or after this time.
    pub since: Option<Wall>,
    /// Only those at or before this time.
    pub until: Option<Wall>,
    /// From the newest to the oldest, not the other way.
    pub newest_first: bool,
    /// At most so many.
    pub limit: usize,
}

/// Changes that were read.
#[derive(Debug, Clone)]
pub struct EventsPage {
    /// The newest state.
    pub version: Version,
    /// The oldest change that is held; 0 when there is none.
    pub oldest: Revision,
    /// Whether changes after the one asked for are no longer known.
    pub truncated: bool,
    /// Ask for changes after this one to go on; or, newest first, before this one, and 0 at the end.
    pub next: Revision,
    /// The changes, in the order that was asked for.
    pub changes: Vec<Change>,
    /// What guards came to since this process started, oldest first: after the change of the same revision. What happened
    /// since the last change is in each page that ends there, again and again until there is a further change; its number
    /// tells it apart.
    pub guards: Vec<GuardEntry>,
}

impl EventsQuery {
    fn wants(&self, change: &Change) -> bool {
        self.before.is_none_or(|before| change.revision < before)
            && self.since.is_none_or(|since| change.at >= since)
            && self.until.is_none_or(|until| change.at <= until)
            && self
                .service
                .as_ref()
                .is_none_or(|service| change.service == *service)
    }

    /// Where to go on, `last` being the last change of a page that is full.
    fn next(&self, last: Option<Revision>, newest: Revision) -> Revision {
        match (last, self.newest_first) {
            (Some(last), _) => last,
            (None, true) => Revision::ZERO,
            // All that there is was looked at, also what did not match.
            (None, false) => newest.max(self.after),
        }
    }
}

impl Registry {
    /// Membership changes that the change log holds.
    #[must_use]
    pub fn events(&self, query: &EventsQuery) -> EventsPage {
        let mut page = self.held_changes(query);
        page.guards = self.guards_of(query, page.next, page.version.revision);
        page
    }

    fn held_changes(&self, query: &EventsQuery) -> EventsPage {
        let catalog = self.inner.catalog.lock();
        let log = catalog.log();
        let mut oldest_first = log.after(query.after);
        let mut newest_first = log.after(query.after).rev();
        let all: &mut dyn Iterator<Item = &Change> = if query.newest_first {
            &mut newest_first
        } else {
            &mut oldest_first
        };
        let mut matching = all.filter(|change| query.wants(change));
        let changes: Vec<Change> = matching.by_ref().take(query.limit).cloned().collect();
        let more = matching.next().is_some();
        let newest = catalog.version();
        let last = changes.last().filter(|_| more).map(|change| change.revision);
        EventsPage {
            version: newest,
            oldest: log.oldest().map_or(Revision::ZERO, |change| change.revision),
            truncated: log.lost_after(query.after),
            next: query.next(last, newest.revision),
            changes,
            guards: Vec::new(),
        }
    }

    /// What guards came to in the time that a page is of. Between two pages nothing is told twice.
    fn guards_of(&self, query: &EventsQuery, next: Revision, newest: Revision) -> Vec<GuardEntry> {
        let (from, before) = if query.newest_first {
            (query.after.max(next), query.before)
        } else {
            let more = next < newest;
            (query.after, if more { Some(next) } else { query.before })
        };
        let mut guards = self
            .inner
            .noticed
            .lock()
            .guards(from, before, query.service.as_ref());
        guards.retain(|entry| {
            query.since.is_none_or(|since| entry.at >= since)
                && query.until.is_none_or(|until| entry.at <= until)
        });
        guards
    }

    /// The same, and what is older from the journal's history. There a registration is told as the first one of its
    /// instance, also where it replaced another.
    ///
    /// # Errors
    /// If too many read the history, or it cannot be read.
    pub async fn all_events(&self, query: EventsQuery) -> Result<EventsPage, PastError> {
        let mut page = self.changes_of_all(query.clone()).await?;
        page.guards = self.guards_of(&query, page.next, page.version.revision);
        Ok(page)
    }

    async fn changes_of_all(&self, query: EventsQuery) -> Result<EventsPage, PastError> {
        let mut held = self.held_changes(&query);
        let Some(reader) = &self.inner.history else {
            return Ok(held);
        };
        // The log may have been filled by a replay: then it holds no more than that, though it has dropped nothing.
        let held_from = match held.oldest {
            Revision::ZERO => held.version.revision.next(),
            oldest => oldest,
        };
        let bounds = reader.bounds();
        held.oldest = match held.oldest {
            Revision::ZERO => bounds.after.next(),
            oldest => oldest.min(bounds.after.next()),
        };
        held.truncated = query.after < bounds.after;
        let full = query.newest_first && held.next > Revision::ZERO;
        if query.after.next() >= held_from || full {
            return Ok(held);
        }
        read_older(reader, query, held, held_from).await
    }
}

/// Puts what the history has from before `held_from` before what the log holds, or behind it.
async fn read_older(
    reader: &Reader,
    query: EventsQuery,
    held: EventsPage,
    held_from: Revision,
) -> Result<EventsPage, PastError> {
    let until = query.before.unwrap_or(held_from).min(held_from);
    let wanted = if query.newest_first {
        query.limit - held.changes.len()
    } else {
        query.limit
    };
    let older = CommittedQuery {
        after: query.after,
        until: Revision(until.0.saturating_sub(1)),
        service: query.service.clone(),
        since: query.since,
        before: query.until,
        newest_first: query.newest_first,
        limit: wanted,
    };
    let page = if wanted == 0 {
        Default::default()
    } else {
        reader.committed(older).await?
    };
    // What stands in the history and is no change was looked at, too: the page ends where the reading ended.
    let found: Vec<Change> = page.found.iter().filter_map(Change::of).collect();
    let (mut changes, next) = if query.newest_first {
        let more = page.reached.or((wanted == 0).then_some(held_from));
        let next = query.next(more, held.version.revision);
        ([held.changes, found].concat(), next)
    } else if let Some(reached) = page.reached {
        (found, reached)
    } else {
        let room = query.limit - found.len();
        let full = held.changes.len() > room;
        let mut changes = found;
        changes.extend(held.changes.into_iter().take(room));
        let last = changes
            .last()
            .map_or(Revision(until.0.saturating_sub(1)), |last| last.revision);
        (changes, if full { last } else { held.next })
    };
    changes.truncate(query.limit);
    Ok(EventsPage {
        version: held.version,
        oldest: held.oldest,
        truncated: held.truncated,
        next,
        changes,
        guards: Vec::new(),
    })
}
