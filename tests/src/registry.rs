//! The real `beatrix` process on free ports of the loopback interface.

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
use crate::ports::{self, GRPC_OFFSET};
use crate::process::{Line, Process, Signal};
use crate::programs;

/// How many pairs of ports are tried, before it is not the ports' fault that the registry does not start.
const PAIRS_TRIED: usize = 5;

/// How a registry is started. Keys have the names of the configuration file.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    flags: Vec<(String, String)>,
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

    /// Sets a key by its flag, in place of what was set before.
    #[must_use]
    pub fn flag(mut self, key: &str, value: impl Display) -> Self {
        let flag = format!("--{}", key.replace('_', "-"));
        self.flags.retain(|(set, _)| *set != flag);
        self.flags.push((flag, format!("{value}")));
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
        Ok((self.spawn_in(folder.path())?, folder))
    }

    fn spawn_in(&self, folder: &Path) -> anyhow::Result<Process> {
        let mut command = Command::new(programs::built("beatrix")?);
        command.current_dir(folder);
        for (key, _) in std::env::vars().filter(|(key, _)| key.starts_with("BEATRIX_")) {
            command.env_remove(key);
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        if let Some(text) = &self.file {
            let path = folder.join("beatrix.toml");
            std::fs::write(&path, text)?;
            command.arg("--config").arg(&path);
        }
        command.args(self.flags.iter().flat_map(|(flag, value)| [flag, value]));
        Process::spawn(&mut command)
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
        registry.is_ready().await;
        Ok(registry)
    }

    /// Starts the process at a pair of ports, where clients find its gRPC that are told of its HTTP, and waits until it
    /// is ready.
    ///
    /// # Errors
    ///
    /// As [`Settings::spawn`], or when no pair is free.
    ///
    /// # Panics
    ///
    /// As [`Settings::start`].
    pub async fn start_at_pair(&self) -> anyhow::Result<Registry> {
        let mut ended = String::new();
        // Another test may be faster to take a pair.
        for _ in 0..PAIRS_TRIED {
            let settings = self.clone().flag("http_addr", ports::free_pair()?);
            let (mut process, folder) = settings.spawn()?;
            match listening(&mut process).await {
                Ok(at) => {
                    let registry = Registry {
                        process,
                        at,
                        settings,
                        folder,
                    };
                    registry.is_ready().await;
                    return Ok(registry);
                }
                Err(why) => ended = why,
            }
        }
        panic!("{ended}")
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
        let at = listening(&mut process).await;
        Ok(Registry {
            process,
            at: at.unwrap_or_else(|ended| panic!("{ended}")),
            settings: self.clone(),
            folder,
        })
    }
}

/// Where a registry listens.
#[derive(Debug, Clone, Copy)]
struct Listening {
    http: SocketAddr,
    grpc: Option<SocketAddr>,
}

/// A running registry. Dropped, it is killed.
#[derive(Debug)]
pub struct Registry {
    /// Its process.
    pub process: Process,
    at: Listening,
    settings: Settings,
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
        self.at.http
    }

    /// Where it speaks Nacos over gRPC.
    ///
    /// # Panics
    ///
    /// When it did not say.
    #[must_use]
    pub fn grpc_addr(&self) -> SocketAddr {
        self.at.grpc.expect("the registry says where it speaks gRPC")
    }

    /// The folder in which it runs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again after its process has ended, with the same settings, in the same folder, with the data that is
    /// there, and at the same addresses. Waits until it listens; it may not be ready yet.
    ///
    /// # Errors
    ///
    /// As [`Settings::spawn`].
    ///
    /// # Panics
    ///
    /// As [`Settings::start`].
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        let mut settings = self.settings.clone().flag("http_addr", self.at.http);
        if let Some(grpc) = self.at.grpc
            && Some(grpc.port()) != self.at.http.port().checked_add(GRPC_OFFSET)
        {
            settings = settings.flag("nacos_grpc_addr", grpc);
        }
        self.process = settings.spawn_in(self.folder.path())?;
        let at = listening(&mut self.process).await;
        self.at = at.unwrap_or_else(|ended| panic!("{ended}"));
        Ok(())
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it is not in time.
    pub async fn is_ready(&self) {
        eventually("the registry is ready", SOON, async || {
            http1::get(self.at.http, "/readyz")
                .await
                .ok()
                .filter(|answer| answer.status() == 200)
        })
        .await;
    }

    /// Its native API.
    #[must_use]
    pub fn native(&self) -> Native {
        Native::new(self.at.http)
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

/// Waits until a registry says where it listens; or what it said instead, when it ends before.
async fn listening(process: &mut Process) -> Result<Listening, String> {
    eventually("the registry says where it listens", SOON, || {
        // In this order: who has ended will say no more.
        let ended = process.ended().ok().flatten();
        let found = process.lines().iter().find_map(said_where);
        let result = match (found, ended) {
            (Some(at), _) => Some(Ok(at)),
            (None, Some(status)) => Some(Err(format!(
                "the registry ended with {status} instead of listening:\n{}",
                process.output()
            ))),
            (None, None) => None,
        };
        async move { result }
    })
    .await
}

/// The addresses in the log line that says where the registry listens.
fn said_where(line: &Line) -> Option<Listening> {
    let value: Value = serde_json::from_str(&line.text).ok()?;
    // Depending on its settings the formatter nests the fields or not.
    let fields = value.get("fields").unwrap_or(&value);
    if fields.get("message")?.as_str()? != "listening" {
        return None;
    }
    let addr = |name: &str| fields.get(name)?.as_str()?.parse().ok();
    Some(Listening {
        http: addr("http_addr")?,
        grpc: addr("nacos_grpc_addr"),
    })
}
