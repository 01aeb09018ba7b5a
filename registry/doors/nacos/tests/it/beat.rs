//! Beats and what silence does. Checklist 66 to 87.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::{INST, Nacos, encoded, has};

const HANDLED: &str = r#"{"clientBeatInterval":5000,"code":10200,"lightBeatEnabled":true}"#;
const UNKNOWN: &str = r#"{"clientBeatInterval":5000,"code":20404,"lightBeatEnabled":true}"#;

/// The health of the one host, `None` when it is gone.
async fn healthy(nacos: &Nacos) -> Option<bool> {
    nacos
        .hosts()
        .await
        .first()
        .map(|host| host["healthy"].as_bool().unwrap())
}

fn seconds(seconds: u64) -> tokio::time::Sleep {
    sleep(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn items_66_and_67_a_light_beat_renews_and_never_makes() {
    let nacos = Nacos::start().await;
    let answer = nacos.beat(INST, None).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, UNKNOWN));
    assert_eq!(nacos.registry.status().services, 0);
    nacos.register(INST).await;
    let answer = nacos.beat(INST, None).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, HANDLED));
    assert_eq!(answer.content_type, "application/json;charset=UTF-8");
    // Grouped, in the body, in another cluster: it is the same instance.
    for (query, body) in [
        (
            "serviceName=DEFAULT_GROUP@@S&groupName=other&ip=1.1.1.1&port=80",
            None,
        ),
        ("", Some(INST)),
        (
            "serviceName=S&ip=1.1.1.1&port=80&clusterName=c1&namespaceId=public",
            None,
        ),
    ] {
        assert_eq!(
            nacos.beat(query, body.map(str::as_bytes)).await.text,
            HANDLED,
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn items_68_to_74_a_full_beat_registers() {
    let go = br#"serviceName=S&ip=1.1.1.1&port=80&beat={"serviceName":"G@@S", "ip":"1.1.1.1","port":80,"cluster":"DEFAULT","weight":1,"metadata":{"a":"b c"}}"#;
    let rows: [(u8, &str, String, Vec<u8>, Value); 10] = [
        (
            68,
            INST,
            r#"{"ip":"1.1.1.1","port":80,"weight":2.5,"cluster":"c1","metadata":{"a":"b"},"ephemeral":true}"#
                .into(),
            vec![],
            json!({"weight": 2.5, "clusterName": "c1", "metadata": {"a": "b"}}),
        ),
        (
            70,
            "",
            String::new(),
            go.to_vec(),
            json!({"weight": 1.0, "metadata": {"a": "b c"}}),
        ),
        (
            72,
            "serviceName=S&clusterName=c3",
            r#"{"ip":"1.1.1.1","port":80}"#.into(),
            vec![],
            json!({"clusterName": "c3"}),
        ),
        (
            72,
            "serviceName=S&clusterName=c3",
            r#"{"ip":"1.1.1.1","port":80,"cluster":" "}"#.into(),
            vec![],
            json!({"clusterName": "c3"}),
        ),
        (
            73,
            INST,
            r#"{"ip":"1.1.1.1","port":80}"#.into(),
            vec![],
            json!({"weight": 0.0, "healthy": true, "enabled": true}),
        ),
        (
            74,
            INST,
            r#"{"ip":"1.1.1.1","port":80,"cpu":0.5,"stopped":false,"x":{"y":[1]}}"#.into(),
            vec![],
            json!({}),
        ),
        // The JSON's address counts, and the request's where it has none; the service is the request's.
        (
            68,
            "serviceName=S&ip=9.9.9.9&port=9",
            r#"{"ip":"1.1.1.1","port":80}"#.into(),
            vec![],
            json!({"ip": "1.1.1.1", "port": 80}),
        ),
        (
            68,
            INST,
            r#"{"serviceName":"other@@one"}"#.into(),
            vec![],
            json!({"ip": "1.1.1.1", "port": 80}),
        ),
        // Jackson takes texts for numbers, and nulls.
        (
            68,
            "serviceName=S",
            r#"{"ip":"1.1.1.1","port":"80","weight":"3","ephemeral":"true","metadata":null,"cluster":null}"#
                .into(),
            vec![],
            json!({"port": 80, "weight": 3.0}),
        ),
        (
            68,
            "serviceName=S",
            r#"{"ip":"1.1.1.1","port":80,"metadata":{"n":1,"t":true}}"#.into(),
            vec![],
            json!({"metadata": {"n": "1", "t": "true"}}),
        ),
    ];
    for (item, query, beat, body, host) in rows {
        // Item 69: in the query or in a form body, it is the same.
        let beat = format!("beat={}", encoded(&beat));
        let ways = if body.is_empty() {
            vec![
                (format!("{query}&{beat}"), None),
                (query.to_owned(), Some(beat.into_bytes())),
            ]
        } else {
            vec![(query.to_owned(), Some(body))]
        };
        for (query, body) in ways {
            let nacos = Nacos::start().await;
            // The second finds what the first has made.
            for _ in 0..2 {
                assert_eq!(
                    nacos.beat(&query, body.as_deref()).await.text,
                    HANDLED,
                    "{item} {query}"
                );
                let hosts = nacos.hosts().await;
                assert!(
                    hosts.len() == 1 && has(&hosts[0], &host),
                    "{item} {query}: {hosts:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn items_71_and_85_a_full_beat_changes_nothing_of_what_is_there() {
    let nacos = Nacos::start().await;
    nacos
        .register(&format!("{INST}&clusterName=None&metadata=a=1&weight=5"))
        .await;
    let beat = encoded(r#"{"ip":"1.1.1.1","port":80,"cluster":"c2","weight":1.0,"metadata":{"b":"2"}}"#);
    assert_eq!(
        nacos.beat(&format!("{INST}&beat={beat}"), None).await.text,
        HANDLED
    );
    let hosts = nacos.hosts().await;
    assert_eq!(hosts.len(), 1);
    assert!(has(
        &hosts[0],
        &json!({"clusterName": "None", "metadata": {"a": "1"}, "weight": 5.0})
    ));
}

#[tokio::test(start_paused = true)]
async fn item_75_a_light_beat_without_address_is_unknown() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    for query in [
        "serviceName=S",
        "serviceName=S&port=80",
        "serviceName=S&ip=1.1.1.1",
    ] {
        let answer = nacos.beat(query, None).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, UNKNOWN), "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn item_76_a_beat_that_breaks_a_rule_is_refused() {
    let nacos = Nacos::start().await;
    for (beat, param) in [
        ("{", "beat"),
        ("[]", "beat"),
        ("true", "beat"),
        (r#"{"ip":"1.1.1.1","port":80} x"#, "beat"),
        (r#"{"ip":["1.1.1.1"],"port":80}"#, "ip"),
        (r#"{"ip":"1.1.1.1","port":70000}"#, "port"),
        (r#"{"ip":"1 1","port":80}"#, "ip"),
        (r#"{"ip":"1.1.1.1","port":80,"weight":-1}"#, "weight"),
        (r#"{"ip":"1.1.1.1","port":80,"cluster":"a_b"}"#, "clusterName"),
        (r#"{"ip":"1.1.1.1","port":80,"metadata":"a=b"}"#, "metadata"),
        (r#"{"ip":"1.1.1.1","port":80,"ephemeral":false}"#, "ephemeral"),
    ] {
        let answer = nacos
            .beat(&format!("serviceName=S&beat={}", encoded(beat)), None)
            .await;
        assert_eq!(answer.status, 400, "{beat}");
        answer.refuses(param);
    }
    nacos
        .beat("ip=1.1.1.1&port=80", None)
        .await
        .refuses("'serviceName'");
    nacos
        .beat("serviceName=a%20b&ip=1.1.1.1&port=80", None)
        .await
        .refuses("serviceName");
    nacos
        .beat("serviceName=S&ip=1.1.1.1&port=x", None)
        .await
        .refuses("port");
    nacos
        .beat("serviceName=S&ip=%FF&port=80", None)
        .await
        .refuses("'ip'");
    assert_eq!(nacos.registry.status().services, 0);
}

#[tokio::test(start_paused = true)]
async fn item_77_the_reply_has_the_instances_interval() {
    let nacos = Nacos::start().await;
    nacos
        .register(&format!("{INST}&metadata=preserved.heart.beat.interval=3000"))
        .await;
    assert_eq!(nacos.beat(INST, None).await.text, HANDLED.replace("5000", "3000"));
    let beat = encoded(r#"{"metadata":{"preserved.heart.beat.interval":"4000"}}"#);
    let answer = nacos
        .beat(&format!("serviceName=S2&ip=1.1.1.1&port=80&beat={beat}"), None)
        .await;
    assert_eq!(answer.text, HANDLED.replace("5000", "4000"));
}

#[tokio::test(start_paused = true)]
async fn items_78_to_80_silence_makes_unhealthy_and_then_gone() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    seconds(14).await;
    assert_eq!(healthy(&nacos).await, Some(true));
    seconds(7).await;
    assert_eq!(healthy(&nacos).await, Some(false));
    seconds(15).await;
    assert_eq!(healthy(&nacos).await, None);
}

#[tokio::test(start_paused = true)]
async fn item_81_a_beat_brings_it_back() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    for beat in ["", "&beat=%7B%7D"] {
        seconds(21).await;
        assert_eq!(healthy(&nacos).await, Some(false));
        nacos.beat(&format!("{INST}{beat}"), None).await;
        seconds(2).await;
        assert_eq!(healthy(&nacos).await, Some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn item_82_who_beats_stays_healthy() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    for _ in 0..12 {
        seconds(5).await;
        assert_eq!(nacos.beat(INST, None).await.text, HANDLED);
        assert_eq!(healthy(&nacos).await, Some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn items_83_and_84_an_instance_has_its_own_times() {
    let nacos = Nacos::start().await;
    let metadata = encoded(
        r#"{"preserved.heart.beat.interval":"3000","preserved.heart.beat.timeout":"6000","preserved.ip.delete.timeout":"9000"}"#,
    );
    nacos.register(&format!("{INST}&metadata={metadata}")).await;
    let times =
        json!({"instanceHeartBeatInterval": 3000, "instanceHeartBeatTimeOut": 6000, "ipDeleteTimeout": 9000});
    assert!(has(&nacos.hosts().await[0], &times));
    for (after, expected) in [(5, Some(true)), (2, Some(false)), (1, Some(false)), (2, None)] {
        seconds(after).await;
        assert_eq!(healthy(&nacos).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn item_87_one_that_registers_unhealthy_becomes_healthy_by_its_first_beat() {
    let nacos = Nacos::start().await;
    nacos.register(&format!("{INST}&healthy=false")).await;
    seconds(5).await;
    assert_eq!(healthy(&nacos).await, Some(false));
    nacos.beat(INST, None).await;
    seconds(2).await;
    assert_eq!(healthy(&nacos).await, Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_persistent_instance_takes_no_beats_and_stays() {
    let nacos = Nacos::start().await;
    nacos.register(&format!("{INST}&ephemeral=false")).await;
    assert_eq!(nacos.beat(INST, None).await.text, UNKNOWN);
    let answer = nacos.beat(&format!("{INST}&beat=%7B%7D"), None).await;
    answer.refuses("probe");
    seconds(60).await;
    assert_eq!(healthy(&nacos).await, Some(true));
}
