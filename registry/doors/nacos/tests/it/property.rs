//! Whatever is sent is answered, is never the server's fault, and what it stored can be listed and deleted again.

use proptest::prelude::*;
use serde_json::Value;

use crate::harness::{INSTANCE, Nacos, encoded};

const NAMES: [&str; 20] = [
    "serviceName",
    "groupName",
    "namespaceId",
    "ip",
    "port",
    "clusterName",
    "cluster",
    "clusters",
    "beat",
    "weight",
    "healthy",
    "enabled",
    "enable",
    "ephemeral",
    "metadata",
    "healthyOnly",
    "pageNo",
    "pageSize",
    "onlyStatus",
    "app",
];

const CALLS: [(&str, &str); 10] = [
    ("POST", "instance"),
    ("POST", "instance"),
    ("PUT", "instance"),
    ("PATCH", "instance"),
    ("DELETE", "instance"),
    ("GET", "instance"),
    ("PUT", "instance/beat"),
    ("GET", "instance/list"),
    ("GET", "service/list"),
    ("GET", "operator/metrics"),
];

/// Values that get somewhere more often than not, and any bytes at all.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "S",
        "a/b",
        "\"\\{}",
        "é😀",
        "G@@S",
        "@@",
        "G@@a@@b",
        "public",
        "a_b",
        "c1",
        "1.1.1.1",
        "::1",
        "[::1]",
        "host.example",
        "80",
        "0",
        "65536",
        "-1",
        "1e308",
        "0.1",
        "true",
        "1",
        "no",
        " ",
        "a=b,c=d",
        "{}",
        "{\"a\":1}",
        "{\"a\":[]}",
        "{\"preserved.heart.beat.interval\":\"1\"}",
        "{\"preserved.instance.id.generator\":\"snowflake\"}",
        "{\"ip\":\"1.1.1.1\",\"port\":80}",
        "{\"ip\":\"1.1.1.1\",\"port\":\"81\",\"weight\":1e-7,\"metadata\":{\"\\u0000\":null}}",
        "{\"ip\":\"\\ud800\"}",
        "c1,c2",
        "18446744073709551615",
    ];
    prop_oneof![
        4 => prop::sample::select(known.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => "\\PC{0,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

#[derive(Debug, Clone)]
struct Call {
    method: &'static str,
    path: &'static str,
    query: String,
    body: Option<Vec<u8>>,
}

fn call() -> impl Strategy<Value = Call> {
    let param = || (prop::sample::select(NAMES.to_vec()), value());
    let names = prop_oneof![
        3 => Just(vec![("serviceName", b"S".to_vec()), ("ip", b"1.1.1.1".to_vec()), ("port", b"80".to_vec())]),
        1 => Just(vec![]),
    ];
    let query = (names, prop::collection::vec(param(), 0..6));
    let body = prop::option::of(prop_oneof![
        // Encoded, raw, and no form at all.
        prop::collection::vec(param(), 0..4).prop_map(|params| form(&params, true)),
        prop::collection::vec(param(), 0..4).prop_map(|params| form(&params, false)),
        prop::collection::vec(any::<u8>(), 0..64),
    ]);
    (prop::sample::select(CALLS.to_vec()), query, body).prop_map(|((method, path), (names, more), body)| {
        let more: Vec<_> = more.into_iter().chain(names).collect();
        let query = String::from_utf8(form(&more, true)).unwrap();
        Call {
            method,
            path,
            query,
            body,
        }
    })
}

fn form(params: &[(&str, Vec<u8>)], encode: bool) -> Vec<u8> {
    let pairs = params.iter().map(|(name, value)| {
        let value = if encode {
            encoded(value).into_bytes()
        } else {
            value.clone()
        };
        [name.as_bytes(), b"=", &value].concat()
    });
    pairs.collect::<Vec<_>>().join(&b'&')
}

/// All that is stored is found in a list under its own names, and goes by a DELETE of what the list says.
async fn list_and_delete_all(nacos: &Nacos) {
    for summary in nacos.registry.namespaces() {
        let namespace = summary.namespace;
        let keys = nacos.registry.directory(beatrix_core::catalog::DirectoryQuery {
            namespace: namespace.as_str(),
            group: None,
            group_contains: None,
            search: None,
            empty: false,
            declared: false,
            offset: 0,
            limit: usize::MAX,
        });
        for summary in keys.services {
            let key = summary.key;
            let names = format!(
                "serviceName={}&groupName={}&namespaceId={}",
                encoded(key.name.as_str()),
                encoded(key.group.as_str()),
                encoded(namespace.as_str())
            );
            let update = |host: &Value, also: &str| {
                let (ip, port) = (encoded(host["ip"].as_str().unwrap()), &host["port"]);
                format!(
                    "{INSTANCE}?{names}&ip={ip}&port={port}&ephemeral={}{also}",
                    host["ephemeral"]
                )
            };
            // Disabled ones are hidden: what the registry has and the list has not is switched on first.
            let view = nacos.registry.view(key.borrowed()).unwrap();
            for member in view.members().filter(|member| !member.record.enabled()) {
                let host = serde_json::json!({
                    "ip": member.endpoint.address().to_string(), "port": member.endpoint.port(), "ephemeral": true
                });
                nacos
                    .ask("PUT", &update(&host, "&enabled=true"), None)
                    .await
                    .is_ok();
            }
            let list = nacos.list(&names).await;
            let hosts = list["hosts"].as_array().unwrap();
            assert_eq!(hosts.len(), view.len());
            for host in hosts {
                nacos.ask("DELETE", &update(host, ""), None).await.is_ok();
            }
        }
    }
    assert_eq!(nacos.registry.status().instances, 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_answered_and_what_is_stored_can_be_deleted(calls in prop::collection::vec(call(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let nacos = Nacos::start().await;
            for Call { method, path, query, body } in calls {
                let answer = nacos.ask(method, &format!("/nacos/v1/ns/{path}?{query}"), body.as_deref()).await;
                assert!(answer.status < 500 && answer.status != 304, "{method} {path}?{query}: {}", answer.text);
                if answer.content_type.starts_with("application/json") {
                    answer.json();
                }
            }
            list_and_delete_all(&nacos).await;
        });
    }
}
