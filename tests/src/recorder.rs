//! A relay in front of the registry that notes when each beat passed.
//!
//! A test of expiry has to know the time of the last beat, and the programs under test do not tell it. So they talk
//! to the registry through this relay. A beat's time is noted *before* its bytes are handed on: the registry cannot
//! have seen it earlier, so an expiry that is early by the relay's clock is early indeed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How the requests start that are beats.
const BEATS: [&[u8]; 2] = [b"PUT /nacos/v1/ns/instance/beat", b"POST /api/v1/beats"];

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
        let recorder = Self {
            addr,
            beats: Arc::clone(&beats),
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
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
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
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
