//! The main job: whoever falls silent is unhealthy and then gone at the right time, and everyone is told why.
//!
//! The times are shortened, unless `BEATRIX_TESTS_REAL_TIMES` is set. The clients are real: the provider of the
//! examples, which uses the SDK, and the Nacos clients of PyPI and npm with their own beats. Each dies by SIGKILL, so
//! nobody says goodbye. The time of the last beat is measured by a relay, not told by a program under test.

use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::nacos;
use beatrix_tests::process::{Line, Process};
use beatrix_tests::programs::{self, Client};
use beatrix_tests::recorder::{Beat, Recorder};
use beatrix_tests::registry::{Registry, Settings};
use beatrix_tests::sse::{Mirror, Stream};
use beatrix_wire::Health;
use tokio::time::Instant;

const SERVICE: &str = "orders";

/// The times of a run.
#[derive(Clone, Copy)]
struct Times {
    beat_interval: Duration,
    unhealthy_after: Duration,
    remove_after: Duration,
    /// How late is too late.
    late_max: Duration,
}

impl Times {
    /// Short, for every day. Too late is far more than one busy core costs, far less than a periodic scan of five
    /// seconds would.
    const SHORT: Self = Self {
        beat_interval: Duration::from_millis(250),
        unhealthy_after: Duration::from_secs(1),
        remove_after: Duration::from_secs(2),
        late_max: Duration::from_secs(3),
    };
    /// The registry's defaults with the promised exactness, for a quiet machine.
    const REAL: Self = Self {
        beat_interval: Duration::from_secs(5),
        unhealthy_after: Duration::from_secs(15),
        remove_after: Duration::from_secs(30),
        late_max: Duration::from_millis(100),
    };

    fn of_this_run() -> Self {
        if std::env::var_os("BEATRIX_TESTS_REAL_TIMES").is_some() {
            Self::REAL
        } else {
            Self::SHORT
        }
    }

    /// How long to wait for what takes one of these times.
    fn deadline(&self) -> Duration {
        self.remove_after + SOON
    }

    /// Checks that something was heard of in time after the last beat.
    #[expect(clippy::print_stderr, reason = "how exact it was is worth a line")]
    fn check(&self, what: &str, heard: Instant, last: Beat, after: Duration) {
        assert!(
            heard >= last.sent + after,
            "{what} early: {:?} after the last beat",
            heard - last.sent
        );
        let late = heard.saturating_duration_since(last.answered + after);
        eprintln!("{what} {after:?} after the last beat and {late:?}");
        assert!(late <= self.late_max, "{what} too late");
    }
}

/// A registry, somebody who watches its raw stream, and the example consumer.
struct Scene {
    times: Times,
    registry: Registry,
    stream: Stream,
    mirror: Mirror,
    consumer: Process,
}

/// An instance that is kept alive by a process of its own.
struct Provider {
    process: Process,
    /// Stands between the process and the registry.
    recorder: Recorder,
    /// `address:port` as the registry shows it.
    instance: String,
}

impl Scene {
    async fn set() -> anyhow::Result<Self> {
        let times = Times::of_this_run();
        let registry = Settings::new()
            .flag("beat_interval_ms", times.beat_interval.as_millis())
            .flag("unhealthy_after_ms", times.unhealthy_after.as_millis())
            .flag("remove_after_ms", times.remove_after.as_millis())
            .start()
            .await?;
        let stream = registry.native().watch(&[SERVICE], None).await?;
        let url = format!("http://{}", registry.addr());
        let consumer = Process::spawn(Command::new(programs::built("consumer")?).args([
            "--registry",
            &url,
            "--service",
            SERVICE,
            "--calls-every-ms",
            "0",
        ]))?;
        Ok(Self {
            times,
            registry,
            stream,
            mirror: Mirror::default(),
            consumer,
        })
    }

    /// Starts the provider of the examples.
    async fn example_provider(&self) -> anyhow::Result<Provider> {
        let recorder = Recorder::start(self.registry.addr()).await?;
        let url = format!("http://{}", recorder.addr());
        let process = Process::spawn(Command::new(programs::built("provider")?).args([
            "--registry",
            &url,
            "--service",
            SERVICE,
        ]))?;
        let instance = process
            .line("the provider listens", SOON, |line| {
                Some(line.text.strip_prefix("listening on ")?.to_owned())
            })
            .await;
        Ok(Provider {
            process,
            recorder,
            instance,
        })
    }

    /// Starts a Nacos client of another project.
    async fn nacos_provider(&self, client: &Client, port: u16) -> anyhow::Result<Provider> {
        let recorder = Recorder::start(self.registry.addr()).await?;
        let process = Process::spawn(client.command().args([
            format!("--server={}", recorder.addr()),
            format!("--service={SERVICE}"),
            "--ip=127.0.0.1".to_owned(),
            format!("--port={port}"),
            format!("--beat-interval-ms={}", self.times.beat_interval.as_millis()),
        ]))?;
        process
            .line("the client has registered", SOON, |line| {
                (line.text == "registered").then_some(())
            })
            .await;
        Ok(Provider {
            process,
            recorder,
            instance: format!("127.0.0.1:{port}"),
        })
    }

    /// Waits until both APIs show just these instances, all healthy.
    async fn both_apis_show(&self, instances: &[&str]) {
        let mut wanted: Vec<_> = instances
            .iter()
            .map(|instance| ((*instance).to_owned(), true))
            .collect();
        wanted.sort();
        eventually(&format!("both APIs show {instances:?}"), SOON, async || {
            let view = self.registry.native().view(SERVICE).await.ok()??;
            let list = nacos::list(self.registry.addr(), SERVICE).await.ok()?;
            let mut native: Vec<_> = view
                .instances
                .iter()
                .map(|it| (it.authority(), it.health == Health::Healthy))
                .collect();
            let mut nacos: Vec<_> = list
                .hosts
                .iter()
                .map(|it| (format!("{}:{}", it.ip, it.port), it.healthy))
                .collect();
            native.sort();
            nacos.sort();
            (native == wanted && nacos == wanted).then_some(())
        })
        .await;
    }

    /// Reads the stream up to what the registry shows now, and forgets who left before.
    async fn hears_of_life(&mut self, instance: &str) -> anyhow::Result<()> {
        let now = self.registry.revision().await?;
        self.hear(&format!("{instance} lives"), |mirror| {
            (mirror.revision >= now).then_some(())
        })
        .await?;
        assert!(self.mirror.instances.contains_key(instance), "{:?}", self.mirror);
        self.mirror.removals.clear();
        Ok(())
    }

    /// Kills a provider and checks that everyone hears of it at the right times and with the reasons.
    async fn dies_in_time(&mut self, mut provider: Provider) -> anyhow::Result<()> {
        provider.beats(2, self.times.deadline()).await;
        provider.process.kill()?;
        let Provider {
            recorder, instance, ..
        } = &provider;

        let unhealthy = self
            .hear(&format!("{instance} is unhealthy"), |mirror| {
                let known = mirror.instances.get(instance)?;
                (known.health == Health::Unhealthy).then(|| known.reason.clone())
            })
            .await?;
        let last = *recorder.beats().last().context("it never beat")?;
        assert_eq!(unhealthy.1, "silent");
        self.times
            .check("unhealthy", unhealthy.0, last, self.times.unhealthy_after);

        let gone = self
            .hear(&format!("{instance} is gone"), |mirror| {
                let removal = mirror.removals.last()?;
                let is_it = format!("{}:{}", removal.address, removal.port) == *instance;
                is_it.then(|| removal.reason.clone())
            })
            .await?;
        assert_eq!(gone.1, "expired");
        self.times.check("gone", gone.0, last, self.times.remove_after);

        // The consumer says it too. When nobody is left, and not by their own will, the SDK keeps the last list.
        let changed = format!(" changed {instance} ");
        self.consumer_prints(&changed, "(silent)").await;
        if self.mirror.instances.is_empty() {
            self.consumer_prints(" keeping the last list: ", "FellSilent")
                .await;
        } else {
            self.consumer_prints(&format!(" removed {instance} "), "(expired)")
                .await;
        }
        Ok(())
    }

    async fn consumer_prints(&self, middle: &str, end: &str) {
        let what = format!("the consumer prints{middle}{end}");
        let printed = |line: &Line| (line.text.contains(middle) && line.text.ends_with(end)).then_some(());
        self.consumer.line(&what, SOON, printed).await;
    }

    /// Reads the stream until the mirror shows it; gives the time of the event as well.
    async fn hear<T>(
        &mut self,
        what: &str,
        find: impl Fn(&Mirror) -> Option<T>,
    ) -> anyhow::Result<(Instant, T)> {
        let mirror = &mut self.mirror;
        self.stream
            .find(what, self.times.deadline(), |event| {
                mirror.apply(event);
                find(mirror).map(|found| (event.at, found))
            })
            .await
    }
}

impl Provider {
    /// Waits for some more beats, the last of which has only just been answered.
    async fn beats(&self, more: usize, within: Duration) {
        let before = self.recorder.beats().len();
        eventually("the provider beats", within, async || {
            (self.recorder.beats().len() >= before + more).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn the_silent_are_unhealthy_and_then_gone_and_everyone_is_told() -> anyhow::Result<()> {
    let Some(python) = programs::python_client() else {
        return Ok(());
    };
    let mut scene = Scene::set().await?;
    let example = scene.example_provider().await?;
    let nacos = scene.nacos_provider(&python, 18_081).await?;
    scene.both_apis_show(&[&example.instance, &nacos.instance]).await;

    let survivor = example.instance.clone();
    scene.dies_in_time(nacos).await?;
    // One's death is nobody else's.
    scene.both_apis_show(&[&survivor]).await;
    scene.dies_in_time(example).await?;
    scene.both_apis_show(&[]).await;
    Ok(())
}

#[tokio::test]
async fn the_client_of_npm_is_kept_alive_by_its_own_beats() -> anyhow::Result<()> {
    let Some(node) = programs::node_client() else {
        return Ok(());
    };
    let mut scene = Scene::set().await?;
    let provider = scene.nacos_provider(&node, 18_082).await?;
    // This client sends its first beat only ten seconds after its start. With short times the instance is gone by
    // then; its full beat brings it back, as Nacos has it.
    provider.beats(2, scene.times.deadline()).await;
    scene.both_apis_show(&[&provider.instance]).await;
    scene.hears_of_life(&provider.instance).await?;
    scene.dies_in_time(provider).await
}
