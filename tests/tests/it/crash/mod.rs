//! What was acknowledged survives `kill -9` (invariant 8), and nobody who reads or subscribes is shown that it happened.
//!
//! The registry is killed again and again at random moments while clients write to it and others follow services that
//! do not change, and it is started again on the same data. After each kill, before anybody writes again:
//!
//! - what was acknowledged as durable is there, or gone, as it was acknowledged;
//! - what was acknowledged to instances that beat is at most 100 ms behind;
//! - nothing is there that nobody asked for;
//! - no revision is used twice, and the epoch stays;
//! - no list, view, stream or push ever lacked an instance of the quiet services.
//!
//! - [`ledger`]: what may be there, by what was asked for and acknowledged.
//! - [`writers`]: those who write.
//! - [`followers`]: those who follow the quiet service, our own and official clients.

mod followers;
mod ledger;
mod writers;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use beatrix_tests::native::{Native, beating, standing};
use beatrix_tests::recorder::Recorder;
use beatrix_tests::registry::{Registry, Settings};
use beatrix_wire::{RegisterRequest, ServiceView};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use followers::Followers;
use ledger::Ledger;
use writers::Writers;

/// The services that never change, of instances that beat and of persistent ones, and how many each has. Two, since a
/// Nacos client does not register beside instances of the other kind.
const QUIET: &str = "quiet";
const STANDING: &str = "standing";
const QUIET_EACH: u16 = 20;

/// How many kills; `BEATRIX_TESTS_CRASHES` says otherwise.
const CRASHES: u32 = 100;

/// How far what is written behind may be behind: the promise.
const BEHIND_MAX: Duration = Duration::from_millis(100);

/// The whole scene.
struct Scene {
    data: TempDir,
    registry: Registry,
    /// Stays where it is when the registry goes, so that clients find the next one.
    relay: Recorder,
    ledger: Ledger,
    epoch: String,
    /// The newest revision that anybody was told, and who has which.
    newest: u64,
    revisions: HashMap<u64, String>,
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_by_a_hundred_kills_and_no_follower_sees_a_list_shrink()
-> anyhow::Result<()> {
    let crashes = match std::env::var("BEATRIX_TESTS_CRASHES") {
        Ok(text) => text.parse().context("BEATRIX_TESTS_CRASHES is a number")?,
        Err(_) => CRASHES,
    };
    let seed = match std::env::var("BEATRIX_TESTS_SEED") {
        Ok(text) => text.parse().context("BEATRIX_TESTS_SEED is a number")?,
        Err(_) => u64::from(std::process::id()),
    };
    tell(&format!("{crashes} kills, seed {seed}"));
    let mut random = StdRng::seed_from_u64(seed);
    let mut scene = Scene::set().await?;
    let followers = Followers::begin(scene.relay.addr()).await?;
    for crash in 1..=crashes {
        let writers = Writers::begin(scene.registry.addr(), &scene.ledger, random.random());
        // Sometimes in the midst of the first writes after a start, sometimes later.
        sleep(Duration::from_millis(random.random_range(5..300))).await;
        let killed = scene.kill()?;
        scene.newest = scene.newest.max(writers.end(&mut scene.ledger).await?);
        scene.start_again().await?;
        scene
            .check(killed)
            .await
            .with_context(|| format!("after kill {crash} of {crashes}, seed {seed}"))?;
        followers.check()?;
    }
    let told = scene.tell_followers().await?;
    let seen = followers.end(&told).await?;
    let (acknowledged, unsure) = scene.ledger.counts();
    tell(&format!(
        "{acknowledged} acknowledged, {unsure} unsure when killed; followers: {seen}"
    ));
    ensure!(acknowledged > u64::from(crashes), "hardly anything was written");
    Ok(())
}

impl Scene {
    async fn set() -> anyhow::Result<Self> {
        let data = tempfile::tempdir()?;
        let registry = settings(&data).start().await?;
        let relay = Recorder::start(registry.addr()).await?;
        let native = registry.native();
        for number in 0..QUIET_EACH {
            native.register(STANDING, &quiet(number), &standing()).await?;
            native.register(QUIET, &quiet(number), &long()).await?;
        }
        // What beats is written behind: by then it is.
        sleep(BEHIND_MAX).await;
        let view = view(native, QUIET).await?.context("the quiet service is there")?;
        let mut scene = Self {
            data,
            registry,
            relay,
            ledger: Ledger::default(),
            epoch: view.epoch.clone(),
            newest: view.revision,
            revisions: HashMap::new(),
        };
        scene.note_revisions(&view)?;
        Ok(scene)
    }

    /// Kills it. Returns a moment at which it still ran.
    fn kill(&mut self) -> anyhow::Result<Instant> {
        let alive = Instant::now();
        self.registry.process.kill()?;
        Ok(alive)
    }

    async fn start_again(&mut self) -> anyhow::Result<()> {
        self.registry = settings(&self.data).start_serving().await?;
        self.relay.hand_on_to(self.registry.addr());
        Ok(())
    }

    /// Compares what there is with what may be there, and settles it for the next round.
    async fn check(&mut self, killed: Instant) -> anyhow::Result<()> {
        let native = self.registry.native();
        let status = native.status().await?;
        ensure!(status.epoch == self.epoch, "another epoch: {}", status.epoch);
        ensure!(
            status.revision >= self.newest,
            "revision {} was given out, and it goes on from {}",
            self.newest,
            status.revision
        );
        self.newest = status.revision;
        for service in writers::SERVICES {
            let Some(view) = view(native, service).await? else {
                self.ledger.settle(service, &HashMap::new(), killed, BEHIND_MAX)?;
                continue;
            };
            self.note_revisions(&view)?;
            let found = view
                .instances
                .iter()
                .map(|instance| Ok((instance.authority(), writers::state_of(service, instance)?)))
                .collect::<anyhow::Result<_>>()?;
            self.ledger.settle(service, &found, killed, BEHIND_MAX)?;
        }
        Ok(())
    }

    /// Each revision belongs to one change of one instance, in all lives of the registry.
    fn note_revisions(&mut self, view: &ServiceView) -> anyhow::Result<()> {
        for instance in &view.instances {
            let who = format!("{}/{}", view.service, instance.authority());
            if let Some(before) = self.revisions.insert(instance.revision, who.clone()) {
                ensure!(
                    before == who,
                    "revision {} is that of {before} and of {who}",
                    instance.revision
                );
            }
        }
        Ok(())
    }

    /// Registers one more in the quiet service: whoever still follows hears of it.
    async fn tell_followers(&mut self) -> anyhow::Result<String> {
        let last = quiet(QUIET_EACH);
        let answer = self.registry.native().register(QUIET, &last, &long()).await?;
        ensure!(
            answer.revision > self.newest,
            "revision {} is not new",
            answer.revision
        );
        Ok(last)
    }
}

fn settings(data: &TempDir) -> Settings {
    // Checkpoints as often as can be: some are whole when it is killed, some under way, and of some there are remains.
    Settings::new()
        .flag("data_dir", data.path().display())
        .flag("checkpoint_bytes", 65_536)
        .flag("log", "warn,beatrix=info")
}

/// A registration that lives for longer than any run.
fn long() -> RegisterRequest {
    beating(600_000, 3_600_000, 7_200_000)
}

/// An instance of the quiet services.
fn quiet(number: u16) -> String {
    format!("10.77.0.{}:80", number + 1)
}

/// The instances that the quiet services always have.
fn always_there() -> impl Iterator<Item = String> {
    (0..QUIET_EACH).map(quiet)
}

async fn view(native: Native, service: &str) -> anyhow::Result<Option<ServiceView>> {
    native.view(service).await
}

#[expect(clippy::print_stderr, reason = "a run tells its seed, and what it came to")]
fn tell(text: &str) {
    eprintln!("{text}");
}
