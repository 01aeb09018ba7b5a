//! An exchange of bytes over a connection, of which no more is read than is bearable.

use std::future::Future;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::dial::{broken, dial};
use crate::outcome::{ProbeOutcome, Step};

/// How much of an answer is read. Enough for any that says how somebody is.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What comes of an answer that goes on beyond [`ANSWER_BYTES_MAX`].
pub(crate) const TOO_LONG: ProbeOutcome = ProbeOutcome::BadAnswer("the answer is longer than 64 KiB");

/// A connection and what may still be read from it.
pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    left: usize,
}

impl Wire {
    pub(crate) async fn dial(address: SocketAddr) -> Step<Self> {
        Ok(Self {
            stream: BufReader::with_capacity(1024, dial(address).await?),
            left: ANSWER_BYTES_MAX,
        })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Step {
        self.stream.write_all(bytes).await.map_err(|error| broken(&error))
    }

    /// So many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> Step<Vec<u8>> {
        self.left = self.left.checked_sub(count).ok_or(TOO_LONG)?;
        let mut bytes = vec![0; count];
        let read = self.stream.read_exact(&mut bytes).await;
        read.map_err(|error| broken(&error))?;
        Ok(bytes)
    }

    /// A line without its end, CR LF. `None` if it is longer than `max`.
    pub(crate) async fn line(&mut self, max: usize) -> Step<Option<Vec<u8>>> {
        let mut line = Vec::new();
        while line.len() < max + 2 {
            self.left = self.left.checked_sub(1).ok_or(TOO_LONG)?;
            line.push(self.stream.read_u8().await.map_err(|error| broken(&error))?);
            if line.ends_with(b"\r\n") {
                line.truncate(line.len() - 2);
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Waits until the other side has closed, or `until`.
    pub(crate) async fn closed(&mut self, until: Instant) {
        let mut rest = [0; 64];
        // More than a little is no goodbye.
        let read = async {
            for _ in 0..4 {
                if !matches!(self.stream.read(&mut rest).await, Ok(1..)) {
                    return;
                }
            }
        };
        // Whether it closed or not, this side closes now.
        let _ = timeout_at(until, read).await;
    }
}

/// A step that has to be through by a deadline.
pub(crate) async fn within<T>(deadline: Instant, step: impl Future<Output = Step<T>>) -> Step<T> {
    timeout_at(deadline, step)
        .await
        .unwrap_or(Err(ProbeOutcome::TimedOut))
}
