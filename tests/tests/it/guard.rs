//! Invariant 10 and rule 2 with a real network: providers that are cut off are kept and shown as suspect, and come back
//! without anybody having lost them; a scale-down is none of that; and who really crashes goes in time.
//!
//! The times are shortened, unless `BEATRIX_TESTS_REAL_TIMES` is set: then they are the registry's defaults, with a cut
//! of a minute.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use beatrix_tests::cut::Network;
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::native::Native;
use beatrix_tests::process::{Process, Signal};
use beatrix_tests::registry::{Registry, Settings};
use beatrix_tests::sse::Mirror;
use beatrix_wire::{ChangeKind, GuardChange, Health, MembershipEvent};
use tokio::time::{Instant, sleep};

const SERVICE: &str = "orders";
const COUNT: usize = 100;

/// The times of a run.
#[derive(Clone, Copy)]
struct Times {
    interval: Duration,
    unhealthy_after: Duration,
    remove_after: Duration,
    cut: Duration,
}

impl Times {
    const SHORT: Self = Self {
        interval: Duration::from_secs(1),
        unhealthy_after: Duration::from_secs(3),
        remove_after: Duration::from_secs(6),
        cut: Duration::from_secs(25),
    };
    const REAL: Self = Self {
        interval: Duration::from_secs(5),
        unhealthy_after: Duration::from_secs(15),
        remove_after: Duration::from_secs(30),
        cut: Duration::from_secs(60),
    };

    fn of_this_run() -> Self {
        if std::env::var_os("BEATRIX_TESTS_REAL_TIMES").is_some() {
            Self::REAL
        } else {
            Self::SHORT
        }
    }
}

/// What a subscriber saw, all the while.
#[derive(Debug, Default)]
struct Seen {
    mirror: Mirror,
    /// How many instances its list had at least once it was whole.
    fewest: Option<usize>,
    most_suspects: usize,
}

/// A registry at this end of a link, and providers at the other.
struct Scene {
    // In this order they end: what runs in the network before the network.
    providers: Vec<Process>,
    registry: Registry,
    network: Network,
    times: Times,
}

impl Scene {
    async fn set() -> anyhow::Result<Option<Self>> {
        let Some(network) = Network::lay() else {
            return Ok(None);
        };
        let times = Times::of_this_run();
        let registry = Settings::default()
            .flag("http_addr", format!("{}:0", network.here()))
            .flag("log_format", "json")
            .flag("guard_window_ms", times.unhealthy_after.as_millis())
            .start()
            .await?;
        Ok(Some(Self {
            providers: Vec::new(),
            registry,
            network,
            times,
        }))
    }

    fn native(&self) -> Native {
        self.registry.native()
    }

    /// Starts so many providers behind the link.
    async fn start(&self, first: usize, count: usize) -> anyhow::Result<Process> {
        let mut command = self.network.command(env!("CARGO_BIN_EXE_beatrix-load"));
        let times = self.times;
        command
            .args(["providers", "--service", SERVICE])
            .args(["--addr", &self.registry.addr().to_string()])
            .args(["--first", &first.to_string(), "--count", &count.to_string()])
            .args(["--interval-ms", &times.interval.as_millis().to_string()])
            .args([
                "--unhealthy-after-ms",
                &times.unhealthy_after.as_millis().to_string(),
            ])
            .args(["--remove-after-ms", &times.remove_after.as_millis().to_string()]);
        let process = Process::spawn(&mut command)?;
        let registered =
            |line: &beatrix_tests::process::Line| line.text.starts_with("registered").then_some(());
        process
            .line("they register", SOON + times.interval, registered)
            .await;
        Ok(process)
    }

    /// Watches the service from now on.
    async fn subscriber(&self) -> anyhow::Result<Arc<Mutex<Seen>>> {
        let mut stream = self.native().watch(&[SERVICE], None).await?;
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok(Some(event)) = stream.next().await {
                let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
                seen.mirror.apply(&event);
                let (count, suspects) = {
                    let all = seen.mirror.instances.values();
                    (all.len(), all.filter(|it| it.suspect).count())
                };
                seen.most_suspects = seen.most_suspects.max(suspects);
                if count == COUNT || seen.fewest.is_some() {
                    seen.fewest = Some(seen.fewest.map_or(count, |fewest| fewest.min(count)));
                }
            }
        });
        Ok(seen)
    }

    async fn all_are_healthy(&self, count: usize) {
        let within = SOON + self.times.unhealthy_after;
        eventually(&format!("{count} are healthy"), within, async || {
            let status = self.native().status().await.ok()?;
            let suspects = status.guard.suspects;
            ((status.instances, status.healthy, suspects) == (count as u64, count as u64, 0)).then_some(())
        })
        .await;
    }

    async fn events(&self) -> anyhow::Result<Vec<MembershipEvent>> {
        let page = self.native().events(0).await?;
        anyhow::ensure!(
            !page.truncated && page.next_after == page.revision,
            "not all of history"
        );
        Ok(page.events)
    }

    /// What guards came to: what, whose, and why.
    async fn guards(&self) -> anyhow::Result<Vec<(GuardChange, String, String)>> {
        let guards = self.events().await?.into_iter().filter_map(|event| {
            let guard = event.guard?;
            Some((guard.what, event.service, event.reason))
        });
        Ok(guards.collect())
    }
}

/// The wall clock, which dates events.
#[expect(
    clippy::disallowed_methods,
    reason = "what the registry dates is compared with it"
)]
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[tokio::test]
async fn a_hundred_providers_that_are_cut_off_are_suspect_and_kept_and_it_thaws_by_itself()
-> anyhow::Result<()> {
    let Some(mut scene) = Scene::set().await? else {
        return Ok(());
    };
    let all = scene.start(0, COUNT).await?;
    scene.providers.push(all);
    scene.all_are_healthy(COUNT).await;
    let seen = scene.subscriber().await?;

    scene.network.cut()?;
    let joins = Instant::now() + scene.times.cut;
    let status = eventually(
        "all are suspect",
        SOON + scene.times.unhealthy_after,
        async || {
            let status = scene.native().status().await.ok()?;
            (status.guard.suspects == COUNT as u64).then_some(status)
        },
    )
    .await;

    // On every page: status, view, metrics, history.
    let guard = &status.guard;
    assert!(
        guard.holding_registry && guard.registry.holding && !guard.registry.forced,
        "{guard:?}"
    );
    assert_eq!(guard.holding_services, ["public/DEFAULT_GROUP/orders"]);
    assert_eq!((guard.registry.suspects, guard.registry.population), (100, 100));
    assert!(guard.registry.since_ms.is_some() && guard.registry.until_ms > guard.registry.since_ms);
    let view = scene.native().view(SERVICE).await?.context("no service")?;
    assert_eq!(view.instances.len(), COUNT);
    for instance in &view.instances {
        assert!(
            instance.suspect && instance.serving && instance.health == Health::Healthy,
            "{instance:?}"
        );
        assert_eq!(instance.reason, "guarded");
    }
    let metrics = scene.native().metrics().await?;
    for (name, expected) in [
        ("beatrix_instances", 100.0),
        ("beatrix_instances_healthy", 100.0),
        ("beatrix_instances_suspect", 100.0),
        ("beatrix_guard_holding{scope=\"registry\"}", 1.0),
        ("beatrix_guard_holding{scope=\"service\"}", 1.0),
        ("beatrix_guard_trips_total", 2.0),
        ("beatrix_guard_forced", 0.0),
    ] {
        assert_eq!(metrics.get(name), Some(&expected), "{name} of {metrics:?}");
    }
    let tripped = |service: &str| (GuardChange::Tripped, service.to_owned(), "shares".to_owned());
    assert_eq!(scene.guards().await?, [tripped(SERVICE), tripped("")]);

    // And so it stays, for far longer than it takes to be removed.
    while Instant::now() < joins {
        let status = scene.native().status().await?;
        assert_eq!((status.instances, status.guard.suspects), (100, 100));
        sleep(Duration::from_millis(500)).await;
    }
    scene.network.join()?;
    scene.all_are_healthy(COUNT).await;
    eventually("it has ended by itself", SOON, async || {
        let guard = scene.native().status().await.ok()?.guard;
        (!guard.registry.holding && guard.services.is_empty()).then_some(())
    })
    .await;
    let ended = |service: &str| (GuardChange::Ended, service.to_owned(), "shares".to_owned());
    let guards = scene.guards().await?;
    assert_eq!(guards.len(), 4, "{guards:?}");
    assert!(
        guards.contains(&ended(SERVICE)) && guards.contains(&ended("")),
        "{guards:?}"
    );

    // Nobody was removed, and nobody had to register again.
    let events = scene.events().await?;
    let count = |kind: ChangeKind| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!(
        (count(ChangeKind::Registered), count(ChangeKind::Updated)),
        (COUNT, 0)
    );
    assert_eq!(count(ChangeKind::Removed), 0);
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(
        (seen.fewest, seen.most_suspects),
        (Some(COUNT), COUNT),
        "the list never shrank"
    );
    assert!(seen.mirror.removals.is_empty());
    Ok(())
}

#[tokio::test]
async fn twenty_five_of_a_hundred_that_crash_are_removed_on_time_and_a_scale_down_of_ninety_does_not_trip_it()
-> anyhow::Result<()> {
    let Some(mut scene) = Scene::set().await? else {
        return Ok(());
    };
    let times = scene.times;
    let stays = scene.start(0, 10).await?;
    scene.providers.push(stays);
    let mut many = scene.start(10, 65).await?;
    let mut crashes = scene.start(75, 25).await?;
    scene.all_are_healthy(COUNT).await;
    // So that each has beaten at least once.
    sleep(times.interval * 2).await;

    let before = wall_ms();
    crashes.kill()?;
    let after = wall_ms();
    let silence = times.remove_after.as_millis() as u64;
    eventually("75 are left", times.remove_after + SOON, async || {
        let status = scene.native().status().await.ok()?;
        assert!(!status.guard.registry.holding && status.guard.services.is_empty());
        (status.instances == 75).then_some(())
    })
    .await;
    let events = scene.events().await?;
    let removed: Vec<_> = events
        .iter()
        .filter(|event| event.kind == ChangeKind::Removed)
        .collect();
    assert_eq!(removed.len(), 25);
    let late_max = 3_000;
    for event in &removed {
        assert_eq!(event.reason, "expired");
        // Its last beat was not earlier than an interval, and a moment for its way, before the end.
        let (earliest, latest) = (
            before + silence - times.interval.as_millis() as u64 - 250,
            after + silence,
        );
        assert!(
            (earliest..=latest + late_max).contains(&event.at_ms),
            "{event:?}: not between {earliest} and {latest}"
        );
    }

    let mut again = scene.start(75, 25).await?;
    scene.all_are_healthy(COUNT).await;
    many.signal(Signal::Term)?;
    again.signal(Signal::Term)?;
    assert!(
        many.end(SOON).await.success() && again.end(SOON).await.success(),
        "all goodbyes were taken"
    );
    let status = scene.native().status().await?;
    assert_eq!(
        (status.instances, status.healthy, status.guard.trips),
        (10, 10, 0)
    );
    // Nor does it later, when their silence would have been found.
    sleep(times.unhealthy_after + times.interval).await;
    let status = scene.native().status().await?;
    assert_eq!(
        (status.instances, status.healthy, status.guard.trips),
        (10, 10, 0)
    );
    assert_eq!(scene.guards().await?, []);
    let events = scene.events().await?;
    let goodbyes = events
        .iter()
        .filter(|event| event.reason == "deregistered")
        .count();
    assert_eq!(goodbyes, 90);
    Ok(())
}

#[tokio::test]
async fn a_guard_that_an_operator_forces_keeps_even_a_few_that_crash() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::set().await? else {
        return Ok(());
    };
    let stays = scene.start(0, 20).await?;
    scene.providers.push(stays);
    let mut crashes = scene.start(20, 2).await?;
    scene.all_are_healthy(22).await;
    let forced = scene.native().force_guard("?for_ms=3600000").await?;
    assert!(forced.holding && forced.forced);
    crashes.kill()?;
    sleep(scene.times.remove_after + scene.times.interval).await;
    let status = scene.native().status().await?;
    assert_eq!(
        (status.instances, status.healthy, status.guard.suspects),
        (22, 22, 2)
    );
    assert_eq!(
        scene.native().metrics().await?.get("beatrix_guard_forced"),
        Some(&1.0)
    );
    assert!(scene.native().end_guard("").await?.held);
    eventually("the dead go", scene.times.remove_after + SOON, async || {
        (scene.native().status().await.ok()?.instances == 20).then_some(())
    })
    .await;
    let said: Vec<_> = scene
        .guards()
        .await?
        .into_iter()
        .map(|(what, _, reason)| (what, reason))
        .collect();
    let operator = || "operator".to_owned();
    assert_eq!(
        said,
        [
            (GuardChange::Forced, operator()),
            (GuardChange::Ended, operator())
        ]
    );
    Ok(())
}
