//! One request that beats for many leases.

use std::time::Duration;

use beatrix_wire::{BeatRequest, StatusReport};

use super::book::EntryId;

/// How many leases the registry takes in one request. At 19 bytes each they are just within what it takes of a body.
const LEASES_MAX: usize = 50_000;
/// How many leases go into a request with statuses.
const LEASES_BESIDE_STATUSES_MAX: usize = 10_000;
/// How many statuses go into one request. Each is a write, and carries up to 256 bytes of text, several times that
/// once escaped. The registry takes 1,000.
const STATUSES_MAX: usize = 250;

/// Leases of one cluster to beat for at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    cluster_id: String,
    /// The shortest interval among its leases.
    interval: Duration,
    members: Vec<Member>,
}

/// One lease in a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) entry: EntryId,
    pub(super) lease: String,
    /// What the instance says of itself, if that is news.
    pub(super) status: Option<StatusReport>,
    /// The number of the newest status when the batch was made.
    pub(super) status_number: u64,
}

impl Batch {
    pub(super) fn new(cluster_id: &str) -> Self {
        Self {
            cluster_id: cluster_id.to_owned(),
            interval: Duration::MAX,
            members: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, interval: Duration, member: Member) {
        self.interval = self.interval.min(interval);
        self.members.push(member);
    }

    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    pub(super) fn interval(&self) -> Duration {
        self.interval
    }

    pub(super) fn has_statuses(&self) -> bool {
        self.members.iter().any(|member| member.status.is_some())
    }

    /// The body. A status renews its lease too, so the lease is not named twice.
    pub(super) fn request(&self) -> BeatRequest {
        BeatRequest {
            cluster_id: self.cluster_id.clone(),
            leases: self
                .members()
                .filter(|m| m.status.is_none())
                .map(|m| m.lease.clone())
                .collect(),
            statuses: self.members().filter_map(|m| m.status.clone()).collect(),
            ..BeatRequest::default()
        }
    }

    /// Cut into requests that the registry takes.
    pub(super) fn split(self) -> impl Iterator<Item = Batch> {
        let leases_max = if self.has_statuses() {
            LEASES_BESIDE_STATUSES_MAX
        } else {
            LEASES_MAX
        };
        let mut members = self.members.into_iter();
        std::iter::from_fn(move || {
            let mut part = Batch {
                interval: self.interval,
                ..Batch::new(&self.cluster_id)
            };
            let mut statuses = 0;
            while part.members.len() < leases_max && statuses < STATUSES_MAX {
                let Some(member) = members.next() else { break };
                statuses += usize::from(member.status.is_some());
                part.members.push(member);
            }
            (!part.members.is_empty()).then_some(part)
        })
    }
}
