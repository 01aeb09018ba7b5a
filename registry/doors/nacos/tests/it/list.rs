//! The list of instances. Checklist 1 to 9, 36 to 38.

use beatrix_core::model::{
    Endpoint, Liveness, OperatorPatch, Probe, Registration, ServiceKey, SessionId, Timings,
};
use beatrix_core::model::{Health, Metadata, Weight};
use serde_json::json;

use crate::harness::{INST, INSTANCE, Nacos};

#[tokio::test(start_paused = true)]
async fn items_1_to_7_the_whole_reply() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let before = nacos.registry.wall().0;
    let answer = nacos
        .ask("GET", &format!("{INSTANCE}/list?serviceName=S"), None)
        .await;
    let ref_time = answer.json()["lastRefTime"].as_u64().unwrap();
    assert!((before..=before + 5_000).contains(&ref_time));
    // Byte for byte: clients compare texts, and one wants the decimal point of the weight.
    let expected = concat!(
        r##"{"name":"DEFAULT_GROUP@@S","groupName":"DEFAULT_GROUP","clusters":"","cacheMillis":10000,"lastRefTime":T,"##,
        r##""checksum":"","allIPs":false,"reachProtectionThreshold":false,"valid":true,"hosts":["##,
        r##"{"instanceId":"1.1.1.1#80#DEFAULT#DEFAULT_GROUP@@S","ip":"1.1.1.1","port":80,"weight":1.0,"##,
        r##""healthy":true,"enabled":true,"ephemeral":true,"clusterName":"DEFAULT","##,
        r##""serviceName":"DEFAULT_GROUP@@S","metadata":{},"instanceHeartBeatInterval":5000,"##,
        r##""instanceHeartBeatTimeOut":15000,"ipDeleteTimeout":30000,"instanceIdGenerator":"simple"}"##,
        "]}"
    );
    assert_eq!(answer.text.replace(&format!(":{ref_time},"), ":T,"), expected);
}

#[tokio::test(start_paused = true)]
async fn items_8_and_9_a_service_that_is_not_there() {
    let nacos = Nacos::start().await;
    let list = nacos.list("serviceName=G@@never").await;
    assert_eq!((&list["name"], &list["hosts"]), (&json!("G@@never"), &json!([])));
    let services = nacos
        .ask("GET", "/nacos/v1/ns/service/list?pageNo=1&pageSize=10", None)
        .await;
    assert_eq!(services.text, r#"{"count":0,"doms":[]}"#);
}

#[tokio::test(start_paused = true)]
async fn items_36_to_38_clusters_are_a_filter_and_echoed() {
    let nacos = Nacos::start().await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=80&clusterName=c1")
        .await;
    nacos
        .register("serviceName=S&ip=1.1.1.2&port=80&clusterName=c2")
        .await;
    for (clusters, hosts) in [
        ("c1", 1),
        ("c2", 1),
        ("c3", 0),
        ("c1,c2", 2),
        ("c2,c1", 2),
        ("", 2),
        ("c1,", 1),
        (",", 0),
        ("c_1", 0),
    ] {
        let list = nacos.list(&format!("serviceName=S&clusters={clusters}")).await;
        assert_eq!(list["hosts"].as_array().unwrap().len(), hosts, "{clusters}");
        assert_eq!(list["clusters"], clusters);
    }
    let answer = nacos
        .ask(
            "GET",
            &format!("{INSTANCE}/list?serviceName=S&clusters=c1,c.2"),
            None,
        )
        .await;
    answer.refuses("clusters");
    let max = beatrix_nacos::limits::CLUSTERS_MAX;
    let many = format!(
        "{INSTANCE}/list?serviceName=S&clusters={}c1",
        "Z,".repeat(max - 1)
    );
    let list = nacos.ask("GET", &many, None).await.json();
    assert_eq!(list["hosts"].as_array().unwrap().len(), 1);
    let answer = nacos.ask("GET", &format!("{many},"), None).await;
    answer.refuses("clusters must have at most 1000 names");
    nacos
        .ask("GET", &format!("{INSTANCE}/list?clusters=c1"), None)
        .await
        .refuses("'serviceName'");
    nacos
        .ask("GET", &format!("{INSTANCE}/list?serviceName=a%20b"), None)
        .await
        .refuses("serviceName");
}

#[tokio::test(start_paused = true)]
async fn healthy_only_leaves_out_the_unhealthy() {
    let nacos = Nacos::start().await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=80&healthy=false")
        .await;
    nacos.register("serviceName=S&ip=1.1.1.2&port=80").await;
    for (flag, hosts) in [
        ("true", 1),
        ("TRUE", 1),
        ("yes", 2),
        ("1", 2),
        ("false", 2),
        ("", 2),
    ] {
        let list = nacos.list(&format!("serviceName=S&healthyOnly={flag}")).await;
        assert_eq!(list["hosts"].as_array().unwrap().len(), hosts, "{flag}");
    }
}

/// More instances than one chunk holds and one copy is worth, some of them hidden: the pieces must fit together.
#[tokio::test(start_paused = true)]
async fn a_large_list_is_the_same_however_it_is_made() {
    let nacos = Nacos::start().await;
    for port in 1..=200 {
        // The whole first chunk is hidden, and every third besides.
        let enabled = port > 70 && port % 3 != 0;
        nacos
            .register(&format!("serviceName=S&ip=1.1.1.1&port={port}&enabled={enabled}"))
            .await;
    }
    let ports: Vec<u64> = nacos
        .hosts()
        .await
        .iter()
        .map(|host| host["port"].as_u64().unwrap())
        .collect();
    let expected: Vec<u64> = (71..=200).filter(|port| port % 3 != 0).collect();
    assert_eq!(ports, expected);
    let whole = nacos.list("serviceName=S").await;
    let filtered = nacos.list("serviceName=S&clusters=DEFAULT").await;
    assert_eq!(whole["hosts"], filtered["hosts"]);
    // A change of one is seen, and all others stay.
    nacos.register("serviceName=S&ip=1.1.1.1&port=100&weight=7").await;
    let hosts = nacos.hosts().await;
    assert_eq!(hosts.len(), expected.len());
    assert_eq!(hosts.iter().filter(|host| host["weight"] == 7.0).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_other_doors_register_is_listed() {
    let nacos = Nacos::start().await;
    let service: ServiceKey = "public/DEFAULT_GROUP/S".parse().unwrap();
    let registration = |liveness| Registration {
        cluster: "a_b".parse().unwrap(),
        weight: Weight::new(0.25).unwrap(),
        enabled: true,
        metadata: Metadata::new([("preserved.heart.beat.interval", "700"), ("q\"", "\\\n")]).unwrap(),
        locality: None,
        liveness,
        expires: true,
        incarnation: None,
        own_id: None,
    };
    let ms = std::time::Duration::from_millis;
    let timings = Timings::new(ms(1_000), ms(2_000), ms(3_000)).unwrap();
    for (port, liveness, ephemeral, interval, timeout) in [
        (1, Liveness::Beat(timings), true, 1_000, 2_000),
        (2, Liveness::Session(SessionId(1)), true, 700, 15_000),
        (3, Liveness::Probe(Probe::OfCluster), false, 700, 15_000),
        (4, Liveness::Static, false, 700, 15_000),
    ] {
        let endpoint = Endpoint::new("::1", port).unwrap();
        let registration = registration(liveness);
        nacos
            .registry
            .register(service.clone(), endpoint, registration, Health::Healthy)
            .await
            .unwrap();
        let host = nacos.hosts().await.pop().unwrap();
        assert_eq!(
            host,
            json!({
                "instanceId": format!("::1#{port}#a_b#DEFAULT_GROUP@@S"), "ip": "::1", "port": port, "weight": 0.25,
                "healthy": true, "enabled": true, "ephemeral": ephemeral, "clusterName": "a_b",
                "serviceName": "DEFAULT_GROUP@@S",
                "metadata": {"preserved.heart.beat.interval": "700", "q\"": "\\\n"},
                "instanceHeartBeatInterval": interval, "instanceHeartBeatTimeOut": timeout, "ipDeleteTimeout":
                if port == 1 { 3_000 } else { 30_000 },
            })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_draining_instance_is_not_listed() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let patch = OperatorPatch {
        draining: Some(true),
        ..OperatorPatch::default()
    };
    let endpoint = Endpoint::new("1.1.1.1", 80).unwrap();
    nacos
        .registry
        .operate("public/DEFAULT_GROUP/S".parse().unwrap(), endpoint, patch)
        .await
        .unwrap();
    assert!(nacos.hosts().await.is_empty());
    assert_eq!(nacos.instance("GET", INST).await.status, 200);
}
