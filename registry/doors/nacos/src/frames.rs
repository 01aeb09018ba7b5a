//! A body made of pieces that others hold as well: the hosts of a large service are sent without being copied.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Up to so many bytes one copy is cheaper than one frame for each piece.
const COPIED_MAX: usize = 16 * 1024;

/// The pieces, one after another. The length is known, so that the answer names it.
struct Frames {
    pieces: std::vec::IntoIter<Bytes>,
    left: u64,
}

/// A body of `pieces`.
pub(crate) fn body(pieces: Vec<Bytes>) -> Body {
    let len: usize = pieces.iter().map(Bytes::len).sum();
    if len <= COPIED_MAX {
        return pieces.concat().into();
    }
    Body::new(Frames {
        pieces: pieces.into_iter(),
        left: len as u64,
    })
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next();
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn the_length_is_known_and_large_pieces_are_not_copied() {
        for len in [0, 1, COPIED_MAX, COPIED_MAX + 1] {
            let large = Bytes::from(vec![b'x'; len]);
            let mut body = body(vec![
                Bytes::from_static(b"<"),
                large.clone(),
                Bytes::from_static(b">"),
            ]);
            assert_eq!(body.size_hint().exact(), Some(len as u64 + 2));
            if len > COPIED_MAX {
                body.frame().await.unwrap().unwrap();
                let piece = body.frame().await.unwrap().unwrap().into_data().unwrap();
                assert_eq!(piece.as_ptr(), large.as_ptr());
            } else {
                assert_eq!(body.collect().await.unwrap().to_bytes().len(), len + 2);
            }
        }
    }
}
