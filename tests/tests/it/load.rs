//! The load program runs against a real registry, and against the bare handlers that it is compared with. That it
//! works is tested here; what it measures is not.

use std::process::Command;

use anyhow::ensure;
use beatrix_tests::eventually::SOON;
use beatrix_tests::process::Process;
use beatrix_tests::registry::{Registry, Settings};

fn load(arguments: &str) -> anyhow::Result<Process> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beatrix-load"));
    Process::spawn(command.args(arguments.split_whitespace()))
}

/// Runs a short load and gives its line.
async fn run(arguments: &str) -> anyhow::Result<String> {
    let mut process = load(arguments)?;
    let status = process.end(SOON).await;
    ensure!(status.success(), "{arguments}: {status}\n{}", process.output());
    Ok(process
        .line("its report", SOON, |line| {
            line.text.contains('=').then(|| line.text.clone())
        })
        .await)
}

fn value(report: &str, name: &str) -> u64 {
    let pairs = report.split_whitespace().filter_map(|pair| pair.split_once('='));
    let value = pairs
        .filter(|(key, _)| *key == name)
        .find_map(|(_, value)| value.parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[tokio::test]
async fn every_load_runs_against_a_registry() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let target = format!("--addr {} --pid {}", registry.addr(), registry.process.pid());
    let few = "--connections 4 --requests 100 --instances 20 --per-service 10";
    for (load, counted) in [
        (format!("nacos-beat {target} {few}"), "requests"),
        (
            format!("nacos-beat {target} {few} --parameters query"),
            "requests",
        ),
        (format!("nacos-beat {target} {few} --form full"), "requests"),
        (format!("native-beat {target} {few} --leases 10"), "requests"),
        (format!("list {target} {few} --api nacos"), "requests"),
        (format!("list {target} {few} --api native"), "requests"),
        (format!("list {target} {few} --writes-percent 10"), "requests"),
        (
            format!("list {target} {few} --writes-percent 10 --writes other"),
            "requests",
        ),
    ] {
        let report = run(&load).await?;
        assert_eq!(
            (value(&report, counted), value(&report, "refused")),
            (100, 0),
            "{report}"
        );
    }
    for api in ["nacos", "native"] {
        let report = run(&format!("register {target} {few} --api {api}")).await?;
        assert_eq!(
            (value(&report, "requests"), value(&report, "refused")),
            (20, 0),
            "{report}"
        );
    }
    let report = run(&format!("fan-out {target} --subscribers 20 --changes 3")).await?;
    assert_eq!(value(&report, "events"), 60, "{report}");
    let report = run(&format!("udp {target} --changes 3 --every-ms 10")).await?;
    assert_eq!(value(&report, "changes"), 3, "{report}");
    let hold = format!("hold {target} --instances 20 --settle-seconds 0 --idle-seconds 1");
    assert_eq!(value(&run(&hold).await?, "instances"), 20);
    Ok(())
}

#[tokio::test]
async fn many_who_fall_silent_together_are_all_found_out() -> anyhow::Result<()> {
    let registry = Settings::new().flag("guard", false).start().await?;
    let report = run(&format!(
        "silence --addr {} --instances 500 --per-service 250 --unhealthy-after-ms 3000",
        registry.addr()
    ))
    .await?;
    assert_eq!(
        (value(&report, "flips"), value(&report, "early")),
        (500, 0),
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn some_hundred_that_are_probed_are_all_asked_in_time_and_found_healthy() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let report = run(&format!(
        "probes --addr {} --pid {} --instances 400 --interval-ms 1000 --seconds 5",
        registry.addr(),
        registry.process.pid()
    ))
    .await?;
    assert_eq!(
        (
            value(&report, "healthy"),
            value(&report, "failed"),
            value(&report, "missed")
        ),
        (400, 0, 0),
        "{report}"
    );
    // Once a second each, give or take a tenth, and what was in flight at both ends.
    let probes = value(&report, "probes");
    assert!((1_700..=2_400).contains(&probes), "{report}");
    let seen = value(&report, "connections_seen");
    assert!(seen.abs_diff(probes) <= 100, "{report}");
    Ok(())
}

/// What a beat or a list has to be is looked at while the load runs: a wrong answer is not a fast one.
#[tokio::test]
async fn an_answer_that_is_not_a_list_ends_the_load() -> anyhow::Result<()> {
    let (_bare, addr) = bare("bare").await?;
    let mut process = load(&format!("list --addr {addr} --connections 4 --requests 100"))?;
    assert!(!process.end(SOON).await.success());
    Ok(())
}

#[tokio::test]
async fn the_bare_handler_answers_the_list_that_a_registry_gave() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    let kept = registry.folder().join("list");
    let fleet = "--instances 10 --per-service 10 --connections 4";
    let (addr, kept) = (registry.addr(), kept.display());
    run(&format!("list --addr {addr} {fleet} --requests 1 --keep {kept}")).await?;
    let (_bare, addr) = bare(&format!("bare --list {kept}")).await?;
    // It takes registrations as well, and a closer look at its list finds what the registry had.
    let report = run(&format!(
        "list --addr {addr} {fleet} --requests 100 --writes-percent 10"
    ))
    .await?;
    assert_eq!(
        (value(&report, "requests"), value(&report, "refused")),
        (100, 0),
        "{report}"
    );
    Ok(())
}

/// Starts bare handlers; gives where they listen.
async fn bare(arguments: &str) -> anyhow::Result<(Process, String)> {
    let bare = load(arguments)?;
    let addr = bare
        .line("where it listens", SOON, |line| {
            Some(line.text.strip_prefix("listening ")?.to_owned())
        })
        .await;
    Ok((bare, addr))
}

#[tokio::test]
async fn the_bare_handlers_take_the_same_load() -> anyhow::Result<()> {
    let (_bare, addr) = bare("bare --event-bytes 300").await?;
    let report = run(&format!(
        "nacos-beat --addr {addr} --connections 4 --requests 100"
    ))
    .await?;
    assert_eq!(
        (value(&report, "requests"), value(&report, "refused")),
        (100, 0),
        "{report}"
    );
    let report = run(&format!("fan-out --addr {addr} --subscribers 20 --changes 3")).await?;
    assert_eq!(
        (value(&report, "events"), value(&report, "event_bytes")),
        (60, 300),
        "{report}"
    );
    Ok(())
}

#[tokio::test]
async fn an_address_elsewhere_is_no_target() -> anyhow::Result<()> {
    let mut process = load("nacos-beat --addr 192.0.2.1:8848")?;
    assert!(!process.end(SOON).await.success());
    Ok(())
}
