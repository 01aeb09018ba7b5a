//! Whatever is sent is answered, is never the server's fault, and what it stored can be listed and deleted again, all
//! through the API.

use proptest::prelude::*;
use serde_json::Value;

use crate::endpoints::{ENDPOINTS, Endpoint, VALUES};
use crate::harness::{Answer, Nacos, encoded};
use crate::udp::Pushing;

/// What makes a request to most endpoints a good one.
const GOOD: [(&str, &str); 14] = [
    ("serviceName", "S"),
    ("ip", "1.1.1.1"),
    ("port", "80"),
    ("clusterName", "c1"),
    ("metadata", "a=b"),
    ("protectThreshold", "0.5"),
    ("pageNo", "1"),
    ("pageSize", "10"),
    ("healthChecker", "{\"type\":\"NONE\"}"),
    ("checkPort", "80"),
    ("useInstancePort4Check", "true"),
    ("namespaceName", "name"),
    ("clientIP", "127.0.0.1"),
    ("udpPort", "54321"),
];

#[derive(Debug, Clone)]
struct Call {
    method: &'static str,
    /// With the query.
    uri: String,
    body: Option<Vec<u8>>,
}

impl Call {
    fn new(endpoint: Endpoint, query: &[(&str, Vec<u8>)], body: Option<Vec<u8>>) -> Self {
        let in_path = query.iter().find(|(name, _)| *name == "{}");
        let in_path = in_path.map_or_else(|| "x".to_owned(), |(_, value)| encoded(value));
        // Nothing at all would be another path, which there is not.
        let in_path = if in_path.is_empty() { "x" } else { &in_path };
        let path = endpoint.path.replace("{}", in_path);
        let query = String::from_utf8(form(query, true)).unwrap();
        Self {
            method: endpoint.method,
            uri: format!("/nacos{path}?{query}"),
            body,
        }
    }
}

fn form(params: &[(&str, Vec<u8>)], encode: bool) -> Vec<u8> {
    let pairs = params
        .iter()
        .filter(|(name, _)| *name != "{}")
        .map(|(name, value)| {
            let value = if encode {
                encoded(value).into_bytes()
            } else {
                value.clone()
            };
            [name.as_bytes(), b"=", &value].concat()
        });
    pairs.collect::<Vec<_>>().join(&b'&')
}

/// What every answer must be.
fn check(call: &Call, answer: &Answer) {
    let Call { method, uri, .. } = call;
    let fault = match answer.status {
        304 | 500 | 502.. => true,
        // There is no configuration centre, and an empty part of a path is another path.
        501 => !uri.contains("/cs/"),
        _ => false,
    };
    // An operator may have called the server something else than up.
    let down = answer.status == 503 && answer.text.starts_with("server is ");
    assert!(
        !fault || down,
        "{method} {uri}: {} {}",
        answer.status,
        answer.text
    );
    if answer.content_type.starts_with("application/json") {
        answer.json();
    }
}

async fn json(nacos: &Nacos, path: &str) -> Value {
    let answer = nacos.ask("GET", &format!("/nacos{path}"), None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

async fn delete(nacos: &Nacos, path: &str) {
    let answer = nacos.ask("DELETE", &format!("/nacos{path}"), None).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
}

fn text(value: &Value) -> String {
    encoded(value.as_str().unwrap())
}

/// Deletes all that the lists of the API show, and then nothing is left.
async fn list_and_delete_all(nacos: &Nacos) {
    for entry in ["overriddenServerStatus", "limitedUrlMap"] {
        let path = format!("/nacos/v1/ns/operator/switches?entry={entry}&value=null");
        nacos.ask("PUT", &path, None).await.is_ok();
    }
    let namespaces = json(nacos, "/v1/console/namespaces").await;
    for namespace in namespaces["data"].as_array().unwrap() {
        let namespace = text(&namespace["namespace"]);
        let services = json(nacos, &format!("/v1/ns/catalog/services?namespaceId={namespace}")).await;
        let list = services["serviceList"].as_array().unwrap();
        assert_eq!(services["count"], list.len());
        for service in list {
            let (name, group) = (text(&service["name"]), text(&service["groupName"]));
            let names = format!("serviceName={name}&groupName={group}&namespaceId={namespace}");
            let detail = json(nacos, &format!("/v3/admin/ns/service?{names}")).await;
            for cluster in detail["data"]["clusterMap"].as_object().unwrap().keys() {
                let path = format!("/v3/admin/ns/instance/list?{names}&clusterName={cluster}");
                for host in json(nacos, &path).await["data"].as_array().unwrap() {
                    let (ip, port, ephemeral) = (text(&host["ip"]), &host["port"], &host["ephemeral"]);
                    let at = format!("{names}&ip={ip}&port={port}&ephemeral={ephemeral}");
                    delete(nacos, &format!("/v1/ns/instance?{at}")).await;
                }
            }
            delete(nacos, &format!("/v1/ns/service?{names}")).await;
        }
        if !namespace.is_empty() {
            delete(nacos, &format!("/v1/console/namespaces?namespaceId={namespace}")).await;
        }
    }
    let status = nacos.registry.status();
    assert_eq!((status.services, status.instances), (0, 0));
    assert_eq!(nacos.registry.namespaces(), []);
}

#[tokio::test(start_paused = true)]
async fn each_parameter_of_each_endpoint_takes_or_refuses_each_value() {
    let (mut done, mut all, mut stored, mut pushed) = (0, 0, 0, 0);
    for endpoint in ENDPOINTS {
        let mut pushing = Pushing::start().await;
        let nacos = pushing.nacos.clone();
        nacos.register("serviceName=S&ip=1.1.1.1&port=80").await;
        for param in endpoint.params {
            for (place, value) in VALUES.iter().enumerate() {
                let good = GOOD.iter().filter(|(name, _)| name != param);
                let good = good.map(|(name, value)| (*name, value.as_bytes().to_vec()));
                let value = value.as_bytes().to_vec();
                let query: Vec<_> = [(*param, value.clone())].into_iter().chain(good).collect();
                // In turns once in the query, and twice in the body, the first of them long.
                let call = if place % 2 == 0 {
                    Call::new(*endpoint, &query, None)
                } else {
                    let twice = form(&[(*param, value.repeat(100)), (*param, value)], false);
                    Call::new(*endpoint, &query[1..], Some(twice))
                };
                let answer = nacos.ask(call.method, &call.uri, call.body.as_deref()).await;
                check(&call, &answer);
                done += usize::from(answer.status == 200);
                all += 1;
            }
        }
        stored += nacos.registry.status().services;
        pushed += pushing.take_all().await;
        list_and_delete_all(&nacos).await;
        pushing.take_all().await;
        let counts = pushing.pusher.counts();
        assert_eq!(counts.failed, 0);
        pushing.stop().await;
    }
    // Neither is all refused nor all taken, and much is stored.
    assert!(done > all / 10 && done < all * 9 / 10, "{done} of {all}");
    assert!(stored > 3 * ENDPOINTS.len(), "{stored}");
    assert!(pushed > 20, "{pushed}");
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(VALUES).prop_map(|text| text.as_bytes().to_vec()),
        1 => "\\PC{0,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => "[a-z]".prop_map(|text| text.repeat(3_000).into_bytes()),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let of = |endpoint: Endpoint| {
        let names = endpoint.params.to_vec();
        let names = if names.is_empty() { vec!["app"] } else { names };
        let good = prop::collection::vec(prop::sample::select(&GOOD[..]), 0..12);
        let good = good.prop_map(|good| -> Vec<_> {
            good.into_iter()
                .map(|(name, value)| (name, value.as_bytes().to_vec()))
                .collect()
        });
        let param = || (prop::sample::select(names.clone()), value());
        let query = (prop::collection::vec(param(), 0..4), good);
        let body = prop::option::of(prop_oneof![
            // Encoded, raw, and no form at all.
            prop::collection::vec(param(), 0..4).prop_map(|params| form(&params, true)),
            prop::collection::vec(param(), 0..4).prop_map(|params| form(&params, false)),
            prop::collection::vec(any::<u8>(), 0..64),
        ]);
        (query, body).prop_map(move |((bad, good), body)| {
            let query: Vec<_> = bad.into_iter().chain(good).collect();
            Call::new(endpoint, &query, body)
        })
    };
    prop::sample::select(ENDPOINTS).prop_flat_map(of)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_answered_and_what_is_stored_can_be_deleted(calls in prop::collection::vec(call(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut pushing = Pushing::start().await;
            let nacos = pushing.nacos.clone();
            for call in calls {
                let answer = nacos.ask(call.method, &call.uri, call.body.as_deref()).await;
                check(&call, &answer);
            }
            pushing.take_all().await;
            list_and_delete_all(&nacos).await;
            pushing.take_all().await;
            pushing.stop().await;
        });
    }
}
