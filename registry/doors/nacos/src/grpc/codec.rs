//! How messages are taken from the transport and given to it: without a copy of a body that is received, and with one
//! copy of a list that many are pushed, straight into the buffer that is sent.

use beatrix_nacos_wire::Payload;
use bytes::{Buf, BufMut};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::message::Outgoing;

/// Each stream and each call begins with buffers of this size. The default of 8 KiB would be the largest part of what a
/// quiet connection costs; most messages fit in here.
const BUFFER_BYTES: usize = 512;
/// Messages that wait are sent together up to here.
const SENT_TOGETHER_BYTES: usize = 32 * 1024;

const SETTINGS: (usize, usize) = (BUFFER_BYTES, SENT_TOGETHER_BYTES);

/// Tags of fields that are length-delimited: the number, times eight, plus two.
const METADATA: u8 = 0x12;
const TYPE: u8 = 0x1A;
const BODY: u8 = 0x1A;
const VALUE: u8 = 0x12;

#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Messages;

impl Codec for Messages {
    type Encode = Outgoing;
    type Decode = Payload;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Decoder for Messages {
    type Item = Payload;
    type Error = Status;

    /// What is no payload reads as one that says nothing: it is answered, or passed over, like an unknown type, and the
    /// connection stays usable.
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Payload>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(Payload::decode(bytes).unwrap_or_default()))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(SETTINGS.0, SETTINGS.1)
    }
}

impl Encoder for Messages {
    type Item = Outgoing;
    type Error = Status;

    fn encode(&mut self, message: Outgoing, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let Outgoing { kind, pieces } = message;
        let field = |len: usize| 1 + encoded_len_varint(len as u64) + len;
        let (metadata, value) = (field(kind.len()), pieces.iter().map(bytes::Bytes::len).sum());
        let body = field(value);
        into.reserve(field(metadata) + field(body));
        for (tag, len) in [(METADATA, metadata), (TYPE, kind.len())] {
            into.put_u8(tag);
            encode_varint(len as u64, into);
        }
        into.put_slice(kind.as_bytes());
        for (tag, len) in [(BODY, body), (VALUE, value)] {
            into.put_u8(tag);
            encode_varint(len as u64, into);
        }
        for piece in &pieces {
            into.put_slice(piece);
        }
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(SETTINGS.0, SETTINGS.1)
    }
}
