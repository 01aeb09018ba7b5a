//! What an explanation holds.

use std::time::Duration;

use crate::changes::Change;
use crate::liveness::{BeatReading, FlapReading, GuardReading, LastProbe, ReportReading};
use crate::model::{DeclaredStatus, Member, Mono, OperatorLayer, Reason, Timings, Version};

/// An explanation as of one moment.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The state of the registry that it is of.
    pub version: Version,
    /// False while not all instances may be known.
    pub complete: bool,
    /// The moment, in liveness time like all others in it.
    pub now: Mono,
    /// Whether the instance is there, and what is known of it.
    pub explained: Explained,
}

/// An instance that is there, or was.
#[derive(Debug, Clone)]
pub enum Explained {
    /// It is there.
    There(Box<There>),
    /// It is not, but something is remembered.
    Gone(Box<Gone>),
}

/// An instance that is there.
#[derive(Debug, Clone)]
pub struct There {
    /// The instance with both layers and what was measured.
    pub member: Member,
    /// Why callers should not use it: the first decides. Empty of one that serves.
    pub not_serving: Vec<NotServing>,
    /// Which rule made it what it is.
    pub rule: Rule,
    /// Its beats, if it lives by them.
    pub beats: Option<BeatFacts>,
    /// Its probes, if the registry asks.
    pub probe: Option<ProbeFacts>,
    /// How it flaps, if its health changed lately.
    pub flap: Option<FlapReading>,
    /// What consumers say, if any do.
    pub reports: Option<ReportReading>,
    /// The guards of its service and of the registry.
    pub guard: GuardFacts,
    /// What happens by itself, soonest first.
    pub deadlines: Vec<Deadline>,
    /// What would change it.
    pub ways: Vec<Way>,
    /// Its last changes, newest first.
    pub changes: Vec<Change>,
}

/// An instance that is not there.
#[derive(Debug, Clone)]
pub struct Gone {
    /// Its last changes, newest first: the first of them is why it went. Empty if only a layer waits for it.
    pub changes: Vec<Change>,
    /// The operator's layer that waits for it.
    pub layer: Option<OperatorLayer>,
    /// When that ends; `None` of a sticky one.
    pub layer_ends: Option<Mono>,
}

/// Why callers should not use an instance, in the order in which it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotServing {
    /// An operator switched it off.
    DisabledByOperator,
    /// Its client registered it switched off.
    DisabledByClient,
    /// An operator drains it.
    DrainedByOperator,
    /// It says itself that it is draining.
    DrainsItself,
    /// It is not healthy.
    Unhealthy,
}

/// The rule that made an instance what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// It is as it was registered, and nothing was measured since.
    Registered,
    /// It beat.
    Beat,
    /// It did not beat for longer than it may.
    Silent {
        /// For how long it may.
        limit: Duration,
        /// Its last beat.
        last_beat: Mono,
    },
    /// It did not, but the mass-expiry guard holds.
    Guarded {
        /// Whether that of its service does; otherwise the registry's.
        by_service: bool,
        /// For how long it may be silent.
        limit: Option<Duration>,
        /// Its last beat.
        last_beat: Mono,
    },
    /// Its probes were not answered, but the mass-expiry guard holds.
    GuardedProbe {
        /// Whether that of its service does; otherwise the registry's.
        by_service: bool,
        /// How many in a row make it unhealthy where no guard holds.
        needed: u8,
    },
    /// It says so itself; `None` if it has taken that back.
    Declared(Option<DeclaredStatus>),
    /// So many probes in a row were answered well, or were not.
    Probed {
        /// Whether they were answered well.
        good: bool,
        /// How many it takes.
        needed: u8,
    },
    /// An operator set its health by hand.
    Operator,
    /// Enough consumers cannot reach it.
    Reported,
    /// It is well again, but has to be so for a while before it is called healthy.
    Flapping,
    /// It was well for long enough after its health had changed often.
    Steady,
    /// It is as it was before the registry's restart, and has not proved since that it lives.
    Unconfirmed {
        /// Why it was so then.
        reason: Reason,
    },
    /// Something else.
    Other(Reason),
}

/// The beats of an instance that lives by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeatFacts {
    /// Its times.
    pub timings: Timings,
    /// Its last beat, or what stands for one: its registration, or when a guard let go of it.
    pub last: Mono,
    /// Since when its silence counts; `None` where it has no consequences.
    pub silent_since: Option<Mono>,
    /// By whom it has none.
    pub spared: Option<Spared>,
    /// A gap as long as this, or longer, makes a beat late.
    pub late_from: Duration,
    /// How it beat.
    pub reading: BeatReading,
}

/// Where it was said that silence has no consequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spared {
    /// In its registration.
    Instance,
    /// In the settings of its service.
    Service,
    /// In those of the registry.
    Registry,
}

/// The probes of an instance that the registry asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFacts {
    /// Good answers in a row that make it healthy.
    pub rise: u8,
    /// Bad ones that make it unhealthy.
    pub fall: u8,
    /// How many of the last ones in a row speak against its health.
    pub against: u8,
    /// When it is asked next; `None` while it is being asked.
    pub due: Option<Mono>,
    /// The newest answer since it registered.
    pub last: Option<LastProbe>,
}

/// The guards that count an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardFacts {
    /// That of its service.
    pub service: GuardReading,
    /// That of the registry.
    pub registry: GuardReading,
    /// Above which share one holds, in percent.
    pub threshold_percent: u32,
    /// From how many instances on.
    pub population_min: u32,
    /// Whether guards act by themselves.
    pub enabled: bool,
    /// Whether one holds for this instance.
    pub holds: bool,
}

/// Something that happens by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Mono,
    /// What.
    pub then: Turn,
}

/// What happens at a deadline, unless something else happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// It becomes unhealthy.
    Unhealthy,
    /// It becomes suspect, since a guard holds.
    Suspect,
    /// It is removed.
    Removed,
    /// The guard of its service ends, and its silence begins anew.
    ServiceGuardEnds,
    /// The registry's does.
    RegistryGuardEnds,
    /// It has been well for long enough, and is called healthy.
    HoldEnds,
    /// Nobody reports it any more.
    ReportsLapse,
}

/// What would change an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A beat makes it healthy.
    BeatHeals,
    /// A beat takes the suspicion from it.
    BeatClears,
    /// A good probe takes the suspicion from it.
    ProbeClears,
    /// A beat, or a good probe, confirms it.
    Confirms,
    /// Silence for so long makes it unhealthy.
    Silence(Duration),
    /// So many good probes in a row make it healthy.
    ProbesPass(u8),
    /// So many bad probes in a row make it unhealthy.
    ProbesFail(u8),
    /// It says that it is well again.
    DeclaresUp,
    /// It registers again.
    Registers,
    /// Its client registers it switched on.
    RegistersEnabled,
    /// An operator switches it on.
    OperatorEnables,
    /// An operator ends the drain.
    OperatorUndrains,
    /// An operator sets its health.
    OperatorSetsHealth,
    /// Enough of the others return, and the guard ends.
    OthersReturn,
    /// An operator ends the guard.
    OperatorEndsGuard,
    /// Consumers reach it again, and do not report it any more.
    ReportsCease,
    /// An operator has the reports forgotten.
    OperatorEndsReports,
    /// It is well without interruption for a while.
    StaysWell,
    /// Its connection closes, and it goes.
    ConnectionCloses,
}
