//! Revisions of which nobody knows any more what they said.

use crate::model::Revision;

/// Revisions that were given out, or may have been, and then lost in a crash before they were written: those after
/// `after`, up to `until`. Whoever has seen one of them may have seen what nobody knows any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The newest revision before it.
    pub after: Revision,
    /// Its last revision.
    pub until: Revision,
}

impl Gap {
    /// Whether this revision is one of them.
    #[must_use]
    pub fn holds(&self, revision: Revision) -> bool {
        self.after < revision && revision <= self.until
    }
}
