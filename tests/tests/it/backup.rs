//! Backups by the command line, between real processes.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::http1::{self, Request};
use beatrix_tests::native::{beating, instance_path, service_path, standing};
use beatrix_tests::programs;
use beatrix_tests::registry::Registry;
use beatrix_wire::RegisterRequest;
use serde_json::Value;

/// Runs the command line with this input.
async fn run(args: &[&str], input: Vec<u8>) -> anyhow::Result<Output> {
    let mut command = Command::new(programs::built("beatrix")?);
    command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that refuses its first line does not read the others.
            let _ = stdin.write_all(&input);
        }
        Ok(child.wait_with_output()?)
    })
    .await?
}

async fn export(registry: &Registry) -> anyhow::Result<Vec<u8>> {
    let url = format!("http://{}", registry.addr());
    let output = run(&["export", "--url", &url], Vec::new()).await?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

async fn import(registry: &Registry, flags: &[&str], lines: &[u8]) -> anyhow::Result<(bool, String)> {
    let url = format!("http://{}", registry.addr());
    let output = run(&[&["import", "--url", &url], flags].concat(), lines.to_vec()).await?;
    let told = String::from_utf8(output.stderr)?;
    Ok((output.status.success(), told))
}

/// A body without what belongs to one registry and one moment.
fn bare(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for field in ["revision", "epoch", "unconfirmed"] {
                fields.remove(field);
            }
            fields.values_mut().for_each(bare);
        }
        Value::Array(values) => values.iter_mut().for_each(bare),
        _ => {}
    }
}

async fn lists(registry: &Registry) -> anyhow::Result<Vec<String>> {
    let mut lists = Vec::new();
    for path in [
        service_path("orders"),
        service_path("declared"),
        format!("{}/operator", service_path("orders")),
        "/api/v1/namespaces/public/services".into(),
        "/nacos/v1/console/namespaces".into(),
        "/nacos/v1/ns/service?serviceName=declared".into(),
    ] {
        let mut body: Value = http1::get(registry.addr(), &path).await?.json()?;
        bare(&mut body);
        lists.push(body.to_string());
    }
    Ok(lists)
}

async fn fill(registry: &Registry) -> anyhow::Result<String> {
    let native = registry.native();
    let labelled = RegisterRequest {
        metadata: [("zone \"ü\"".to_owned(), "a\nb".to_owned())].into(),
        weight: Some(2.5),
        ..standing()
    };
    native.register("orders", "10.0.0.1:80", &labelled).await?;
    let beats = native
        .register("orders", "[2001:db8::1]:80", &beating(1_000, 60_000, 120_000))
        .await?;
    let patch =
        Request::new("PATCH", instance_path("orders", "10.0.0.1:80")).json(br#"{"draining":true}"#.to_vec());
    http1::send(registry.addr(), patch).await?;
    for target in [
        "/nacos/v1/console/namespaces?customNamespaceId=dev&namespaceName=Dev&namespaceDesc=d",
        "/nacos/v1/ns/service?serviceName=declared&protectThreshold=0.4&metadata=k%3Dv",
    ] {
        let answer = http1::send(registry.addr(), Request::new("POST", target)).await?;
        anyhow::ensure!(answer.status() == 200, "{}", answer.text());
    }
    beats.lease.ok_or_else(|| anyhow::anyhow!("no lease"))
}

/// A round trip through two processes leaves lists equal but for revisions, and clients go on with their leases.
#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_read_from_a_backup_is_equal_and_knows_its_clients() -> anyhow::Result<()> {
    let (from, to) = (Registry::start().await?, Registry::start().await?);
    let lease = fill(&from).await?;
    let lines = export(&from).await?;
    let (well, told) = import(&to, &[], &lines).await?;
    assert!(well, "{told}");
    assert_eq!(lists(&from).await?, lists(&to).await?);
    let beat = to.native().beat("beatrix", &[lease]).await?;
    assert_eq!((beat.renewed, beat.unknown.len()), (1, 0));
    // The beat is answered before its owner has looked at it.
    eventually("the beat confirms it", SOON, async || {
        let view = to.native().view("orders").await.ok()??;
        let confirmed = view.instances.iter().all(|instance| !instance.unconfirmed);
        confirmed.then_some(())
    })
    .await;
    let revision = to.revision().await?;
    let (well, told) = import(&to, &[], &lines).await?;
    assert!(well && to.revision().await? == revision, "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_newer_or_changed_backup_is_refused_by_its_line_and_changes_nothing() -> anyhow::Result<()> {
    let (from, to) = (Registry::start().await?, Registry::start().await?);
    fill(&from).await?;
    let lines = String::from_utf8(export(&from).await?)?;
    let count = lines.lines().count();
    let cut = &lines[..lines.trim_end().rfind('\n').unwrap_or_default() + 1];
    for (bad, word) in [
        (cut.to_owned(), format!("line {count}: ")),
        (
            lines.replace("\"version\":1", "\"version\":9"),
            "line 1: the backup is of version 9".into(),
        ),
        (lines.replace("10.0.0.1", "10.0.0.x"), "line ".into()),
        (lines.replace("10.0.0.1", "10.0.0.7"), format!("line {count}: ")),
        ("{}\n".into(), "line 1: this is no backup".into()),
        (String::new(), "line 1: ".into()),
    ] {
        let (well, told) = import(&to, &["--replace"], bad.as_bytes()).await?;
        assert!(!well && told.contains(&word), "{told} does not say {word}");
    }
    assert_eq!(to.revision().await?, 0);
    Ok(())
}

/// `--replace` leaves what the backup names and what beats.
#[tokio::test(flavor = "multi_thread")]
async fn replacing_removes_what_the_backup_does_not_name_but_nobody_who_beats() -> anyhow::Result<()> {
    let (from, to) = (Registry::start().await?, Registry::start().await?);
    fill(&from).await?;
    let native = to.native();
    native.register("orders", "10.0.0.9:80", &standing()).await?;
    native.register("other", "10.0.0.9:80", &standing()).await?;
    native
        .register("beats", "10.0.0.9:80", &beating(1_000, 60_000, 120_000))
        .await?;
    let elsewhere = "/api/v1/namespaces/else/groups/DEFAULT_GROUP/services/other/instances/10.0.0.9:80";
    let stays = Request::new("PUT", elsewhere).json(br#"{"liveness":{"type":"static"}}"#.to_vec());
    http1::send(to.addr(), stays).await?;
    let lines = export(&from).await?;
    let (well, told) = import(&to, &["--replace", "--dry-run"], &lines).await?;
    assert!(well && native.view("other").await?.is_some(), "{told}");
    let (well, told) = import(&to, &["--replace"], &lines).await?;
    assert!(well, "{told}");
    assert_eq!(lists(&from).await?[0], lists(&to).await?[0]);
    assert!(native.view("other").await?.is_none());
    assert!(native.view("beats").await?.is_some());
    assert_eq!(http1::get(to.addr(), elsewhere).await?.status(), 200);
    Ok(())
}

/// What clients write while a backup is read in is there afterwards, and so is the backup.
#[tokio::test(flavor = "multi_thread")]
async fn clients_write_while_a_backup_is_read_in() -> anyhow::Result<()> {
    let (from, to) = (Registry::start().await?, Registry::start().await?);
    for number in 0..300 {
        from.native()
            .register("orders", &format!("10.0.0.1:{}", 1_000 + number), &standing())
            .await?;
    }
    let lines = export(&from).await?;
    let native = to.native();
    let writing = tokio::spawn(async move {
        for number in 0..100 {
            native
                .register("orders", &format!("10.0.0.2:{}", 1_000 + number), &standing())
                .await?;
        }
        anyhow::Ok(())
    });
    let (well, told) = import(&to, &[], &lines).await?;
    assert!(well, "{told}");
    writing.await??;
    let view = to
        .native()
        .view("orders")
        .await?
        .ok_or_else(|| anyhow::anyhow!("gone"))?;
    assert_eq!(view.instances.len(), 400);
    Ok(())
}
