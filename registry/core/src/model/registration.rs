//! What a client says about an instance when it registers it: the lower of the two layers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::{Cluster, Invalid, Metadata, ProbeSpec, Weight};

/// Everything that a client registers about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The label inside the service.
    pub cluster: Cluster,
    /// The share of traffic that it wants.
    pub weight: Weight,
    /// Whether it wants traffic at all.
    pub enabled: bool,
    /// Free labels.
    pub metadata: Metadata,
    /// Where it runs, if it says so.
    pub locality: Option<Arc<Locality>>,
    /// How it proves that it lives.
    pub liveness: Liveness,
    /// Whether silence has consequences, if it lives by beats. Nacos 2.x: the instance's metadata
    /// `enableClientBeat=true` turns them off.
    pub expires: bool,
    /// Which run of the process it is, if it says so.
    pub incarnation: Option<Incarnation>,
    /// What the client itself calls it, if it does so. Nothing is found by it.
    pub own_id: Option<Arc<OwnId>>,
}

impl Registration {
    /// Whether it says the same as `other`, whichever connections the two live by.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        // Taken apart, so that nothing that is added later is forgotten here.
        let Self {
            cluster,
            weight,
            enabled,
            metadata,
            locality,
            liveness,
            expires,
            incarnation,
            own_id,
        } = self;
        let of_sessions = matches!(
            (liveness, &other.liveness),
            (Liveness::Session(_), Liveness::Session(_))
        );
        (of_sessions || *liveness == other.liveness)
            && *cluster == other.cluster
            && *weight == other.weight
            && *enabled == other.enabled
            && *metadata == other.metadata
            && *locality == other.locality
            && *expires == other.expires
            && *own_id == other.own_id
            && *incarnation == other.incarnation
    }
}

/// How an instance proves that it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Liveness {
    /// Periodic beats.
    Beat(Timings),
    /// A held connection: when it closes, the instance goes. A view may still name the connection before: that it is
    /// another one is told nobody.
    Session(SessionId),
    /// The registry asks; health flips after so many equal answers in a row.
    Probe(Probe),
    /// Nobody asks.
    Static,
}

/// How an instance is asked that is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// As it says itself.
    Own(Arc<ProbeSpec>),
    /// As its cluster is checked. Nacos 2.x: the checker belongs to the cluster, and all persistent instances in it are
    /// asked alike.
    OfCluster,
}

/// [`Liveness`] without its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LivenessKind {
    /// Periodic beats.
    Beat,
    /// A held connection.
    Session,
    /// The registry asks.
    Probe,
    /// Nobody asks.
    Static,
}

impl Liveness {
    /// Which of the four it is.
    #[must_use]
    pub fn kind(&self) -> LivenessKind {
        match self {
            Self::Beat(_) => LivenessKind::Beat,
            Self::Session(_) => LivenessKind::Session,
            Self::Probe(_) => LivenessKind::Probe,
            Self::Static => LivenessKind::Static,
        }
    }
}

/// Whether an instance goes with whoever registered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lifetime {
    /// It goes when its client is no longer heard of.
    Ephemeral,
    /// It stays until somebody removes it.
    Persistent,
}

impl Lifetime {
    /// The one that it is not.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Ephemeral => Self::Persistent,
            Self::Persistent => Self::Ephemeral,
        }
    }

    /// The lifetime as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ephemeral => "ephemeral",
            Self::Persistent => "persistent",
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl LivenessKind {
    /// Whether an instance that lives so goes with its client.
    #[must_use]
    pub fn lifetime(self) -> Lifetime {
        match self {
            Self::Beat | Self::Session => Lifetime::Ephemeral,
            Self::Static | Self::Probe => Lifetime::Persistent,
        }
    }

    /// The kind as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Beat => "beat",
            Self::Session => "session",
            Self::Probe => "probe",
            Self::Static => "static",
        }
    }
}

/// A held connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// The longest time that an instance may ask for: a day. A registry full of instances that nobody will ever expire
/// is not a registry.
pub const BEAT_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The times of an instance that beats, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    interval_ms: u32,
    unhealthy_after_ms: u32,
    remove_after_ms: u32,
}

impl Timings {
    /// Nacos 2.x: beat every 5 s, unhealthy after 15 s, removed after 30 s.
    pub const DEFAULT: Self = Self {
        interval_ms: 5_000,
        unhealthy_after_ms: 15_000,
        remove_after_ms: 30_000,
    };

    /// For one that lived by a connection, which died with the registry: it has a minute to come back, and goes without
    /// having been unhealthy. Clients of Nacos in Python say who they are again only every 30 s.
    pub const RETURNING: Self = Self {
        interval_ms: 60_000,
        unhealthy_after_ms: 60_000,
        remove_after_ms: 60_000,
    };

    /// Checks the times against each other. Nacos 2.x: the interval is at most each of the others. `remove_after`
    /// may be below `unhealthy_after`: such an instance goes without having been unhealthy.
    ///
    /// # Errors
    /// Names the time that is 0, longer than [`BEAT_TIME_MAX`], or shorter than the interval.
    pub fn new(
        interval: Duration,
        unhealthy_after: Duration,
        remove_after: Duration,
    ) -> Result<Self, Invalid> {
        let ms = |field: &'static str, time: Duration| {
            if time.is_zero() || time > BEAT_TIME_MAX || time < interval {
                let rule = "must be from 1 to 86400000 ms and at least the beat interval";
                return Err(Invalid::new(field, rule, &format!("{} ms", time.as_millis())));
            }
            u32::try_from(time.as_millis())
                .ok()
                .filter(|ms| *ms > 0)
                .ok_or_else(|| Invalid::new(field, "must be at least 1 ms", "0 ms"))
        };
        Ok(Self {
            interval_ms: ms("interval_ms", interval)?,
            unhealthy_after_ms: ms("unhealthy_after_ms", unhealthy_after)?,
            remove_after_ms: ms("remove_after_ms", remove_after)?,
        })
    }

    /// How often the client means to beat.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_millis(self.interval_ms.into())
    }

    /// Silence after which it is unhealthy.
    #[must_use]
    pub fn unhealthy_after(self) -> Duration {
        Duration::from_millis(self.unhealthy_after_ms.into())
    }

    /// Silence after which it is removed.
    #[must_use]
    pub fn remove_after(self) -> Duration {
        Duration::from_millis(self.remove_after_ms.into())
    }
}

/// Where an instance runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locality {
    region: Box<str>,
    zone: Box<str>,
}

impl Locality {
    /// Checks both names; `None` when neither says anything.
    ///
    /// # Errors
    /// Names the part that breaks its rule, and a zone without a region.
    pub fn new(region: &str, zone: &str) -> Result<Option<Self>, Invalid> {
        for (field, text) in [("region", region), ("zone", zone)] {
            if text.len() > 64
                || !text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
            {
                return Err(Invalid::new(
                    field,
                    "must be at most 64 letters, digits, '-', '_' or '.'",
                    text,
                ));
            }
        }
        if region.is_empty() && !zone.is_empty() {
            return Err(Invalid::new("zone", "must come with a region", zone));
        }
        Ok((!region.is_empty()).then(|| Self {
            region: region.into(),
            zone: zone.into(),
        }))
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The zone inside the region; empty when not said.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }
}

/// Names one run of a client's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation(Box<str>);

impl Incarnation {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Incarnation {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::new(
                "incarnation",
                "must be 1 to 64 printable ASCII characters",
                text,
            ))
        }
    }
}

/// What a client calls an instance that the registry names by its address. Nacos 2.x: `instanceId`, which is kept and
/// shown as the client says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnId(Box<str>);

/// How many bytes an [`OwnId`] may have. Those that Nacos makes itself are of an address, a cluster, a group and a name,
/// each as long as it may be.
pub const OWN_ID_BYTES_MAX: usize = 1_024;

impl OwnId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for OwnId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if (1..=OWN_ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control) {
            Ok(Self(text.into()))
        } else {
            let rule = "must be 1 to 1024 bytes without control characters";
            Err(Invalid::new("instance_id", rule, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_checked_against_each_other() {
        let ms = Duration::from_millis;
        assert_eq!(
            Timings::new(ms(5_000), ms(15_000), ms(30_000)).unwrap(),
            Timings::DEFAULT
        );
        for (interval, unhealthy, remove, field) in [
            (0, 15_000, 30_000, "interval_ms"),
            (20_000, 15_000, 30_000, "unhealthy_after_ms"),
            (5_000, 15_000, 4_000, "remove_after_ms"),
            (5_000, 15_000, 86_400_001, "remove_after_ms"),
        ] {
            let invalid = Timings::new(ms(interval), ms(unhealthy), ms(remove)).unwrap_err();
            assert_eq!(invalid.field, field);
        }
        assert!(Timings::new(ms(5), ms(15), ms(10)).is_ok());
        assert!(Timings::new(Duration::from_nanos(1), ms(15), ms(10)).is_err());
    }

    #[test]
    fn locality_says_nothing_or_a_region() {
        assert_eq!(Locality::new("", "").unwrap(), None);
        assert_eq!(Locality::new("eu", "").unwrap().unwrap().region(), "eu");
        assert!(Locality::new("", "a").is_err());
        assert!(Locality::new("a b", "").is_err());
    }
}
