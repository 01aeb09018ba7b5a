//! The one error of parsing into the domain.

use std::borrow::Cow;

/// A value from outside that breaks a rule. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}, but is {value}")]
pub struct Invalid {
    /// The field at fault, as the domain calls it.
    pub field: Cow<'static, str>,
    /// The rule, so that it reads on after the field: `must be …`.
    pub rule: Cow<'static, str>,
    /// The offending value, shortened.
    pub value: String,
}

/// How much of an offending value an error repeats: enough to recognise it, too little to flood a log.
const SHOWN_CHARS: usize = 64;

impl Invalid {
    /// An error about `value`, which is shown quoted and shortened.
    pub fn new(field: impl Into<Cow<'static, str>>, rule: impl Into<Cow<'static, str>>, value: &str) -> Self {
        let shown: String = value.chars().take(SHOWN_CHARS).collect();
        let value = if shown.len() < value.len() {
            format!("{shown:?}… ({} bytes)", value.len())
        } else {
            format!("{shown:?}")
        };
        Self {
            field: field.into(),
            rule: rule.into(),
            value,
        }
    }

    /// The same error about another field: a door knows its fields by other names than the domain.
    #[must_use]
    pub fn in_field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = field.into();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_shortened_at_a_character_border() {
        let invalid = Invalid::new("name", "must be short", &"ü".repeat(10_000));
        assert!(invalid.to_string().len() < 250);
        assert!(invalid.value.ends_with("(20000 bytes)"));
    }
}
