//! Bad input gets a clear error in the protocol's own form, and changes nothing.

use std::net::SocketAddr;

use anyhow::Context;
use beatrix_tests::http1::{self, Connection, Request, Response};
use beatrix_tests::native::{instance_path, service_path, standing};
use beatrix_tests::registry::Registry;
use beatrix_wire::Problem;
use beatrix_wire::problem::{KIND_PREFIX, MEDIA_TYPE, kind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A bad request, and what is to be said about it.
struct Case {
    what: &'static str,
    request: Request,
    status: u16,
    kind: &'static str,
}

fn case(what: &'static str, request: Request, status: u16, kind: &'static str) -> Case {
    Case {
        what,
        request,
        status,
        kind,
    }
}

fn put(instance: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("PUT", instance_path("orders", instance)).json(body)
}

/// The registry with one good instance, at the revision that must stay.
async fn registry() -> anyhow::Result<(Registry, u64)> {
    let registry = Registry::start().await?;
    let good = registry
        .native()
        .register("orders", "10.0.0.1:80", &standing())
        .await?;
    Ok((registry, good.revision))
}

async fn check(addr: SocketAddr, case: Case) -> anyhow::Result<()> {
    let Case {
        what,
        request,
        status,
        kind,
    } = case;
    let answer = http1::send(addr, request)
        .await
        .with_context(|| what.to_owned())?;
    assert_eq!(answer.status(), status, "{what}: {}", answer.text());
    assert_eq!(answer.head.header("content-type"), Some(MEDIA_TYPE), "{what}");
    let problem: Problem = answer.json().with_context(|| what.to_owned())?;
    assert_eq!(
        problem.kind,
        format!("{KIND_PREFIX}{kind}"),
        "{what}: {problem:?}"
    );
    assert_eq!(problem.status, status, "{what}");
    assert!(
        !problem.title.is_empty() && !problem.detail.is_empty(),
        "{what}: {problem:?}"
    );
    if [kind::INVALID_VALUE, kind::LIMIT_EXCEEDED].contains(&kind) {
        assert!(
            problem.field.is_some() && problem.rule.is_some(),
            "{what}: {problem:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_native_api_names_field_and_rule() -> anyhow::Result<()> {
    let (registry, revision) = registry().await?;
    let long = "n".repeat(10_000);
    let service = |name: &str| format!("/api/v1/namespaces/public/groups/DEFAULT_GROUP/services/{name}");
    let entries: Vec<_> = (0..200).map(|number| format!("\"k{number}\":\"v\"")).collect();
    let many = format!("{{\"metadata\":{{{}}}}}", entries.join(","));
    let heavy = format!("{{\"metadata\":{{\"k\":\"{}\"}}}}", "v".repeat(20_000));
    let deep = "[".repeat(100_000);
    let view = service_path("orders");

    let cases = [
        case(
            "broken JSON",
            put("10.0.0.2:80", "{\"weight\":"),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "more than one value",
            put("10.0.0.2:80", "{}{}"),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "nested without end",
            put("10.0.0.2:80", deep),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "not UTF-8",
            put("10.0.0.2:80", b"{\"cluster\":\"\xff\"}"),
            400,
            kind::INVALID_BODY,
        ),
        case("an array", put("10.0.0.2:80", "[1,2]"), 400, kind::INVALID_BODY),
        case(
            "a weight in words",
            put("10.0.0.2:80", "{\"weight\":\"heavy\"}"),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "an unknown field",
            put("10.0.0.2:80", "{\"wieght\":1}"),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "weight NaN",
            put("10.0.0.2:80", "{\"weight\":NaN}"),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "weight -1",
            put("10.0.0.2:80", "{\"weight\":-1}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "weight over the top",
            put("10.0.0.2:80", "{\"weight\":10001}"),
            400,
            kind::INVALID_VALUE,
        ),
        case("port 0", put("10.0.0.2:0", "{}"), 400, kind::INVALID_VALUE),
        case(
            "port 70000",
            put("10.0.0.2:70000", "{}"),
            400,
            kind::INVALID_VALUE,
        ),
        case("no port", put("10.0.0.2", "{}"), 400, kind::INVALID_VALUE),
        case(
            "an address that is none",
            put("10.0.0.256:80", "{}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "IPv6 without brackets",
            put("::1:80", "{}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a service without a name",
            Request::new("PUT", format!("{}/instances/10.0.0.2:80", service("%20"))).json("{}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a service with a name of 10 kB",
            Request::new("PUT", format!("{}/instances/10.0.0.2:80", service(&long))).json("{}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a path that is not UTF-8",
            Request::new("PUT", format!("{}/instances/10.0.0.2:80", service("%ff%fe"))).json("{}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "too many metadata",
            put("10.0.0.2:80", many),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "too heavy metadata",
            put("10.0.0.2:80", heavy),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "2 MB",
            put("10.0.0.2:80", vec![b' '; 2 << 20]),
            413,
            kind::LIMIT_EXCEEDED,
        ),
        case(
            "times that contradict each other",
            put(
                "10.0.0.2:80",
                "{\"liveness\":{\"type\":\"beat\",\"interval_ms\":9,\"remove_after_ms\":8}}",
            ),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "another lease",
            Request::new(
                "DELETE",
                format!("{}?lease=garbage", instance_path("orders", "10.0.0.1:80")),
            ),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "nobody to remove",
            Request::new("DELETE", instance_path("orders", "10.0.0.9:80")),
            404,
            kind::INSTANCE_NOT_FOUND,
        ),
        case(
            "nobody to patch",
            Request::new("PATCH", instance_path("orders", "10.0.0.9:80")).json("{\"enabled\":false}"),
            404,
            kind::INSTANCE_NOT_FOUND,
        ),
        case(
            "a patch with a bad weight",
            Request::new("PATCH", instance_path("orders", "10.0.0.1:80")).json("{\"weight\":-0.5}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a drain for a year",
            Request::new(
                "POST",
                format!("{}/drain", instance_path("orders", "10.0.0.1:80")),
            )
            .json("{\"deadline_ms\":31536000000}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a beat for another cluster",
            Request::new("POST", "/api/v1/beats").json("{\"cluster_id\":\"other\",\"leases\":[]}"),
            409,
            kind::WRONG_CLUSTER,
        ),
        case(
            "leases of a wrong type",
            Request::new("POST", "/api/v1/beats").json("{\"cluster_id\":\"beatrix\",\"leases\":[1,2]}"),
            400,
            kind::INVALID_BODY,
        ),
        case(
            "a duplicated parameter",
            Request::new("GET", "/api/v1/events?after=1&after=2"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "an unknown parameter",
            Request::new("GET", format!("{view}?helthy=true")),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a flag in words",
            Request::new("GET", format!("{view}?healthy=perhaps")),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a token of garbage",
            Request::new("GET", format!("{view}?after=garbage&wait_ms=1")),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a watch of nothing",
            Request::new("GET", "/api/v1/watch"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "a watch of half a name",
            Request::new("GET", "/api/v1/watch?service=orders"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "an ack of nobody",
            Request::new("POST", "/api/v1/watch/nobody/acks").json("{\"id\":\"garbage\"}"),
            400,
            kind::INVALID_VALUE,
        ),
        case(
            "no such service",
            Request::new("GET", service("nothing")),
            404,
            kind::SERVICE_NOT_FOUND,
        ),
        case(
            "no such path",
            Request::new("GET", "/api/v1/nothing"),
            404,
            kind::NOT_FOUND,
        ),
        case(
            "a wrong method",
            Request::new("DELETE", "/api/v1/beats"),
            405,
            kind::METHOD_NOT_ALLOWED,
        ),
    ];
    for case in cases {
        check(registry.addr(), case).await?;
    }
    assert_eq!(
        registry.revision().await?,
        revision,
        "bad input changed something"
    );
    Ok(())
}

#[tokio::test]
async fn an_unknown_lease_is_named_and_renews_nothing() -> anyhow::Result<()> {
    let (registry, revision) = registry().await?;
    let unknown = ["garbage", "", "0000000000000000", "\u{1f980}"].map(str::to_owned);
    let answer = registry.native().beat("beatrix", &unknown).await?;
    assert_eq!((answer.renewed, &answer.unknown[..]), (0, &unknown[..]));
    assert_eq!(registry.revision().await?, revision);
    Ok(())
}

/// Nacos answers in plain text, and a client of it must never see a problem document.
fn check_nacos(what: &str, answer: &Response, statuses: &[u16]) {
    assert!(
        statuses.contains(&answer.status()),
        "{what}: {} {}",
        answer.status(),
        answer.text()
    );
    assert!(!answer.body.is_empty(), "{what}: no word");
    assert_ne!(&answer.body[..], b"ok", "{what}");
    assert_ne!(answer.head.header("content-type"), Some(MEDIA_TYPE), "{what}");
}

#[tokio::test]
async fn the_nacos_api_says_it_as_nacos_does() -> anyhow::Result<()> {
    let (registry, revision) = registry().await?;
    let long = "n".repeat(10_000);
    let heavy = format!("{{\"k\":\"{}\"}}", "v".repeat(2_000));
    let register = |form: String| Request::new("POST", "/nacos/v1/ns/instance").form(form);
    let good = "serviceName=orders&ip=10.0.0.2&port=80";
    let cases = [
        ("nothing at all", register(String::new())),
        ("no ip", register("serviceName=orders&port=80".into())),
        ("no port", register("serviceName=orders&ip=10.0.0.2".into())),
        (
            "port 70000",
            register("serviceName=orders&ip=10.0.0.2&port=70000".into()),
        ),
        (
            "port -1",
            register("serviceName=orders&ip=10.0.0.2&port=-1".into()),
        ),
        (
            "port in words",
            register("serviceName=orders&ip=10.0.0.2&port=http".into()),
        ),
        (
            "an empty name",
            register("serviceName=&ip=10.0.0.2&port=80".into()),
        ),
        (
            "a name of 10 kB",
            register(format!("serviceName={long}&ip=10.0.0.2&port=80")),
        ),
        ("weight NaN", register(format!("{good}&weight=NaN"))),
        ("weight -1", register(format!("{good}&weight=-1"))),
        ("weight in words", register(format!("{good}&weight=heavy"))),
        ("broken metadata", register(format!("{good}&metadata=%7Bbroken"))),
        (
            "metadata over the limit",
            register(format!("{good}&metadata={heavy}")),
        ),
        (
            "a body over the limit",
            register(format!("{good}&app={}", "x".repeat(2 << 20))),
        ),
        (
            "a broken beat",
            Request::new(
                "PUT",
                "/nacos/v1/ns/instance/beat?serviceName=orders&beat=%7Bbroken",
            ),
        ),
        (
            "a beat of nobody",
            Request::new("PUT", "/nacos/v1/ns/instance/beat"),
        ),
        (
            "a list of nothing",
            Request::new("GET", "/nacos/v1/ns/instance/list"),
        ),
        (
            "a name that is not UTF-8",
            register("serviceName=%ff%fe&ip=10.0.0.2&port=80".into()),
        ),
        ("no such path", Request::new("GET", "/nacos/v1/ns/nothing")),
        (
            "a wrong method",
            Request::new("PATCH", "/nacos/v1/ns/instance/beat"),
        ),
    ];
    for (what, request) in cases {
        let answer = http1::send(registry.addr(), request)
            .await
            .with_context(|| what.to_owned())?;
        check_nacos(what, &answer, &[400, 404, 405, 413, 500, 501]);
    }
    assert_eq!(
        registry.revision().await?,
        revision,
        "bad input changed something"
    );
    Ok(())
}

#[tokio::test]
async fn a_light_beat_of_an_unknown_instance_registers_nobody() -> anyhow::Result<()> {
    let (registry, revision) = registry().await?;
    let beat = beatrix_tests::nacos::light_beat(registry.addr(), "orders", "10.0.0.9", 80).await?;
    assert_eq!(beat.code, 20_404);
    assert_eq!(registry.revision().await?, revision);
    Ok(())
}

#[tokio::test]
async fn what_is_not_http_harms_nobody() -> anyhow::Result<()> {
    let (mut registry, revision) = registry().await?;
    let mut raw_path = b"GET /api/v1/namespaces/public/groups/DEFAULT_GROUP/services/\xff\xfe".to_vec();
    raw_path.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut endless_head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_vec();
    endless_head.extend(std::iter::repeat_n(b'x', 1 << 20));
    let chunk = b"PUT /api/v1/beats HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for bytes in [
        &raw_path[..],
        &endless_head,
        chunk,
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(registry.addr()).await?;
        // It may close before it has read everything, and how it says no to what is not HTTP is its own affair.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ =
            tokio::time::timeout(beatrix_tests::eventually::SOON, stream.read_to_end(&mut answer)).await?;
        assert!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    // A connection that is opened before serves on after all of that.
    let mut connection = Connection::open(registry.addr()).await?;
    assert_eq!(
        connection.request(Request::new("GET", "/livez")).await?.status(),
        200
    );
    assert_eq!(registry.revision().await?, revision);
    assert!(registry.process.ended()?.is_none());
    let output = registry.process.output();
    assert!(!output.contains("panicked"), "{output}");
    Ok(())
}
