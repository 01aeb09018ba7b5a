//! A bound on how long a peer may take to send a request, head and body, without a timer for each request.
//!
//! hyper can bound the head with a timer that is made and dropped for each request; that took a fifth of the
//! throughput of small requests. Here the socket and the service note where a connection stands in one byte, and one
//! slow tick for each connection looks at it: a request that is being received at two ticks in a row has taken too
//! long.
//!
//! Connections that wait between requests, or for an answer, are left alone, and so are those of HTTP/2, which has
//! pings of its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::Service;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a connection is looked at. A request may take from one to two of these.
pub(super) const TICK: Duration = Duration::from_secs(15);

/// Between requests, or sending the rest of a response.
const IDLE: u8 = 0;
/// Receiving a request since the last tick; also a connection that has just been opened.
const RECEIVING: u8 = 1;
/// Receiving the same request since before the last tick.
const SLOW: u8 = 2;
/// The request was received; it waits for its answer.
const BUSY: u8 = 3;
/// The answer is there and begins to be sent.
const ANSWERED: u8 = 4;
/// HTTP/2: never slow.
const EXEMPT: u8 = 5;

/// How HTTP/2 begins.
const HTTP2_PREFACE: &[u8] = b"PRI";

/// Where a connection stands. Only its own task changes that.
#[derive(Debug, Clone)]
pub(super) struct Progress(Arc<AtomicU8>);

impl Progress {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU8::new(RECEIVING)))
    }

    /// Looks at the connection. Returns whether its request has taken too long.
    pub(super) fn tick(&self) -> bool {
        match self.state() {
            RECEIVING => {
                self.set(SLOW);
                false
            }
            state => state == SLOW,
        }
    }

    fn state(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, state: u8) {
        self.0.store(state, Ordering::Relaxed);
    }

    /// Bytes came in. Between requests they begin the next.
    fn received(&self, bytes: &[u8]) {
        match self.state() {
            IDLE => self.set(RECEIVING),
            RECEIVING if bytes.starts_with(HTTP2_PREFACE) => self.set(EXEMPT),
            _ => {}
        }
    }

    /// The head of a request is there; the body perhaps, too.
    fn called(&self, whole: bool) {
        if self.state() != EXEMPT {
            self.set(if whole { BUSY } else { RECEIVING });
        }
    }

    /// The body is there.
    fn whole(&self) {
        if matches!(self.state(), RECEIVING | SLOW) {
            self.set(BUSY);
        }
    }

    fn answered(&self) {
        if self.state() != EXEMPT {
            self.set(ANSWERED);
        }
    }

    /// Bytes go out. Before the answer that is but an invitation to send the body.
    fn sent(&self) {
        if self.state() == ANSWERED {
            self.set(IDLE);
        }
    }
}

/// A socket that notes what comes in and goes out.
#[derive(Debug)]
pub(super) struct Noted<S> {
    pub(super) stream: S,
    pub(super) progress: Progress,
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            this.progress.received(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.progress.sent();
        Pin::new(&mut this.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.progress.sent();
        Pin::new(&mut this.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Calls the service, and notes how far the request is.
pub(super) async fn call<S: Service<Request<Body>>>(
    service: S,
    progress: Progress,
    request: Request<Incoming>,
) -> Result<S::Response, S::Error> {
    let whole = request.body().is_end_stream();
    progress.called(whole);
    let request = if whole {
        request.map(Body::new)
    } else {
        let progress = progress.clone();
        request.map(|incoming| Body::new(NotedBody { incoming, progress }))
    };
    let answer = service.call(request).await;
    progress.answered();
    answer
}

/// A body that notes its end.
struct NotedBody {
    incoming: Incoming,
    progress: Progress,
}

impl http_body::Body for NotedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let frame = Pin::new(&mut this.incoming).poll_frame(cx);
        if frame.is_ready() && this.incoming.is_end_stream() {
            this.progress.whole();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_that_stays_unfinished_is_slow() {
        let progress = Progress::new();
        // Opened, and silent.
        assert!(!progress.tick());
        assert!(progress.tick());
        // The request comes at last, its answer takes long, then there is silence between requests.
        progress.received(b"GET / HTTP/1.1\r\n\r\n");
        progress.called(true);
        assert!(!progress.tick() && !progress.tick());
        progress.answered();
        progress.sent();
        assert!(!progress.tick() && !progress.tick());
        // The next head begins and does not end, byte by byte.
        progress.received(b"G");
        assert!(!progress.tick());
        progress.received(b"E");
        assert!(progress.tick());
    }

    #[test]
    fn a_body_may_be_invited_and_must_then_come() {
        let progress = Progress::new();
        progress.received(b"POST / HTTP/1.1\r\nexpect: 100-continue\r\n\r\n");
        progress.called(false);
        progress.sent();
        assert!(!progress.tick());
        progress.received(b"half");
        assert!(progress.tick(), "half a body is slow");
        // A whole one is not, however long its answer takes.
        progress.whole();
        assert!(!progress.tick() && !progress.tick());
        progress.answered();
        progress.sent();
        progress.sent();
        assert!(!progress.tick() && !progress.tick());
    }

    #[test]
    fn http2_is_never_slow() {
        let progress = Progress::new();
        progress.received(b"PRI * HTTP/2.0\r\n");
        progress.called(false);
        progress.whole();
        progress.answered();
        progress.sent();
        progress.received(b"ping");
        assert!(!progress.tick() && !progress.tick());
    }
}
