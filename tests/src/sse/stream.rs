//! The connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::{Buf, BytesMut};
use tokio::time::{Instant, timeout};

use super::Event;
use crate::http1::body::Framing;
use crate::http1::{Connection, Request};

/// A stream of events. Nothing is read from the socket but by its methods, so a test can be as slow as it likes.
#[derive(Debug)]
pub struct Stream {
    connection: Connection,
    framing: Framing,
    pending: BytesMut,
    /// So many pending bytes are known to hold no end of an event.
    searched: usize,
    received: u64,
}

impl Stream {
    /// Opens a stream.
    ///
    /// # Errors
    ///
    /// When the answer is no stream; the message holds it.
    pub async fn open(addr: SocketAddr, request: Request) -> anyhow::Result<Self> {
        let mut connection = Connection::open(addr).await?;
        connection.write(&request.into_bytes()).await?;
        let head = connection.read_head().await?;
        let framing = head.framing();
        let mut stream = Self {
            connection,
            framing,
            pending: BytesMut::new(),
            searched: 0,
            received: 0,
        };
        if head.status != 200 {
            while stream.fill().await? {}
            anyhow::bail!(
                "no stream: {} {}",
                head.status,
                String::from_utf8_lossy(&stream.pending)
            );
        }
        let media_type = head.header("content-type").unwrap_or_default();
        ensure!(
            media_type.starts_with("text/event-stream"),
            "no stream but {media_type}"
        );
        Ok(stream)
    }

    /// The next event, or `None` when the stream has ended.
    ///
    /// # Cancel safety
    ///
    /// No event is lost when the future is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// When the connection breaks.
    pub async fn next(&mut self) -> io::Result<Option<Event>> {
        loop {
            while let Some(text) = self.take_block() {
                if let Some(event) = Event::parse(&text, Instant::now()) {
                    return Ok(Some(event));
                }
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// The next event.
    ///
    /// # Errors
    ///
    /// When none comes in time, or the stream ends.
    pub async fn next_within(&mut self, within: Duration) -> anyhow::Result<Event> {
        timeout(within, self.next())
            .await
            .with_context(|| format!("no event within {within:?}"))??
            .context("the stream ended")
    }

    /// Reads on until `find` makes something of an event.
    ///
    /// # Errors
    ///
    /// When that does not happen in time; the message says what was waited for.
    pub async fn find<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut find: impl FnMut(&Event) -> Option<T>,
    ) -> anyhow::Result<T> {
        let search = async {
            loop {
                let event = self.next().await?.context("the stream ended")?;
                if let Some(found) = find(&event) {
                    return Ok(found);
                }
            }
        };
        timeout(within, search)
            .await
            .with_context(|| format!("waited {within:?} in vain for this event: {what}"))?
    }

    /// How many bytes of events arrived so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    async fn fill(&mut self) -> io::Result<bool> {
        let Some(piece) = self.connection.read_piece(&mut self.framing).await? else {
            return Ok(false);
        };
        self.received += piece.len() as u64;
        self.pending.extend_from_slice(&piece);
        Ok(true)
    }

    /// Takes the text of one event, which ends with an empty line.
    fn take_block(&mut self) -> Option<String> {
        let from = self.searched.saturating_sub(1);
        let Some(end) = self.pending[from..].windows(2).position(|pair| pair == b"\n\n") else {
            self.searched = self.pending.len();
            return None;
        };
        let block = self.pending.split_to(from + end);
        self.pending.advance(2);
        self.searched = 0;
        Some(String::from_utf8_lossy(&block).into_owned())
    }
}
