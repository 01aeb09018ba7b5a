//! Where an answer ends, and its bytes without their framing.

use std::io;

use bytes::{Buf, Bytes, BytesMut};

/// How the end of a body is told, and how much of it is still to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framing(State);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes are to come.
    Length(usize),
    /// The size line of a chunk is to come.
    ChunkSize,
    /// So many bytes of a chunk are to come, then its line end.
    Chunk(usize),
    /// The line end after a chunk is to come.
    ChunkEnd,
    /// The empty line after the last chunk is to come.
    LastLine,
    /// Everything until the peer closes.
    UntilClose,
    /// Nothing is to come.
    Done,
}

/// What a step of reading found.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the body.
    Data(Bytes),
    /// The buffer does not hold enough to go on.
    NeedMore,
    /// The body is complete.
    End,
}

impl Framing {
    pub(super) const fn length(length: usize) -> Self {
        Self(State::Length(length))
    }

    pub(super) const fn chunked() -> Self {
        Self(State::ChunkSize)
    }

    pub(super) const fn until_close() -> Self {
        Self(State::UntilClose)
    }

    /// Whether the end of the connection may be the end of this body.
    #[must_use]
    pub fn ends_with_connection(self) -> bool {
        matches!(self.0, State::UntilClose | State::Done)
    }

    /// How many bytes are still to come, where that is known.
    #[must_use]
    pub fn known_length(self) -> Option<usize> {
        match self.0 {
            State::Length(length) => Some(length),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// Takes the next piece of the body out of `buffer`.
    ///
    /// # Errors
    ///
    /// When the size of a chunk is not a number.
    pub fn next(&mut self, buffer: &mut BytesMut) -> io::Result<Piece> {
        loop {
            match self.0 {
                State::Done | State::Length(0) => {
                    self.0 = State::Done;
                    return Ok(Piece::End);
                }
                _ if buffer.is_empty() => return Ok(Piece::NeedMore),
                State::Length(left) => {
                    let data = take(buffer, left);
                    self.0 = State::Length(left - data.len());
                    return Ok(Piece::Data(data));
                }
                State::UntilClose => return Ok(Piece::Data(take(buffer, usize::MAX))),
                State::Chunk(left) => {
                    let data = take(buffer, left);
                    let left = left - data.len();
                    self.0 = if left == 0 {
                        State::ChunkEnd
                    } else {
                        State::Chunk(left)
                    };
                    return Ok(Piece::Data(data));
                }
                State::ChunkSize => {
                    let Some(line) = take_line(buffer) else {
                        return Ok(Piece::NeedMore);
                    };
                    self.0 = match chunk_size(&line)? {
                        0 => State::LastLine,
                        size => State::Chunk(size),
                    };
                }
                State::ChunkEnd => {
                    let Some(_) = take_line(buffer) else {
                        return Ok(Piece::NeedMore);
                    };
                    self.0 = State::ChunkSize;
                }
                State::LastLine => {
                    let Some(_) = take_line(buffer) else {
                        return Ok(Piece::NeedMore);
                    };
                    self.0 = State::Done;
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, at_most: usize) -> Bytes {
    let length = buffer.len().min(at_most);
    buffer.split_to(length).freeze()
}

fn take_line(buffer: &mut BytesMut) -> Option<Bytes> {
    let end = buffer.iter().position(|byte| *byte == b'\n')?;
    let line = buffer.split_to(end).freeze();
    buffer.advance(1);
    Some(line)
}

fn chunk_size(line: &[u8]) -> io::Result<usize> {
    std::str::from_utf8(line)
        .ok()
        .and_then(|text| usize::from_str_radix(text.split(';').next()?.trim(), 16).ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the size of a chunk is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(mut framing: Framing, wire: &[u8], step: usize) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        let mut body = Vec::new();
        for bytes in wire.chunks(step) {
            buffer.extend_from_slice(bytes);
            loop {
                match framing.next(&mut buffer).unwrap() {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::NeedMore => break,
                    Piece::End => return body,
                }
            }
        }
        panic!("the body has no end");
    }

    #[test]
    fn chunks_are_joined_wherever_the_reads_fall() {
        let wire = b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n";
        for step in 1..=wire.len() {
            assert_eq!(read_all(Framing::chunked(), wire, step), b"hello, world");
        }
    }

    #[test]
    fn a_length_leaves_the_rest_in_the_buffer() {
        let mut buffer = BytesMut::from(&b"abcNEXT"[..]);
        let mut framing = Framing::length(3);
        assert_eq!(
            framing.next(&mut buffer).unwrap(),
            Piece::Data(Bytes::from_static(b"abc"))
        );
        assert_eq!(framing.next(&mut buffer).unwrap(), Piece::End);
        assert_eq!(&buffer[..], b"NEXT");
    }
}
