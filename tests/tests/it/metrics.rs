//! What `/metrics` says is what Prometheus reads, checked by Prometheus' own tool.

use std::io::Write;
use std::process::{Command, Stdio};

use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::http1;
use beatrix_tests::native::beating;
use beatrix_tests::programs;
use beatrix_tests::registry::Settings;
use beatrix_wire::probe::ProbeQuestion;
use beatrix_wire::{Liveness, RegisterRequest};

/// What `promtool check metrics` finds wrong with a page.
fn complaints(page: &[u8]) -> anyhow::Result<Option<String>> {
    let Some(promtool) = programs::server("promtool") else {
        return Ok(None);
    };
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(page)?;
    }
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(Some(if output.status.success() {
        said
    } else {
        format!("{}: {said}", output.status)
    }))
}

#[test]
fn the_tool_complains_of_a_page_that_is_wrong() -> anyhow::Result<()> {
    for wrong in [
        "no metric at all\n",
        "# HELP x_total x\n# TYPE x_total gauge\nx_total 1\n",
    ] {
        let complaints = complaints(wrong.as_bytes())?;
        assert!(complaints.as_ref().is_none_or(|said| !said.is_empty()), "{wrong}");
    }
    Ok(())
}

#[tokio::test]
async fn prometheus_reads_the_page_and_finds_nothing_to_complain_of() -> anyhow::Result<()> {
    for journal in ["embedded", "memory"] {
        let registry = Settings::new().flag("journal", journal).start().await?;
        let native = registry.native();
        native
            .register("s", "10.0.0.1:80", &beating(5_000, 15_000, 30_000))
            .await?;
        // Nobody listens there, so that there is an outcome.
        let probed = RegisterRequest {
            liveness: Some(Liveness::Probe {
                probe: Box::new(ProbeQuestion::Tcp {}),
                port: None,
                interval_ms: Some(500),
                timeout_ms: Some(300),
                rise: None,
                fall: None,
                initial_health: None,
            }),
            ..RegisterRequest::default()
        };
        native.register("p", "127.0.0.1:9", &probed).await?;
        let metrics = eventually("a probe was refused", SOON, async || {
            let metrics = native.metrics().await.ok()?;
            let refused = metrics.get("beatrix_probes_outcomes_total{outcome=\"refused\"}")?;
            (*refused >= 1.0).then_some(metrics)
        })
        .await;
        assert_eq!(
            metrics[&format!("beatrix_storage_info{{kind=\"{journal}\"}}")],
            1.0
        );
        assert_eq!(
            metrics.contains_key("beatrix_storage_syncs_total"),
            journal == "embedded"
        );
        assert_eq!(metrics["beatrix_probes_instances"], 1.0);
        assert!(metrics["beatrix_probes_failed_total"] >= 1.0, "{metrics:?}");
        for percentile in ["50", "99", "99.9"] {
            let name = format!("beatrix_probes_lateness_seconds{{percentile=\"{percentile}\"}}");
            assert!(metrics.contains_key(&name), "{name}");
        }
        assert_eq!(metrics["beatrix_reports_instances"], 0.0);
        let page = http1::get(registry.addr(), "/metrics").await?;
        let complaints = complaints(&page.body)?;
        assert!(complaints.as_ref().is_none_or(String::is_empty), "{complaints:?}");
    }
    Ok(())
}
