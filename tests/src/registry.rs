//! The real `beatrix` process on a free port of the loopback interface.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::{SOON, eventually};
use crate::http1;
use crate::native::Native;
use crate::process::{Line, Process, Signal};
use crate::programs;

/// How a registry is started. Keys have the names of the configuration file.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    file: Option<String>,
}

impl Settings {
    /// A registry on any free port that logs in JSON and otherwise has its defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
            .flag("http_addr", "127.0.0.1:0")
            .flag("log_format", "json")
    }

    /// Sets a key by its flag.
    #[must_use]
    pub fn flag(mut self, key: &str, value: impl Display) -> Self {
        self.flags.push(format!("--{}", key.replace('_', "-")));
        self.flags.push(format!("{value}"));
        self
    }

    /// Sets a key by the environment.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl Display) -> Self {
        self.environment
            .push((format!("BEATRIX_{}", key.to_uppercase()), format!("{value}")));
        self
    }

    /// Gives it a configuration file with this text.
    #[must_use]
    pub fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }

    /// Starts the process without waiting for anything.
    ///
    /// # Errors
    ///
    /// When it is not built, or cannot be started.
    pub fn spawn(&self) -> anyhow::Result<(Process, TempDir)> {
        // Its own folder, so that nothing that it keeps is shared with another test.
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(programs::built("beatrix")?);
        command.current_dir(folder.path());
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("BEATRIX_")) {
            command.env_remove(key);
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        if let Some(text) = &self.file {
            let path = folder.path().join("beatrix.toml");
            std::fs::write(&path, text)?;
            command.arg("--config").arg(&path);
        }
        command.args(&self.flags);
        Ok((Process::spawn(&mut command)?, folder))
    }

    /// Starts the process and waits until it listens and is ready.
    ///
    /// # Errors
    ///
    /// As [`Settings::spawn`].
    ///
    /// # Panics
    ///
    /// When it does not say in time where it listens, or ends before.
    pub async fn start(&self) -> anyhow::Result<Registry> {
        let registry = self.start_serving().await?;
        eventually("the registry is ready", SOON, async || {
            http1::get(registry.addr, "/readyz")
                .await
                .ok()
                .filter(|answer| answer.status() == 200)
        })
        .await;
        Ok(registry)
    }

    /// Starts the process and waits until it listens. With data from before it may not be ready yet.
    ///
    /// # Errors
    ///
    /// As [`Settings::spawn`].
    ///
    /// # Panics
    ///
    /// As [`Settings::start`].
    pub async fn start_serving(&self) -> anyhow::Result<Registry> {
        let (mut process, folder) = self.spawn()?;
        let addr = eventually("the registry says where it listens", SOON, || {
            let found = process.lines().iter().find_map(listening);
            let ended = process.ended().ok().flatten();
            if let (None, Some(status)) = (found, ended) {
                panic!(
                    "the registry ended with {status} instead of listening:\n{}",
                    process.output()
                );
            }
            async move { found }
        })
        .await;
        Ok(Registry {
            process,
            addr,
            folder,
        })
    }
}

/// A running registry. Dropped, it is killed.
#[derive(Debug)]
pub struct Registry {
    /// Its process.
    pub process: Process,
    addr: SocketAddr,
    folder: TempDir,
}

impl Registry {
    /// Starts one with [`Settings::new`].
    ///
    /// # Errors
    ///
    /// As [`Settings::start`].
    pub async fn start() -> anyhow::Result<Self> {
        Settings::new().start().await
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The folder in which it runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its native API.
    #[must_use]
    pub fn native(&self) -> Native {
        Native::new(self.addr)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// As [`Process::signal`].
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.signal(signal)
    }

    /// The newest revision, to see that something changed or that nothing did.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub async fn revision(&self) -> anyhow::Result<u64> {
        Ok(self.native().status().await.context("no status")?.revision)
    }
}

/// The address in the log line that says where the registry listens.
fn listening(line: &Line) -> Option<SocketAddr> {
    let value: Value = serde_json::from_str(&line.text).ok()?;
    // Depending on its settings the formatter nests the fields or not.
    let fields = value.get("fields").unwrap_or(&value);
    if fields.get("message")?.as_str()? != "listening" {
        return None;
    }
    fields.get("http_addr")?.as_str()?.parse().ok()
}
