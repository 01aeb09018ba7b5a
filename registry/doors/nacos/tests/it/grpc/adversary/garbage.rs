//! Whatever is sent is answered, is never the registry's fault, and leaves everybody else alone.

use beatrix_nacos_wire::Payload;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tokio::runtime::Builder;

use super::super::harness::{S, World};
use super::fields::{good, places};
use super::{Bystander, is_an_answer, nothing_is_left};

const NAMES: [&str; 24] = [
    "namespace",
    "groupName",
    "serviceName",
    "type",
    "instance",
    "instances",
    "ip",
    "port",
    "weight",
    "healthy",
    "enabled",
    "clusterName",
    "metadata",
    "subscribe",
    "clusters",
    "cluster",
    "pageNo",
    "pageSize",
    "groupKeyPattern",
    "watchType",
    "receivedGroupKeys",
    "abilityTable",
    "labels",
    "resultCode",
];

/// What a client says on its stream.
const SAID: [&str; 6] = [
    "ConnectionSetupRequest",
    "NotifySubscriberResponse",
    "NamingFuzzyWatchChangeNotifyResponse",
    "ConnectResetResponse",
    "ErrorResponse",
    "NoSuchMessage",
];

#[derive(Debug, Clone)]
enum Said {
    Call(usize, Vec<u8>),
    OnStream(usize, Vec<u8>),
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-100_i64..100).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["registerInstance", "s", "1.1.1.1", "public", "WATCH", "a,b"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![
            prop::sample::select(NAMES.to_vec()).prop_map(str::to_owned),
            ".{0,6}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let bent = (0..good().len(), any::<prop::sample::Index>(), value()).prop_map(|(which, place, value)| {
        let mut request = good().swap_remove(which).1;
        let mut all = Vec::new();
        places(&request, "", &mut all);
        *request.pointer_mut(place.get::<String>(&all)).unwrap() = value;
        request.to_string().into_bytes()
    });
    let answer = (value(), -2_i64..60).prop_map(|(value, request)| {
        json!({"resultCode": value, "requestId": request.to_string()})
            .to_string()
            .into_bytes()
    });
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..64),
        3 => value().prop_map(|value| value.to_string().into_bytes()),
        6 => bent,
        1 => answer,
    ]
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        3 => (0..good().len(), body()).prop_map(|(kind, body)| Said::Call(kind, body)),
        1 => (0..SAID.len(), body()).prop_map(|(kind, body)| Said::OnStream(kind, body)),
    ]
}

async fn all_are_answered(all: Vec<Said>) {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let client = world.client().await;
    let kinds: Vec<&str> = good().into_iter().map(|(kind, _)| kind).collect();
    for said in all {
        match said {
            Said::Call(kind, body) => {
                let answer = client
                    .connection
                    .call(Payload::of(kinds[kind], body))
                    .await
                    .unwrap();
                is_an_answer(answer.kind(), &serde_json::from_slice(answer.json()).unwrap());
            }
            Said::OnStream(kind, body) => client.stream.send_payload(Payload::of(SAID[kind], body)),
        }
    }
    tokio::time::sleep(S).await;
    assert!(client.is_set_up().await, "the connection stays usable");
    bystander.goes_on().await;
    client.cut().await;
    let Bystander { provider, consumer } = bystander;
    provider.cut().await;
    consumer.cut().await;
    // All but what was meant to stay.
    let registry = &world.http.registry;
    for service in ["s", "p"] {
        for host in world.hosts(service).await {
            assert_eq!(host["ephemeral"], false, "{host}");
        }
    }
    assert_eq!(registry.status().subscribers, 0);
    if registry.status().instances == 0 {
        nothing_is_left(&world).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_is_answered_and_costs_nobody_else_anything(all in prop::collection::vec(said(), 1..40)) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(all_are_answered(all));
    }
}
