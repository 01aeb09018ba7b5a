//! Many connections of Nacos over gRPC, in small: subscribers are pushed what comes and goes, who is cut is gone at
//! once, and nothing stays behind of connections that have ended. How fast is not asked here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, ensure};
use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::nacos_grpc::{Connection, Stream};
use beatrix_tests::proc_fs;
use beatrix_tests::process::Process;
use beatrix_tests::registry::{Registry, Settings};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

/// A registry, and where it speaks gRPC.
async fn start() -> anyhow::Result<(Registry, SocketAddr)> {
    // Or a failing test shows a line for each of thousands of registrations.
    let settings = Settings::new().flag("log", "warn,beatrix::serve=info");
    let registry = settings.start().await?;
    let addr = registry.grpc_addr();
    Ok((registry, addr))
}

/// Runs the load program and gives the whole numbers of its report.
async fn load(arguments: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_beatrix-load"));
    let mut process = Process::spawn(command.args(arguments.split_whitespace()))?;
    let status = process.end(SOON * 3).await;
    ensure!(status.success(), "{arguments}: {status}\n{}", process.output());
    let report = process
        .line("its report", SOON, |line| {
            line.text.contains('=').then(|| line.text.clone())
        })
        .await;
    let pairs = report.split_whitespace().filter_map(|pair| pair.split_once('='));
    Ok(pairs
        .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
        .collect())
}

/// The load looks at each push: each subscriber is told each time, of the right instance, and with a newer number.
#[tokio::test]
async fn fifty_subscribers_are_pushed_each_time_that_an_instance_comes_or_goes() -> anyhow::Result<()> {
    let (_registry, addr) = start().await?;
    let report = load(&format!(
        "grpc-push --addr {addr} --subscribers 50 --rounds 4 --pause-ms 100 --spread-ms 50"
    ))
    .await?;
    assert_eq!((report["subscribers"], report["rounds"]), (50, 4));
    // Each change once to each; what was not acknowledged in time may come again.
    assert!((400..=440).contains(&report["pushes"]), "{report:?}");
    Ok(())
}

/// The load sees that all are there while they are held, and that all are gone when they are cut.
#[tokio::test]
async fn three_hundred_who_are_cut_at_once_are_gone_by_few_pushes() -> anyhow::Result<()> {
    let (registry, addr) = start().await?;
    let pid = registry.process.pid();
    let report = load(&format!(
        "grpc-hold --addr {addr} --pid {pid} --instances 300 --per-service 100 --watched 3 --seconds 7 \
         --settle-seconds 0"
    ))
    .await?;
    assert_eq!((report["connections"], report["watched"]), (300, 3), "{report:?}");
    // A push for each of a hundred would be none too merged.
    assert!((1..=25).contains(&report["cut_pushes_max"]), "{report:?}");
    forgotten(&registry).await;
    Ok(())
}

#[tokio::test]
async fn requests_over_kept_connections_are_all_answered() -> anyhow::Result<()> {
    let (registry, addr) = start().await?;
    let few = format!("--addr {addr} --connections 4 --requests 200");
    for kind in ["grpc-register", "grpc-query --instances 20"] {
        let report = load(&format!("{kind} {few}")).await?;
        assert_eq!(report["requests"], 200, "{kind} {report:?}");
    }
    forgotten(&registry).await;
    Ok(())
}

/// How a client leaves.
#[derive(Debug, Clone, Copy)]
enum Leaving {
    /// The transport is closed.
    Cut,
    /// The stream is cancelled, and then the transport closed.
    StreamFirst,
    /// The own side of the stream is ended, and then the transport closed.
    HalfClosed,
    /// There never was a stream.
    NeverSetUp,
}

#[tokio::test]
async fn nothing_stays_behind_of_thousands_who_came_and_went() -> anyhow::Result<()> {
    const ROUNDS: u32 = 20;
    const EACH: u32 = 200;
    /// After so many, what the process keeps for the next ones is there.
    const WARM: u32 = 8;
    /// What may come on top later: 2,400 connections that each leave 7 KiB behind are more.
    const GROWTH_MAX: u64 = 16 * 1024 * 1024;

    let (registry, addr) = start().await?;
    let pid = registry.process.pid();
    let leavings = [
        Leaving::Cut,
        Leaving::StreamFirst,
        Leaving::HalfClosed,
        Leaving::NeverSetUp,
    ];
    let mut warm = 0;
    for round in 0..ROUNDS {
        let come = (0..EACH).map(|number| come(addr, number, leavings[number as usize % leavings.len()]));
        let here = try_join_all(come).await?;
        let metrics = registry.native().metrics().await?;
        // Those whose stream has ended may have been closed by now.
        let open = metrics["beatrix_nacos_grpc_connections"];
        let all = f64::from(EACH);
        assert!((all / 2.0..=all).contains(&open), "{open} open in round {round}");
        drop(here);
        forgotten(&registry).await;
        if round + 1 == WARM {
            warm = proc_fs::resident_bytes(pid)?;
        }
    }
    let last = proc_fs::resident_bytes(pid)?;
    assert!(
        last <= warm + GROWTH_MAX,
        "{last} bytes after {ROUNDS} rounds, {warm} after {WARM}"
    );
    Ok(())
}

/// One who came, and is about to leave.
#[derive(Debug)]
struct Here {
    _stream: Option<Stream>,
    _connection: Connection,
}

/// Connects, and, if set up, registers an instance and subscribes to its service.
async fn come(addr: SocketAddr, number: u32, leaving: Leaving) -> anyhow::Result<Here> {
    let connection = Connection::tcp(addr).await?;
    accepted(&connection, "ServerCheckRequest", json!({})).await?;
    if matches!(leaving, Leaving::NeverSetUp) {
        return Ok(Here {
            _stream: None,
            _connection: connection,
        });
    }
    let mut stream = connection.set_up().await?;
    eventually("the connection is set up", SOON, async || {
        accepted(&connection, "HealthCheckRequest", json!({})).await.ok()
    })
    .await;
    let service = format!("s{}", number / 50);
    let named = json!({"namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service});
    let mut register = named.clone();
    register["type"] = json!("registerInstance");
    register["instance"] = json!({"ip": format!("10.0.0.{number}"), "port": 80});
    accepted(&connection, "InstanceRequest", register).await?;
    let mut subscribe = named;
    subscribe["subscribe"] = json!(true);
    accepted(&connection, "SubscribeServiceRequest", subscribe).await?;
    match leaving {
        Leaving::Cut | Leaving::NeverSetUp => {}
        Leaving::StreamFirst => {
            drop(stream);
            return Ok(Here {
                _stream: None,
                _connection: connection,
            });
        }
        Leaving::HalfClosed => stream.half_close(),
    }
    Ok(Here {
        _stream: Some(stream),
        _connection: connection,
    })
}

async fn accepted(connection: &Connection, kind: &str, json: Value) -> anyhow::Result<()> {
    let answer = connection.request(kind, &json).await?;
    ensure!(answer.json["resultCode"] == 200, "{kind}: {answer:?}");
    Ok(())
}

/// Waits until the registry counts none who is connected, none who subscribes, and nobody registered.
async fn forgotten(registry: &Registry) {
    eventually("all connections are forgotten", SOON, async || {
        let metrics = registry.native().metrics().await.ok()?;
        let left = [
            "beatrix_nacos_grpc_connections",
            "beatrix_subscribers",
            "beatrix_instances",
        ];
        let left = left.map(|name| metrics.get(name).copied().context(name.to_owned()));
        left.into_iter()
            .all(|left| left.is_ok_and(|left| left == 0.0))
            .then_some(())
    })
    .await;
}
