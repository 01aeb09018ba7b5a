//! Lists of services. Checklist 86, 87.

use serde_json::{Value, json};

use super::harness::{Client, World, at, of, registering, with};

async fn list(client: &Client, members: Value) -> (Value, Vec<String>) {
    let listed = client.done("ServiceListRequest", with(of(""), members)).await;
    let names = listed["serviceNames"].as_array().unwrap();
    let names = names.iter().map(|name| name.as_str().unwrap().to_owned());
    (listed["count"].clone(), names.collect())
}

#[tokio::test(start_paused = true)]
async fn checklist_86_services_are_listed_by_pages_without_their_group() {
    let world = World::start().await;
    let client = world.client().await;
    for service in ["a", "b", "c"] {
        client.register(service, at("10.0.0.1", 80)).await;
    }
    let other = with(
        registering("d", at("10.0.0.1", 80)),
        json!({"groupName": "other"}),
    );
    client.done("InstanceRequest", other).await;
    let (count, mut all) = list(&client, json!({"pageNo": 1, "pageSize": 2})).await;
    assert_eq!((&count, all.len()), (&json!(3), 2));
    let (count, rest) = list(&client, json!({"pageNo": 2, "pageSize": 2})).await;
    assert_eq!((&count, rest.len()), (&json!(3), 1));
    all.extend(rest);
    all.sort_unstable();
    assert_eq!(all, ["a", "b", "c"]);
    let (count, none) = list(&client, json!({"pageNo": 9, "pageSize": 2})).await;
    assert_eq!((count, none.len()), (json!(3), 0));
    let (count, none) = list(&client, json!({"pageNo": 1, "pageSize": 2, "groupName": ""})).await;
    assert_eq!((count, none.len()), (json!(0), 0));
    let (count, none) = list(
        &client,
        json!({"pageNo": 1, "pageSize": 2, "groupName": "nobodys"}),
    )
    .await;
    assert_eq!((count, none.len()), (json!(0), 0));
    let (_, other) = list(&client, json!({"pageNo": 1, "pageSize": 2, "groupName": "other"})).await;
    assert_eq!(other, ["d"]);
}

/// A page below the first is the first: Java has no such page, and users write 0.
#[tokio::test(start_paused = true)]
async fn a_page_may_be_any_number() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("a", at("10.0.0.1", 80)).await;
    for page in [json!(0), json!(-1), json!(i64::MIN), Value::Null] {
        let (_, names) = list(&client, json!({"pageNo": page, "pageSize": 10})).await;
        assert_eq!(names, ["a"], "{page}");
    }
    for size in [json!(0), json!(-1), json!(i64::MIN), Value::Null] {
        let (count, names) = list(&client, json!({"pageNo": 1, "pageSize": size})).await;
        assert_eq!((count, names.len()), (json!(1), 0), "{size}");
    }
    for (page, size, expected) in [(i64::MAX, i64::MAX, 0), (1, i64::MAX, 1), (i64::MAX, 1, 0)] {
        let (_, names) = list(&client, json!({"pageNo": page, "pageSize": size})).await;
        assert_eq!(names.len(), expected, "{page} {size}");
    }
}

/// Rust's client says so.
#[tokio::test(start_paused = true)]
async fn checklist_87_a_list_may_be_asked_for_with_nulls() {
    let world = World::start().await;
    let client = world.client().await;
    client.register("a", at("10.0.0.1", 80)).await;
    let nulls = json!({"pageNo": 1, "pageSize": 9, "serviceName": null, "selector": null, "requestId": null});
    assert_eq!(list(&client, nulls).await, (json!(1), vec!["a".to_owned()]));
    let selector = json!({"pageNo": 1, "pageSize": 9, "selector": "{\"type\":\"none\"}"});
    assert_eq!(list(&client, selector).await.1, ["a"]);
}
