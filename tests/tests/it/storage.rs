//! Item 5, end to end: a disk that is full, a folder that is in use, read-only or damaged. Each is told clearly, and what
//! can go on does.

use std::io::{Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::http1::{self, Request, Response};
use beatrix_tests::mount::Small;
use beatrix_tests::nacos;
use beatrix_tests::native::{Native, beating, instance_path, standing};
use beatrix_tests::process::Signal;
use beatrix_tests::registry::{Registry, Settings};
use beatrix_wire::{Instance, Problem, RegisterRequest};
use serde_json::Value;

/// How many places of a journal are damaged, one at a time.
const FLIPS: usize = 40;

/// A registry whose journal is there.
fn on(data: &Path) -> Settings {
    Settings::new().flag("data_dir", data.display())
}

async fn readyz(registry: &Registry) -> anyhow::Result<(u16, String)> {
    let answer = http1::get(registry.addr(), "/readyz").await?;
    Ok((answer.status(), answer.text()))
}

/// A registration that takes room.
fn heavy() -> RegisterRequest {
    let metadata = (0..10).map(|number| (format!("k{number}"), "x".repeat(1_000)));
    RegisterRequest {
        metadata: metadata.collect(),
        ..standing()
    }
}

async fn put(registry: &Registry, instance: &str, what: &RegisterRequest) -> anyhow::Result<Response> {
    let request = Request::new("PUT", instance_path("heavy", instance)).json(serde_json::to_vec(what)?);
    Ok(http1::send(registry.addr(), request).await?)
}

/// Registers until the disk is found full. Returns who was acknowledged.
async fn register_until_refused(registry: &Registry) -> anyhow::Result<(Vec<String>, Response)> {
    let mut acknowledged = Vec::new();
    for number in 0..2_000 {
        let instance = format!("10.1.{}.{}:80", number / 200, number % 200 + 1);
        let answer = put(registry, &instance, &heavy()).await?;
        match answer.status() {
            200 | 201 => acknowledged.push(instance),
            _ => return Ok((acknowledged, answer)),
        }
    }
    anyhow::bail!("the disk never was full")
}

/// Each door says in its own form that nothing was kept, and why.
async fn all_doors_refuse(registry: &Registry) -> anyhow::Result<()> {
    let refused = put(registry, "10.2.0.1:80", &standing()).await?;
    assert_eq!(refused.status(), 503, "{}", refused.text());
    let kind = refused.head.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/problem+json"), "{kind}");
    let problem: Problem = refused.json()?;
    let detail = problem.detail.clone();
    assert!(format!("{detail:?}").contains("No space left"), "{problem:?}");

    let form = "serviceName=heavy&ip=10.2.0.2&port=80&ephemeral=false";
    for (path, json) in [
        ("/nacos/v1/ns/instance", false),
        ("/nacos/v2/ns/instance", true),
        ("/nacos/v3/admin/ns/instance", true),
    ] {
        let refused = http1::send(registry.addr(), Request::new("POST", path).form(form)).await?;
        let text = refused.text();
        assert_eq!(refused.status(), 503, "{path}: {text}");
        assert!(text.contains("No space left"), "{path}: {text}");
        let body: Option<Value> = serde_json::from_str(&text).ok();
        let code = body.as_ref().and_then(|body| body["code"].as_u64());
        assert_eq!(code, json.then_some(30_000), "{path}: {text}");
    }
    Ok(())
}

/// Claim: a full disk. Durable writes are refused with the reason at every door, all else goes on, `/readyz` and
/// metrics tell, and when there is room again all is well by itself.
#[tokio::test]
async fn a_full_disk_refuses_durable_writes_serves_the_rest_and_recovers_by_itself() -> anyhow::Result<()> {
    let Some(disk) = Small::mount(24) else {
        return Ok(());
    };
    let data = disk.path().join("data");
    let settings = on(&data).flag("disk_reserve_bytes", 0);
    let mut registry = settings.start().await?;
    let native = registry.native();
    assert_eq!(readyz(&registry).await?, (200, "ok".into()));
    native.register("quiet", "10.0.0.1:80", &standing()).await?;
    let beats = beating(5_000, 600_000, 1_200_000);
    let before = native.register("quiet", "10.0.0.2:80", &beats).await?;

    disk.fill()?;
    let (mut kept, _) = register_until_refused(&registry).await?;
    all_doors_refuse(&registry).await?;

    // Who beats is taken on, and renewed; lists are served.
    native.register("quiet", "10.0.0.3:80", &beats).await?;
    nacos::register(registry.addr(), "nacos", "10.0.0.4", 80).await?;
    let lease = before.lease.context("it beats")?;
    assert_eq!(native.beat("beatrix", &[lease]).await?.renewed, 1);
    assert_eq!(
        native
            .view("quiet")
            .await?
            .context("it is there")?
            .instances
            .len(),
        3
    );
    let view = native.view("heavy").await?;
    assert_eq!(view.map_or(0, |view| view.instances.len()), kept.len());
    assert_eq!(nacos::list(registry.addr(), "nacos").await?.hosts.len(), 1);

    let (status, text) = readyz(&registry).await?;
    assert_eq!(status, 200, "it serves: {text}");
    assert!(
        text.starts_with("ok\nstorage: durable writes are refused") && text.contains("No space left"),
        "{text}"
    );
    let metrics = native.metrics().await?;
    assert_eq!(metrics["beatrix_storage_trouble"], 1.0);
    assert!(metrics["beatrix_storage_failures_total"] >= 1.0, "{metrics:?}");
    assert!(metrics["beatrix_storage_trouble_since_timestamp_seconds"] > 1e9);
    assert!(
        metrics["beatrix_storage_not_kept"] + metrics["beatrix_storage_pending"] >= 2.0,
        "{metrics:?}"
    );
    let storage = native.status().await?.storage.context("it is embedded")?;
    let trouble = storage.trouble.context("it is in trouble")?;
    assert!(trouble.error.contains("No space left"), "{trouble:?}");
    assert_eq!(storage.kind, "embedded");

    disk.make_room()?;
    eventually("all is well by itself", SOON, async || {
        let now = readyz(&registry).await.ok()?;
        (now == (200, "ok".into())).then_some(())
    })
    .await;
    let after = put(&registry, "10.3.0.1:80", &heavy()).await?;
    ensure!(after.status() < 300, "{}", after.text());
    kept.push("10.3.0.1:80".into());
    let metrics = native.metrics().await?;
    assert_eq!(
        (
            metrics["beatrix_storage_trouble"],
            metrics["beatrix_storage_not_kept"]
        ),
        (0.0, 0.0)
    );

    registry.process.kill()?;
    let registry = settings.start_serving().await?;
    let native = registry.native();
    let view = native.view("heavy").await?.context("it is there")?;
    let found: Vec<String> = view.instances.iter().map(Instance::authority).collect();
    kept.sort();
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(
        sorted, kept,
        "what was acknowledged, and nothing that was refused"
    );
    assert_eq!(
        native
            .view("quiet")
            .await?
            .context("it is there")?
            .instances
            .len(),
        3
    );
    assert_eq!(nacos::list(registry.addr(), "nacos").await?.hosts.len(), 1);
    Ok(())
}

/// Starts a registry that must not come up. Returns what it said.
async fn refusal(settings: &Settings) -> anyhow::Result<String> {
    let (mut process, _folder) = settings.spawn()?;
    let status = process.end(SOON).await;
    ensure!(
        status.code().is_some_and(|code| code != 0),
        "{status}: {}",
        process.output()
    );
    // Its last words may arrive after its end.
    let output = process
        .line("it says why", SOON, |line| {
            line.text.contains("stopped").then(|| process.output())
        })
        .await;
    ensure!(!output.contains("listening"), "a port was bound: {output}");
    Ok(output)
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_told_the_pid_of_the_first() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = on(folder.path()).start().await?;
    let told = refusal(&on(folder.path())).await?;
    let pid = registry.process.pid();
    assert!(told.contains(&format!("in use by the process {pid}")), "{told}");
    // The first has not noticed.
    registry
        .native()
        .register("s", "10.0.0.1:80", &standing())
        .await?;
    Ok(())
}

#[tokio::test]
async fn a_read_only_data_folder_is_refused_by_its_name() -> anyhow::Result<()> {
    let Some(disk) = Small::mount(16) else {
        return Ok(());
    };
    disk.read_only()?;
    let told = refusal(&on(disk.path())).await?;
    assert!(
        told.contains(&disk.path().display().to_string()) && told.contains("Read-only file system"),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn a_damaged_journal_is_refused_by_its_name_and_not_touched() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut registry = on(folder.path()).start().await?;
    for number in 1..=100 {
        let answer = put(&registry, &format!("10.0.0.{number}:80"), &heavy()).await?;
        ensure!(answer.status() < 300, "{}", answer.text());
    }
    registry.process.kill()?;
    drop(registry);
    let path = folder.path().join("journal.redb");
    flip_the_middle(&path)?;
    let damaged = std::fs::read(&path)?;
    let told = refusal(&on(folder.path())).await?;
    assert!(
        told.contains("journal.redb") && told.contains("is damaged"),
        "{told}"
    );
    assert!(told.contains("beatrix import"), "it says what to do: {told}");
    assert!(std::fs::read(&path)? == damaged, "it was changed");
    Ok(())
}

/// One byte is found, or was of no use to anybody: never is anything left out, or turned into something else, in silence.
#[tokio::test]
async fn a_flipped_byte_anywhere_in_the_journal_is_refused_or_changes_nothing() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut registry = on(folder.path()).start().await?;
    for number in 1..=60 {
        let answer = put(&registry, &format!("10.0.0.{number}:80"), &heavy()).await?;
        ensure!(answer.status() < 300, "{}", answer.text());
    }
    let view = registry.native().view("heavy").await?.context("it is there")?;
    registry.signal(Signal::Term)?;
    assert!(registry.process.end(SOON).await.success());
    let whole = std::fs::read(folder.path().join("journal.redb"))?;
    // Where something is written.
    let used: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let (mut refused, mut unharmed) = (0, 0);
    for turn in 0..FLIPS {
        let mut flipped = whole.clone();
        flipped[used[used.len() * turn / FLIPS]] ^= 0x10;
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("journal.redb"), flipped)?;
        let (mut process, _folder) = on(folder.path()).spawn()?;
        let listens = process
            .line("it listens or refuses", SOON, |line| {
                let said: Value = serde_json::from_str(&line.text).ok()?;
                match said["message"].as_str()? {
                    "listening" => Some(said["http_addr"].as_str()?.parse::<SocketAddr>().ok()),
                    "stopped" => Some(None),
                    _ => None,
                }
            })
            .await;
        let output = process.output();
        ensure!(!output.contains("panicked"), "turn {turn}: {output}");
        let Some(addr) = listens else {
            ensure!(!process.end(SOON).await.success(), "turn {turn}: {output}");
            ensure!(output.contains("journal.redb"), "turn {turn}: {output}");
            refused += 1;
            continue;
        };
        let found = Native::new(addr).view("heavy").await?;
        let found = found.with_context(|| format!("turn {turn}: the service is gone"))?;
        ensure!(found.instances == view.instances, "turn {turn}: {found:?}");
        unharmed += 1;
    }
    ensure!(
        refused > FLIPS / 2,
        "{refused} were refused, {unharmed} were harmless"
    );
    Ok(())
}

/// Turns every byte of the middle half of a file.
fn flip_the_middle(path: &Path) -> anyhow::Result<()> {
    let mut file = std::fs::File::options().read(true).write(true).open(path)?;
    let len = file.metadata()?.len();
    let mut middle = vec![0; usize::try_from(len / 2)?];
    file.seek(SeekFrom::Start(len / 4))?;
    file.read_exact(&mut middle)?;
    middle.iter_mut().for_each(|byte| *byte = !*byte);
    file.seek(SeekFrom::Start(len / 4))?;
    file.write_all(&middle)?;
    Ok(())
}

/// Claim: after a start it says warming until all who beat have been heard of, and serves their list all the while.
#[tokio::test]
async fn readyz_of_a_restarted_registry_is_warming_until_it_has_heard_of_all_and_then_ready()
-> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut registry = on(folder.path()).start().await?;
    let beats = beating(5_000, 600_000, 1_200_000);
    let registered = registry.native().register("s", "10.0.0.1:80", &beats).await?;
    // In order: after a crash it could not know that nobody is missing, and would wait out its time.
    registry.signal(Signal::Term)?;
    assert!(registry.process.end(SOON).await.success());
    let registry = on(folder.path()).start_serving().await?;
    assert_eq!(readyz(&registry).await?, (503, "warming".into()));
    let native = registry.native();
    assert_eq!(native.status().await?.unconfirmed, 1);
    assert_eq!(native.metrics().await?["beatrix_instances_unconfirmed"], 1.0);
    assert_eq!(native.view("s").await?.context("it is there")?.instances.len(), 1);
    native
        .beat("beatrix", &[registered.lease.context("it beats")?])
        .await?;
    eventually("it is ready", SOON, async || {
        let now = readyz(&registry).await.ok()?;
        (now == (200, "ok".into())).then_some(())
    })
    .await;
    assert_eq!(native.status().await?.unconfirmed, 0);
    Ok(())
}
