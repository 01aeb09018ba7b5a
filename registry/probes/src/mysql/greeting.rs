//! The server's first packet: what it can, and the random bytes for the login.

use super::packet::{Fields, MALFORMED};
use crate::outcome::{ProbeOutcome, Step};

/// What the client and the server must both be able to do, MySQL's `CLIENT_…`.
pub(super) mod can {
    /// Flags and field sizes of 4.1 and later.
    pub(in super::super) const PROTOCOL_41: u32 = 0x200;
    /// Logins with 20 random bytes.
    pub(in super::super) const SECURE_CONNECTION: u32 = 0x8000;
    /// Several ways to log in.
    pub(in super::super) const PLUGIN_AUTH: u32 = 0x8_0000;
}

/// How many random bytes a server sends for a login.
pub(super) const NONCE_BYTES: usize = 20;

/// What counts of a greeting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    /// The random bytes.
    pub(super) nonce: [u8; NONCE_BYTES],
    /// The way to log in that the server would like.
    pub(super) plugin: Vec<u8>,
    /// Whether others can be agreed on.
    pub(super) plugins: bool,
}

/// Reads a greeting. A server that does not want to talk sends an error in its place: too many connections, or an address
/// that is shut out.
pub(super) fn parse(payload: &[u8]) -> Step<Greeting> {
    if payload.first() == Some(&0xff) {
        return Err(super::error(payload));
    }
    let mut fields = Fields(payload);
    if fields.byte()? != 10 {
        return Err(MALFORMED);
    }
    let _version = fields.text()?;
    let _connection = fields.bytes(4)?;
    let mut nonce = fields.bytes(8)?.to_vec();
    let _filler = fields.byte()?;
    let low = fields.number(2)?;
    let _charset_and_status = fields.bytes(3)?;
    let high = fields.number(2)?;
    let can = u32::try_from(high << 16 | low).map_err(|_| MALFORMED)?;
    if can & can::PROTOCOL_41 == 0 || can & can::SECURE_CONNECTION == 0 {
        return Err(ProbeOutcome::BadAnswer("the server is older than MySQL 4.1"));
    }
    let length = usize::from(fields.byte()?);
    let _reserved = fields.bytes(10)?;
    // The second part has at least 13 bytes, the last of them a NUL.
    let rest = fields.bytes(length.saturating_sub(8).max(13))?;
    nonce.extend_from_slice(&rest[..NONCE_BYTES - 8]);
    let plugins = can & can::PLUGIN_AUTH != 0;
    // Some servers leave out the NUL at the very end.
    let plugin = fields.0.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(Greeting {
        nonce: nonce.try_into().map_err(|_| MALFORMED)?,
        plugin: plugin.to_vec(),
        plugins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A greeting as MariaDB 10.11 sends it, with the nonce `abcdefghijklmnopqrst`.
    pub(crate) fn greeting() -> Vec<u8> {
        let mut payload = b"\x0a5.5.5-10.11.14-MariaDB\0\x07\0\0\0abcdefgh\0".to_vec();
        payload.extend_from_slice(&[0xfe, 0xf7, 0x2d, 2, 0, 0xff, 0x81, 21]);
        payload.extend_from_slice(&[0; 10]);
        payload.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        payload
    }

    #[test]
    fn a_greeting_gives_the_nonce_and_the_way_to_log_in() {
        let greeting = parse(&greeting()).unwrap();
        assert_eq!(&greeting.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(greeting.plugin, b"mysql_native_password");
        assert!(greeting.plugins);
    }

    #[test]
    fn a_greeting_cut_anywhere_before_its_plugin_is_malformed() {
        let whole = greeting();
        let plugin = whole.len() - b"mysql_native_password\0".len();
        for end in 0..plugin {
            assert_eq!(parse(&whole[..end]), Err(MALFORMED), "{end}");
        }
    }

    #[test]
    fn a_server_that_does_not_want_to_talk_says_so_by_its_code() {
        assert_eq!(
            parse(b"\xff\x10\x04Too many"),
            Err(ProbeOutcome::MysqlError(1040))
        );
        assert_eq!(
            parse(b"\xff\x69\x04Host is blocked"),
            Err(ProbeOutcome::MysqlError(1129))
        );
        assert_eq!(parse(b"\xff"), Err(MALFORMED));
        assert_eq!(parse(b"\x09old"), Err(MALFORMED));
    }
}
