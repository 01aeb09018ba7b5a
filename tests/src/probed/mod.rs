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

/// A port that is free now.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
