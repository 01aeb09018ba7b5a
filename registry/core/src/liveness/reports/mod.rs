//! What consumers say: instances that they cannot reach.
//!
//! Peers that watch one another and tell a monitor are how Ceph finds a dead one sooner than by its silence. Here
//! consumers tell, and the rule says when they are believed:
//!
//! - Different consumers count, not reports. Two are different by their ids; of the ids of one address two count at
//!   most, or one process could be as many as it likes.
//! - So many must say so within a window: [`ReportConfig::reporters_min`], or [`ReportConfig::share_percent`] of those
//!   that are known to use the service, if that is more.
//! - Who cannot reach more than half of all instances of a service, and at least [`BROAD_MIN`], is more likely cut off
//!   itself: what it says about that service does not count while that is so.
//!
//! A value without a clock and without instances, which are numbers of slots here. Its memory is bounded: what is kept
//! of an instance goes with the window, and beyond a limit the oldest is forgotten first.

mod book;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::model::Mono;

pub use book::Reports;

/// From how many instances of a service on a consumer that reports more than half of all is itself at fault.
pub const BROAD_MIN: usize = 4;
/// How many ids of one address count for one instance.
pub const IDS_PER_ADDRESS_MAX: usize = 2;
/// About how many instances the consumers of one address are heard at a time.
pub const INSTANCES_PER_ADDRESS_MAX: usize = 1_000;
/// How many reporters of one instance are kept. No more are ever asked for.
pub const REPORTERS_PER_INSTANCE_MAX: usize = 1024;
/// How many last errors of an instance are kept, for people.
const ERRORS_KEPT: usize = 4;

/// How soon an instance with reports is looked at again, so that what has left the window is forgotten.
const TIDY: Duration = Duration::from_secs(5);

/// When consumers are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportConfig {
    /// How many different consumers must report an instance at least. Default 3. 0 turns it off.
    pub reporters_min: usize,
    /// And what share, in percent, of those that are known to use its service. Default 20.
    pub share_percent: usize,
    /// How long a report counts. Default 30 s.
    pub window: Duration,
    /// Of how many instances reports are kept. Default 10,000.
    pub instances_max: usize,
    /// How many reporters are kept in all: one counts once for each instance. Default 100,000.
    pub reports_max: usize,
}

impl Default for ReportConfig {
    fn default() -> Self {
        Self {
            reporters_min: 3,
            share_percent: 20,
            window: Duration::from_secs(30),
            instances_max: 10_000,
            reports_max: 100_000,
        }
    }
}

/// Who reports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Consumer {
    /// What the process calls itself.
    pub id: Arc<str>,
    /// Where its connection came from.
    pub address: IpAddr,
}

/// One report about one instance.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// How many attempts failed.
    pub failures: u32,
    /// Within which time before now.
    pub within: Duration,
    /// What the last of them failed with.
    pub error: &'a str,
    /// How many instances its service has.
    pub instances: usize,
    /// How many consumers are known to use its service.
    pub consumers: usize,
}

/// What is kept of an instance, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportReading {
    /// How many consumers report it, as far as they are kept.
    pub reporters: usize,
    /// How many of them count.
    pub counted: usize,
    /// How many it would take.
    pub needed: usize,
    /// How many attempts failed, in all.
    pub failures: u64,
    /// When the first of those attempts failed that are reported without a pause.
    pub since: Mono,
    /// When the newest that is kept came.
    pub newest: Mono,
    /// When the last of those that count leaves the window.
    pub until: Option<Mono>,
    /// The last errors, newest first.
    pub errors: Vec<Box<str>>,
    /// What the registry found when it looked itself.
    pub recheck: Option<RecheckReading>,
}

/// What the registry found when it looked at an instance that consumers cannot reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecheckReading {
    /// When.
    pub at: Mono,
    /// Whether it answered.
    pub good: bool,
    /// How, in a few words.
    pub text: Box<str>,
}

/// What was found when an instance was looked at.
#[derive(Debug, Clone, Copy)]
struct Opinion {
    /// Enough say that it cannot be reached: so it is to be marked.
    enough: bool,
    /// One that is marked is to stay so: the window is not empty.
    still: bool,
}

#[derive(Debug)]
struct Said {
    at: Mono,
    failures: u32,
}

/// The reports about one instance.
#[derive(Debug)]
struct Reported {
    service: u32,
    said: HashMap<Consumer, Said, ahash::RandomState>,
    errors: VecDeque<Box<str>>,
    recheck: Option<RecheckReading>,
    since: Mono,
    newest: Mono,
    instances: usize,
    consumers: usize,
    /// Whether it carries the mark; what was applied says so, not what was decided.
    marked: bool,
    /// When to look at it next.
    look: Mono,
}

impl Reported {
    fn new(service: u32, now: Mono, look: Mono) -> Self {
        Self {
            service,
            said: HashMap::default(),
            errors: VecDeque::new(),
            recheck: None,
            since: now,
            newest: now,
            instances: 0,
            consumers: 0,
            marked: false,
            look,
        }
    }

    /// How many must say so.
    fn needed(&self, config: &ReportConfig) -> usize {
        let known = self.consumers.max(self.said.len());
        let share = known.saturating_mul(config.share_percent).div_ceil(100);
        share
            .max(config.reporters_min)
            .clamp(1, REPORTERS_PER_INSTANCE_MAX)
    }
}

fn is_broad(reported: usize, instances: usize) -> bool {
    reported >= BROAD_MIN && reported * 2 > instances
}
