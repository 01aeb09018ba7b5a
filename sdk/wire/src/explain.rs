//! Why an instance is as it is, or was.
//!
//! Each thing has a `code` for programs, which never changes its meaning, and a `text` for people, which may. Times are as
//! of the answer: `_ms_ago` and `in_ms` count in the time that instances live by, which stands still while the registry
//! does.

use serde::{Deserialize, Serialize};

use crate::history::MembershipEvent;
use crate::instance::{Instance, OperatorLayer};
use crate::probe::ProbeResult;

/// The answer of `GET …/instances/{address}:{port}/explain`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explanation {
    /// `serving`, `not_serving` or `gone`.
    pub state: String,
    /// The same with its reason, in one sentence.
    pub summary: String,
    /// Why it does not serve, or is gone; what decides first. Empty of one that serves.
    pub because: Vec<Coded>,
    /// Which rule made it what it is, with its numbers.
    pub rule: Coded,
    /// When its health last changed, or it went; wall clock.
    pub since_ms: u64,
    /// How long ago that was, by the wall clock.
    pub since_ms_ago: u64,
    /// The history that `revision` counts in.
    pub epoch: String,
    /// The revision of the registry that this is told at.
    pub revision: u64,
    /// False while the registry may not know all instances yet.
    pub complete: bool,
    /// The instance as it is shown, if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<Instance>,
    /// What else is marked about it: `suspect`, `unconfirmed`, `flapping`, `reported`.
    #[serde(default)]
    pub marks: Vec<String>,
    /// Its beats, if it lives by them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beats: Option<BeatsExplained>,
    /// Its probes, if the registry asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<ProbesExplained>,
    /// What consumers say, if any do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<ReportsExplained>,
    /// How its health changed lately, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap: Option<FlapExplained>,
    /// The mass-expiry guards that count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guards: Option<GuardsExplained>,
    /// The operator's layer that waits for one that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorLayer>,
    /// What happens by itself, soonest first.
    #[serde(default)]
    pub next: Vec<Next>,
    /// What would change it.
    #[serde(default)]
    pub ways: Vec<Coded>,
    /// Its last changes, newest first.
    #[serde(default)]
    pub changes: Vec<MembershipEvent>,
}

/// A thing with a word for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Coded {
    /// For programs.
    pub code: String,
    /// For people.
    pub text: String,
}

/// Something that happens by itself, unless something else happens before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Next {
    /// In how many milliseconds.
    pub in_ms: u64,
    /// For programs.
    pub code: String,
    /// For people.
    pub text: String,
}

/// The beats of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BeatsExplained {
    /// How often it means to beat.
    pub interval_ms: u64,
    /// Silence after which it is unhealthy.
    pub unhealthy_after_ms: u64,
    /// Silence after which it is removed.
    pub remove_after_ms: u64,
    /// Its last beat, or what stands for one: its registration, or the end of a guard.
    pub last_ms_ago: u64,
    /// The gap before the last beat; absent before the first one, and of two that came at once. What comes before the
    /// first is its registration, or the end of a guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_gap_ms: Option<u64>,
    /// A gap as long as this, or longer, makes a beat late: one and a half intervals.
    pub late_from_ms: u64,
    /// Its late beats that the registry still remembers, newest first, at most eight. Where more than 4,096 instances are
    /// registered they may be fewer: the newest of all push out the oldest.
    #[serde(default)]
    pub late: Vec<LateBeat>,
    /// Who said that its silence has no consequences: `instance`, `service` or `registry`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared_by: Option<String>,
}

/// A beat that came late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LateBeat {
    /// When it came.
    pub ms_ago: u64,
    /// How long the silence before it was.
    pub gap_ms: u64,
}

/// The probes of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ProbesExplained {
    /// Good answers in a row that make it healthy.
    pub rise: u64,
    /// Bad ones that make it unhealthy.
    pub fall: u64,
    /// How many of the last ones in a row speak against its health.
    pub against: u64,
    /// In how many milliseconds it is asked next; absent while it is being asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_in_ms: Option<u64>,
    /// The newest answer since it registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<ProbeResult>,
}

/// What consumers say about an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReportsExplained {
    /// How many consumers report it now.
    pub consumers: u64,
    /// How many of them count: who reports most of the service is taken to be at fault itself.
    pub counted: u64,
    /// How many it takes.
    pub needed: u64,
    /// How many attempts failed, in all that they report.
    pub failures: u64,
    /// When the first report came.
    pub since_ms_ago: u64,
    /// When the newest came.
    pub newest_ms_ago: u64,
    /// The last errors, newest first, each once.
    pub last_errors: Vec<String>,
    /// What the registry found when it looked itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<LookExplained>,
}

/// What the registry found when it looked at an instance that consumers cannot reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookExplained {
    /// When.
    pub ms_ago: u64,
    /// Whether it answered.
    pub good: bool,
    /// How.
    pub text: String,
}

/// How the health of an instance changed lately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlapExplained {
    /// Each fall adds 1; it halves with time.
    pub score: f64,
    /// Whether it is called flapping.
    pub flapping: bool,
    /// How long it has to be well at a time before it is called healthy, while it flaps.
    pub hold_ms: u64,
}

/// The mass-expiry guards that count an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuardsExplained {
    /// Whether guards act by themselves.
    pub enabled: bool,
    /// Above which share of silent ones one holds, in percent.
    pub threshold_percent: u64,
    /// From how many instances on.
    pub population_min: u64,
    /// Whether one holds for this instance.
    pub holds: bool,
    /// That of its service.
    pub service: GuardExplained,
    /// The registry's.
    pub registry: GuardExplained,
}

/// One guard.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GuardExplained {
    /// Whether it holds.
    pub holding: bool,
    /// Whether an operator forced it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Since when it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms_ago: Option<u64>,
    /// In how many milliseconds it ends at the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_in_ms: Option<u64>,
    /// How many instances it counts, those lost within its window among them.
    pub population: u64,
    /// How many of them fell silent within its window.
    pub silent: u64,
    /// How many it protects.
    pub suspects: u64,
}
