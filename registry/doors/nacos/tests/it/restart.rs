//! What clients of Nacos see of a restart. Checklist 184, 186.

use std::time::Duration;

use serde_json::json;

use crate::harness::{INSTANCE, Nacos};
use crate::kept::Kept;

const LISTS: [&str; 3] = [
    "/nacos/v1/ns/instance/list",
    "/nacos/v2/ns/instance/list",
    "/nacos/v3/client/ns/instance/list",
];

async fn restarted(kept: &Kept) -> Nacos {
    let nacos = Nacos::over(kept.open()).await;
    for port in 1..=3 {
        nacos
            .register(&format!("serviceName=S&ip=1.1.1.1&port={port}"))
            .await;
    }
    nacos.register("serviceName=emptied&ip=1.1.1.1&port=80").await;
    nacos
        .instance("DELETE", "serviceName=emptied&ip=1.1.1.1&port=80")
        .await
        .is_ok();
    nacos.registry.stop().await;
    Nacos::over(kept.open()).await
}

async fn status(nacos: &Nacos, path: &str) -> u16 {
    nacos.ask("GET", path, None).await.status
}

#[tokio::test(start_paused = true)]
async fn restored_lists_are_served_and_no_empty_one_before_it_is_the_truth() {
    let kept = Kept::default();
    let nacos = restarted(&kept).await;
    assert_eq!(nacos.hosts().await.len(), 3);
    for list in LISTS {
        assert_eq!(
            status(&nacos, &format!("{list}?serviceName=S")).await,
            200,
            "{list}"
        );
        // One that nobody knows, one that was left empty, and a cluster that has none.
        for query in [
            "serviceName=none",
            "serviceName=emptied",
            "serviceName=S&clusters=none",
        ] {
            // Only v1 calls them so.
            if !list.contains("v1") && query.contains("clusters") {
                continue;
            }
            let path = format!("{list}?{query}");
            assert_eq!(status(&nacos, &path).await, 503, "{path}");
        }
    }
    // A client that was there before goes on as if nothing had been.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let beat = nacos.beat("serviceName=S&ip=1.1.1.1&port=1", None).await.json();
    assert_eq!(beat["code"], json!(10_200));
    tokio::time::sleep(Duration::from_secs(8)).await;
    for list in LISTS {
        for query in ["serviceName=S", "serviceName=none", "serviceName=emptied"] {
            let path = format!("{list}?{query}");
            assert_eq!(status(&nacos, &path).await, 200, "{path}");
        }
    }
    let healthy = nacos.hosts().await;
    assert_eq!(
        healthy
            .iter()
            .filter(|host| host["healthy"] == json!(true))
            .count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn items_184_and_186_it_is_not_ready_before_all_is_known() {
    let kept = Kept::default();
    let nacos = restarted(&kept).await;
    let v1 = "/nacos/v1/console/health/readiness";
    let v3 = "/nacos/v3/admin/core/state/readiness";
    assert_eq!(status(&nacos, v1).await, 500);
    let answer = nacos.ask("GET", v3, None).await;
    assert_eq!((answer.status, &answer.json()["code"]), (200, &json!(30_000)));
    assert_eq!(status(&nacos, "/nacos/v1/console/health/liveness").await, 200);
    tokio::time::sleep(Duration::from_secs(16)).await;
    assert_eq!(status(&nacos, v1).await, 200);
    assert_eq!(nacos.ask("GET", v3, None).await.json()["code"], json!(0));
}

#[tokio::test(start_paused = true)]
async fn a_registration_is_listed_while_it_warms() {
    let kept = Kept::default();
    let nacos = restarted(&kept).await;
    nacos.register("serviceName=none&ip=1.1.1.1&port=80").await;
    let list = format!("{INSTANCE}/list?serviceName=none");
    assert_eq!(status(&nacos, &list).await, 200);
}
