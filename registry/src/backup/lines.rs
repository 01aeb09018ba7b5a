//! Whole lines out of what comes in pieces. It holds what is left of the last piece and no more than the longest line.

use std::collections::VecDeque;

use beatrix_native::backup::IMPORT_BYTES_MAX;

/// A line is longer than any line of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line has more than {IMPORT_BYTES_MAX} bytes: this is no backup of Beatrix")]
pub struct LineTooLong;

/// See the module.
#[derive(Debug, Default)]
pub struct Lines {
    whole: VecDeque<Vec<u8>>,
    rest: Vec<u8>,
    held: usize,
    most: usize,
}

impl Lines {
    /// Takes the next piece.
    ///
    /// # Errors
    /// If a line in it has no end.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), LineTooLong> {
        self.held += piece.len();
        self.most = self.most.max(self.held);
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = piece.split_at(end + 1);
            let mut whole = std::mem::take(&mut self.rest);
            whole.extend_from_slice(line);
            self.whole.push_back(whole);
            piece = rest;
        }
        self.rest.extend_from_slice(piece);
        if self.rest.len() > IMPORT_BYTES_MAX {
            return Err(LineTooLong);
        }
        Ok(())
    }

    /// The next whole line, with its end.
    pub fn next_line(&mut self) -> Option<Vec<u8>> {
        let line = self.whole.pop_front()?;
        self.held -= line.len();
        Some(line)
    }

    /// What is left when nothing comes any more: a line without an end.
    pub fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = std::mem::take(&mut self.rest);
        self.held -= rest.len();
        (!rest.is_empty()).then_some(rest)
    }

    /// How many bytes were held at the most.
    #[must_use]
    pub fn most_held(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_however_they_are_cut() {
        let text = b"one\ntwo\n\nthree\nfour";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in text.chunks(size) {
                lines.push(piece).unwrap();
                while let Some(line) = lines.next_line() {
                    found.push(line);
                }
            }
            found.extend(lines.rest());
            assert_eq!(found.concat(), text);
            assert_eq!(found.len(), 5, "in pieces of {size}");
            // Never more than a line and a piece.
            assert!(
                lines.most_held() < 6 + size,
                "{} in pieces of {size}",
                lines.most_held()
            );
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; IMPORT_BYTES_MAX];
        assert_eq!(lines.push(&piece), Ok(()));
        assert_eq!(lines.push(b"x"), Err(LineTooLong));
    }
}
