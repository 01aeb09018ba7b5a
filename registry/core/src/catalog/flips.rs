//! Completed streaks of probes, on their way to the owner's turn.

use std::collections::{HashMap, VecDeque};

use crate::liveness::Schedule;
use crate::model::Mono;

/// What a completed streak comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flip {
    /// It is well again.
    Rises,
    /// It is not, and something said so.
    Falls,
    /// Nothing came back, which the guard has to hear of.
    Doubted,
    /// It was known from before a restart only, and has been asked now, whatever came of it: it is as well as it was.
    Confirmed,
}

/// What the catalog keeps about probes.
#[derive(Debug)]
pub(super) struct Probes {
    pub(super) schedule: Schedule,
    /// Completed streaks that are not applied yet, and whether each stands in one of the queues.
    pub(super) flips: HashMap<u32, (Flip, bool), ahash::RandomState>,
    pub(super) decided: VecDeque<u32>,
    pub(super) doubted: Vec<u32>,
    /// When to look at the guards again that hold.
    pub(super) look_again: Option<Mono>,
}

impl Probes {
    pub(super) fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            flips: HashMap::default(),
            decided: VecDeque::new(),
            doubted: Vec::new(),
            look_again: None,
        }
    }

    /// When the owner has something to decide about probes.
    pub(super) fn next_deadline(&self) -> Option<Mono> {
        if self.decided.is_empty() && self.doubted.is_empty() {
            self.look_again
        } else {
            Some(Mono(0))
        }
    }

    /// What a streak came to has been applied, or is of no account any more.
    pub(super) fn settle(&mut self, number: u32) {
        self.flips.remove(&number);
    }

    /// The guard let go of an instance: whether it is silent is to be found out anew.
    pub(super) fn doubt_anew(&mut self, number: u32) {
        if matches!(self.flips.get(&number), Some((Flip::Doubted, _))) {
            self.flips.remove(&number);
        }
    }

    pub(super) fn flip(&mut self, number: u32, flip: Flip) {
        let (kept, queued) = self.flips.entry(number).or_insert((flip, false));
        if *kept != flip {
            *kept = flip;
            *queued = false;
        }
        if !std::mem::replace(queued, true) {
            match flip {
                Flip::Doubted => self.doubted.push(number),
                Flip::Rises | Flip::Falls | Flip::Confirmed => self.decided.push_back(number),
            }
        }
    }

    /// What is to be decided about an instance that stood in a queue. Nothing if it was decided already, or stands in the
    /// other queue by now.
    pub(super) fn unqueue(&mut self, number: u32, doubted: bool) -> Option<Flip> {
        let (flip, queued) = self.flips.get_mut(&number)?;
        let here = *queued && (*flip == Flip::Doubted) == doubted;
        *queued &= !here;
        here.then_some(*flip)
    }
}
