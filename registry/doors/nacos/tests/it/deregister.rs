//! Deregistration and the look at one. Checklist 54 to 63.

use crate::harness::{INST, INSTANCE, Nacos};

#[tokio::test(start_paused = true)]
async fn what_fits_goes_and_what_does_not_is_no_mistake() {
    let rows: [(u8, &str, &str, &str, usize); 9] = [
        (54, INST, INST, "", 0),
        (56, INST, "serviceName=other&ip=1.1.1.1&port=80", "", 1),
        (56, INST, "serviceName=S&ip=1.1.1.1&port=81", "", 1),
        (
            57,
            "serviceName=S&ip=1.1.1.1&port=80&clusterName=c1",
            "serviceName=S&ip=1.1.1.1&port=80&clusterName=c2",
            "",
            0,
        ),
        (
            58,
            INST,
            "serviceName=S&ip=1.1.1.1&port=80&ephemeral=false",
            "",
            1,
        ),
        (
            58,
            "serviceName=S&ip=1.1.1.1&port=80&ephemeral=false",
            INST,
            "",
            1,
        ),
        (
            58,
            "serviceName=S&ip=1.1.1.1&port=80&ephemeral=false",
            "serviceName=S&ip=1.1.1.1&port=80&ephemeral=false",
            "",
            0,
        ),
        (59, INST, "", INST, 0),
        (59, INST, "serviceName=DEFAULT_GROUP@@S", "ip=1.1.1.1&port=80", 0),
    ];
    for (item, registered, query, body, left) in rows {
        let nacos = Nacos::start().await;
        nacos.register(registered).await;
        for repeated in [false, true] {
            // Item 55: the same again is no mistake either.
            let body = (!body.is_empty()).then_some(body.as_bytes());
            nacos
                .ask("DELETE", &format!("{INSTANCE}?{query}"), body)
                .await
                .is_ok();
            assert_eq!(
                nacos.hosts().await.len(),
                left,
                "{item} {query} repeated: {repeated}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn item_60_what_breaks_a_rule_is_refused() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    for (query, param) in [
        ("serviceName=S&port=80", "'ip'"),
        ("serviceName=S&ip=1.1.1.1&port=80&weight=10001", "weight"),
        ("serviceName=S&ip=1.1.1.1&port=80&metadata=x", "metadata"),
    ] {
        nacos.instance("DELETE", query).await.refuses(param);
    }
    assert_eq!(nacos.hosts().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn item_61_one_instance() {
    let nacos = Nacos::start().await;
    nacos
        .register(&format!("{INST}&metadata=a=b&enabled=false"))
        .await;
    let answer = nacos.instance("GET", INST).await;
    assert_eq!(
        answer.text,
        r##"{"service":"DEFAULT_GROUP@@S","ip":"1.1.1.1","port":80,"clusterName":"DEFAULT","weight":1.0,"healthy":true,"instanceId":"1.1.1.1#80#DEFAULT#DEFAULT_GROUP@@S","metadata":{"a":"b"}}"##
    );
    assert_eq!(answer.content_type, "application/json;charset=UTF-8");
}

#[tokio::test(start_paused = true)]
async fn items_62_and_63_one_that_is_not_there() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    for query in [
        "serviceName=S&ip=1.1.1.1&port=81",
        "serviceName=other&ip=1.1.1.1&port=80",
        "serviceName=S&ip=1.1.1.1&port=80&clusterName=c1",
    ] {
        assert_eq!(nacos.instance("GET", query).await.status, 404, "{query}");
    }
    nacos
        .instance("GET", "serviceName=S&ip=1.1.1.1")
        .await
        .refuses("'port'");
}
