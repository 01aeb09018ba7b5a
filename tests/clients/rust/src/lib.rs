//! What the drivers share: their flags, how they print what they see, and when they end.
//!
//! What they take and print: see `../README.md`.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A driver ends by itself if the test that started it could not.
pub const LIFE: Duration = Duration::from_secs(300);

/// How often a driver asks for lists.
pub const LOOK: Duration = Duration::from_millis(100);

/// The flags, by name and without dashes.
pub struct Flags(HashMap<String, String>);

impl Flags {
    /// Those that the driver was started with.
    #[must_use]
    pub fn given() -> Self {
        let flags = std::env::args().skip(1).filter_map(|flag| {
            let flag = flag.strip_prefix("--")?;
            let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
            Some((name.to_owned(), value.to_owned()))
        });
        Self(flags.collect())
    }

    /// Whether a flag was given.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Its value, or one that stands for it.
    #[must_use]
    pub fn or<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.0.get(name).map_or(otherwise, String::as_str)
    }

    /// Its value.
    ///
    /// # Errors
    ///
    /// When it was not given.
    pub fn get(&self, name: &str) -> anyhow::Result<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .with_context(|| format!("--{name}= is missing"))
    }

    /// Its value as a number, if it was given.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn number<T: FromStr>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let number = self.0.get(name).map(|text| text.parse().ok());
        number
            .map(|number| number.with_context(|| format!("--{name}= is no number")))
            .transpose()
    }

    /// Its value as a list of ports, empty when it was not given.
    ///
    /// # Errors
    ///
    /// When one is none.
    pub fn ports<T: FromStr>(&self, name: &str) -> anyhow::Result<Vec<T>> {
        let texts = self.0.get(name).map_or("", String::as_str).split(',');
        texts
            .filter(|text| !text.is_empty())
            .map(|text| {
                text.parse()
                    .ok()
                    .with_context(|| format!("--{name}= holds {text}"))
            })
            .collect()
    }

    /// The metadata of what is registered.
    ///
    /// # Errors
    ///
    /// When it is no object of strings.
    pub fn metadata(&self) -> anyhow::Result<HashMap<String, String>> {
        Ok(serde_json::from_str(self.or("metadata", "{}"))?)
    }
}

/// Instances in an order of their own, so that the same ones look the same.
pub fn shown(instances: impl Iterator<Item = (String, bool)>) -> String {
    let mut shown: Vec<_> = instances
        .map(|(authority, healthy)| format!("{authority}={}", if healthy { "healthy" } else { "unhealthy" }))
        .collect();
    shown.sort();
    shown.join(" ")
}

/// Prints a list whenever it differs from the one before.
pub struct Differing(&'static str, Option<String>);

impl Differing {
    /// Lists that are printed behind this word.
    #[must_use]
    pub fn new(word: &'static str) -> Self {
        Self(word, None)
    }

    /// The list as it is now.
    pub fn now(&mut self, list: String) {
        if self.1.as_deref() != Some(&list) {
            println!("{} {list}", self.0);
            self.1 = Some(list);
        }
    }
}

/// What the test asks for by signals.
pub struct Asked {
    stop: Signal,
    again: Signal,
}

impl Asked {
    /// Listens from now on.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            stop: signal(SignalKind::terminate())?,
            again: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM, and gives true, for SIGHUP, and gives false, or until it is time to look again.
    pub async fn next(&mut self) -> Option<bool> {
        tokio::select! {
            _ = self.stop.recv() => Some(true),
            _ = self.again.recv() => Some(false),
            () = tokio::time::sleep(LOOK) => None,
        }
    }
}

/// Shows warnings of the clients among the errors.
pub fn log() {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
