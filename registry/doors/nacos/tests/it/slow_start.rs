//! Slow start: the weight of lists and pushes is the one to balance by, and that of consoles the one that was set.

use std::time::Duration;

use beatrix_core::model::{Curve, Existence, SlowStart};
use beatrix_core::model::{ServiceKey, ServicePatch};
use serde_json::Value;

use crate::harness::{INSTANCE, Nacos, encoded};
use crate::udp::Pushing;

fn key() -> ServiceKey {
    "public/DEFAULT_GROUP/S".parse().unwrap()
}

/// A service with one instance that has served for long, and a ramp of ten seconds.
async fn seasoned(nacos: &Nacos) {
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=80&ephemeral=false")
        .await;
    let ramp = SlowStart::new(10_000, Curve::Linear, 10).unwrap();
    let patch = ServicePatch {
        slow_start: Some(Some(ramp)),
        ..ServicePatch::default()
    };
    let declared = nacos.registry.declare_service(key(), patch, Existence::Any);
    declared.await.unwrap();
}

const NEW: &str = "serviceName=S&ip=1.1.1.1&port=81&weight=4&ephemeral=false";

fn weights(hosts: &Value) -> Vec<(u64, f64)> {
    let hosts = hosts.as_array().unwrap().iter();
    hosts
        .map(|host| (host["port"].as_u64().unwrap(), host["weight"].as_f64().unwrap()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_list_and_push_shows_the_same_share_at_every_step() {
    let mut pushing = Pushing::start().await;
    let nacos = pushing.nacos.clone();
    seasoned(&nacos).await;
    nacos.register(NEW).await;
    let v1 = format!("{INSTANCE}/list?serviceName=S");
    nacos
        .ask("GET", &format!("{v1}&clientIP=127.0.0.1&udpPort=54321"), None)
        .await;
    for share in [0.4, 0.76, 1.12, 1.48, 1.84, 2.2, 2.56, 2.92, 3.28, 3.64, 4.0] {
        let expected = [(80, 1.0), (81, share)];
        // It comes with the step.
        let pushed = pushing.next_list().await;
        assert_eq!(weights(&pushed["hosts"]), expected);
        let listed = nacos.ask("GET", &v1, None).await.json();
        assert_eq!(weights(&listed["hosts"]), expected);
        // What is filtered is rendered for who asks.
        let filtered = nacos.ask("GET", &format!("{v1}&healthyOnly=true"), None).await;
        assert_eq!(weights(&filtered.json()["hosts"]), expected);
        let v2 = nacos
            .ask("GET", "/nacos/v2/ns/instance/list?serviceName=S", None)
            .await;
        assert_eq!(weights(&v2.json()["data"]["hosts"]), expected);
        let v3 = nacos
            .ask("GET", "/nacos/v3/client/ns/instance/list?serviceName=S", None)
            .await;
        assert_eq!(weights(&v3.json()["data"]), expected);
        // Consoles show what was set, or they would set what they are shown.
        let one = nacos.instance("GET", "serviceName=S&ip=1.1.1.1&port=81").await;
        assert_eq!(one.json()["weight"], 4.0);
        let page = nacos
            .ask("GET", "/nacos/v3/admin/ns/instance/list?serviceName=S", None)
            .await;
        assert_eq!(weights(&page.json()["data"]), [(80, 1.0), (81, 4.0)]);
    }
    pushing.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_metadata_of_a_service_may_say_how_its_instances_begin() {
    let nacos = Nacos::start().await;
    let service = "/nacos/v1/ns/service";
    let slow_start = || {
        let view = nacos.registry.view(key().borrowed()).unwrap();
        view.settings.as_ref().and_then(|said| said.slow_start)
    };
    let metadata = "beatrix.slow-start.duration-ms=60000,beatrix.slow-start.curve=quadratic,beatrix.slow-start.min-percent=5";
    let query = format!(
        "{service}?serviceName=S&protectThreshold=0&metadata={}",
        encoded(metadata)
    );
    nacos.ask("POST", &query, None).await.is_ok();
    let declared = SlowStart::new(60_000, Curve::Quadratic, 5).unwrap();
    assert_eq!(slow_start(), Some(declared));
    // Who knows nothing of it leaves it.
    nacos
        .ask(
            "PUT",
            &format!("{service}?serviceName=S&protectThreshold=0"),
            None,
        )
        .await
        .is_ok();
    assert_eq!(slow_start(), Some(declared));
    for (key, value) in [
        ("beatrix.slow-start.duration-ms", "x"),
        ("beatrix.slow-start.duration-ms", "3600001"),
        ("beatrix.slow-start.curve", "cubic"),
        ("beatrix.slow-start.min-percent", "0"),
    ] {
        let metadata = encoded(format!("beatrix.slow-start.duration-ms=1,{key}={value}"));
        let query = format!("{service}?serviceName=S&protectThreshold=0&metadata={metadata}");
        nacos.ask("PUT", &query, None).await.refuses(key);
    }
    let metadata = encoded("beatrix.slow-start.duration-ms=0");
    let query = format!("{service}?serviceName=S&protectThreshold=0&metadata={metadata}");
    nacos.ask("PUT", &query, None).await.is_ok();
    assert_eq!(slow_start().unwrap().duration(), Duration::ZERO);
}
