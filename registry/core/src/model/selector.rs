//! How a service's instances may be chosen for a caller.

use super::Invalid;
use super::text::check_line;

/// How many bytes the expression of a selector may have.
pub const EXPRESSION_BYTES_MAX: usize = 1024;

/// What somebody said about choosing instances. It is kept and shown; nothing here chooses by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Selector {
    /// All of them. Nacos 2.x: `none`.
    #[default]
    None,
    /// Those whose labels match. Nacos 2.x: `label`.
    Label {
        /// The match, in the words of whoever set it. At most [`EXPRESSION_BYTES_MAX`] bytes on one line.
        expression: String,
    },
}

impl Selector {
    /// Checks the expression.
    ///
    /// # Errors
    /// Names the rule if it is too long or has control characters.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::None => Ok(()),
            Self::Label { expression } => check_line("selector", expression, EXPRESSION_BYTES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_one_short_line() {
        let label = |expression: String| Selector::Label { expression };
        assert!(Selector::None.check().is_ok());
        assert!(label("x".repeat(EXPRESSION_BYTES_MAX)).check().is_ok());
        assert!(label("x".repeat(EXPRESSION_BYTES_MAX + 1)).check().is_err());
        assert!(label("a\nb".into()).check().is_err());
    }
}
