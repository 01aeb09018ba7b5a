//! Status and headers of an answer.

use std::io;

use bytes::Bytes;

use super::body::Framing;

/// The head of an answer. Headers are looked up in the raw bytes, so that reading a head costs no allocation.
#[derive(Debug, Clone)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The head up to and with its empty line.
    raw: Bytes,
}

impl Head {
    /// Reads a head whose bytes are complete.
    ///
    /// # Errors
    ///
    /// When the first line is not that of an HTTP/1 answer.
    pub fn parse(raw: Bytes) -> io::Result<Self> {
        let status = raw
            .strip_prefix(b"HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok());
        match status {
            Some(status) => Ok(Self { status, raw }),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not the head of an HTTP/1 answer",
            )),
        }
    }

    /// The value of a header, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.raw.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
            let (found, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":")?;
            if !found.eq_ignore_ascii_case(name.as_bytes()) {
                return None;
            }
            std::str::from_utf8(value).ok().map(str::trim)
        })
    }

    /// Where the body of this answer ends.
    #[must_use]
    pub fn framing(&self) -> Framing {
        if matches!(self.status, 204 | 304) {
            return Framing::length(0);
        }
        if let Some(length) = self.header("content-length").and_then(|text| text.parse().ok()) {
            return Framing::length(length);
        }
        if self
            .header("transfer-encoding")
            .is_some_and(|text| text.eq_ignore_ascii_case("chunked"))
        {
            return Framing::chunked();
        }
        Framing::until_close()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_headers_are_found() {
        let head = Head::parse(Bytes::from_static(
            b"HTTP/1.1 409 Conflict\r\ncontent-type: application/problem+json\r\nContent-Length: 12\r\n\r\n",
        ))
        .unwrap();
        assert_eq!(head.status, 409);
        assert_eq!(head.header("Content-Type"), Some("application/problem+json"));
        assert_eq!(head.header("content-length"), Some("12"));
        assert_eq!(head.header("content"), None);
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        assert!(Head::parse(Bytes::from_static(b"SSH-2.0-x\r\n\r\n")).is_err());
    }
}
