//! The reports that are kept, and when to look at whom.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use super::{
    Consumer, ERRORS_KEPT, IDS_PER_ADDRESS_MAX, INSTANCES_PER_ADDRESS_MAX, Opinion,
    REPORTERS_PER_INSTANCE_MAX, RecheckReading, Report, ReportConfig, ReportReading, Reported, Said, TIDY,
    is_broad,
};
use crate::model::Mono;

/// All reports that count. See the module.
#[derive(Debug, Default)]
pub struct Reports {
    by_slot: HashMap<u32, Reported, ahash::RandomState>,
    /// Which instances of a service somebody reports.
    by_consumer: HashMap<(u32, Consumer), BTreeSet<u32>, ahash::RandomState>,
    /// When to look at whom.
    looks: BTreeSet<(Mono, u32)>,
    /// Who was reported last when; the oldest is forgotten first, and those that carry no mark before those that do.
    ages: BTreeSet<(Mono, u32)>,
    marked_ages: BTreeSet<(Mono, u32)>,
    /// Which instances each address reports, and by how many of its ids.
    by_address: HashMap<IpAddr, HashMap<u32, usize, ahash::RandomState>, ahash::RandomState>,
    reports: usize,
    marked: usize,
    /// How many were forgotten for want of room.
    forgotten: u64,
}

impl Reports {
    /// Takes a report. Returns whether the instance should be looked at now.
    pub fn note(
        &mut self,
        slot: u32,
        service: u32,
        by: &Consumer,
        report: Report<'_>,
        now: Mono,
        config: &ReportConfig,
    ) -> bool {
        if config.reporters_min == 0 {
            return false;
        }
        let theirs = self.by_slot.get(&slot);
        // Who says it once more takes no room.
        if !theirs.is_some_and(|reported| reported.said.contains_key(by)) {
            if self.has_said_enough(slot, by) {
                return false;
            }
            self.make_room(slot, config);
        }
        let reported = self.by_slot.entry(slot).or_insert_with(|| {
            let look = now.after(TIDY);
            self.looks.insert((look, slot));
            Reported::new(service, now, look)
        });
        if reported.said.is_empty() {
            let within = u64::try_from(report.within.as_micros()).unwrap_or(u64::MAX);
            reported.since = Mono(now.0.saturating_sub(within));
        }
        let ages = if reported.marked {
            &mut self.marked_ages
        } else {
            &mut self.ages
        };
        ages.remove(&(reported.newest, slot));
        ages.insert((now, slot));
        reported.newest = now;
        (reported.instances, reported.consumers) = (report.instances, report.consumers);
        if reported
            .errors
            .front()
            .is_none_or(|error| **error != *report.error)
        {
            reported.errors.truncate(ERRORS_KEPT - 1);
            reported.errors.push_front(report.error.into());
        }
        if let Some(said) = reported.said.get_mut(by) {
            said.at = now;
            said.failures = said.failures.saturating_add(report.failures);
            return !reported.marked && self.may_be_enough(slot, config);
        }
        // Those of the same address whose time is over give way; otherwise it speaks for the others already.
        let window = config.window;
        let same: Vec<Consumer> = reported
            .said
            .keys()
            .filter(|known| known.address == by.address)
            .cloned()
            .collect();
        let (lapsed, current): (Vec<_>, Vec<_>) = same.into_iter().partition(|known| {
            reported
                .said
                .get(known)
                .is_none_or(|said| now >= said.at.after(window))
        });
        let full = reported.said.len() - lapsed.len() >= REPORTERS_PER_INSTANCE_MAX;
        for consumer in lapsed {
            self.unsay(slot, &consumer);
        }
        if current.len() >= IDS_PER_ADDRESS_MAX || full {
            return false;
        }
        let Some(reported) = self.by_slot.get_mut(&slot) else {
            return false;
        };
        let failures = report.failures;
        reported.said.insert(by.clone(), Said { at: now, failures });
        self.reports += 1;
        *self
            .by_address
            .entry(by.address)
            .or_default()
            .entry(slot)
            .or_default() += 1;
        let theirs = self.by_consumer.entry((service, by.clone())).or_default();
        let was_broad = is_broad(theirs.len(), report.instances);
        theirs.insert(slot);
        if !was_broad && is_broad(theirs.len(), report.instances) {
            // It may be itself at fault: all that it helped to mark is looked at again.
            let theirs: Vec<u32> = theirs.iter().copied().collect();
            for slot in theirs {
                self.look_at(slot, now);
            }
            return true;
        }
        self.may_be_enough(slot, config)
    }

    /// Looks at those whose time has come: forgets what has left the window, and says of each how it stands. Whose
    /// opinion differs from its mark comes up again after `again`, until [`Reports::mark`] was told.
    pub fn due(
        &mut self,
        now: Mono,
        again: Duration,
        config: &ReportConfig,
        mut changed: impl FnMut(u32, bool),
    ) {
        while let Some((_, slot)) = self.looks.first().copied().filter(|(at, _)| *at <= now) {
            self.looks.pop_first();
            self.tidy(slot, now, config);
            let Some(opinion) = self.opinion(slot, config) else {
                continue;
            };
            let Some(reported) = self.by_slot.get_mut(&slot) else {
                continue;
            };
            let wanted = if reported.marked {
                opinion.still
            } else {
                opinion.enough
            };
            let look = if wanted != reported.marked {
                changed(slot, wanted);
                now.after(again)
            } else if reported.said.is_empty() {
                self.drop_slot(slot);
                continue;
            } else {
                self.next_look(slot, now, config)
            };
            if let Some(reported) = self.by_slot.get_mut(&slot) {
                reported.look = look;
                self.looks.insert((look, slot));
            }
        }
    }

    /// When [`Reports::due`] has something to look at.
    #[must_use]
    pub fn next(&self) -> Option<Mono> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// The mark was set or taken away, by a change that was applied. Of one that is marked and of whom nothing is kept,
    /// as where another node was told, the window begins now.
    pub fn mark(&mut self, slot: u32, service: u32, marked: bool, now: Mono, config: &ReportConfig) {
        match self.by_slot.get_mut(&slot) {
            Some(reported) if !marked && reported.said.is_empty() => self.drop_slot(slot),
            Some(reported) => {
                self.marked = self.marked + usize::from(marked) - usize::from(reported.marked);
                reported.marked = marked;
                let age = (reported.newest, slot);
                let (from, to) = match marked {
                    true => (&mut self.ages, &mut self.marked_ages),
                    false => (&mut self.marked_ages, &mut self.ages),
                };
                if from.remove(&age) {
                    to.insert(age);
                }
                let look = self.next_look(slot, now, config);
                self.look_at(slot, look);
            }
            None if marked => {
                let look = now.after(config.window);
                let reported = Reported {
                    marked,
                    ..Reported::new(service, now, look)
                };
                self.by_slot.insert(slot, reported);
                self.marked += 1;
                self.looks.insert((look, slot));
                self.marked_ages.insert((now, slot));
            }
            None => {}
        }
    }

    /// What the registry found when it looked itself.
    pub fn rechecked(&mut self, slot: u32, found: RecheckReading) {
        if let Some(reported) = self.by_slot.get_mut(&slot) {
            reported.recheck = Some(found);
        }
    }

    /// Whether anyone carries the mark.
    #[must_use]
    pub fn any_marked(&self) -> bool {
        self.marked > 0
    }

    /// Whether it carries the mark.
    #[must_use]
    pub fn is_marked(&self, slot: u32) -> bool {
        // Most often there is nothing at all.
        self.marked > 0 && self.by_slot.get(&slot).is_some_and(|reported| reported.marked)
    }

    /// Forgets what was said about an instance. Its mark stays until [`Reports::mark`] takes it away, or
    /// [`Reports::due`] finds nothing that speaks for it.
    pub fn forget(&mut self, slot: u32, now: Mono) {
        self.unsay_all(slot);
        self.look_at(slot, now);
    }

    /// The slot is another's, or begins anew: neither reports nor mark.
    pub fn drop_slot(&mut self, slot: u32) {
        self.unsay_all(slot);
        if let Some(reported) = self.by_slot.remove(&slot) {
            self.marked -= usize::from(reported.marked);
            self.looks.remove(&(reported.look, slot));
            self.ages.remove(&(reported.newest, slot));
            self.marked_ages.remove(&(reported.newest, slot));
        }
    }

    /// How it stands, for people.
    #[must_use]
    pub fn read(&self, slot: u32, now: Mono, config: &ReportConfig) -> Option<ReportReading> {
        let reported = self.by_slot.get(&slot)?;
        let current = |said: &&Said| now < said.at.after(config.window);
        let counted = || {
            let said = reported.said.iter();
            said.filter(|(consumer, said)| current(said) && self.counts(reported, consumer))
        };
        Some(ReportReading {
            reporters: reported.said.values().filter(current).count(),
            counted: counted().count(),
            needed: reported.needed(config),
            failures: reported.said.values().map(|said| u64::from(said.failures)).sum(),
            since: reported.since,
            newest: reported.newest,
            until: counted().map(|(_, said)| said.at.after(config.window)).max(),
            errors: reported.errors.iter().cloned().collect(),
            recheck: reported.recheck.clone(),
        })
    }

    /// Of how many instances something is kept.
    #[must_use]
    pub fn instances(&self) -> usize {
        self.by_slot.len()
    }

    /// How many reporters are kept, each once for each instance.
    #[must_use]
    pub fn len(&self) -> usize {
        self.reports
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// How many reports were forgotten before their time, for want of room.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Whether it is worth counting.
    fn may_be_enough(&mut self, slot: u32, config: &ReportConfig) -> bool {
        let Some(reported) = self.by_slot.get(&slot) else {
            return false;
        };
        if reported.marked || reported.said.len() < reported.needed(config) {
            return false;
        }
        let newest = reported.newest;
        self.look_at(slot, newest);
        true
    }

    fn counts(&self, reported: &Reported, consumer: &Consumer) -> bool {
        let theirs = self.by_consumer.get(&(reported.service, consumer.clone()));
        theirs.is_none_or(|theirs| !is_broad(theirs.len(), reported.instances))
    }

    fn opinion(&self, slot: u32, config: &ReportConfig) -> Option<Opinion> {
        let reported = self.by_slot.get(&slot)?;
        let all = reported.said.len();
        let counted = reported
            .said
            .keys()
            .filter(|consumer| self.counts(reported, consumer))
            .count();
        Some(Opinion {
            enough: counted >= reported.needed(config),
            // Where some turned out to be at fault themselves, what the others say must have been enough.
            still: counted > 0 && (counted == all || counted >= config.reporters_min),
        })
    }

    /// Forgets what has left the window.
    fn tidy(&mut self, slot: u32, now: Mono, config: &ReportConfig) {
        let Some(reported) = self.by_slot.get(&slot) else {
            return;
        };
        let said = reported.said.iter();
        let lapsed: Vec<Consumer> = said
            .filter(|(_, said)| now >= said.at.after(config.window))
            .map(|(consumer, _)| consumer.clone())
            .collect();
        for consumer in lapsed {
            self.unsay(slot, &consumer);
        }
    }

    /// Soon, to forget in time; and exactly when the window of one that is marked becomes empty.
    fn next_look(&self, slot: u32, now: Mono, config: &ReportConfig) -> Mono {
        let tidy = now.after(TIDY);
        let Some(reported) = self.by_slot.get(&slot) else {
            return tidy;
        };
        let counted = reported
            .said
            .iter()
            .filter(|(consumer, _)| self.counts(reported, consumer));
        let end = counted.map(|(_, said)| said.at.after(config.window)).max();
        end.map_or(tidy, |end| end.min(tidy))
    }

    fn look_at(&mut self, slot: u32, at: Mono) {
        if let Some(reported) = self.by_slot.get_mut(&slot) {
            self.looks.remove(&(reported.look, slot));
            reported.look = at;
            self.looks.insert((at, slot));
        }
    }

    fn unsay(&mut self, slot: u32, consumer: &Consumer) {
        let Some(reported) = self.by_slot.get_mut(&slot) else {
            return;
        };
        if reported.said.remove(consumer).is_none() {
            return;
        }
        self.reports -= 1;
        if let Some(theirs) = self.by_address.get_mut(&consumer.address) {
            if let Some(ids) = theirs.get_mut(&slot) {
                *ids -= 1;
                if *ids == 0 {
                    theirs.remove(&slot);
                }
            }
            if theirs.is_empty() {
                self.by_address.remove(&consumer.address);
            }
        }
        let key = (reported.service, consumer.clone());
        if let Some(theirs) = self.by_consumer.get_mut(&key) {
            theirs.remove(&slot);
            if theirs.is_empty() {
                self.by_consumer.remove(&key);
            }
        }
    }

    fn unsay_all(&mut self, slot: u32) {
        let said = self.by_slot.get(&slot).map(|reported| reported.said.keys());
        let consumers: Vec<Consumer> = said.into_iter().flatten().cloned().collect();
        for consumer in consumers {
            self.unsay(slot, &consumer);
        }
    }

    /// Whether its address reports so many others that nobody there is heard about this one.
    fn has_said_enough(&self, slot: u32, by: &Consumer) -> bool {
        let theirs = self.by_address.get(&by.address);
        theirs.is_some_and(|theirs| theirs.len() >= INSTANCES_PER_ADDRESS_MAX && !theirs.contains_key(&slot))
    }

    /// Before a report about `coming` is taken: those who were reported longest ago give way, first those of them that carry
    /// no mark. A stranger could else have marks taken off by reporting others.
    fn make_room(&mut self, coming: u32, config: &ReportConfig) {
        let known = self.by_slot.contains_key(&coming);
        while self.reports >= config.reports_max.max(1)
            || !known && self.ages.len() + self.marked_ages.len() >= config.instances_max.max(1)
        {
            let Some((newest, slot)) = self.ages.pop_first().or_else(|| self.marked_ages.pop_first()) else {
                return;
            };
            let before = self.reports;
            if self.is_marked(slot) {
                // Its mark is to be taken away first, by a change; until then nothing speaks for it.
                self.forget(slot, newest);
            } else {
                self.drop_slot(slot);
            }
            self.forgotten += (before - self.reports) as u64;
        }
    }
}
