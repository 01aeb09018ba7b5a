//! Who is alive.
//!
//! A beat stores a time in a table that needs no lock ([`Beats`]). The catalog's owner keeps a [`Wheel`] of
//! instances by deadline; when one fires, the time of the last beat decides whether it is due or is armed anew.
//! So a beat is never a write, and nothing ever scans all instances.
//!
//! [`Guard`] holds back expiries that are too many at once; [`LivenessClock`] takes out of time what the process
//! itself slept through; [`Flaps`] keeps from calling healthy at once what falls over and over; [`Reports`] weighs what
//! consumers say. Those who do not beat are probed: the schedule says who is next, [`observe`] counts results.

mod beats;
mod finding;
mod flap;
mod gaps;
mod guard;
mod index;
mod lateness;
mod probe;
mod reports;
mod schedule;
mod stall;
mod wheel;

pub(crate) use beats::Cell;
pub use beats::{Beat, Beats};
pub use finding::{Finding, ProbeResult};
pub use flap::{FlapConfig, FlapReading, Flaps};
pub use gaps::{BeatReading, LATE_KEPT, LateBeat, late_from};
pub use guard::{FORCE_MAX, Guard, GuardConfig, GuardReading, Verdict};
pub use lateness::Lateness;
pub use probe::{Streak, observe};
pub use reports::{
    BROAD_MIN, Consumer, IDS_PER_ADDRESS_MAX, INSTANCES_PER_ADDRESS_MAX, REPORTERS_PER_INSTANCE_MAX,
    RecheckReading, Report, ReportConfig, ReportReading, Reports,
};
pub(crate) use schedule::{Ended, Schedule};
pub use schedule::{LastProbe, ProbeConfig, ProbeCounts, Scheduled, Ticket};
pub use stall::{LivenessClock, STALL_MIN};
pub use wheel::{TICK, Wheel};
