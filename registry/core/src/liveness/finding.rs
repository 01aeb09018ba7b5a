//! What a probe found, as far as health is concerned.

use std::borrow::Cow;
use std::time::Duration;

/// What one answer, or none, says about an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    /// It is well.
    Good,
    /// It answered, and not well.
    Bad,
    /// It, or the machine it should be on, says outright that it is not there or does not work. Nacos 2.x: a refused
    /// connection, any status but 200, 302 and 503, an error of the database; there it need not be said three times.
    Down,
    /// Nothing came back. The fault may be anywhere on the way, here too: of such the mass-expiry guard has to hear.
    Silent,
    /// Nobody was asked. It counts for nothing.
    Unasked,
}

/// What came of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResult {
    /// What it means.
    pub finding: Finding,
    /// What came of it in one word; of few.
    pub word: &'static str,
    /// The same for people, bounded, and nothing that the other side said.
    pub text: Cow<'static, str>,
    /// How long it took.
    pub took: Duration,
}
