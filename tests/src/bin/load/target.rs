//! What is put under load, and for how long at most.

use std::net::SocketAddr;
use std::time::Duration;

use beatrix_tests::proc_fs;
use clap::{Args, ValueEnum};

/// Whom the load goes to.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Target {
    /// Where the registry listens; an address of the loopback interface.
    #[arg(long, default_value = "127.0.0.1:8848", value_parser = loopback)]
    pub(crate) addr: SocketAddr,
    /// The registry's process id: with it, its CPU time and memory are told too.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

/// Which protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Api {
    /// Nacos v1 over HTTP.
    Nacos,
    /// The native API.
    Native,
}

/// Where the load ends.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Bounds {
    /// How many connections are kept open.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) connections: u32,
    /// How long requests are sent at most.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// How many requests are sent at most.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) requests: u64,
}

impl Bounds {
    /// So many requests, however long they take within reason.
    pub(crate) fn just(requests: u64, connections: u32) -> Self {
        Self {
            connections,
            seconds: 600,
            requests,
        }
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Target {
    /// The CPU time that the registry has used so far, if its process is known.
    pub(crate) fn cpu_time(&self) -> anyhow::Result<Option<Duration>> {
        self.pid.map(proc_fs::cpu_time).transpose()
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let addr: SocketAddr = text
        .parse()
        .map_err(|_| "not an address with a port".to_owned())?;
    if addr.ip().is_loopback() {
        Ok(addr)
    } else {
        Err("not an address of the loopback interface".to_owned())
    }
}
