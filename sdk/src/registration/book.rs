//! All registrations of a client: who holds which lease, what is due, what was lost. No I/O and no clock.
//!
//! Invariants:
//! - Per instance (path) at most one entry is open; registering the same instance again closes the older entry.
//! - A closed entry is never beaten for and never registered again.
//! - Only an entry that is held is in a batch, and it is so under the lease that it had when the batch was made:
//!   an answer about another lease changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::{BeatResponse, DeclaredStatus, RegisterResponse, StatusReport};
use tokio::sync::watch;
use tokio::time::Instant;

use super::batch::{Batch, Member};
use super::entry::{Entry, Lease, Phase, Seen};
use super::instance::Prepared;

/// How much of its interval a lease is beaten early in order to share a request with one that is due. Without it
/// two registrations with different intervals would each have their own requests for ever.
const EARLY_SHARE: f64 = 0.2;
/// The shortest interval that is believed.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// Names an entry in this book; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EntryId(u64);

#[derive(Debug, Default)]
pub(super) struct Book {
    entries: BTreeMap<EntryId, Entry>,
    /// The newest entry of each instance.
    newest: HashMap<String, EntryId>,
    next: u64,
}

/// What is needed to register or deregister an instance.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) instance: Arc<Prepared>,
    pub(super) gate: Arc<tokio::sync::Mutex<()>>,
}

/// How to take an instance back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// Whatever is registered at its address.
    Any,
    /// Only what is registered under this lease.
    Lease(String),
    /// Not at all: another registration of this client has taken its place.
    Superseded,
}

impl Book {
    /// Opens an entry for an instance that its owner is about to register.
    pub(super) fn open(&mut self, instance: Prepared, now: Instant) -> (EntryId, watch::Receiver<Seen>) {
        let id = EntryId(self.next);
        self.next += 1;
        let before = self
            .newest
            .insert(instance.path.clone(), id)
            .and_then(|id| self.entries.get_mut(&id));
        // The gate is handed on: a farewell of the older entry that is under way comes to its end first.
        let gate = before.map_or_else(Arc::default, |older| {
            older.close();
            Arc::clone(&older.gate)
        });
        let (seen, receiver) = watch::channel(Seen::default());
        self.entries.insert(
            id,
            Entry {
                instance: Arc::new(instance),
                gate,
                phase: Phase::Registering,
                lease: None,
                doubtful: false,
                was_registered: false,
                due: now,
                status: None,
                seen,
            },
        );
        (id, receiver)
    }

    pub(super) fn work(&self, id: EntryId) -> Option<Work> {
        let entry = self.entries.get(&id)?;
        Some(Work {
            instance: Arc::clone(&entry.instance),
            gate: Arc::clone(&entry.gate),
        })
    }

    /// The cluster and the lease of an entry that is held and beats.
    pub(super) fn lease(&self, id: EntryId) -> Option<(String, String)> {
        let entry = self.entries.get(&id).filter(|entry| entry.phase == Phase::Held)?;
        let lease = entry.lease.as_ref()?;
        Some((lease.cluster_id.clone(), lease.id.clone()))
    }

    pub(super) fn is_open(&self, id: EntryId) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.phase != Phase::Closed)
    }

    /// Notes that a registration is about to be sent: from here on the registry may have it. Answers with whether
    /// it might have had it before; see [`not_registered`](Self::not_registered).
    pub(super) fn sending(&mut self, id: EntryId) -> bool {
        self.entries
            .get_mut(&id)
            .is_some_and(|entry| std::mem::replace(&mut entry.doubtful, true))
    }

    /// Notes the answer to a registration. The next beat is due an interval times `factor` later.
    pub(super) fn registered(&mut self, id: EntryId, response: &RegisterResponse, now: Instant, factor: f64) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.doubtful = false;
        entry.was_registered = true;
        entry.lease = response
            .lease
            .as_ref()
            .zip(response.beat_interval_ms)
            .map(|(lease, interval_ms)| Lease {
                id: lease.clone(),
                cluster_id: response.cluster_id.clone(),
                interval: Duration::from_millis(interval_ms).max(INTERVAL_MIN),
            });
        if entry.phase == Phase::Closed {
            // The lease is needed for the farewell, which waits for this registration to be over.
            return;
        }
        entry.phase = Phase::Held;
        // A registration starts with the status `up`; what the instance said of itself has to be said again.
        if matches!(entry.status, Some((status, _)) if status != DeclaredStatus::Up) {
            entry.count_status();
        }
        let is_quiet = entry.undelivered().is_none();
        entry.due = if is_quiet {
            now + entry.interval().mul_f64(factor)
        } else {
            now
        };
        entry.show();
    }

    /// Notes that a registration certainly changed nothing, so that things are as doubtful as they were before.
    pub(super) fn not_registered(&mut self, id: EntryId, was_doubtful: bool) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.doubtful = was_doubtful;
        }
    }

    /// Lets a registration that failed be tried again at `retry_at`.
    pub(super) fn recovery_failed(&mut self, id: EntryId, retry_at: Instant) {
        if let Some(entry) = self.entries.get_mut(&id)
            && let Phase::Recovering { attempts } = entry.phase
        {
            entry.phase = Phase::Lost {
                retry_at,
                attempts: attempts + 1,
            };
        }
    }

    /// How often an entry was tried to be registered again, in vain.
    pub(super) fn attempts(&self, id: EntryId) -> u32 {
        match self.entries.get(&id).map(|entry| entry.phase) {
            Some(Phase::Recovering { attempts } | Phase::Lost { attempts, .. }) => attempts,
            _ => 0,
        }
    }

    /// Takes up to `limit` entries that are to be registered again now.
    pub(super) fn take_lost(&mut self, now: Instant, limit: usize) -> Vec<EntryId> {
        let lost = self
            .entries
            .iter_mut()
            .filter_map(|(id, entry)| match entry.phase {
                Phase::Lost { retry_at, attempts } if retry_at <= now => Some((id, entry, attempts)),
                _ => None,
            });
        lost.take(limit)
            .map(|(id, entry, attempts)| {
                entry.phase = Phase::Recovering { attempts };
                *id
            })
            .collect()
    }

    /// When there is something to beat for, or to register again.
    pub(super) fn next_due(&self, with_lost: bool) -> Option<Instant> {
        let due = |entry: &Entry| match entry.phase {
            Phase::Held if entry.lease.is_some() => Some(entry.due),
            Phase::Lost { retry_at, .. } if with_lost => Some(retry_at),
            _ => None,
        };
        self.entries.values().filter_map(due).min()
    }

    /// Makes a batch per cluster of all that is due, and of what is nearly so.
    pub(super) fn take_due(&self, now: Instant) -> Vec<Batch> {
        let held = || {
            self.entries
                .iter()
                .filter_map(|(id, entry)| match (&entry.lease, entry.phase) {
                    (Some(lease), Phase::Held) => Some((*id, entry, lease)),
                    _ => None,
                })
        };
        // A cluster has a batch as soon as one of its leases is due; others then come along.
        let due_clusters: HashSet<&str> = held()
            .filter(|(_, entry, _)| entry.due <= now)
            .map(|(_, _, lease)| lease.cluster_id.as_str())
            .collect();
        let mut batches: HashMap<&str, Batch> = HashMap::new();
        for (id, entry, lease) in held() {
            let is_near = entry.due <= now + lease.interval.mul_f64(EARLY_SHARE);
            if !is_near || !due_clusters.contains(lease.cluster_id.as_str()) {
                continue;
            }
            let batch = batches
                .entry(&lease.cluster_id)
                .or_insert_with(|| Batch::new(&lease.cluster_id));
            let status = entry.undelivered().map(|(status, reason)| StatusReport {
                lease: lease.id.clone(),
                status,
                reason,
            });
            batch.push(
                lease.interval,
                Member {
                    entry: id,
                    lease: lease.id.clone(),
                    status,
                    status_number: entry.seen.borrow().status_set,
                },
            );
        }
        batches.into_values().flat_map(Batch::split).collect()
    }

    /// Notes the answer to a batch sent at `sent_at`: what was renewed is due an interval times `factor` after it.
    pub(super) fn renewed(&mut self, batch: &Batch, response: &BeatResponse, sent_at: Instant, factor: f64) {
        let unknown: HashSet<&str> = response.unknown.iter().map(String::as_str).collect();
        for member in batch.members() {
            let Some(entry) = self.held_under(member) else {
                continue;
            };
            if unknown.contains(member.lease.as_str()) {
                entry.lose(sent_at);
                continue;
            }
            entry.due = sent_at + entry.interval().mul_f64(factor);
            entry.delivered(member.status_number);
            if entry.undelivered().is_some() {
                // It was set while the batch was under way.
                entry.due = sent_at;
            }
        }
    }

    /// Notes that the registry is another one than the leases are from.
    pub(super) fn wrong_cluster(&mut self, batch: &Batch, now: Instant) {
        for member in batch.members() {
            if let Some(entry) = self.held_under(member) {
                entry.lose(now);
            }
        }
    }

    /// Puts a batch that failed off until `retry_at`.
    pub(super) fn beat_failed(&mut self, batch: &Batch, retry_at: Instant) {
        for member in batch.members() {
            if let Some(entry) = self.held_under(member) {
                entry.due = retry_at;
            }
        }
    }

    /// Gives up on the statuses in a batch, which the registry refused: one bad status must not cost every
    /// instance of the process its beats.
    pub(super) fn drop_statuses(&mut self, batch: &Batch) {
        for member in batch.members().filter(|member| member.status.is_some()) {
            if let Some(entry) = self.held_under(member)
                && entry.seen.borrow().status_set == member.status_number
            {
                entry.status = None;
                entry.delivered(member.status_number);
            }
        }
    }

    /// Sets what an instance says of itself.
    pub(super) fn set_status(
        &mut self,
        id: EntryId,
        status: DeclaredStatus,
        reason: Option<String>,
        now: Instant,
    ) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        entry.status = Some((status, reason));
        entry.count_status();
        entry.due = now;
    }

    /// Ends all beats and registrations of an entry.
    pub(super) fn close(&mut self, id: EntryId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.close();
        }
    }

    /// How to deregister a closed entry. To be asked while its gate is held: only then is its lease final.
    pub(super) fn farewell(&self, id: EntryId) -> Farewell {
        let Some(entry) = self.entries.get(&id) else {
            return Farewell::Superseded;
        };
        debug_assert_eq!(entry.phase, Phase::Closed, "only what is closed is deregistered");
        if self.newest.get(&entry.instance.path) != Some(&id) {
            return Farewell::Superseded;
        }
        match &entry.lease {
            Some(lease) if !entry.doubtful => Farewell::Lease(lease.id.clone()),
            _ => Farewell::Any,
        }
    }

    /// Whether the registry may have the instance of this entry.
    pub(super) fn may_be_registered(&self, id: EntryId) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.doubtful || entry.was_registered)
    }

    pub(super) fn remove(&mut self, id: EntryId) {
        if let Some(entry) = self.entries.remove(&id)
            && self.newest.get(&entry.instance.path) == Some(&id)
        {
            self.newest.remove(&entry.instance.path);
        }
    }

    fn held_under(&mut self, member: &Member) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&member.entry)?;
        let same = entry.lease.as_ref().is_some_and(|lease| lease.id == member.lease);
        (entry.phase == Phase::Held && same).then_some(entry)
    }
}

#[cfg(test)]
mod tests;
