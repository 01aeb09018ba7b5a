//! Nacos clients that people already run keep working: each of them registers, lives by its own beats, lists, selects,
//! hears of changes, says goodbye, and outlives a restart of the registry. They are real and unmodified.
//!
//! The times are shortened by `preserved.*` metadata as far as the client can follow. Who takes pushes over UDP has to
//! get them.

use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::nacos;
use beatrix_tests::process::{Line, Process, Signal};
use beatrix_tests::programs::{self, Client};
use beatrix_tests::recorder::Recorder;
use beatrix_tests::registry::Registry;
use beatrix_wire::Health;
use serde_json::json;
use tokio::time::{Instant, sleep};

const SERVICE: &str = "orders";
/// Others in the service, one before and one after the restart. Nobody listens there.
const OTHER: (&str, u16) = ("10.9.8.7", 80);
const LATER: (&str, u16) = ("10.9.8.6", 80);
/// How long a client may take to poll, beat or try again: the slowest polls every ten seconds.
const PATIENCE: Duration = Duration::from_secs(40);

/// What a client can do: the times that it can live with, in milliseconds, and whether it takes pushes over UDP.
struct Kind {
    interval: u64,
    timeout: u64,
    delete: u64,
    pushed: bool,
}

/// A client that has registered, seen from outside.
struct Scene {
    registry: Registry,
    /// Between client and registry; stays where it is when the registry goes.
    recorder: Recorder,
    client: Process,
    /// Its instance as `address:port`.
    instance: String,
    kind: Kind,
}

impl Scene {
    async fn set(client: &Client, port: u16, kind: Kind) -> anyhow::Result<Self> {
        let registry = Registry::start().await?;
        let recorder = Recorder::start(registry.addr()).await?;
        let metadata = json!({
            "zone": "a",
            "preserved.heart.beat.interval": kind.interval.to_string(),
            "preserved.heart.beat.timeout": kind.timeout.to_string(),
            "preserved.ip.delete.timeout": kind.delete.to_string(),
        });
        let client = Process::spawn(client.command().args([
            format!("--server={}", recorder.addr()),
            format!("--service={SERVICE}"),
            "--ip=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--metadata={metadata}"),
            format!("--beat-interval-ms={}", kind.interval),
            "--watch".to_owned(),
        ]))?;
        let scene = Self {
            registry,
            recorder,
            client,
            instance: format!("127.0.0.1:{port}"),
            kind,
        };
        scene.says("it has registered", |line| line == "registered").await;
        scene.is_registered().await;
        Ok(scene)
    }

    /// Waits until the registry shows the instance, healthy and with its metadata.
    async fn is_registered(&self) {
        eventually("the registry shows its instance", PATIENCE, async || {
            let view = self.registry.native().view(SERVICE).await.ok()??;
            let found = view.instances.iter().find(|it| it.authority() == self.instance)?;
            let zone = found.metadata.get("zone").map(String::as_str);
            (found.health == Health::Healthy && zone == Some("a")).then_some(())
        })
        .await;
    }

    /// Waits for a line that starts with a word and shows an instance in a state, or, without a state, in any.
    async fn shows(&self, word: &str, instance: &str, state: &str) {
        let wanted = format!("{instance}={state}");
        self.says(&format!("it has {word} {wanted}"), |line| {
            line.starts_with(word) && line.contains(&wanted)
        })
        .await;
    }

    async fn says(&self, what: &str, is_it: impl Fn(&str) -> bool) {
        let find = |line: &Line| is_it(&line.text).then_some(());
        self.client.line(what, PATIENCE, find).await;
    }

    /// The latest line that starts with a word.
    fn latest(&self, word: &str) -> String {
        let lines = self.client.lines();
        let latest = lines.iter().rev().find(|it| it.text.starts_with(word));
        latest.map_or_else(String::new, |it| it.text.clone())
    }

    /// Checks that its beats keep it healthy for longer than silence would leave it there.
    async fn lives_by_its_beats(&self) -> anyhow::Result<()> {
        let beats = self.recorder.beats().len();
        eventually("it beats", PATIENCE, async || {
            (self.recorder.beats().len() > beats).then_some(())
        })
        .await;
        self.is_registered().await;
        let end = Instant::now() + Duration::from_millis(self.kind.delete + 1_000);
        while Instant::now() < end {
            let list = nacos::list(self.registry.addr(), SERVICE).await?;
            let mine: Vec<_> = list
                .hosts
                .iter()
                .filter(|it| format!("{}:{}", it.ip, it.port) == self.instance)
                .collect();
            ensure!(
                matches!(mine[..], [host] if host.healthy),
                "it beats, and is not one healthy instance: {list:?}"
            );
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Checks that it lists and selects, and that it hears of an instance that comes.
    async fn sees_others(&self) -> anyhow::Result<()> {
        self.shows("listed", &self.instance, "healthy").await;
        self.shows("selected", &self.instance, "healthy").await;
        let (ip, port) = OTHER;
        let other = format!("{ip}:{port}");
        let addr = self.registry.addr();
        nacos::register_with(addr, SERVICE, ip, port, &format!("healthy=false&{LONG_LIVED}")).await?;
        if self.kind.pushed {
            self.shows("pushed", &other, "unhealthy").await;
        }
        self.shows("heard", &other, "unhealthy").await;
        self.shows("listed", &other, "unhealthy").await;
        let selected = self.latest("selected");
        assert!(!selected.contains(&other), "{selected}");
        nacos::light_beat(addr, SERVICE, ip, port).await?;
        self.shows("selected", &other, "healthy").await;
        Ok(())
    }

    /// Kills the registry and starts an empty one in its place.
    async fn outlives_a_restart(&mut self) -> anyhow::Result<()> {
        self.registry.process.kill()?;
        self.registry = Registry::start().await?;
        assert!(self.registry.native().view(SERVICE).await?.is_none());
        self.recorder.hand_on_to(self.registry.addr());
        self.is_registered().await;

        let (ip, port) = LATER;
        nacos::register_with(self.registry.addr(), SERVICE, ip, port, LONG_LIVED).await?;
        let later = format!("{ip}:{port}");
        self.shows("selected", &later, "healthy").await;
        if self.kind.pushed {
            self.shows("pushed", &later, "healthy").await;
        }
        nacos::deregister(self.registry.addr(), SERVICE, ip, port).await
    }

    /// Lets it say goodbye, and checks that this is why it is gone.
    async fn says_goodbye(mut self) -> anyhow::Result<()> {
        self.client.signal(Signal::Term)?;
        self.says("it says goodbye", |line| line == "deregistered").await;
        assert!(self.client.end(SOON).await.success());
        let view = self.registry.native().view(SERVICE).await?;
        let view = view.context("a service that is empty is still known")?;
        assert_eq!(view.instances, []);
        assert_eq!(view.emptied_by.as_deref(), Some("deregistered"));
        Ok(())
    }

    async fn whole_life(mut self) -> anyhow::Result<()> {
        self.lives_by_its_beats().await?;
        self.sees_others().await?;
        self.outlives_a_restart().await?;
        self.says_goodbye().await
    }
}

/// Metadata of an instance that nobody has to beat for while a test lasts.
const LONG_LIVED: &str = "metadata=preserved.heart.beat.timeout=600000,preserved.ip.delete.timeout=600000";

#[tokio::test]
async fn the_client_of_pypi_lives_its_whole_life() -> anyhow::Result<()> {
    let Some(client) = programs::python_client() else {
        return Ok(());
    };
    let kind = Kind {
        interval: 300,
        timeout: 2_000,
        delete: 3_000,
        pushed: false,
    };
    Scene::set(&client, 18_091, kind).await?.whole_life().await
}

#[tokio::test]
async fn the_client_of_npm_lives_its_whole_life() -> anyhow::Result<()> {
    let Some(client) = programs::node_client() else {
        return Ok(());
    };
    // It beats as often as the registry says, but first ten seconds after its start: until then it may be gone, and
    // its full beat brings it back.
    let kind = Kind {
        interval: 300,
        timeout: 2_000,
        delete: 3_000,
        pushed: true,
    };
    Scene::set(&client, 18_092, kind).await?.whole_life().await
}

#[tokio::test]
async fn the_client_of_crates_io_lives_its_whole_life() -> anyhow::Result<()> {
    let Some(client) = programs::rust_client() else {
        return Ok(());
    };
    // Every five to six seconds, whatever it is told. It opens a UDP socket as well, and names it, but not itself: its
    // agent is none that Nacos pushes to.
    let kind = Kind {
        interval: 5_000,
        timeout: 9_000,
        delete: 11_000,
        pushed: false,
    };
    Scene::set(&client, 18_093, kind).await?.whole_life().await
}
