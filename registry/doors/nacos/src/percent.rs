//! Percent decoding that takes what clients really send.
//!
//! Nacos clients send values that are not encoded at all (Go v1: raw JSON in bodies, `@@` in queries). So a `+` is a
//! space as in every form, `%` with two hexadecimal digits is a byte, and anything else stands for itself.

use std::borrow::Cow;

/// The decoded text, borrowed if there was nothing to decode. `None` if it is not UTF-8.
pub(crate) fn decode(raw: &[u8]) -> Option<Cow<'_, str>> {
    // Without a way out of the loop it is done many bytes at a time.
    let plain = raw
        .iter()
        .fold(true, |plain, byte| plain & (*byte != b'%') & (*byte != b'+'));
    if plain {
        return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        let (decoded, used) = match (byte, after) {
            (b'+', _) => (b' ', 1),
            (b'%', [high, low, ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            (byte, _) => (*byte, 1),
        };
        bytes.push(decoded);
        rest = &rest[used..];
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_decoded_stands_for_itself() {
        for (raw, text) in [
            ("plain", Some("plain")),
            ("a+b", Some("a b")),
            ("a%2Bb%2bc", Some("a+b+c")),
            ("%7B%22a%22%3a1}", Some("{\"a\":1}")),
            ("{\"a\": 1}", Some("{\"a\": 1}")),
            ("100%", Some("100%")),
            ("%4", Some("%4")),
            ("%zz%41", Some("%zzA")),
            ("%%41", Some("%A")),
            ("%C3%BC", Some("ü")),
            ("%C3", None),
        ] {
            assert_eq!(decode(raw.as_bytes()).as_deref(), text, "{raw}");
        }
        assert_eq!(decode(b"\xFF"), None);
        assert!(matches!(decode(b"plain"), Some(Cow::Borrowed(_))));
    }
}
