//! A bound on what one connection sends and has not finished: its calls together, not only each of them. Without it each
//! call might hold a whole message that never ends.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tonic::Status;

/// How many bytes of unfinished calls a connection has sent.
pub(super) type Receiving = Arc<AtomicUsize>;

/// The body of a call.
#[derive(Debug)]
pub(super) struct Bounded<B> {
    body: B,
    receiving: Receiving,
    /// How many of them are of this call.
    own: usize,
    max: usize,
}

impl<B> Bounded<B> {
    /// With the other calls of its connection this one may have sent `max` bytes.
    pub(super) fn new(body: B, receiving: Receiving, max: usize) -> Self {
        Self {
            body,
            receiving,
            own: 0,
            max,
        }
    }
}

impl<B> Body for Bounded<B>
where
    B: Body<Data = Bytes, Error: Display> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(Status::cancelled(error.to_string())))),
            Some(Ok(frame)) => frame,
        };
        let len = frame.data_ref().map_or(0, Bytes::len);
        this.own += len;
        let all = this.receiving.fetch_add(len, Ordering::Relaxed) + len;
        if all > this.max {
            return Poll::Ready(Some(Err(Status::resource_exhausted(
                "the connection has too much under way",
            ))));
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Bounded<B> {
    fn drop(&mut self) {
        self.receiving.fetch_sub(self.own, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn the_calls_of_a_connection_are_bounded_together_until_they_end() {
        let receiving = Receiving::default();
        let call = |len: usize| {
            let body = Full::new(Bytes::from(vec![0; len]));
            Bounded::new(body, Arc::clone(&receiving), 100)
        };
        let (mut first, mut second, mut third) = (call(60), call(60), call(40));
        assert!(first.frame().await.unwrap().is_ok());
        let refused = second.frame().await.unwrap().unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        drop(second);
        assert!(third.frame().await.unwrap().is_ok());
        drop((first, third));
        assert_eq!(receiving.load(Ordering::Relaxed), 0);
    }
}
