//! One key has one name everywhere, and what is wrong is said before a port is bound.

use beatrix_tests::eventually::SOON;
use beatrix_tests::registry::Settings;

/// The exit code for what the user got wrong, as in `sysexits.h`.
const USAGE: i32 = 64;

/// Starts a registry that must refuse, and gives what it says.
async fn refusal(settings: Settings) -> anyhow::Result<String> {
    let (mut process, _folder) = settings.spawn()?;
    let status = process.end(SOON).await;
    assert_eq!(status.code(), Some(USAGE), "{status}: {}", process.output());
    // Its last words may arrive after its end.
    let output = process
        .line("it says why", SOON, |_| Some(process.output()))
        .await;
    assert!(!output.contains("listening"), "a port was bound: {output}");
    Ok(output)
}

/// The cluster id that a registry says to have; it stands for any key.
async fn cluster_id(settings: Settings) -> anyhow::Result<String> {
    Ok(settings.start().await?.native().status().await?.cluster_id)
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_nearest_known_one() -> anyhow::Result<()> {
    let in_file = refusal(Settings::new().file("clustre_id = \"x\"")).await?;
    assert!(
        in_file.contains("clustre_id") && in_file.contains("cluster_id"),
        "{in_file}"
    );
    let in_environment = refusal(Settings::new().env("htp_addr", "127.0.0.1:0")).await?;
    assert!(in_environment.contains("BEATRIX_HTP_ADDR"), "{in_environment}");
    assert!(in_environment.contains("BEATRIX_HTTP_ADDR"), "{in_environment}");
    let as_flag = refusal(Settings::new().flag("cluster_idd", "x")).await?;
    assert!(as_flag.contains("--cluster-id"), "{as_flag}");
    Ok(())
}

#[tokio::test]
async fn a_bad_value_is_refused_before_a_port_is_bound() -> anyhow::Result<()> {
    for (key, value) in [
        ("http_addr", "nowhere"),
        ("http_addr", "127.0.0.1:70000"),
        ("beat_interval_ms", "-1"),
        ("beat_interval_ms", "soon"),
        ("unhealthy_after_ms", "0"),
        ("guard", "perhaps"),
        ("log_format", "xml"),
    ] {
        let message = refusal(Settings::default().env(key, value)).await?;
        let name = key.trim_end_matches("_ms").replace('_', " ");
        let words = message.to_lowercase().replace(['_', '-'], " ");
        assert!(
            words.contains(&name) || words.contains("default times"),
            "{key}={value}: {message}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_there_or_not_toml_is_refused() -> anyhow::Result<()> {
    refusal(Settings::default().flag("config", "not-there.toml")).await?;
    refusal(Settings::default().file("cluster_id = ")).await?;
    Ok(())
}

#[tokio::test]
async fn flags_beat_the_environment_which_beats_the_file() -> anyhow::Result<()> {
    let settings = Settings::new().file("cluster_id = \"file\"");
    assert_eq!(cluster_id(settings.clone()).await?, "file");
    let settings = settings.env("cluster_id", "environment");
    assert_eq!(cluster_id(settings.clone()).await?, "environment");
    let settings = settings.flag("cluster_id", "flag");
    assert_eq!(cluster_id(settings).await?, "flag");
    Ok(())
}
