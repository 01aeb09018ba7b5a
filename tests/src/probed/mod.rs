//! Real servers for probes to ask: processes of the test on free ports of the loopback interface, with fresh data in a
//! folder of their own, ended by their process id.
//!
//! Each starts as `Option`: `None` where the program is not installed and the test has to be left out.

mod health;
mod mariadb;
mod nginx;
mod redis;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::eventually::eventually;
use crate::process::{Process, Signal};

pub use health::health_server;
pub use mariadb::{Mariadb, mariadb};
pub use nginx::nginx;
pub use redis::{ask as ask_redis, redis};

/// How long a server may take to start or to end. A database on two busy cores takes its time.
const STARTED: Duration = Duration::from_secs(90);

/// A server that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    process: Process,
    address: SocketAddr,
    /// Its data, kept as long as it runs.
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts it and waits until it takes connections.
    async fn start(command: &mut Command, address: SocketAddr, folder: TempDir) -> anyhow::Result<Self> {
        let mut process = Process::spawn(command)?;
        eventually("the server takes connections or has ended", STARTED, || {
            let ended = process.ended().ok().flatten().is_some();
            async move { (ended || TcpStream::connect(address).await.is_ok()).then_some(()) }
        })
        .await;
        let ended = process.ended()?;
        anyhow::ensure!(ended.is_none(), "it ended at once: {}", process.output());
        Ok(Self {
            process,
            address,
            _folder: Some(folder),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Lets it hang: it keeps its connections, its port still takes some, and nobody answers.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn hang(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::Stop)
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn go_on(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::Continue)
    }

    /// Ends it, and gives back its address, at which nobody listens from now on.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub async fn end(mut self) -> anyhow::Result<SocketAddr> {
        self.process.signal(Signal::Term)?;
        self.process.end(STARTED).await;
        Ok(self.address)
    }
}

/// Where ports begin that the system does not give to clients: it begins at 32768 with those. One of them, found free
/// now, might be a client's when a database that starts for seconds wants it.
const PORTS_FROM: u32 = 12_000;
const PORTS: u32 = 20_000;

/// A port that is free now and that no other test looks at soon.
fn free_address() -> anyhow::Result<SocketAddr> {
    static LOOKED_AT: AtomicU32 = AtomicU32::new(0);
    // Tests that run at the same time are other processes, or share the counter.
    let first = std::process::id().wrapping_mul(64);
    for _ in 0..PORTS {
        let next = first.wrapping_add(LOOKED_AT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(PORTS_FROM + next % PORTS)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port is free")
}
