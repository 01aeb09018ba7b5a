//! The mass-expiry guard: when far too many fall silent at once, the fault is more likely here or in the network.
//!
//! One guard watches one scope, a service or the whole registry. It counts how many instances of the scope fell
//! silent within one window; returning and leaving take an instance out of the count. When the share passes the
//! threshold it holds: the catalog then marks instances suspect instead of flipping or removing them. It ends by
//! itself when enough have returned or after a maximum time, or by an operator's hand; then it rests for a while, so
//! that those who are truly dead are not protected again at once.
//!
//! Its limit: a silence counts for one window. Of those who are probed one falls silent only with the last of its `fall`
//! probes, so an outage that all of them see spreads over an interval. Where the interval is longer than the window divided
//! by the threshold (50 s by default) less than the threshold falls within any one window, and the guard does not hold.
//!
//! A value without a clock and without instances: the rule can be read from its table of rows in the tests.

use std::time::Duration;

use crate::model::Mono;

/// How long an operator may force the guard to hold at most: longer is forgotten by whoever forced it.
pub const FORCE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Parts of a window: how finely silences are forgotten.
const PARTS: u64 = 16;

/// When the guard holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardConfig {
    /// Whether it acts at all.
    pub enabled: bool,
    /// Scopes with fewer instances that beat are not guarded. Default 20: of a handful, a third is one.
    pub population_min: u32,
    /// It holds when more than this share, in percent, fell silent within the window. Default 30.
    pub threshold_percent: u32,
    /// How long a silence counts. Default 15 s, one beat timeout. The guard does not see an outage of instances that are
    /// probed at intervals longer than this divided by the threshold, 50 s by default: see the module.
    pub window: Duration,
    /// It ends after this time whatever happens. Default 10 min.
    pub hold_max: Duration,
    /// After an end by time or by hand it does not hold again for this time. Default 1 min.
    pub rest: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            population_min: 20,
            threshold_percent: 30,
            window: Duration::from_secs(15),
            hold_max: Duration::from_secs(600),
            rest: Duration::from_secs(60),
        }
    }
}

impl GuardConfig {
    fn exceeds(&self, count: u32, population: u32) -> bool {
        u64::from(count) * 100 > u64::from(population) * u64::from(self.threshold_percent)
    }

    /// The part of time that `now` falls into; silences are counted by it.
    #[must_use]
    pub fn part(&self, now: Mono) -> u64 {
        let part = (self.window.as_micros() as u64 / PARTS).max(1);
        now.0 / part
    }
}

/// What the guard says about a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Silence means what it says.
    Open,
    /// From now on it holds; those who just fell silent are to be protected too.
    Trips,
    /// It holds as before.
    Holds,
    /// It held and no longer does; those whom it protected get a fresh deadline.
    Ends,
}

/// A guard as it stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GuardReading {
    /// Since when it holds.
    pub since: Option<Mono>,
    /// When it ends at the latest.
    pub until: Option<Mono>,
    /// Whether an operator forced it.
    pub forced: bool,
    /// How many instances it protects.
    pub suspects: u32,
    /// How many instances of the scope live by beats, with those who were removed within the window.
    pub population: u32,
    /// How many of them fell silent within the window.
    pub silent: u32,
}

/// The guard of one scope.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// Silences by part of the window.
    silences: [u32; PARTS as usize],
    /// Those of them who were removed for it. They still count, and among the population as well.
    lost: [u32; PARTS as usize],
    /// The newest part that `silences` knows of.
    newest: u64,
    /// How many were counted silent of whom it is not yet seen what became of them: decided in a later turn, or not
    /// committed so far.
    open: u32,
    /// How many instances of the scope it protects.
    suspects: u32,
    holding_since: Option<Mono>,
    /// Until when it holds because an operator said so.
    forced_until: Option<Mono>,
    rest_until: Option<Mono>,
}

impl Guard {
    /// One instance of the scope is silent now.
    pub fn silent(&mut self, part: u64) {
        self.advance(part);
        self.silences[(part % PARTS) as usize] += 1;
        self.open += 1;
    }

    /// What became of one that was counted silent has been seen.
    pub fn settled(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// An instance that fell silent in `fell`, in another scope, belongs to this one from now on. `open`: what becomes
    /// of it is not seen yet.
    pub fn joined(&mut self, fell: u64, open: bool) {
        if self.remembers(fell) {
            self.silences[(fell % PARTS) as usize] += 1;
        }
        self.open += u32::from(open);
    }

    /// An instance that fell silent in `fell` has returned, or left.
    pub fn no_longer_silent(&mut self, fell: u64) {
        if self.remembers(fell) {
            let count = &mut self.silences[(fell % PARTS) as usize];
            *count = count.saturating_sub(1);
        }
    }

    /// An instance that fell silent in `fell` was removed for it. Its silence still counts: where removal comes with
    /// or soon after the flip, an outage would otherwise never be seen as a whole.
    pub fn lost(&mut self, fell: u64) {
        if self.remembers(fell) {
            self.lost[(fell % PARTS) as usize] += 1;
        }
    }

    /// Counts among its own those whom a smaller scope has lost, or takes them out.
    pub fn count_lost_of(&mut self, part_of_it: &Self, counted: bool) {
        let newest = part_of_it.newest;
        for part in newest.saturating_sub(PARTS - 1)..=newest {
            let place = (part % PARTS) as usize;
            let lost = part_of_it.lost[place];
            if !self.remembers(part) {
                continue;
            }
            for count in [&mut self.silences[place], &mut self.lost[place]] {
                *count = if counted {
                    *count + lost
                } else {
                    count.saturating_sub(lost)
                };
            }
        }
    }

    /// One more instance is protected, or one less.
    pub fn count_suspect(&mut self, suspect: bool) {
        self.suspects = if suspect {
            self.suspects + 1
        } else {
            self.suspects.saturating_sub(1)
        };
    }

    /// Judges the scope of `population` instances that beat.
    pub fn judge(&mut self, population: u32, now: Mono, config: &GuardConfig) -> Verdict {
        self.advance(config.part(now));
        let lost: u32 = self.lost.iter().sum();
        let population = population + lost;
        if let Some(since) = self.holding_since {
            if let Some(until) = self.forced_until {
                if now < until {
                    return Verdict::Holds;
                }
                self.release(now, config);
                return Verdict::Ends;
            }
            if now.since(since) >= config.hold_max || !config.enabled {
                self.release(now, config);
                return Verdict::Ends;
            }
            // Returning ends it: below the threshold the rest may well be dead. They get a fresh deadline, too.
            // Those who are still to be marked have not returned.
            if !config.exceeds(self.suspects + self.open + lost, population) {
                self.holding_since = None;
                return Verdict::Ends;
            }
            return Verdict::Holds;
        }
        let resting = self.rest_until.is_some_and(|until| now < until);
        let silent: u32 = self.silences.iter().sum();
        if !config.enabled
            || resting
            || population < config.population_min
            || !config.exceeds(silent, population)
        {
            return Verdict::Open;
        }
        self.holding_since = Some(now);
        Verdict::Trips
    }

    /// Has it hold until then, whatever the shares, and whether or not guards act by themselves at all. One that holds
    /// already goes on, and ends then.
    pub fn force(&mut self, until: Mono, now: Mono) {
        self.holding_since.get_or_insert(now);
        self.forced_until = Some(until);
        self.rest_until = None;
    }

    /// Ends it by hand. Returns whether it held; one that did not goes on watching and does not rest.
    pub fn release(&mut self, now: Mono, config: &GuardConfig) -> bool {
        let held = self.holding_since.take().is_some();
        self.forced_until = None;
        if held {
            self.rest_until = Some(now.after(config.rest));
            self.silences = [0; PARTS as usize];
            self.lost = [0; PARTS as usize];
        }
        held
    }

    /// How many are not settled.
    #[cfg(test)]
    pub(crate) fn open(&self) -> u32 {
        self.open
    }

    /// Who fell silent in each part of the window, without those who were lost.
    #[cfg(test)]
    pub(crate) fn silent_by_part(&self) -> impl Iterator<Item = (u64, u32)> {
        let parts = self.newest.saturating_sub(PARTS - 1)..=self.newest;
        parts.map(|part| {
            let place = (part % PARTS) as usize;
            (part, self.silences[place].saturating_sub(self.lost[place]))
        })
    }

    /// Whether it holds.
    #[must_use]
    pub fn holding(&self) -> bool {
        self.holding_since.is_some()
    }

    /// Until when an operator has it hold.
    #[must_use]
    pub fn forced_until(&self) -> Option<Mono> {
        self.forced_until
    }

    /// How it stands in a scope of `population` instances that beat.
    #[must_use]
    pub fn read(&self, population: u32, now: Mono, config: &GuardConfig) -> GuardReading {
        let earliest = (config.part(now) + 1).saturating_sub(PARTS);
        let within = |counts: &[u32; PARTS as usize]| -> u32 {
            let parts = self.newest.saturating_sub(PARTS - 1).max(earliest)..=self.newest;
            parts.map(|part| counts[(part % PARTS) as usize]).sum()
        };
        GuardReading {
            since: self.holding_since,
            until: self
                .holding_since
                .map(|since| self.forced_until.unwrap_or_else(|| since.after(config.hold_max))),
            forced: self.forced_until.is_some(),
            suspects: self.suspects,
            population: population + within(&self.lost),
            silent: within(&self.silences),
        }
    }

    /// How many instances it protects.
    #[must_use]
    pub fn suspects(&self) -> u32 {
        self.suspects
    }

    /// Whether the window reaches back to this part of time.
    fn remembers(&self, part: u64) -> bool {
        part <= self.newest && self.newest - part < PARTS
    }

    fn advance(&mut self, part: u64) {
        let forgotten = part.saturating_sub(self.newest).min(PARTS);
        for step in 1..=forgotten {
            let forgotten = ((self.newest + step) % PARTS) as usize;
            self.silences[forgotten] = 0;
            self.lost[forgotten] = 0;
        }
        self.newest = self.newest.max(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_s(s: u64) -> Mono {
        Mono(s * 1_000_000)
    }

    #[test]
    fn it_holds_for_more_than_the_share_of_enough_instances() {
        // Silent, of how many, over how many seconds.
        for (silent, population, seconds, expected) in [
            (31_u32, 100, 1_u64, Verdict::Trips),
            (30, 100, 1, Verdict::Open),
            (19, 19, 1, Verdict::Open),
            (7, 20, 1, Verdict::Trips),
            (6, 20, 1, Verdict::Open),
            (20, 20, 1, Verdict::Trips),
            // The same number, but one a second: never more than the share within one window.
            (31, 100, 31, Verdict::Open),
        ] {
            let config = GuardConfig::default();
            let mut guard = Guard::default();
            let mut verdict = Verdict::Open;
            for i in 0..silent {
                let now = Mono(u64::from(i) * seconds * 1_000_000 / u64::from(silent));
                guard.silent(config.part(now));
                verdict = guard.judge(population, now, &config);
                if verdict == Verdict::Trips {
                    break;
                }
            }
            assert_eq!(verdict, expected, "{silent} of {population} in {seconds} s");
        }
    }

    #[test]
    fn those_who_return_do_not_count() {
        let config = GuardConfig::default();
        let mut guard = Guard::default();
        let part = config.part(at_s(100));
        (0..30).for_each(|_| guard.silent(part));
        guard.no_longer_silent(part);
        guard.silent(part);
        assert_eq!(guard.judge(100, at_s(100), &config), Verdict::Open);
        guard.silent(part);
        assert_eq!(guard.judge(100, at_s(100), &config), Verdict::Trips);
    }

    fn holding(config: &GuardConfig) -> Guard {
        let mut guard = Guard::default();
        for _ in 0..100 {
            guard.silent(config.part(at_s(0)));
            guard.settled();
            guard.count_suspect(true);
        }
        assert_eq!(guard.judge(100, at_s(0), config), Verdict::Trips);
        guard
    }

    #[test]
    fn it_ends_when_enough_have_returned() {
        let config = GuardConfig::default();
        let mut guard = holding(&config);
        (0..69).for_each(|_| guard.count_suspect(false));
        assert_eq!(guard.judge(100, at_s(60), &config), Verdict::Holds);
        guard.count_suspect(false);
        assert_eq!(guard.judge(100, at_s(60), &config), Verdict::Ends);
        assert_eq!(guard.judge(100, at_s(60), &config), Verdict::Open);
    }

    #[test]
    fn it_ends_after_its_maximum_time_and_rests() {
        let config = GuardConfig::default();
        let mut guard = holding(&config);
        assert_eq!(guard.judge(100, at_s(599), &config), Verdict::Holds);
        assert_eq!(guard.judge(100, at_s(600), &config), Verdict::Ends);
        (0..100).for_each(|_| guard.silent(config.part(at_s(615))));
        assert_eq!(guard.judge(100, at_s(615), &config), Verdict::Open);
    }

    #[test]
    fn a_forced_one_holds_whatever_the_shares_until_its_time_and_not_longer() {
        let config = GuardConfig {
            enabled: false,
            ..GuardConfig::default()
        };
        let mut guard = Guard::default();
        guard.force(at_s(100), at_s(10));
        // All are well, nobody is there, guards are off, and the maximum of one that trips is long over.
        assert_eq!(guard.judge(0, at_s(10), &config), Verdict::Holds);
        assert_eq!(guard.judge(1, at_s(99), &config), Verdict::Holds);
        let reading = guard.read(1, at_s(99), &config);
        assert_eq!((reading.since, reading.until), (Some(at_s(10)), Some(at_s(100))));
        assert!(reading.forced);
        assert_eq!(guard.judge(1, at_s(100), &config), Verdict::Ends);
        assert_eq!(guard.judge(1, at_s(100), &config), Verdict::Open);
    }

    #[test]
    fn one_that_holds_and_is_forced_goes_on_to_the_new_end() {
        let config = GuardConfig::default();
        let mut guard = holding(&config);
        guard.force(at_s(700), at_s(500));
        (0..100).for_each(|_| guard.count_suspect(false));
        assert_eq!(
            guard.judge(100, at_s(600), &config),
            Verdict::Holds,
            "all are back"
        );
        assert_eq!(guard.read(100, at_s(600), &config).since, Some(at_s(0)));
        assert_eq!(guard.judge(100, at_s(700), &config), Verdict::Ends);
    }

    #[test]
    fn what_it_reads_out_forgets_what_the_window_forgets() {
        let config = GuardConfig::default();
        let mut guard = Guard::default();
        (0..3).for_each(|_| guard.silent(config.part(at_s(100))));
        guard.lost(config.part(at_s(100)));
        let reading = guard.read(9, at_s(110), &config);
        assert_eq!((reading.silent, reading.population), (3, 10));
        let reading = guard.read(9, at_s(116), &config);
        assert_eq!((reading.silent, reading.population), (0, 9));
    }

    #[test]
    fn an_operator_ends_it() {
        let config = GuardConfig::default();
        let mut guard = holding(&config);
        assert!(guard.release(at_s(1), &config));
        assert!(!guard.holding());
        assert_eq!(guard.judge(100, at_s(2), &config), Verdict::Open);
    }
}
