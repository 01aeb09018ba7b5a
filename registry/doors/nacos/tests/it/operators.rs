//! What operators change, and what it does: switches, services, who watches.

use std::sync::Arc;
use std::time::Duration;

use beatrix_engine::hub::{Peer, Subscribe};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::{INST, Nacos, has};

async fn switch(nacos: &Nacos, entry: &str, value: &str) {
    let path = format!("/nacos/v1/ns/operator/switches?entry={entry}&value={value}");
    nacos.ask("PUT", &path, None).await.is_ok();
}

async fn get(nacos: &Nacos, path: &str) -> Value {
    let answer = nacos.ask("GET", path, None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

fn seconds(seconds: u64) -> tokio::time::Sleep {
    sleep(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn while_checks_are_switched_off_silence_changes_nothing() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    switch(&nacos, "check", "false").await;
    seconds(60).await;
    assert!(has(&nacos.hosts().await[0], &json!({"healthy": true})));
    let shown = get(&nacos, "/nacos/v2/ns/operator/switches").await;
    assert_eq!(shown["data"]["healthCheckEnabled"], false);
    switch(&nacos, "healthCheckEnabled", "true").await;
    seconds(60).await;
    assert!(nacos.hosts().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_said_to_be_ephemeral_is_what_the_switch_says() {
    let nacos = Nacos::start().await;
    switch(&nacos, "defaultInstanceEphemeral", "false").await;
    nacos.register(INST).await;
    assert!(has(&nacos.hosts().await[0], &json!({"ephemeral": false})));
    nacos
        .register("serviceName=T&ip=1.1.1.1&port=80&ephemeral=true")
        .await;
    let list = nacos.list("serviceName=T").await;
    assert!(has(&list["hosts"][0], &json!({"ephemeral": true})));
}

#[tokio::test(start_paused = true)]
async fn a_service_can_keep_its_instances_without_beats() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let service = "/nacos/v1/ns/service?serviceName=S&protectThreshold=0";
    nacos
        .ask("PUT", &format!("{service}&metadata=enableClientBeat=true"), None)
        .await
        .is_ok();
    seconds(60).await;
    assert!(has(&nacos.hosts().await[0], &json!({"healthy": true})));
    nacos.ask("PUT", service, None).await.is_ok();
    seconds(60).await;
    assert!(nacos.hosts().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_limited_or_closed_server_says_so_to_v1_only_and_can_be_opened_again() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    switch(&nacos, "overriddenServerStatus", "DOWN").await;
    let answer = nacos.beat(INST, None).await;
    assert_eq!((answer.status, answer.text.as_str()), (503, "server is DOWNnow"));
    get(&nacos, "/nacos/v2/ns/instance/list?serviceName=S").await;
    switch(&nacos, "overriddenServerStatus", "null").await;
    switch(
        &nacos,
        "limitedUrlMap",
        "/nacos/v1/ns/instance/beat:429,/nacos/v1/ns/operator:500",
    )
    .await;
    let answer = nacos.beat(INST, None).await;
    assert_eq!((answer.status, answer.text.as_str()), (429, ""));
    switch(&nacos, "limitedUrlMap", "null").await;
    assert_eq!(nacos.beat(INST, None).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_health_of_an_instance_that_goes_meanwhile_is_no_mistake() {
    let nacos = Nacos::start().await;
    nacos.register(&format!("{INST}&ephemeral=false")).await;
    let cluster = "serviceName=S&clusterName=DEFAULT&checkPort=80&useInstancePort4Check=true";
    let path = format!("/nacos/v1/ns/cluster?{cluster}&healthChecker=%7B%22type%22:%22NONE%22%7D");
    nacos.ask("PUT", &path, None).await.is_ok();
    let goes = format!("{INST}&ephemeral=false");
    let path = format!("/nacos/v1/ns/health/instance?{INST}&healthy=false");
    let (gone, set) = tokio::join!(nacos.instance("DELETE", &goes), nacos.ask("PUT", &path, None));
    gone.is_ok();
    set.is_ok();
}

/// What a protected list kept must not outlive what it was made of.
#[tokio::test(start_paused = true)]
async fn protection_follows_every_change() {
    let nacos = Nacos::start().await;
    let threshold = |threshold: &str| {
        let path = format!("/nacos/v1/ns/service?serviceName=S&protectThreshold={threshold}");
        let nacos = nacos.clone();
        async move { nacos.ask("PUT", &path, None).await.is_ok() }
    };
    nacos.register(INST).await;
    nacos
        .register("serviceName=S&ip=1.1.1.2&port=80&healthy=false")
        .await;
    let shown = async || {
        let list = nacos.list("serviceName=S").await;
        let hosts = list["hosts"].as_array().unwrap();
        let healthy = hosts.iter().filter(|host| host["healthy"] == true).count();
        (list["reachProtectionThreshold"].as_bool().unwrap(), healthy)
    };
    assert_eq!(shown().await, (false, 1));
    threshold("0.5").await;
    assert_eq!(shown().await, (true, 2));
    threshold("0.4").await;
    assert_eq!(shown().await, (false, 1));
    threshold("0.5").await;
    nacos.register("serviceName=S&ip=1.1.1.3&port=80").await;
    assert_eq!(shown().await, (false, 2));
    nacos
        .instance("PUT", "serviceName=S&ip=1.1.1.3&port=80&enabled=false")
        .await
        .is_ok();
    assert_eq!(shown().await, (true, 2));
}

#[tokio::test(start_paused = true)]
async fn who_watches_is_shown() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let subscribe = Subscribe {
        services: vec!["public/DEFAULT_GROUP/S".parse().unwrap()],
        peer: Some(Arc::new(Peer {
            address: "10.0.0.1:5000".into(),
            agent: "Nacos-Java-Client:v1.4.7".into(),
            app: "shop".into(),
            cluster: "c1".into(),
        })),
        ..Subscribe::default()
    };
    let _subscription = nacos.registry.hub().subscribe(subscribe).unwrap();
    let shown = get(&nacos, "/nacos/v1/ns/service/subscribers?serviceName=S").await;
    let subscriber = json!({
        "addrStr": "10.0.0.1:5000", "agent": "Nacos-Java-Client:v1.4.7", "app": "shop", "ip": "10.0.0.1", "port": 5000,
        "namespaceId": "public", "serviceName": "DEFAULT_GROUP@@S", "cluster": "c1",
    });
    assert_eq!(shown, json!({"count": 1, "subscribers": [subscriber]}));
    // Only v1 looks for parts of names.
    for (path, found) in [
        (
            "/nacos/v1/ns/service/subscribers?serviceName=S&groupName=FAULT",
            1,
        ),
        ("/nacos/v1/ns/service/subscribers?serviceName=T", 0),
    ] {
        assert_eq!(get(&nacos, path).await["count"], found, "{path}");
    }
    for (path, found) in [("serviceName=S", 1), ("serviceName=S&groupName=FAULT", 0)] {
        let shown = get(&nacos, &format!("/nacos/v3/admin/ns/service/subscribers?{path}")).await;
        assert_eq!(shown["data"]["totalCount"], found, "{path}");
    }
    let id = "clientId=10.0.0.1:5000%23true";
    let clients = get(&nacos, "/nacos/v2/ns/client/list").await;
    assert_eq!(clients["data"], json!(["1.1.1.1:80#true", "10.0.0.1:5000#true"]));
    let watched = get(&nacos, &format!("/nacos/v2/ns/client/subscribe/list?{id}")).await;
    let info = json!({"app": "shop", "agent": "Nacos-Java-Client:v1.4.7", "addr": "10.0.0.1:5000"});
    assert_eq!(watched["data"][0]["subscriberInfo"], info);
    let watched = get(&nacos, &format!("/nacos/v3/admin/ns/client/subscribe/list?{id}")).await;
    assert_eq!(watched["data"][0]["publisherInfo"], Value::Null);
    assert_eq!(
        watched["data"][0]["subscriberInfo"]["clientId"],
        "10.0.0.1:5000#true"
    );
    let path = "/nacos/v2/ns/client/service/subscriber/list?serviceName=S&ip=10.0.0.1";
    assert_eq!(get(&nacos, path).await["data"][0]["port"], 5_000);
}

/// Whoever reads page by page must find every service, and once only.
#[tokio::test(start_paused = true)]
async fn pages_follow_one_another_whatever_their_size() {
    let nacos = Nacos::start().await;
    let all = 1_201;
    for number in 0..all {
        let path = format!("/nacos/v2/ns/service?serviceName=s{number:04}");
        assert_eq!(nacos.ask("POST", &path, None).await.status, 200);
    }
    for (path, list) in [
        ("/nacos/v1/ns/service/list?pageSize=700", "/doms"),
        ("/nacos/v1/ns/catalog/services?pageSize=700", "/serviceList"),
        ("/nacos/v3/admin/ns/service/list?pageSize=700", "/data/pageItems"),
        ("/nacos/v2/ns/service/list?pageSize=700", "/data/services"),
    ] {
        let mut found = Vec::new();
        for page in 1..=3 {
            let page = get(&nacos, &format!("{path}&pageNo={page}")).await;
            let items = page.pointer(list).unwrap().as_array().unwrap();
            let name = |item: &Value| item.get("name").unwrap_or(item).as_str().unwrap().to_owned();
            found.extend(items.iter().map(name));
        }
        let each = (0..all).map(|number| format!("s{number:04}"));
        assert!(found.into_iter().eq(each), "{path}");
    }
    // Clients ask for all that there are.
    for (path, list, found) in [
        (
            "/nacos/v1/ns/service/list?pageNo=1&pageSize=2147483647",
            "/doms",
            all,
        ),
        ("/nacos/v1/ns/service/names", "/services/public", all),
        (
            "/nacos/v1/ns/catalog/services?pageNo=1&pageSize=2147483647",
            "/serviceList",
            all,
        ),
        (
            "/nacos/v3/admin/ns/service/list?pageSize=2147483647",
            "/data/pageItems",
            all,
        ),
        (
            "/nacos/v2/ns/service/list?pageSize=2147483647",
            "/data/services",
            beatrix_nacos::limits::V2_PAGE_SIZE_MAX,
        ),
    ] {
        let page = get(&nacos, path).await;
        let items = page.pointer(list).unwrap().as_array().unwrap();
        assert_eq!(items.len(), found, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_subscribers_has_a_thousand_if_nobody_says() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let subscribe = |_| {
        let services = vec!["public/DEFAULT_GROUP/S".parse().unwrap()];
        let subscribe = Subscribe {
            services,
            ..Subscribe::default()
        };
        nacos.registry.hub().subscribe(subscribe).unwrap()
    };
    let _subscriptions: Vec<_> = (0..1_201).map(subscribe).collect();
    for (query, found) in [("", 1_000), ("&pageNo=2", 201), ("&pageSize=2000", 1_201)] {
        let path = format!("/nacos/v1/ns/service/subscribers?serviceName=S{query}");
        let page = get(&nacos, &path).await;
        let subscribers = page["subscribers"].as_array().unwrap().len();
        assert_eq!((&page["count"], subscribers), (&json!(1_201), found), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_stand_in_their_clusters() {
    let nacos = Nacos::start().await;
    for (port, cluster) in [(1, "b"), (2, "a"), (3, "b")] {
        nacos
            .register(&format!(
                "serviceName=S&ip=1.1.1.1&port={port}&clusterName={cluster}"
            ))
            .await;
    }
    for (path, clusters) in [
        (
            "/nacos/v1/ns/catalog/services?withInstances=true",
            "/0/clusterMap",
        ),
        (
            "/nacos/v3/admin/ns/service/list?withInstances=true",
            "/data/pageItems/0/clusterMap",
        ),
    ] {
        let found = get(&nacos, path).await;
        let clusters = found.pointer(clusters).unwrap();
        let ports = |cluster: &str| {
            let hosts = clusters[cluster]["hosts"].as_array().unwrap().iter();
            hosts
                .map(|host| host["port"].as_u64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!((ports("a"), ports("b")), (vec![2], vec![1, 3]), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_too_many_instances_is_refused_and_not_cut() {
    let nacos = Nacos::start().await;
    let max = beatrix_nacos::limits::INSTANCES_PAGE_MAX;
    for number in 0..=max {
        nacos
            .register(&format!("serviceName=S&ip=1.1.1.1&port={number}"))
            .await;
    }
    for path in [
        "/nacos/v1/ns/catalog/instances?serviceName=S&clusterName=DEFAULT",
        "/nacos/v2/ns/catalog/instances?serviceName=S",
    ] {
        for (number, size, status) in [(1, max, 200), (2, max, 200), (1, max + 1, 400), (2, max + 1, 200)] {
            let path = format!("{path}&pageNo={number}&pageSize={size}");
            let answer = nacos.ask("GET", &path, None).await;
            assert_eq!(answer.status, status, "{path}");
            if status == 400 {
                assert!(
                    answer.text.contains("pageSize must be at most 10000"),
                    "{}",
                    answer.text
                );
            }
        }
    }
    for path in [
        "/nacos/v1/ns/catalog/services?pageNo=1&pageSize=1&withInstances=true",
        "/nacos/v3/admin/ns/service/list?pageSize=1&withInstances=true",
    ] {
        let answer = nacos.ask("GET", path, None).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text.contains("at most 10000 instances"), "{}", answer.text);
        nacos.instance("DELETE", "serviceName=S&ip=1.1.1.1&port=0").await;
        assert_eq!(nacos.ask("GET", path, None).await.status, 200, "{path}");
        nacos.register("serviceName=S&ip=1.1.1.1&port=0").await;
    }
}

/// What a list of clients has looked at is not counted again: with each service that goes it would miss another.
#[tokio::test(start_paused = true)]
async fn a_client_is_found_although_others_go_meanwhile() {
    let nacos = Nacos::start().await;
    for number in 0..=10_000 {
        nacos
            .register(&format!("serviceName=s{number:05}&ip=1.1.1.1&port={number}"))
            .await;
    }
    let others_go = async {
        for number in 0..8 {
            let query = format!("serviceName=s{number:05}&ip=1.1.1.1&port={number}");
            nacos.instance("DELETE", &query).await.is_ok();
        }
    };
    let path = "/nacos/v2/ns/client?clientId=1.1.1.1:10000%23true";
    let (answer, ()) = tokio::join!(nacos.ask("GET", path, None), others_go);
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_without_an_id_gets_one() {
    let nacos = Nacos::start().await;
    for _ in 0..2 {
        sleep(Duration::from_millis(5)).await;
        let path = "/nacos/v1/console/namespaces?customNamespaceId=&namespaceName=n";
        assert_eq!(nacos.ask("POST", path, None).await.text, "true");
    }
    let list = get(&nacos, "/nacos/v1/console/namespaces").await;
    let ids: Vec<&str> = list["data"].as_array().unwrap()[1..]
        .iter()
        .map(|namespace| namespace["namespace"].as_str().unwrap())
        .collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    assert!(
        ids.iter()
            .all(|id| id.len() == 36 && id.matches('-').count() == 4),
        "{ids:?}"
    );
}
