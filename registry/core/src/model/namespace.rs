//! What people call a namespace.

use super::Invalid;
use super::text::check_line;

/// How many bytes the shown name of a namespace may have.
pub const NAMESPACE_NAME_BYTES_MAX: usize = 128;
/// How many bytes the description of a namespace may have.
pub const NAMESPACE_DESCRIPTION_BYTES_MAX: usize = 512;

/// What was declared about a namespace. It need not be declared to be used.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamespaceInfo {
    /// Its name for people; at most [`NAMESPACE_NAME_BYTES_MAX`] bytes on one line.
    pub name: String,
    /// What it is for; at most [`NAMESPACE_DESCRIPTION_BYTES_MAX`] bytes on one line.
    pub description: String,
}

impl NamespaceInfo {
    /// Checks both texts.
    ///
    /// # Errors
    /// Names the text that is too long or has control characters.
    pub fn check(&self) -> Result<(), Invalid> {
        check_line("namespace_name", &self.name, NAMESPACE_NAME_BYTES_MAX)?;
        check_line(
            "namespace_description",
            &self.description,
            NAMESPACE_DESCRIPTION_BYTES_MAX,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_texts_are_short_lines() {
        let info = |name: &str, description: &str| NamespaceInfo {
            name: name.into(),
            description: description.into(),
        };
        assert!(info("", "").check().is_ok());
        assert!(info(&"n".repeat(128), &"d".repeat(512)).check().is_ok());
        assert_eq!(
            info(&"n".repeat(129), "").check().unwrap_err().field,
            "namespace_name"
        );
        assert_eq!(
            info("", &"d".repeat(513)).check().unwrap_err().field,
            "namespace_description"
        );
        assert!(info("a\tb", "").check().is_err());
    }
}
