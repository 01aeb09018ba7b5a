//! What was measured about an instance, and why.

use super::{Begun, Invalid, Marks, Revision, Share, Wall};

/// What was measured. It is never rewritten to please a reader: protection changes what is *serving*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Health {
    /// It proved that it lives.
    Healthy,
    /// It did not, or says itself that it is not well.
    Unhealthy,
}

/// Why a change happened, or why an instance's health is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client registered it.
    Registered,
    /// A beat came.
    Beat,
    /// No beat came in time.
    Silent,
    /// No beat came in time, but the mass-expiry guard holds: the fault is more likely elsewhere.
    Guarded,
    /// The client said so itself.
    Declared,
    /// It is well again, but its health changed so often that it has to be so for a while before it is called healthy.
    Flapping,
    /// Its health changed often, and has been well for long enough.
    Steady,
    /// Probes were answered well.
    ProbePassed,
    /// Probes were not answered, or badly. A reason to be unhealthy, and one to be removed.
    ProbeFailed,
    /// Enough consumers say that they cannot reach it. A reason of changes, and of the mark.
    Reported,
    /// An operator did it. A reason of changes, and one to be removed.
    Operator,
    /// Removed because the client said goodbye.
    Deregistered,
    /// Removed because no beat came for too long.
    Expired,
    /// Removed because its connection closed.
    SessionClosed,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Registered,
        Self::Beat,
        Self::Silent,
        Self::Guarded,
        Self::Declared,
        Self::ProbePassed,
        Self::ProbeFailed,
        Self::Operator,
        Self::Deregistered,
        Self::Expired,
        Self::SessionClosed,
    ];

    /// The reason as one word; part of the native API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Beat => "beat",
            Self::Silent => "silent",
            Self::Guarded => "guarded",
            Self::Declared => "declared",
            Self::Flapping => "flapping",
            Self::Steady => "steady",
            Self::ProbePassed => "probe_passed",
            Self::ProbeFailed => "probe_failed",
            Self::Reported => "reported",
            Self::Operator => "operator",
            Self::Deregistered => "deregistered",
            Self::Expired => "expired",
            Self::SessionClosed => "session_closed",
        }
    }
}

/// The measured part of an instance: what changes without a registration. Small and `Copy`, so that a flip of
/// health writes in place and allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// What was measured.
    pub health: Health,
    /// What else there is to know about it.
    pub marks: Marks,
    /// Why.
    pub reason: Reason,
    /// The revision of the instance's last change of any kind.
    pub revision: Revision,
    /// When the health last changed.
    pub since: Wall,
    /// The share of its weight that it gets while it is new.
    pub share: Share,
    /// When it began to serve.
    pub begun: Begun,
}

impl State {
    /// Whether the mass-expiry guard protects it.
    #[must_use]
    pub fn suspect(&self) -> bool {
        self.marks.has(Marks::SUSPECT)
    }

    /// When it began to serve, by the registry's clock. `None` if it does not.
    #[must_use]
    pub fn serving_since(&self) -> Option<Wall> {
        self.begun.since(self.since)
    }
}

/// A status that an instance gives itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeclaredStatus {
    /// Alive, but wants no new traffic.
    Draining,
    /// Alive, but not well.
    Unhealthy,
}

/// What an instance says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The status.
    pub status: DeclaredStatus,
    /// Why, for people.
    pub reason: Option<Box<str>>,
}

impl Declared {
    /// Checks the reason.
    ///
    /// # Errors
    /// If the reason is longer than 256 bytes or holds control characters.
    pub fn new(status: DeclaredStatus, reason: Option<&str>) -> Result<Self, Invalid> {
        if let Some(text) = reason
            && (text.len() > 256 || text.chars().any(char::is_control))
        {
            return Err(Invalid::new(
                "reason",
                "must be at most 256 bytes without control characters",
                text,
            ));
        }
        Ok(Self {
            status,
            reason: reason.filter(|text| !text.is_empty()).map(Into::into),
        })
    }
}
