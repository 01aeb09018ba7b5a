//! MySQL's protocol, against MariaDB.

use std::time::Duration;

use beatrix_core::model::{MysqlProbe, ProbeKind};
use beatrix_probes::ProbeOutcome;
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::probed::mariadb;

use super::{from_good_to_garbage, outcome, passes, probe};

const PASSWORD: &str = "correct horse";
const READ_ONLY: &str = "show global variables where variable_name='read_only'";

fn mysql(user: &str, password: &str, command: &str) -> ProbeKind {
    ProbeKind::Mysql(MysqlProbe::new(user, password, command).expect("what the tests ask is valid"))
}

/// Every probe kind against a real server: MySQL and MariaDB.
#[tokio::test]
async fn mysql_probes_tell_how_mariadb_is() -> anyhow::Result<()> {
    let Some(database) = mariadb(PASSWORD).await? else {
        return Ok(());
    };
    let address = database.address();
    passes(address, &mysql("probe", PASSWORD, "")).await;
    for (user, password, command, what) in [
        ("", "", "", ProbeOutcome::Passed),
        ("probe", PASSWORD, "", ProbeOutcome::Passed),
        ("probe", PASSWORD, "do 1", ProbeOutcome::Passed),
        ("probe", PASSWORD, "show variables", ProbeOutcome::Passed),
        // More than is read of any answer.
        (
            "probe",
            PASSWORD,
            "select repeat('x', 100000)",
            ProbeOutcome::Passed,
        ),
        ("open", "", "select 1", ProbeOutcome::Passed),
        ("probe", "wrong", "", ProbeOutcome::AuthFailed),
        ("probe", "", "", ProbeOutcome::AuthFailed),
        ("nobody", "", "", ProbeOutcome::AuthFailed),
        ("probe", PASSWORD, "select 1 from", ProbeOutcome::MysqlError(1064)),
        (
            "probe",
            PASSWORD,
            "select * from mysql.user",
            ProbeOutcome::MysqlError(1142),
        ),
        (
            "probe",
            PASSWORD,
            "select 1; select 2",
            ProbeOutcome::MysqlError(1064),
        ),
    ] {
        let what_came = outcome(address, &mysql(user, password, command)).await;
        assert_eq!(what_came, what, "{user} {command}");
    }

    let verdict = probe(address, &mysql("probe", PASSWORD, "select sleep(0.3)")).await;
    assert!(
        verdict.good && verdict.took >= Duration::from_millis(300),
        "{verdict:?}"
    );
    let too_slow = mysql("probe", PASSWORD, "select sleep(10)");
    assert_eq!(outcome(address, &too_slow).await, ProbeOutcome::TimedOut);

    from_good_to_garbage(database.server, &mysql("probe", PASSWORD, "")).await
}

/// What a server counts as broken off it may shut its client out for.
#[tokio::test]
async fn a_mysql_probe_that_logs_in_also_says_goodbye() -> anyhow::Result<()> {
    let Some(database) = mariadb(PASSWORD).await? else {
        return Ok(());
    };
    let (address, kind) = (database.address(), mysql("probe", PASSWORD, ""));
    passes(address, &kind).await;
    let aborted = || database.administer("show global status like 'Aborted_%'");
    let before = aborted()?;
    for _ in 0..20 {
        assert_eq!(outcome(address, &kind).await, ProbeOutcome::Passed);
    }
    assert_eq!(aborted()?, before);
    // Who only waits for the greeting breaks off, which shows that the server counts.
    assert_eq!(outcome(address, &mysql("", "", "")).await, ProbeOutcome::Passed);
    eventually("the server counts one that breaks off", SOON, || {
        let counted = aborted().is_ok_and(|after| after != before);
        async move { counted.then_some(()) }
    })
    .await;
    Ok(())
}

/// Nacos 2.x's question for a replica: a database that is read-only is bad, if that is what is asked.
#[tokio::test]
async fn mysql_probes_find_a_read_only_mariadb_if_they_ask_for_it() -> anyhow::Result<()> {
    let Some(database) = mariadb(PASSWORD).await? else {
        return Ok(());
    };
    let address = database.address();
    let asked = mysql("probe", PASSWORD, READ_ONLY);
    let not_asked = mysql("probe", PASSWORD, "select 1");
    passes(address, &asked).await;
    database.administer("set global read_only = 1")?;
    assert_eq!(outcome(address, &asked).await, ProbeOutcome::ReadOnly);
    assert_eq!(outcome(address, &not_asked).await, ProbeOutcome::Passed);
    database.administer("set global read_only = 0")?;
    assert_eq!(outcome(address, &asked).await, ProbeOutcome::Passed);

    // Full: the error comes in place of the greeting.
    database.administer("set global max_connections = 10")?;
    let mut held = Vec::new();
    for _ in 0..11 {
        held.push(tokio::net::TcpStream::connect(address).await?);
    }
    eventually("the server is full", SOON, || async {
        (outcome(address, &not_asked).await == ProbeOutcome::MysqlError(1040)).then_some(())
    })
    .await;
    drop(held);
    passes(address, &not_asked).await;
    Ok(())
}
