//! Checklist 147 to 158, each by its number.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{HERE, JAVA, here, start};
use crate::harness::{INSTANCE, has};

const S: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn item_147_who_asks_with_a_port_is_told_at_once() {
    let (nacos, mut clients, pusher) = start().await;
    nacos.add(80).await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    assert_eq!(first.to, here());
    clients.ack(&first);
    clients.hear_nothing_for(25).await;
    assert_eq!((pusher.counts().sent, pusher.counts().acknowledged), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn item_148_the_packet_carries_the_list() {
    let (nacos, mut clients, _) = start().await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=80&clusterName=c1")
        .await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=81&clusterName=c2")
        .await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=82&clusterName=c1&enabled=false")
        .await;
    nacos
        .register("serviceName=S&ip=1.1.1.1&port=83&clusterName=c1&healthy=false")
        .await;
    // What is asked for besides the clusters is of the request alone.
    let query = format!("serviceName=S&clusters=c1&healthyOnly=true&{HERE}");
    let listed = nacos.list_as(JAVA, &query).await;
    let first = clients.next().await;
    let packet = first.packet();
    let members: Vec<_> = packet.as_object().unwrap().keys().collect();
    assert_eq!(members, ["data", "lastRefTime", "type"]);
    assert!(packet["data"].is_string());
    // Node reads it as a floating-point number and must be able to give it back.
    assert!(first.id() < 1 << 53);

    assert_eq!(first.ports(), [80, 83]);
    let mut list = first.list();
    assert!(list["lastRefTime"].as_u64() >= listed["lastRefTime"].as_u64());
    for member in ["lastRefTime", "hosts"] {
        list.as_object_mut().unwrap().remove(member);
    }
    assert_eq!(
        list,
        json!({
            "name": "DEFAULT_GROUP@@S", "clusters": "c1", "cacheMillis": 10_000, "checksum": "", "allIPs": false,
            "reachProtectionThreshold": false, "valid": true,
        })
    );
    assert_eq!(first.list()["hosts"][0], listed["hosts"][0]);
}

#[tokio::test(start_paused = true)]
async fn item_149_a_change_is_told_in_the_moment_that_it_happens() {
    let (nacos, mut clients, _) = start().await;
    // Of one kind, as all of a service must be; these two do not fall silent.
    let kept = |port: u16| format!("serviceName=S&ip=1.1.1.1&port={port}&metadata=enableClientBeat=true");
    nacos.register(&kept(80)).await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    assert_eq!(clients.next().await.ports(), [80]);
    sleep(S).await;
    let changed = Instant::now();
    nacos.register(&kept(81)).await;
    let told = clients.next().await;
    assert_eq!(told.ports(), [80, 81]);
    assert_eq!(told.at, changed);
    clients.ack(&told);
    // So is one that nobody asked for: silence.
    nacos.register("serviceName=S&ip=1.1.1.1&port=82").await;
    let told = clients.next().await;
    clients.ack(&told);
    clients.hear_nothing_for(14).await;
    let silent = clients.next().await;
    assert_eq!(silent.at - changed, 15 * S);
    assert_eq!(silent.list()["hosts"][2]["healthy"], false);
}

#[tokio::test(start_paused = true)]
async fn item_150_long_packets_are_packed() {
    let (nacos, mut clients, _) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let short = clients.next().await;
    assert_eq!(short.bytes[0], b'{');
    for port in 1..=20 {
        nacos.add(port).await;
    }
    sleep(S).await;
    let mut long = clients.next().await;
    while let Some(next) = clients.all_within(Duration::ZERO).await.pop() {
        long = next;
    }
    assert_eq!(long.bytes[..2], [0x1F, 0x8B]);
    assert_eq!(long.ports().len(), 20);
}

#[tokio::test(start_paused = true)]
async fn item_151_without_an_ack_it_is_sent_once_more_after_10_s() {
    let (nacos, mut clients, pusher) = start().await;
    let query = format!("serviceName=S&{HERE}");
    nacos.list_as(JAVA, &query).await;
    let first = clients.next().await;
    let mut heard = Vec::new();
    // It goes on asking for lists, so that it stays subscribed.
    for _ in 0..6 {
        heard.extend(clients.all_within(10 * S).await);
        nacos.list_as(JAVA, &query).await;
    }
    let [again] = heard.as_slice() else {
        panic!("one more: {heard:?}");
    };
    assert_eq!((again.to, again.ports()), (first.to, first.ports()));
    assert!(again.id() > first.id());
    assert_eq!(again.at - first.at, 10 * S);
    let counts = pusher.counts();
    assert_eq!((counts.sent, counts.resent, counts.given_up), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn items_152_and_153_an_ack_is_text_or_a_number() {
    let (nacos, mut clients, pusher) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    let id = first.id();
    clients.say(
        here(),
        format!(r#"{{"type":"push-ack","lastRefTime":"{id}","data":""}}"#),
    );
    clients.hear_nothing_for(25).await;
    assert_eq!(pusher.counts().acknowledged, 1);

    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    nacos.add(80).await;
    let second = clients.next().await;
    let id = second.id();
    assert!(id > first.id());
    clients.say(
        here(),
        format!(r#"{{"type":"push-ack","lastRefTime":{id},"data":""}}"#),
    );
    clients.hear_nothing_for(25).await;
    assert_eq!((pusher.counts().acknowledged, pusher.counts().resent), (2, 0));
    // Who looks sees how far it is.
    let subscriber = nacos.subscribers().pop().unwrap();
    assert_eq!(subscriber.acked, nacos.registry.version().revision);
}

#[tokio::test(start_paused = true)]
async fn item_154_other_agents_are_not_pushed_to() {
    let (nacos, mut clients, pusher) = start().await;
    for agent in [
        "curl/8",
        "Nacos-Python-Client:v1.0.0",
        "Nacos-Java-Client:v0.0.1",
        "",
    ] {
        nacos.list_as(agent, &format!("serviceName=S&{HERE}")).await;
    }
    nacos.list_as(JAVA, "serviceName=S&clientIP=127.0.0.1").await;
    nacos
        .list_as(JAVA, "serviceName=S&clientIP=127.0.0.1&udpPort=0")
        .await;
    nacos.add(80).await;
    clients.hear_nothing_for(5).await;
    assert_eq!(
        (pusher.counts().subscriptions, nacos.registry.hub().subscribers()),
        (0, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn item_155_the_client_version_counts_if_there_is_no_agent() {
    let (nacos, mut clients, _) = start().await;
    let request = Request::builder()
        .uri(format!("{INSTANCE}/list?serviceName=S&{HERE}"))
        .header("User-Agent", "")
        .header("Client-Version", "Nacos-Go-Client:v1.0.0");
    nacos.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(clients.next().await.to, here());
}

#[tokio::test(start_paused = true)]
async fn item_156_who_does_not_ask_again_is_forgotten() {
    let (nacos, mut clients, pusher) = start().await;
    let query = format!("serviceName=S&{HERE}");
    nacos.list_as(JAVA, &query).await;
    let first = clients.next().await;
    clients.ack(&first);
    // A repeat renews: 50 s after the first request he is still told.
    sleep(25 * S).await;
    nacos.list_as(JAVA, &query).await;
    sleep(25 * S).await;
    nacos.add(80).await;
    let change = clients.next().await;
    assert_eq!(change.ports(), [80]);
    clients.ack(&change);

    clients.hear_nothing_for(5).await;
    nacos.add(81).await;
    clients.hear_nothing_for(15).await;
    let counts = pusher.counts();
    assert_eq!((counts.subscriptions, nacos.registry.hub().subscribers()), (0, 0));
    assert_eq!(nacos.registry.hub().watched(), 0);
    // Who comes back is told the whole.
    nacos.list_as(JAVA, &query).await;
    assert_eq!(clients.next().await.ports(), [80, 81]);
}

/// Nacos waits for half a second and sends one datagram. Here the first change of a quiet service is told at once.
#[tokio::test(start_paused = true)]
async fn item_157_differs_the_last_datagram_holds_all_and_a_burst_is_merged() {
    let (nacos, mut clients, _) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    clients.ack(&first);
    sleep(S).await;
    for port in [80, 81, 82] {
        nacos.add(port).await;
        sleep(Duration::from_millis(90)).await;
    }
    let told = clients.all_within(S).await;
    assert_eq!(told[0].ports(), [80]);
    assert_eq!(told.last().unwrap().ports(), [80, 81, 82]);

    // Twenty within 200 ms.
    for port in 101..=120 {
        nacos.add(port).await;
        sleep(Duration::from_millis(10)).await;
    }
    let told = clients.all_within(S).await;
    assert!(told.len() <= 6, "{} datagrams, one for each 50 ms", told.len());
    assert_eq!(told[0].ports().len(), 4);
    assert_eq!(told.last().unwrap().ports().len(), 23);

    for port in 90..100 {
        nacos.add(port).await;
    }
    let told = clients.all_within(S).await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[1].at - told[0].at, Duration::from_millis(50));
    assert_eq!(told[1].ports().len(), 33);
}

#[tokio::test(start_paused = true)]
async fn item_158_subscribers_can_be_seen() {
    let (nacos, _clients, _) = start().await;
    let query = format!("serviceName=S&clusters=c1&app=shop&{HERE}");
    nacos.list_as(JAVA, &query).await;
    let peer = nacos.subscribers().pop().unwrap().peer.unwrap();
    assert_eq!(peer.address, "127.0.0.1:54321");
    assert_eq!(
        (peer.agent.as_str(), peer.app.as_str(), peer.cluster.as_str()),
        (JAVA, "shop", "c1")
    );
    let [(info, services)] = &nacos.registry.hub().all_subscribers()[..] else {
        panic!("one is subscribed");
    };
    assert_eq!(info.peer.as_deref(), Some(&*peer));
    assert_eq!(services[0].to_string(), "public/DEFAULT_GROUP/S");

    let asked = "/nacos/v1/ns/service/subscribers?serviceName=S&pageNo=1&pageSize=10";
    let answer = nacos.ask("GET", asked, None).await.json();
    assert_eq!(answer["count"], 1);
    let shown = json!({
        "addrStr": "127.0.0.1:54321", "ip": "127.0.0.1", "port": 54_321, "agent": JAVA, "app": "shop",
        "cluster": "c1", "serviceName": "DEFAULT_GROUP@@S", "namespaceId": "public",
    });
    assert!(has(&answer["subscribers"][0], &shown), "{answer}");
    // Of another service nobody wants to know.
    let asked = "/nacos/v1/ns/service/subscribers?serviceName=T&pageNo=1&pageSize=10";
    let answer = nacos.ask("GET", asked, None).await.json();
    assert_eq!(answer, json!({"subscribers": [], "count": 0}));
}

#[tokio::test(start_paused = true)]
async fn operators_see_how_pushing_goes() {
    let (nacos, mut clients, _) = start().await;
    let state = async |query: &str| {
        let path = format!("/nacos/v1/ns/operator/push/state{query}");
        nacos.ask("GET", &path, None).await.json()
    };
    let zero = json!({"succeed": 0, "total": 0, "ratio": 0, "reset": false});
    assert_eq!(state("").await, zero);
    for port in 1..=4 {
        let query = format!("serviceName=S&clientIP=10.0.0.1&udpPort={port}");
        nacos.list_as(JAVA, &query).await;
    }
    let first = clients.all_within(S).await;
    for datagram in &first[1..] {
        clients.ack(datagram);
    }
    sleep(S).await;
    let most = json!({"succeed": 3, "total": 4, "ratio": 0.75, "reset": false});
    assert_eq!(state("").await, most);
    // It is shown once more, and from here on it begins anew.
    let last = json!({"succeed": 3, "total": 4, "ratio": 0.75, "reset": true});
    assert_eq!(state("?reset=true").await, last);
    assert_eq!(state("").await, zero);
    clients.ack(&first[0]);
    sleep(S).await;
    assert_eq!(state("").await, zero);
}

#[tokio::test(start_paused = true)]
async fn what_the_switches_say_of_push_holds() {
    let (nacos, mut clients, pusher) = start().await;
    let switch = async |entry: &str, value: &str| {
        let path = format!("/nacos/v1/ns/operator/switches?entry={entry}&value={value}");
        nacos.ask("PUT", &path, None).await.is_ok();
    };
    let list = format!("serviceName=S&{HERE}");
    switch("pushEnabled", "false").await;
    nacos.list_as(JAVA, &list).await;
    assert_eq!(pusher.counts().subscriptions, 0);
    switch("pushEnabled", "true").await;
    switch("pushVersion", "java:1.4.8").await;
    nacos.list_as(JAVA, &list).await;
    assert_eq!(pusher.counts().subscriptions, 0);
    switch("pushVersion", "java:1.4.7").await;
    switch("pushCacheMillis", "20000").await;
    nacos.list_as(JAVA, &list).await;
    let told = clients.next().await;
    assert_eq!(told.list()["cacheMillis"], 20_000);
    clients.ack(&told);
    // Who is told to ask once a minute is subscribed for as long.
    switch("pushCacheMillis", "60000").await;
    nacos.list_as(JAVA, &list).await;
    sleep(59 * S).await;
    nacos.add(79).await;
    let told = clients.next().await;
    assert_eq!(told.list()["cacheMillis"], 60_000);
    clients.ack(&told);
    sleep(2 * S).await;
    assert_eq!(pusher.counts().subscriptions, 0);
    nacos.list_as(JAVA, &list).await;
    let told = clients.next().await;
    clients.ack(&told);
    // Whoever is subscribed already is told nothing either.
    switch("pushEnabled", "false").await;
    nacos.add(80).await;
    clients.hear_nothing_for(5).await;
}

#[tokio::test(start_paused = true)]
async fn who_lists_by_v2_is_pushed_to_as_well() {
    let (nacos, mut clients, _) = start().await;
    let request = Request::builder()
        .uri("/nacos/v2/ns/instance/list?serviceName=S&ip=127.0.0.1&port=54321&app=shop")
        .header(header::USER_AGENT, JAVA);
    let answer = nacos.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(clients.next().await.packet()["type"], "dom");
    let subscribers = nacos.subscribers();
    assert_eq!(subscribers[0].peer.as_ref().unwrap().app, "shop");
}
