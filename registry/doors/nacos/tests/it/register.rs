//! Registration. Checklist 10 to 51.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::harness::{INST, INSTANCE, Nacos, encoded, has};

/// Query and form body, what to list, and the hosts listed.
struct Done {
    items: &'static [u8],
    query: String,
    body: &'static str,
    list: &'static str,
    hosts: Vec<Value>,
}

fn done(items: &'static [u8], query: impl Into<String>, list: &'static str, hosts: Vec<Value>) -> Done {
    Done {
        items,
        query: query.into(),
        body: "",
        list,
        hosts,
    }
}

fn inst(also: &str) -> String {
    format!("{INST}&{also}")
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_is_listed() {
    const S: &str = "serviceName=S";
    let body = "serviceName=S&ip=1.1.1.1&port=80";
    let bodies = [
        Done {
            items: &[10],
            query: String::new(),
            body,
            list: S,
            hosts: vec![json!({"ip": "1.1.1.1", "port": 80})],
        },
        Done {
            items: &[11],
            query: INST.into(),
            body,
            list: S,
            hosts: vec![json!({"ip": "1.1.1.1", "port": 80})],
        },
        Done {
            items: &[12],
            query: INST.into(),
            body: "ip=2.2.2.2",
            list: S,
            hosts: vec![json!({"ip": "1.1.1.1"})],
        },
    ];
    let one = || vec![json!({"ip": "1.1.1.1"})];
    let queries = [
        done(
            &[18],
            "serviceName=S&ip=1.1.1.1&port=0",
            S,
            vec![json!({"port": 0})],
        ),
        done(&[21], inst("weight=0"), S, vec![json!({"weight": 0.0})]),
        done(&[22], inst("enable=false"), S, vec![]),
        done(&[23], inst("enabled=false&enable=true"), S, vec![]),
        done(&[24], inst("enabled=1"), S, vec![]),
        done(&[], inst("enabled=&enable=true"), S, one()),
        done(
            &[25],
            inst("ephemeral=True&healthy=TRUE"),
            S,
            vec![json!({"healthy": true, "ephemeral": true})],
        ),
        done(
            &[],
            inst("ephemeral=false&healthy=no"),
            S,
            vec![json!({"healthy": false, "ephemeral": false})],
        ),
        done(
            &[26],
            "serviceName=G1@@S&ip=1.1.1.1&port=80",
            "groupName=G1&serviceName=S",
            one(),
        ),
        done(
            &[27],
            "serviceName=G1@@S&groupName=G2&ip=1.1.1.1&port=80",
            "groupName=G1&serviceName=S",
            one(),
        ),
        done(
            &[27],
            "serviceName=G1@@S&groupName=G2&ip=1.1.1.1&port=80",
            "groupName=G2&serviceName=S",
            vec![],
        ),
        done(
            &[28],
            inst("namespaceId="),
            "serviceName=S&namespaceId=public",
            one(),
        ),
        done(&[28], inst("namespaceId="), S, one()),
        done(
            &[29],
            inst("namespaceId=ns1"),
            "serviceName=S&namespaceId=ns1",
            one(),
        ),
        done(&[29], inst("namespaceId=ns1"), S, vec![]),
        done(
            &[30],
            inst("metadata={\"a\":\"b\"}").replace('"', "%22"),
            S,
            vec![json!({"metadata": {"a": "b"}})],
        ),
        done(
            &[31],
            inst("metadata=a%3Db%2Cc%3Dd"),
            S,
            vec![json!({"metadata": {"a": "b", "c": "d"}})],
        ),
        done(
            &[32],
            inst("metadata=%7B%22n%22:1%7D"),
            S,
            vec![json!({"metadata": {"n": "1"}})],
        ),
        done(&[35], inst(&format!("metadata=k={}", "v".repeat(1023))), S, one()),
        done(
            &[36],
            inst("clusterName=c1"),
            "serviceName=S&clusters=c1",
            vec![json!({"clusterName": "c1"})],
        ),
        done(&[37], inst("clusterName=c1"), "serviceName=S&clusters=c2", vec![]),
        done(&[40], inst("cluster=c9"), S, vec![json!({"clusterName": "c9"})]),
        done(
            &[],
            inst("clusterName=&cluster=c9"),
            S,
            vec![json!({"clusterName": "c9"})],
        ),
        done(
            &[41],
            inst("clusterName=None"),
            S,
            vec![json!({"clusterName": "None"})],
        ),
        done(
            &[46],
            "serviceName=S&ip=my-host.example&port=80",
            S,
            vec![json!({"ip": "my-host.example"})],
        ),
        done(
            &[51],
            inst("app=a&encoding=UTF-8&ak=k&data=%FF&signature=%&tid=1"),
            S,
            one(),
        ),
        done(&[], inst("weight=%201.5%20"), S, vec![json!({"weight": 1.5})]),
        done(
            &[],
            "serviceName=S&ip=2001:DB8:0::1&port=80",
            S,
            vec![json!({"ip": "2001:db8::1"})],
        ),
    ];
    for Done {
        items,
        query,
        body,
        list,
        hosts,
    } in bodies.into_iter().chain(queries)
    {
        let nacos = Nacos::start().await;
        let body = (!body.is_empty()).then_some(body.as_bytes());
        nacos
            .ask("POST", &format!("{INSTANCE}?{query}"), body)
            .await
            .is_ok();
        let found = nacos.list(list).await;
        let found = found["hosts"].as_array().unwrap();
        let as_expected =
            found.len() == hosts.len() && found.iter().zip(&hosts).all(|(found, host)| has(found, host));
        assert!(as_expected, "{items:?} {query}: {found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_rule_is_refused_by_name_and_stores_nothing() {
    let nacos = Nacos::start().await;
    let long_metadata = inst(&format!("metadata=k={}", "v".repeat(1024)));
    let interval = inst(&format!(
        "metadata={}",
        encoded(r#"{"preserved.heart.beat.interval":"20000"}"#)
    ));
    let service = |name: &str| format!("serviceName={name}&ip=1.1.1.1&port=80");
    let rows: [(&[u8], String, &str); 25] = [
        (&[13], "serviceName=S&port=80".into(), "'ip'"),
        (&[14], "serviceName=S&ip=1.1.1.1".into(), "'port'"),
        (&[15], "ip=1.1.1.1&port=80".into(), "'serviceName'"),
        (&[], "serviceName=+&ip=1.1.1.1&port=80".into(), "'serviceName'"),
        (&[16], "serviceName=S&ip=1.1.1.1&port=abc".into(), "port"),
        (&[17], "serviceName=S&ip=1.1.1.1&port=65536".into(), "port"),
        (&[19], inst("weight=10001"), "weight"),
        (&[20], inst("weight=-0.1"), "weight"),
        (&[], inst("weight=NaN"), "weight"),
        (&[], inst("weight=heavy"), "weight"),
        (&[33], inst("metadata=garbage"), "metadata"),
        (&[34], long_metadata, "metadata"),
        (&[39], inst("clusterName=a_b"), "clusterName"),
        (&[], inst("cluster=a_b"), "clusterName"),
        (&[42], inst("groupName=a%20b"), "groupName"),
        (&[43], service("%E6%9C%8D"), "serviceName"),
        (&[44], service(&"s".repeat(513)), "serviceName"),
        (
            &[45],
            inst(&format!("namespaceId={}", "n".repeat(65))),
            "namespaceId",
        ),
        (&[46], "serviceName=S&ip=1.1.1.1%20x&port=80".into(), "ip"),
        (&[49], interval, "preserved.heart.beat.timeout"),
        (&[], service("%FF"), "'serviceName'"),
        (&[], service("@@S"), "groupName"),
        (&[], service("G@@"), "serviceName"),
        (&[], service("G@@a@@b"), "serviceName"),
        (&[], "serviceName=S&ip=1.1.1.300&port=80".into(), "ip"),
    ];
    for (items, query, param) in rows {
        let answer = nacos.instance("POST", &query).await;
        assert_eq!(answer.status, 400, "{items:?} {query}");
        answer.refuses(param);
    }
    assert_eq!(nacos.registry.status().services, 0);
}

#[tokio::test(start_paused = true)]
async fn item_44_a_name_of_512_characters_is_taken() {
    let nacos = Nacos::start().await;
    let name = "s".repeat(512);
    nacos
        .register(&format!("serviceName={name}&ip=1.1.1.1&port=80"))
        .await;
    assert_eq!(
        nacos.list(&format!("serviceName={name}")).await["hosts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn items_30_and_50_the_generator_of_ids() {
    let nacos = Nacos::start().await;
    nacos.register(&inst("metadata=a=b")).await;
    assert_eq!(nacos.hosts().await[0].get("instanceIdGenerator"), None);
    nacos
        .register(&inst("metadata=preserved.instance.id.generator=snowflake"))
        .await;
    let host = &nacos.hosts().await[0];
    assert_eq!(host["instanceIdGenerator"], "snowflake");
    let id = host["instanceId"].as_str().unwrap();
    let number = id.strip_suffix("#DEFAULT#DEFAULT_GROUP@@S").unwrap();
    assert!(number.parse::<i64>().unwrap() >= 0);
}

#[tokio::test(start_paused = true)]
async fn items_47_and_48_the_same_address_again_replaces() {
    let nacos = Nacos::start().await;
    nacos.register(&inst("metadata=a=1&clusterName=c1")).await;
    nacos.register(&inst("metadata=b=2&clusterName=c2")).await;
    let hosts = nacos.hosts().await;
    assert_eq!(hosts.len(), 1);
    assert!(has(
        &hosts[0],
        &json!({"metadata": {"b": "2"}, "clusterName": "c2"})
    ));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_form_holds_no_parameters_and_a_long_one_is_refused() {
    let nacos = Nacos::start().await;
    let send = |content_type: Option<&str>, body: Vec<u8>| {
        let mut request = Request::builder().method("POST").uri(INSTANCE);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let nacos = nacos.clone();
        async move { nacos.send(request.body(Body::from(body)).unwrap()).await }
    };
    send(Some("application/json"), INST.into())
        .await
        .refuses("'serviceName'");
    send(None, INST.into()).await.is_ok();
    send(Some("Application/X-WWW-form-urlencoded"), INST.into())
        .await
        .is_ok();
    let long = vec![b'x'; beatrix_nacos::limits::BODY_BYTES_MAX + 1];
    assert_eq!(send(None, long).await.status, 413);
}
