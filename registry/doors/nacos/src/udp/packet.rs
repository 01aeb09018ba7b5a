//! One datagram: `{"type":"dom","data":"…","lastRefTime":17}`, packed if it is long.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::hosts::string;
use crate::limits::{UDP_DATA_BYTES_MAX, UDP_DATAGRAM_BYTES_MAX};

/// From so many bytes on a packet is packed. Nacos 2.x: `UdpPushService` does so; clients look for the magic number.
const PACKED_FROM: usize = 1024;

/// It does not fit into a datagram, packed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a datagram takes at most {UDP_DATAGRAM_BYTES_MAX} bytes")]
pub(super) struct TooLarge;

/// The packet that carries a list, which comes in pieces of text. `id` is what acknowledgements name: a packet has it
/// where the list has the time.
///
/// # Errors
/// If it does not fit into a datagram.
pub(super) fn packet(list: &[Bytes], id: u64) -> Result<Bytes, TooLarge> {
    // Before anything is copied: lists of services are much larger than what is packed into a datagram.
    if list.iter().map(Bytes::len).sum::<usize>() > UDP_DATA_BYTES_MAX {
        return Err(TooLarge);
    }
    let data = String::from_utf8(list.concat()).expect("JSON of text is UTF-8");
    let mut json = Vec::with_capacity(data.len() + data.len() / 4 + 64);
    json.extend_from_slice(b"{\"type\":\"dom\",\"data\":");
    string(&mut json, &data);
    json.extend_from_slice(format!(",\"lastRefTime\":{id}}}").as_bytes());
    if json.len() < PACKED_FROM {
        return Ok(json.into());
    }
    // Speed counts for more than size: it is packed between a change and those who wait for it.
    let mut packed = GzEncoder::new(Bounded(Vec::new()), Compression::fast());
    let written = packed.write_all(&json).and_then(|()| packed.finish());
    written.map(|Bounded(packed)| packed.into()).map_err(|_| TooLarge)
}

/// Takes as much as a datagram does; more is an error at once, not after all of it has been packed.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > UDP_DATAGRAM_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use serde_json::{Value, json};

    use super::*;

    fn read(packet: &[u8]) -> Value {
        let mut json = Vec::new();
        if packet.starts_with(&[0x1F, 0x8B]) {
            GzDecoder::new(packet).read_to_end(&mut json).unwrap();
        } else {
            json.extend_from_slice(packet);
        }
        serde_json::from_slice(&json).unwrap()
    }

    #[test]
    fn it_is_packed_from_1024_bytes_on() {
        let frame = packet(&[], 7).unwrap().len();
        for (len, packed) in [
            (0, false),
            (1023 - frame, false),
            (1024 - frame, true),
            (5_000, true),
        ] {
            let data = "x".repeat(len);
            let (one, other) = data.split_at(len / 3);
            let list = [one.to_owned().into(), other.to_owned().into()];
            let packet = packet(&list, 7).unwrap();
            assert_eq!(packet.starts_with(&[0x1F, 0x8B]), packed, "{len}");
            assert_eq!(
                read(&packet),
                json!({"type": "dom", "data": data, "lastRefTime": 7})
            );
        }
    }

    #[test]
    fn what_fits_no_datagram_is_refused() {
        // Bytes that cannot be packed well: there are too many of them long before the bound on what is tried.
        let mut state = 1_u64;
        let mut noise = |len: usize| -> String {
            let mut letter = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + u8::try_from(state >> 59).unwrap())
            };
            std::iter::repeat_with(&mut letter)
                .filter(|c| *c != '"')
                .take(len)
                .collect()
        };
        let fits = packet(&[noise(60_000).into()], 1).unwrap();
        assert!(fits.len() <= UDP_DATAGRAM_BYTES_MAX);
        assert_eq!(packet(&[noise(200_000).into()], 1), Err(TooLarge));
        // And what could be packed well, but is not tried.
        let most = Bytes::from("x".repeat(UDP_DATA_BYTES_MAX));
        assert!(packet(std::slice::from_ref(&most), 1).is_ok());
        assert_eq!(packet(&[most, "x".into()], 1), Err(TooLarge));
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_copied() {
        // Together more than any machine has.
        let pieces = vec![Bytes::from("x".repeat(1 << 24)); 1 << 22];
        assert_eq!(packet(&pieces, 1), Err(TooLarge));
    }
}
