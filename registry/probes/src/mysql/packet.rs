//! Packets and the fields in them. A packet is three bytes of length, a number that counts within an exchange, and the
//! payload; all numbers are little-endian.

use tokio::time::{Instant, timeout_at};

use crate::outcome::{ProbeOutcome, Step};
use crate::wire::Wire;

/// What does not follow the protocol.
pub(crate) const MALFORMED: ProbeOutcome = ProbeOutcome::BadAnswer("the answer is not in MySQL's protocol");

/// Tells the server goodbye.
const COM_QUIT: u8 = 1;

/// A connection that carries packets.
pub(super) struct Packets {
    wire: Wire,
    number: u8,
}

impl Packets {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, number: 0 }
    }

    /// The payload of the next packet; at least one byte.
    pub(super) async fn read(&mut self) -> Step<Vec<u8>> {
        let header = self.wire.bytes(4).await?;
        let [low, middle, high, number] = header.try_into().map_err(|_| MALFORMED)?;
        // What speaks another protocol is found out here, most of the time.
        if number != self.number {
            return Err(MALFORMED);
        }
        self.number = self.number.wrapping_add(1);
        let length = u32::from_le_bytes([low, middle, high, 0]);
        let length = usize::try_from(length).map_err(|_| MALFORMED)?;
        if length == 0 {
            return Err(MALFORMED);
        }
        self.wire.bytes(length).await
    }

    /// Sends the next packet of an exchange.
    pub(super) async fn write(&mut self, payload: &[u8]) -> Step {
        let length = u32::try_from(payload.len())
            .ok()
            .filter(|length| *length < 0xff_ffff);
        let [low, middle, high, _] = length.ok_or(MALFORMED)?.to_le_bytes();
        let mut packet = vec![low, middle, high, self.number];
        packet.extend_from_slice(payload);
        self.number = self.number.wrapping_add(1);
        self.wire.send(&packet).await
    }

    /// Begins an exchange: numbers count anew.
    pub(super) async fn command(&mut self, payload: &[u8]) -> Step {
        self.number = 0;
        self.write(payload).await
    }

    /// Says goodbye, and waits until the server has closed, or `until`.
    pub(super) async fn quit(&mut self, until: Instant) {
        // The verdict stands: whether the goodbye arrives is nobody's matter.
        if let Ok(Ok(())) = timeout_at(until, self.command(&[COM_QUIT])).await {
            self.wire.closed(until).await;
        }
    }
}

/// Takes fields off the front of a payload.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Step<&'a [u8]> {
        let (field, rest) = self.0.split_at_checked(count).ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(field)
    }

    pub(super) fn byte(&mut self) -> Step<u8> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn number(&mut self, bytes: usize) -> Step<u64> {
        let field = self.bytes(bytes)?;
        Ok(field
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A text that a NUL ends.
    pub(super) fn text(&mut self) -> Step<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(MALFORMED)?;
        let text = self.bytes(end)?;
        self.byte()?;
        Ok(text)
    }

    /// A number that says itself how long it is.
    pub(super) fn length(&mut self) -> Step<u64> {
        match self.byte()? {
            small @ 0..=0xfa => Ok(small.into()),
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            0xfb | 0xff => Err(MALFORMED),
        }
    }

    /// A value of a row. `None`: NULL.
    pub(super) fn value(&mut self) -> Step<Option<&'a [u8]>> {
        if self.0.first() == Some(&0xfb) {
            self.byte()?;
            return Ok(None);
        }
        let length = usize::try_from(self.length()?).map_err(|_| MALFORMED)?;
        self.bytes(length).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_says_itself_how_long_it_is() {
        for (bytes, length) in [
            (&[0xfa][..], Ok(250)),
            (&[0xfc, 1, 2], Ok(0x201)),
            (&[0xfd, 1, 2, 3], Ok(0x03_0201)),
            (&[0xfe, 1, 0, 0, 0, 0, 0, 0, 0], Ok(1)),
            (&[0xfe, 1, 0, 0, 0, 0, 0, 0], Err(MALFORMED)),
            (&[0xff], Err(MALFORMED)),
            (&[0xfb], Err(MALFORMED)),
            (&[], Err(MALFORMED)),
        ] {
            assert_eq!(Fields(bytes).length(), length, "{bytes:?}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_is_an_error_and_no_panic() {
        assert_eq!(Fields(b"ab").text(), Err(MALFORMED));
        assert_eq!(Fields(b"ab\0c").text(), Ok(&b"ab"[..]));
        assert_eq!(Fields(b"ab").bytes(3), Err(MALFORMED));
        assert_eq!(Fields(&[5, b'a']).value(), Err(MALFORMED));
        assert_eq!(
            Fields(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255]).value(),
            Err(MALFORMED)
        );
        assert_eq!(Fields(&[0xfb]).value(), Ok(None));
        assert_eq!(Fields(&[2, b'O', b'N']).value(), Ok(Some(&b"ON"[..])));
    }
}
