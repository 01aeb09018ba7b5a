//! The list of services, what probes poll, and what there is not. Checklist 52, 53, 125 to 127, 141, 142, 183 to 186.

use serde_json::json;

use crate::harness::Nacos;

async fn get(nacos: &Nacos, path: &str) -> (u16, String) {
    let answer = nacos.ask("GET", path, None).await;
    (answer.status, answer.text)
}

#[tokio::test(start_paused = true)]
async fn items_52_and_53_what_there_is_not() {
    let nacos = Nacos::start().await;
    for (method, path, status) in [
        ("PUT", "/nacos/v1/ns/nosuch", 501),
        ("GET", "/nacos/v1/ns/instance/nosuch", 501),
        ("GET", "/nacos/v1/ns/", 501),
        ("POST", "/nacos/v1/ns/instance/list", 501),
        ("GET", "/nacos/nosuch", 404),
        ("GET", "/nacos/v1/nosuch", 404),
        ("GET", "/nacos/v1", 404),
        ("GET", "/nacos", 404),
        ("GET", "/nacos/", 404),
        ("POST", "/nacos/v1/console/server/state", 405),
    ] {
        let answer = nacos.ask(method, path, None).await;
        assert_eq!(answer.status, status, "{method} {path}");
        let json = answer.json();
        assert_eq!((&json["status"], &json["path"]), (&json!(status), &json!(path)));
        assert!(json["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(json["error"].is_string() && json["message"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn items_125_to_127_pages_of_services() {
    let nacos = Nacos::start().await;
    for service in ["a", "b", "G2@@c", "d"] {
        nacos
            .register(&format!("serviceName={service}&ip=1.1.1.1&port=80"))
            .await;
    }
    let list = "/nacos/v1/ns/service/list";
    for (query, reply) in [
        ("pageNo=1&pageSize=10", r#"{"count":3,"doms":["a","b","d"]}"#),
        ("pageNo=1&pageSize=1", r#"{"count":3,"doms":["a"]}"#),
        ("pageNo=3&pageSize=1", r#"{"count":3,"doms":["d"]}"#),
        ("pageNo=4&pageSize=1", r#"{"count":3,"doms":[]}"#),
        ("pageNo=0&pageSize=2", r#"{"count":3,"doms":["a","b"]}"#),
        ("pageNo=-1&pageSize=2", r#"{"count":3,"doms":["a","b"]}"#),
        ("pageNo=x&pageSize=2", r#"{"count":3,"doms":["a","b"]}"#),
        ("pageNo=1&pageSize=x", r#"{"count":3,"doms":[]}"#),
        (
            "pageNo=18446744073709551615&pageSize=18446744073709551615",
            r#"{"count":3,"doms":[]}"#,
        ),
        ("pageNo=1&pageSize=9&groupName=G2", r#"{"count":1,"doms":["c"]}"#),
        (
            "pageNo=1&pageSize=9&namespaceId=other",
            r#"{"count":0,"doms":[]}"#,
        ),
    ] {
        assert_eq!(
            get(&nacos, &format!("{list}?{query}")).await,
            (200, reply.to_owned()),
            "{query}"
        );
    }
    for (query, param) in [
        ("pageSize=1", "'pageNo'"),
        ("pageNo=1", "'pageSize'"),
        ("pageNo=1&pageSize=1&groupName=a%20b", "groupName"),
    ] {
        nacos
            .ask("GET", &format!("{list}?{query}"), None)
            .await
            .refuses(param);
    }
}

#[tokio::test(start_paused = true)]
async fn items_141_and_142_metrics() {
    let nacos = Nacos::start().await;
    nacos.register("serviceName=S&ip=1.1.1.1&port=80").await;
    for path in ["/nacos/v1/ns/operator/metrics", "/nacos/v1/ns/ops/metrics"] {
        assert_eq!(get(&nacos, path).await, (200, r#"{"status":"UP"}"#.to_owned()));
        let (_, text) = get(&nacos, &format!("{path}?onlyStatus=false")).await;
        let counts = r#"{"status":"UP","serviceCount":1,"instanceCount":1,"subscribeCount":0,"responsibleInstanceCount":1,"clientCount":1,"responsibleClientCount":1}"#;
        assert_eq!(text, counts);
    }
}

#[tokio::test(start_paused = true)]
async fn items_183_to_186_what_probes_poll() {
    let nacos = Nacos::start().await;
    let result = r#"{"code":0,"message":"success","data":"ok"}"#;
    for (path, reply) in [
        ("/nacos/v1/console/health/liveness", "OK"),
        ("/nacos/v1/console/health/readiness", "OK"),
        ("/nacos/v2/console/health/liveness", result),
        ("/nacos/v2/console/health/readiness", result),
        ("/nacos/v3/admin/core/state/liveness", result),
        ("/nacos/v3/admin/core/state/readiness", result),
    ] {
        assert_eq!(get(&nacos, path).await, (200, reply.to_owned()), "{path}");
    }
    let state = nacos
        .ask("GET", "/nacos/v1/console/server/state", None)
        .await
        .json();
    assert!(
        state
            .as_object()
            .unwrap()
            .values()
            .all(serde_json::Value::is_string)
    );
    assert_eq!(
        nacos.ask("GET", "/nacos/v3/admin/core/state", None).await.json()["data"],
        state
    );
}
