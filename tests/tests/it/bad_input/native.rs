//! Bad input to the native API.

use beatrix_tests::http1::Request;
use beatrix_tests::native::{instance_path, service_path};
use beatrix_wire::problem::kind;

use super::problem::{case, check};
use super::registry;

fn put(instance: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("PUT", instance_path("orders", instance)).json(body)
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
