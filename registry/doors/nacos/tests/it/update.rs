//! The operator's writes. Checklist 90 to 100 where they are here already.

use serde_json::json;

use crate::harness::{INST, INSTANCE, Nacos, has};

async fn put(nacos: &Nacos, also: &str) {
    nacos.instance("PUT", &format!("{INST}&{also}")).await.is_ok();
}

#[tokio::test(start_paused = true)]
async fn items_90_and_91_an_update_says_all() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    put(&nacos, "weight=5").await;
    assert_eq!(nacos.hosts().await[0]["weight"], 5.0);
    put(&nacos, "").await;
    assert_eq!(nacos.hosts().await[0]["weight"], 1.0);
}

#[tokio::test(start_paused = true)]
async fn items_92_and_93_it_lies_over_what_is_registered() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    put(&nacos, "enabled=false").await;
    assert!(nacos.hosts().await.is_empty());
    nacos.register(INST).await;
    assert!(nacos.hosts().await.is_empty());
    put(&nacos, "enable=true").await;
    assert_eq!(nacos.hosts().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn item_94_its_metadata_comes_on_top_and_is_replaced_as_a_whole() {
    let nacos = Nacos::start().await;
    nacos.register(&format!("{INST}&metadata=a=b")).await;
    put(&nacos, "metadata=x=1").await;
    assert_eq!(nacos.hosts().await[0]["metadata"], json!({"a": "b", "x": "1"}));
    put(&nacos, "metadata=a=c,y=2").await;
    assert_eq!(nacos.hosts().await[0]["metadata"], json!({"a": "c", "y": "2"}));
    put(&nacos, "").await;
    assert_eq!(nacos.hosts().await[0]["metadata"], json!({"a": "b"}));
}

#[tokio::test(start_paused = true)]
async fn items_95_to_97_an_update_needs_its_service_and_waits_for_its_instance() {
    let nacos = Nacos::start().await;
    nacos
        .instance("PUT", INST)
        .await
        .refuses("service `public/DEFAULT_GROUP/S` not found");
    nacos.register("serviceName=S&ip=1.1.1.2&port=80").await;
    put(&nacos, "weight=3&metadata=a=1").await;
    put(&nacos, "weight=3&metadata=b=2").await;
    assert_eq!(nacos.hosts().await.len(), 1);
    nacos.register(INST).await;
    let hosts = nacos.hosts().await;
    assert!(has(&hosts[0], &json!({"weight": 3.0, "metadata": {"b": "2"}})));
}

#[tokio::test(start_paused = true)]
async fn items_98_to_100_a_patch_changes_what_it_names() {
    let nacos = Nacos::start().await;
    assert_eq!(
        nacos
            .instance("PATCH", &format!("{INST}&enabled=false"))
            .await
            .status,
        404
    );
    nacos.register(&format!("{INST}&weight=7&metadata=a=b")).await;
    // The first override starts from weight 1.
    nacos
        .instance("PATCH", &format!("{INST}&metadata=p=1"))
        .await
        .is_ok();
    assert!(has(
        &nacos.hosts().await[0],
        &json!({"weight": 1.0, "metadata": {"a": "b", "p": "1"}})
    ));
    nacos.instance("PATCH", &format!("{INST}&weight=3")).await.is_ok();
    assert!(has(
        &nacos.hosts().await[0],
        &json!({"weight": 3.0, "metadata": {"a": "b", "p": "1"}})
    ));
    nacos
        .instance("PATCH", &format!("{INST}&enabled=false"))
        .await
        .is_ok();
    assert!(nacos.hosts().await.is_empty());
    nacos
        .instance("PATCH", &format!("{INST}&enabled=true"))
        .await
        .is_ok();
    assert_eq!(nacos.hosts().await[0]["weight"], 3.0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_too_many_entries_is_refused_whatever_they_are() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let max = beatrix_nacos::limits::BATCH_ENTRIES_MAX;
    for (entries, status) in [(max, 200), (max + 1, 400)] {
        let entry = r#"{"ip":"1.1.1.1","port":80}"#;
        let instances = vec![entry; entries].join(",");
        let body = format!("serviceName=S&metadata=k=v&instances=[{instances}]");
        let path = format!("{INSTANCE}/metadata/batch");
        let before = nacos.registry.version().revision;
        let answer = nacos.ask("PUT", &path, Some(body.as_bytes())).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        if status == 200 {
            assert_eq!(
                answer.text,
                r#"{"updated":["1.1.1.1:80:unknown:DEFAULT:ephemeral"]}"#
            );
            assert_eq!(nacos.registry.version().revision.0, before.0 + 1, "one write");
        }
    }
}

/// The first makes the override, and the second must find it.
#[tokio::test(start_paused = true)]
async fn of_two_patches_at_once_neither_takes_the_other_back() {
    let nacos = Nacos::start().await;
    nacos.register(INST).await;
    let patch = async |also: &str| nacos.instance("PATCH", &format!("{INST}&{also}")).await.is_ok();
    tokio::join!(patch("weight=7"), patch("metadata=a=b"));
    tokio::join!(patch("metadata=a=c"), patch("weight=8"));
    let expected = json!({"weight": 8.0, "enabled": true, "metadata": {"a": "c"}});
    assert!(
        has(&nacos.hosts().await[0], &expected),
        "{:?}",
        nacos.hosts().await
    );

    nacos.register("serviceName=T&ip=1.1.1.1&port=80").await;
    let patch = async |also: &str| {
        let query = format!("serviceName=T&ip=1.1.1.1&port=80&{also}");
        nacos.instance("PATCH", &query).await.is_ok();
    };
    let batch = async {
        let path = format!("{INSTANCE}/metadata/batch?serviceName=T&metadata=k=v");
        assert_eq!(nacos.ask("PUT", &path, None).await.status, 200);
    };
    tokio::join!(patch("weight=7"), batch);
    let list = nacos.list("serviceName=T").await;
    let expected = json!({"weight": 7.0, "metadata": {"k": "v"}});
    assert!(has(&list["hosts"][0], &expected), "{list}");
}
