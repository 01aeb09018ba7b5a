//! Every kind of probe against small servers in this process, which behave as servers in trouble do.

mod bad_servers;
mod files;
mod grpc;
mod http;
mod mysql;
mod names;
mod redis;
mod servers;
mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use beatrix_core::model::{
    Endpoint, ExpectedStatus, GrpcProbe, HttpMethod, HttpProbe, MysqlProbe, ProbeKind, ProbePlan, ProbeSpec,
    RedisProbe, Tls,
};

use crate::{ProbeOutcome, Prober, ProberConfig, Verdict};

/// How long a probe of these tests may take. A server that lets it pass stops the clock first, so that nobody waits.
const TIMEOUT: Duration = Duration::from_secs(10);

fn spec(kind: ProbeKind) -> ProbeSpec {
    let plan = ProbePlan {
        interval: Some(TIMEOUT),
        timeout: Some(TIMEOUT),
        ..ProbePlan::default()
    };
    ProbeSpec::new(kind, plan).unwrap()
}

fn http(path: &str, tls: Tls) -> ProbeKind {
    let expected = ExpectedStatus::default();
    ProbeKind::Http(HttpProbe::new(HttpMethod::Get, path, [], expected, tls).unwrap())
}

fn grpc(service: &str, tls: Tls) -> ProbeKind {
    ProbeKind::Grpc(GrpcProbe::new(service, tls).unwrap())
}

fn mysql(user: &str, password: &str, command: &str) -> ProbeKind {
    ProbeKind::Mysql(MysqlProbe::new(user, password, command).unwrap())
}

fn redis(password: Option<&str>) -> ProbeKind {
    ProbeKind::Redis(RedisProbe::new(None, password).unwrap())
}

/// All kinds that wait for an answer.
fn asking() -> [ProbeKind; 4] {
    [
        http("/", Tls::None),
        grpc("", Tls::None),
        mysql("u", "p", ""),
        redis(None),
    ]
}

fn endpoint(address: SocketAddr) -> Endpoint {
    address.to_string().parse().unwrap()
}

/// A probe of an address by a prober without any configuration.
async fn probe(address: SocketAddr, kind: ProbeKind) -> Verdict {
    Prober::new(ProberConfig::default())
        .probe(&endpoint(address), &spec(kind))
        .await
}

async fn outcome(address: SocketAddr, kind: ProbeKind) -> ProbeOutcome {
    probe(address, kind).await.what
}
