//! A relay in front of the registry that notes when each beat passed.
//!
//! A test of expiry has to know the time of the last beat, and the programs under test do not tell it. So they talk
//! to the registry through this relay. A beat's time is noted *before* its bytes are handed on: the registry cannot
//! have seen it earlier, so an expiry that is early by the relay's clock is early indeed.
//!
//! It also stands still when the registry does not: a registry that is killed and started again is behind the same
//! address as before, whichever port it got, and no other program can have taken that in between.
//!
//! One thing is changed on the way. A client that wants pushes over UDP names an address of its machine, and tests
//! send nothing to any address but those of the loopback interface: so the registry is told 127.0.0.1, where the
//! client's socket listens as well.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How the requests start that are beats.
const BEATS: [&[u8]; 2] = [b"PUT /nacos/v1/ns/instance/beat", b"POST /api/v1/beats"];

/// How the requests start that may ask for pushes, and what they call the client's address.
const LIST: &[u8] = b"GET /nacos/v1/ns/instance/list?";
const CLIENT_IP: &[u8] = b"clientIP=";

/// A beat that passed.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    /// When its last byte went on to the registry.
    pub sent: Instant,
    /// When its answer came back.
    pub answered: Instant,
}

/// The relay. It runs as long as the runtime of its test.
#[derive(Debug)]
pub struct Recorder {
    addr: SocketAddr,
    registry: Arc<Mutex<SocketAddr>>,
    beats: Arc<Mutex<Vec<Beat>>>,
}

impl Recorder {
    /// Starts a relay to `registry` on a free port.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn start(registry: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let beats: Arc<Mutex<Vec<Beat>>> = Arc::default();
        let registry = Arc::new(Mutex::new(registry));
        let recorder = Self {
            addr,
            registry: Arc::clone(&registry),
            beats: Arc::clone(&beats),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let registry = *registry.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(upstream) = TcpStream::connect(registry).await {
                    relay(client, upstream, &beats);
                }
            }
        });
        Ok(recorder)
    }

    /// Where clients find it.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Hands new connections on to another registry.
    pub fn hand_on_to(&self, registry: SocketAddr) {
        *self.registry.lock().unwrap_or_else(PoisonError::into_inner) = registry;
    }

    /// The answered beats so far, oldest first.
    #[must_use]
    pub fn beats(&self) -> Vec<Beat> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// When the beat whose answer is awaited on a connection went on.
type Awaited = Arc<Mutex<Option<Instant>>>;

fn relay(client: TcpStream, upstream: TcpStream, beats: &Arc<Mutex<Vec<Beat>>>) {
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (client_read, client_write) = client.into_split();
    let (upstream_read, upstream_write) = upstream.into_split();
    let awaited = Awaited::default();
    tokio::spawn(requests(client_read, upstream_write, Arc::clone(&awaited)));
    tokio::spawn(answers(upstream_read, client_write, awaited, Arc::clone(beats)));
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, awaited: Awaited) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        {
            let mut awaited = awaited.lock().unwrap_or_else(PoisonError::into_inner);
            // The body of a beat may come apart from its head: then the beat is as late as its body.
            if awaited.is_some() || BEATS.iter().any(|start| bytes.starts_with(start)) {
                *awaited = Some(Instant::now());
            }
        }
        if to.write_all(&reachable(bytes)).await.is_err() {
            break;
        }
    }
}

/// The request with 127.0.0.1 where it names the client's address.
fn reachable(request: &[u8]) -> Cow<'_, [u8]> {
    let named = request
        .starts_with(LIST)
        .then(|| request.windows(CLIENT_IP.len()).position(|it| it == CLIENT_IP))
        .flatten();
    let Some(named) = named else {
        return Cow::Borrowed(request);
    };
    let (before, rest) = request.split_at(named + CLIENT_IP.len());
    let end = rest.iter().position(|byte| matches!(byte, b'&' | b' '));
    [before, b"127.0.0.1", &rest[end.unwrap_or(rest.len())..]]
        .concat()
        .into()
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    awaited: Awaited,
    beats: Arc<Mutex<Vec<Beat>>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let sent = awaited.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sent) = sent {
            let beat = Beat {
                sent,
                answered: Instant::now(),
            };
            beats.lock().unwrap_or_else(PoisonError::into_inner).push(beat);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_are_asked_for_at_the_loopback_interface_only() {
        for (asked, handed_on) in [
            (
                "GET /nacos/v1/ns/instance/list?clientIP=192.0.2.7&udpPort=5 HTTP/1.1\r\n\r\n",
                "GET /nacos/v1/ns/instance/list?clientIP=127.0.0.1&udpPort=5 HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /nacos/v1/ns/instance/list?udpPort=5&clientIP=192.0.2.7 HTTP/1.1\r\n\r\n",
                "GET /nacos/v1/ns/instance/list?udpPort=5&clientIP=127.0.0.1 HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /nacos/v1/ns/instance?clientIP=192.0.2.7 HTTP/1.1\r\n\r\n",
                "GET /nacos/v1/ns/instance?clientIP=192.0.2.7 HTTP/1.1\r\n\r\n",
            ),
        ] {
            assert_eq!(*reachable(asked.as_bytes()), *handed_on.as_bytes());
        }
    }
}
