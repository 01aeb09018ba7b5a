//! Numbers and texts, to bytes and back.

use std::str::FromStr;

use beatrix_core::model::Invalid;

use super::DecodeError;

/// Writes a number; small ones take few bytes.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // The low seven bits, and that more follow.
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a length or a count.
pub fn put_len(out: &mut Vec<u8>, len: usize) {
    put_number(out, len as u64);
}

/// Writes a text.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Writes whether something is so.
pub fn put_bool(out: &mut Vec<u8>, value: bool) {
    out.push(u8::from(value));
}

/// Writes a number with a fraction, bit by bit.
pub fn put_float(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Writes what may be absent: a mark, and then the value.
pub fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl FnOnce(&mut Vec<u8>, T)) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

/// Reads from the front of some bytes.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Of all of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Checks that nothing is left.
    ///
    /// # Errors
    /// If something is.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Left(left)),
        }
    }

    /// So many bytes.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// So many bytes, as an array.
    ///
    /// # Errors
    /// If there are fewer.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// One byte.
    ///
    /// # Errors
    /// If there is none.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A number.
    ///
    /// # Errors
    /// If it ends too early, has more than 64 bits or is not written in the shortest way: each number has one form.
    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits || (byte == 0 && shift > 0) {
                return Err(DecodeError::Malformed("a number"));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::Malformed("a number"))
    }

    /// A number that fits into fewer bits.
    ///
    /// # Errors
    /// If it is not one, or too big.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, DecodeError> {
        let number = self.number()?;
        T::try_from(number).map_err(|_| DecodeError::Malformed("a number"))
    }

    /// How many things follow. Each takes a byte at least, so that a wrong number cannot make us reserve memory for
    /// more than there is.
    ///
    /// # Errors
    /// If there cannot be as many.
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        let count = self.small()?;
        if count > self.rest.len() {
            return Err(DecodeError::Short);
        }
        Ok(count)
    }

    /// A text.
    ///
    /// # Errors
    /// If it ends too early or is not UTF-8.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let len = self.small()?;
        std::str::from_utf8(self.bytes(len)?).map_err(|_| DecodeError::Malformed("a text"))
    }

    /// A text that the model checks.
    ///
    /// # Errors
    /// If it is not one, or breaks the model's rule.
    pub fn parsed<T: FromStr<Err = Invalid>>(&mut self) -> Result<T, DecodeError> {
        Ok(self.text()?.parse()?)
    }

    /// Whether something is so.
    ///
    /// # Errors
    /// If it is neither yes nor no.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(unknown("the mark", other)),
        }
    }

    /// A number with a fraction.
    ///
    /// # Errors
    /// If it ends too early. Whether it is a number at all is for the model to say.
    pub fn float(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(u64::from_le_bytes(self.array()?)))
    }

    /// What may be absent.
    ///
    /// # Errors
    /// Those of `read`, and if the mark is not one.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        self.bool()?.then(|| read(self)).transpose()
    }
}

/// A number that stands for nothing known.
#[must_use]
pub fn unknown(what: &'static str, found: impl Into<u64>) -> DecodeError {
    DecodeError::Unknown {
        what,
        found: found.into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_reads_back_and_has_one_form(number: u64, shift in 0_u32..64) {
            let number = number >> shift;
            let mut out = Vec::new();
            put_number(&mut out, number);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.end(), Ok(()));
            // The same number with a superfluous byte.
            *out.last_mut().unwrap() |= 0x80;
            out.push(0);
            prop_assert!(Reader::new(&out).number().is_err());
        }

        #[test]
        fn any_bytes_are_a_number_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let mut reader = Reader::new(&bytes);
            if let Ok(number) = reader.number() {
                let mut out = Vec::new();
                put_number(&mut out, number);
                prop_assert_eq!(&out[..], &bytes[..out.len()]);
            }
        }
    }

    #[test]
    fn a_count_beyond_what_is_there_is_refused_before_memory_is_reserved() {
        let mut out = Vec::new();
        put_number(&mut out, 1 << 40);
        assert_eq!(Reader::new(&out).count(), Err(DecodeError::Short));
    }
}
