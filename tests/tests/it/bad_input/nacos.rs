//! Bad input to the Nacos API.

use anyhow::Context;
use beatrix_tests::http1::{self, Request, Response};
use beatrix_wire::problem::MEDIA_TYPE;

use super::registry;

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
