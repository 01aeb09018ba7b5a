//! Redis's protocol, against Redis.

use std::time::Duration;

use beatrix_core::model::{ProbeKind, RedisProbe};
use beatrix_probes::ProbeOutcome;
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::probed::{ask_redis, redis};

use super::{from_good_to_garbage, outcome, passes, probe};

fn ping(user: Option<&str>, password: Option<&str>) -> ProbeKind {
    ProbeKind::Redis(RedisProbe::new(user, password).expect("what the tests ask is valid"))
}

/// Every probe kind against a real server: Redis.
#[tokio::test]
async fn redis_probes_tell_how_redis_is() -> anyhow::Result<()> {
    let Some(server) = redis(None).await? else {
        return Ok(());
    };
    let address = server.address();
    let ping = ping(None, None);
    passes(address, &ping).await;

    // Slow, in time and too late: it does one thing at a time.
    let pause = Duration::from_millis(500);
    for (sleeps, wanted) in [("1", ProbeOutcome::Passed), ("6", ProbeOutcome::TimedOut)] {
        let command = format!("DEBUG SLEEP {sleeps}");
        let busy = tokio::spawn(async move { ask_redis(address, &command).await });
        // Until it has begun to sleep it answers at once.
        eventually("a probe has to wait", SOON, || async {
            let verdict = probe(address, &ping).await;
            (verdict.took > pause && verdict.what == wanted).then_some(())
        })
        .await;
        assert_eq!(busy.await??, "+OK");
    }

    // A replica whose master is not there, and that must not answer with old data.
    ask_redis(address, "CONFIG SET replica-serve-stale-data no").await?;
    ask_redis(address, "REPLICAOF 127.0.0.1 1").await?;
    assert_eq!(outcome(address, &ping).await, ProbeOutcome::MasterDown);
    ask_redis(address, "REPLICAOF NO ONE").await?;
    passes(address, &ping).await;

    // Loading: a thousand keys, two milliseconds each.
    for command in [
        "DEBUG POPULATE 1000",
        "CONFIG SET key-load-delay 2000",
        "CONFIG SET loading-process-events-interval-bytes 1024",
    ] {
        assert_eq!(ask_redis(address, command).await?, "+OK", "{command}");
    }
    let loading = tokio::spawn(async move { ask_redis(address, "DEBUG RELOAD").await });
    eventually("a probe finds it loading", SOON, || async {
        (outcome(address, &ping).await == ProbeOutcome::Loading).then_some(())
    })
    .await;
    assert_eq!(loading.await??, "+OK");

    from_good_to_garbage(server, &ping).await
}

/// Every probe kind against a real server: Redis with a password.
#[tokio::test]
async fn redis_probes_log_in_where_that_is_asked_for() -> anyhow::Result<()> {
    let Some(server) = redis(Some("correct")).await? else {
        return Ok(());
    };
    let address = server.address();
    passes(address, &ping(None, Some("correct"))).await;
    for (user, password, what) in [
        (None, None, ProbeOutcome::AuthFailed),
        (None, Some("wrong"), ProbeOutcome::AuthFailed),
        (Some("default"), Some("correct"), ProbeOutcome::Passed),
        (Some("nobody"), Some("correct"), ProbeOutcome::AuthFailed),
    ] {
        assert_eq!(outcome(address, &ping(user, password)).await, what, "{user:?}");
    }
    Ok(())
}
