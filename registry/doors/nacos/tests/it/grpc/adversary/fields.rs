//! Every member of every request as something that it is not.

use beatrix_nacos_wire::Payload;
use serde_json::{Value, json};

use super::super::fuzzy::watching;
use super::super::harness::{Client, World, at, batch, deregistering, of, registering, with};
use super::{Bystander, is_an_answer};

/// A good request of each type, with all its members.
pub(super) fn good() -> Vec<(&'static str, Value)> {
    let instance = with(
        at("10.0.0.1", 80),
        json!({"clusterName": "c", "instanceId": "i", "serviceName": "s", "metadata": {"k": "v"},
            "instanceHeartBeatInterval": 5000}),
    );
    let common = json!({"requestId": "1", "module": "naming", "headers": {"k": "v"}});
    let all = [
        ("InstanceRequest", registering("s", instance.clone())),
        ("InstanceRequest", deregistering("s", instance.clone())),
        ("PersistentInstanceRequest", registering("p", instance.clone())),
        ("PersistentInstanceRequest", deregistering("p", instance.clone())),
        ("BatchInstanceRequest", batch("b", &[instance])),
        (
            "SubscribeServiceRequest",
            with(of("s"), json!({"subscribe": true, "clusters": "c"})),
        ),
        (
            "ServiceQueryRequest",
            with(
                of("s"),
                json!({"cluster": "c", "healthyOnly": true, "udpPort": 0}),
            ),
        ),
        (
            "ServiceListRequest",
            with(of(""), json!({"pageNo": 1, "pageSize": 10, "selector": "{}"})),
        ),
        (
            "NamingFuzzyWatchRequest",
            watching("public>>*>>s*", true, &["public@@DEFAULT_GROUP@@s"]),
        ),
        ("HealthCheckRequest", json!({})),
        ("ServerCheckRequest", json!({})),
    ];
    all.map(|(kind, request)| (kind, with(request, common.clone())))
        .into()
}

/// Where all members of a value are.
pub(super) fn places(value: &Value, at: &str, into: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(all) => all.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(all) => all
            .iter()
            .enumerate()
            .map(|(n, value)| (n.to_string(), value))
            .collect(),
        _ => return,
    };
    for (name, value) in inner {
        let at = format!("{at}/{name}");
        places(value, &at, into);
        into.push(at);
    }
}

fn values() -> Vec<Value> {
    let mut deep = json!(1);
    for _ in 0..60 {
        deep = json!([{"a": deep}]);
    }
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(80.5),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1e300),
        json!(""),
        json!(" "),
        json!("null"),
        json!("-1"),
        json!("99999999999999999999"),
        json!("\u{0}\u{1F}\"\\\u{7F}"),
        json!("服务\u{10FFFF}"),
        json!("x".repeat(100_000)),
        json!([]),
        json!({}),
        json!([null]),
        json!([1, "a", {}]),
        json!({"": null}),
        json!({"a": {"b": []}}),
        deep,
    ]
}

async fn answer(client: &Client, kind: &str, json: impl Into<bytes::Bytes>) -> Value {
    let answer = client.connection.call(Payload::of(kind, json)).await.unwrap();
    let json = serde_json::from_slice(answer.json()).unwrap();
    is_an_answer(answer.kind(), &json);
    json
}

#[tokio::test(start_paused = true)]
async fn every_member_may_be_anything_and_null_is_as_if_it_were_not_there() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let client = world.client().await;
    let mut asked = 0;
    for (kind, good) in good() {
        let mut all = Vec::new();
        places(&good, "", &mut all);
        for place in all {
            for value in values() {
                let mut request = good.clone();
                *request.pointer_mut(&place).unwrap() = value.clone();
                let answered = answer(&client, kind, request.to_string()).await;
                // In a list it is an element, and in the members of users it is a value.
                let counted = ["/instances/", "/receivedGroupKeys/", "/metadata/", "/headers/"];
                if value.is_null() && !counted.iter().any(|part| place.contains(part)) {
                    let (owner, name) = place.rsplit_once('/').unwrap();
                    request
                        .pointer_mut(owner)
                        .unwrap()
                        .as_object_mut()
                        .unwrap()
                        .remove(name);
                    let absent = answer(&client, kind, request.to_string()).await;
                    assert_eq!(answered["errorCode"], absent["errorCode"], "{kind} {place}");
                }
                asked += 1;
            }
        }
        assert!(client.is_set_up().await, "{kind}");
    }
    assert!(asked > 2_000);
    assert_eq!(world.grpc.counts().connections, 3);
    bystander.goes_on().await;
}

/// What a JSON value cannot hold, and readers differ in.
#[tokio::test(start_paused = true)]
async fn json_that_is_odd_as_text_is_answered() {
    let world = World::start().await;
    let mut bystander = Bystander::of(&world).await;
    let client = world.client().await;
    let nested =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let deep = nested("[", "]", 100_000);
    let deep_objects = nested("{\"a\":", "}", 100_000);
    let names = r#""serviceName":"s","type":"registerInstance""#;
    let mut texts = vec![
        "\u{FEFF}{}".to_owned(),
        "{}{}".to_owned(),
        "{} x".to_owned(),
        "NaN".to_owned(),
        "\"\"".to_owned(),
        "[".repeat(1_000_000),
        "{\"a\":".repeat(100_000),
        deep.clone(),
        deep_objects.clone(),
        format!("{{\"unknown\":{deep}}}"),
        format!("{{\"unknown\":{deep_objects}}}"),
        format!("{{{names},\"serviceName\":\"t\"}}"),
        format!("{{{names},\"instance\":{deep}}}"),
        format!("{{{names},\"instance\":{deep_objects}}}"),
        format!("{{{names},\"instances\":{deep}}}"),
        format!("{{{names},\"receivedGroupKeys\":{deep}}}"),
        r#"{"serviceName":"\ud800"}"#.to_owned(),
        r#"{"serviceName":"\u0000"}"#.to_owned(),
    ];
    for instance in [
        r#"{"ip":"1.1.1.1","port":80,"weight":1e999}"#,
        r#"{"ip":"1.1.1.1","port":80,"weight":-1e999}"#,
        r#"{"ip":"1.1.1.1","port":80,"weight":NaN}"#,
        r#"{"ip":"1.1.1.1","port":80,"weight":123456789012345678901234567890}"#,
        r#"{"ip":"1.1.1.1","port":8e1}"#,
        r#"{"ip":"1.1.1.1","port":80,"metadata":{"a":1e999}}"#,
        r#"{"ip":"1.1.1.1","port":80,"metadata":{"a":"\ud800"}}"#,
        r#"{"ip":"1.1.1.1","port":80,"ip":"1.1.1.2"}"#,
        r#"["1.1.1.1",80]"#,
    ] {
        texts.push(format!("{{{names},\"instance\":{instance}}}"));
    }
    texts.push(format!(
        "{{{names},\"instance\":{{\"ip\":\"1.1.1.1\",\"port\":80,\"metadata\":{{\"a\":{deep}}}}}}}"
    ));
    for (kind, _) in good() {
        for text in &texts {
            answer(&client, kind, text.clone()).await;
        }
        answer(&client, kind, &b"{\"serviceName\":\"\xC3\x28\"}"[..]).await;
        answer(&client, kind, &[0xFF; 100][..]).await;
    }
    assert!(client.is_set_up().await);
    bystander.goes_on().await;
}

/// A reader might take the elements of an array for members, in their order; nobody has said which they are.
#[tokio::test(start_paused = true)]
async fn an_array_is_no_request_and_no_instance() {
    let world = World::start().await;
    let client = world.client().await;
    let instance = json!(["10.0.0.1", 80, 1.0, true, true, "c", {}]);
    let names = ["public", "DEFAULT_GROUP", "s"];
    let whole = json!([
        names[0],
        names[1],
        names[2],
        "registerInstance",
        at("10.0.0.1", 80)
    ]);
    let batched = json!([
        names[0],
        names[1],
        names[2],
        "batchRegisterInstance",
        [at("10.0.0.1", 80)]
    ]);
    let in_batch = batch("s", std::slice::from_ref(&instance));
    for (kind, request) in [
        ("InstanceRequest", whole),
        ("BatchInstanceRequest", batched),
        ("InstanceRequest", registering("s", instance)),
        ("BatchInstanceRequest", in_batch),
        ("ServiceQueryRequest", json!(names)),
        (
            "SubscribeServiceRequest",
            json!(["public", "DEFAULT_GROUP", "s", "", true]),
        ),
    ] {
        let answered = answer(&client, kind, request.to_string()).await;
        assert_ne!(answered["resultCode"], 200, "{kind} {request}");
    }
    let status = world.http.registry.status();
    assert_eq!((status.instances, status.subscribers), (0, 0));
}
