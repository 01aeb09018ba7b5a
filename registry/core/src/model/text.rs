//! The bounds of text that nothing here reads: it is kept and shown.

use super::Invalid;

/// Checks that a text is short enough and on one line.
pub(super) fn check_line(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Invalid> {
    if text.len() <= bytes_max && !text.chars().any(char::is_control) {
        return Ok(());
    }
    let rule = format!("must be at most {bytes_max} bytes without control characters");
    Err(Invalid::new(field, rule, text))
}

/// Checks that a text is short enough. The error does not repeat it: it may be a secret.
pub(super) fn check_length(field: &'static str, text: &str, bytes_max: usize) -> Result<(), Invalid> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    let rule = format!("must be at most {bytes_max} bytes");
    Err(Invalid::new(field, rule, &format!("{} bytes", text.len())))
}
