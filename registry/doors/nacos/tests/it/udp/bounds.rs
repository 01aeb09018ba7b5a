//! What must not happen: to others, to the registry, or for nothing.

use std::time::Duration;

use beatrix_engine::journal::Memory;
use beatrix_engine::random::Random;
use beatrix_engine::{EngineConfig, RegistryBuilder};
use tokio::time::sleep;

use super::air::air;
use super::{HERE, JAVA, here, pushing, start};
use crate::harness::{INSTANCE, Nacos, encoded};

const S: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_where_nobody_or_everybody_could_be() {
    let (nacos, mut clients, _) = start().await;
    for target in [
        "clientIP=255.255.255.255&udpPort=9",
        "clientIP=224.0.0.1&udpPort=9",
        "clientIP=ff02::1&udpPort=9",
        "clientIP=0.0.0.0&udpPort=9",
        "clientIP=::&udpPort=9",
        "clientIP=10.0.0.1&udpPort=0",
        "clientIP=10.0.0.1&udpPort=-1",
        "clientIP=example.org&udpPort=9",
        "clientIP=&udpPort=9",
        "udpPort=9",
    ] {
        nacos.list_as(JAVA, &format!("serviceName=S&{target}")).await;
    }
    nacos.add(80).await;
    clients.hear_nothing_for(5).await;
    assert_eq!(nacos.registry.hub().subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_none_is_refused_and_subscribes_nobody() {
    let (nacos, _clients, _) = start().await;
    for port in ["x", "65536", "1.5", "%FF"] {
        let uri = format!("{INSTANCE}/list?serviceName=S&clientIP=10.0.0.1&udpPort={port}");
        nacos.ask("GET", &uri, None).await.refuses("udpPort");
    }
    // Nor does a list that is refused.
    let uri = format!("{INSTANCE}/list?serviceName=a%20b&{HERE}");
    nacos.ask("GET", &uri, None).await.refuses("serviceName");
    assert_eq!(nacos.registry.hub().subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_ack_of_it_changes_nothing() {
    let (nacos, mut clients, pusher) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    let id = first.id();
    let ack = |id: u64| format!(r#"{{"type":"push-ack","lastRefTime":"{id}","data":""}}"#);
    clients.say(here(), "");
    clients.say(here(), vec![0xFF; 65_507]);
    clients.say(here(), "[".repeat(2_048));
    clients.say(here(), first.bytes.clone().split_off(1));
    clients.say(here(), ack(id + 1));
    clients.say(here(), ack(id - 1));
    clients.say(
        here(),
        format!(r#"{{"lastRefTime":"{id}","data":"{}"}}"#, "x".repeat(4_000)),
    );
    // From another port, and from another address.
    clients.say("127.0.0.1:54322".parse().unwrap(), ack(id));
    clients.say("127.0.0.2:54321".parse().unwrap(), ack(id));
    sleep(S).await;
    assert_eq!(pusher.counts().acknowledged, 0);
    let again = clients.all_within(10 * S).await;
    assert_eq!(again.len(), 1);
    // The second one can be acknowledged as well.
    clients.ack(&again[0]);
    clients.ack(&again[0]);
    clients.hear_nothing_for(15).await;
    let counts = pusher.counts();
    assert_eq!((counts.acknowledged, counts.given_up), (1, 0));
}

/// A client that is gone costs one datagram a change until its lease ends, and one resend.
#[tokio::test(start_paused = true)]
async fn one_that_never_answers_costs_a_bounded_amount() {
    let (nacos, mut clients, pusher) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    for port in 1..=200 {
        nacos.add(port).await;
        sleep(Duration::from_millis(10)).await;
    }
    let told = clients.all_within(5 * S).await;
    assert!(
        told.len() <= 2_000 / 50 + 3,
        "{} datagrams for 200 changes",
        told.len()
    );
    let rest = clients.all_within(60 * S).await;
    // Only the newest is sent again.
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].ports(), told.last().unwrap().ports());
    let counts = pusher.counts();
    assert_eq!((counts.resent, counts.given_up, counts.subscriptions), (1, 1, 0));
}

/// A service that changes all the time must not be sent for ever to where nobody listens.
#[tokio::test(start_paused = true)]
async fn who_acknowledges_nothing_is_sent_nothing_until_he_is_heard_of() {
    let (nacos, mut clients, pusher) = start().await;
    let query = format!("serviceName=S&{HERE}");
    nacos.list_as(JAVA, &query).await;
    let mut port = 0;
    // More often than a datagram is sent again.
    let mut change = async || {
        for _ in 0..8 {
            port += 1;
            nacos.add(port).await;
            sleep(S).await;
        }
    };
    change().await;
    change().await;
    change().await;
    let told = clients.all_within(S / 100).await;
    assert!(told.len() >= 20, "{}", told.len());
    // It is subscribed still, and silent for 4 s.
    assert_eq!((pusher.counts().subscriptions, pusher.counts().given_up), (1, 1));
    let last = told.last().unwrap();
    assert!(last.at - told[0].at <= 20 * S);
    // Another list request is a sign of life. What was missed is told in one datagram.
    nacos.list_as(JAVA, &query).await;
    assert_eq!(clients.next().await.ports().len(), 24);
    clients.hear_nothing_for(9).await;
    let again = clients.all_within(2 * S).await;
    assert_eq!(again.len(), 1);
    nacos.list_as(JAVA, &query).await;
    clients.hear_nothing_for(10).await;
    assert_eq!(pusher.counts().given_up, 2);
    nacos.add(100).await;
    clients.hear_nothing_for(5).await;
    // So is an acknowledgement, however late.
    clients.ack(&again[0]);
    let missed = clients.next().await;
    assert_eq!(missed.ports().len(), 25);
    clients.ack(&missed);
    sleep(S).await;
    nacos.add(101).await;
    assert_eq!(clients.next().await.ports().len(), 26);
}

#[tokio::test(start_paused = true)]
async fn one_address_is_sent_only_so_much() {
    let (nacos, mut clients, pusher) = start().await;
    let list = async |ip: &str, port: u16| {
        let query = format!("serviceName=S&clientIP={ip}&udpPort={port}");
        nacos.list_as(JAVA, &query).await;
    };
    for port in 1..=1_010 {
        list("127.0.0.1", port).await;
    }
    // However it is written.
    list("::ffff:127.0.0.1", 2_000).await;
    let counts = pusher.counts();
    assert_eq!((counts.subscriptions, counts.refused), (1_000, 11));
    list("127.0.0.2", 1).await;
    assert_eq!(pusher.counts().subscriptions, 1_001);
    assert_eq!(clients.all_within(S).await.len(), 1_001);
}

#[tokio::test(start_paused = true)]
async fn a_service_is_told_of_in_only_so_many_forms() {
    let (nacos, mut clients, pusher) = start().await;
    let list = async |clusters: u16, port: u16| {
        let query = format!("serviceName=S&clusters=c{clusters}&clientIP=10.0.0.1&udpPort={port}");
        nacos.list_as(JAVA, &query).await
    };
    for number in 1..=100 {
        assert_eq!(list(number, number).await["clusters"], format!("c{number}"));
    }
    let counts = pusher.counts();
    assert_eq!((counts.subscriptions, counts.refused), (32, 68));
    // Those that there are others have, too; and another service has its own.
    list(1, 101).await;
    nacos
        .list_as(JAVA, &format!("serviceName=T&clusters=c100&{HERE}"))
        .await;
    assert_eq!(pusher.counts().subscriptions, 34);
    // Who asks for one too many stays what he was.
    list(200, 1).await;
    assert_eq!(pusher.counts().refused, 69);
    let told = clients.all_within(S).await;
    let first = told.iter().find(|datagram| datagram.to.port() == 1).unwrap();
    assert_eq!((told.len(), &first.list()["clusters"]), (34, &"c1".into()));
}

#[tokio::test(start_paused = true)]
async fn one_whose_lease_has_ended_is_sent_nothing_again() {
    let (nacos, mut clients, pusher) = start().await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    clients.ack(&first);
    sleep(25 * S).await;
    nacos.add(80).await;
    let change = clients.next().await;
    clients.hear_nothing_for(30).await;
    // A late acknowledgement is one of nothing.
    clients.ack(&change);
    sleep(S).await;
    let counts = pusher.counts();
    assert_eq!((counts.acknowledged, counts.resent, counts.given_up), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_like_what_is_lost() {
    let (nacos, mut clients, pusher) = start().await;
    clients.break_down(true);
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    sleep(S).await;
    assert_eq!((pusher.counts().sent, pusher.counts().failed), (1, 1));
    clients.break_down(false);
    // It is sent again when its time comes.
    let again = clients.all_within(10 * S).await;
    assert_eq!((again.len(), again[0].to), (1, here()));
}

#[tokio::test(start_paused = true)]
async fn what_fits_no_datagram_is_counted_and_polled() {
    let (nacos, mut clients, pusher) = start().await;
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'0' + u8::try_from(state >> 58).unwrap())
    };
    for port in 1..=120 {
        let value: String = std::iter::repeat_with(&mut noise).take(1_000).collect();
        let metadata = encoded(serde_json::json!({ "n": value }).to_string());
        let query = format!("serviceName=S&ip=1.1.1.1&port={port}&metadata={metadata}");
        nacos.register(&query).await;
    }
    let listed = nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    assert_eq!(listed["hosts"].as_array().unwrap().len(), 120);
    nacos
        .list_as(JAVA, "serviceName=S&clientIP=10.0.0.1&udpPort=9")
        .await;
    clients.hear_nothing_for(5).await;
    assert_eq!((pusher.counts().too_large, pusher.counts().sent), (2, 0));
    // Other services are told as ever, and this one is when it fits again.
    nacos.list_as(JAVA, &format!("serviceName=T&{HERE}")).await;
    assert_eq!(clients.next().await.list()["name"], "DEFAULT_GROUP@@T");
    for port in 1..=119 {
        let query = format!("serviceName=S&ip=1.1.1.1&port={port}");
        nacos.instance("DELETE", &query).await.is_ok();
    }
    let told = clients.all_within(S).await;
    assert_eq!(told.last().unwrap().ports(), [120]);
}

#[tokio::test(start_paused = true)]
async fn too_many_subscriptions_are_no_error() {
    let config = EngineConfig {
        subscribers_max: 2,
        ..EngineConfig::default()
    };
    let random = Random::from_seed(1);
    let journal = Memory::new(random.epoch());
    let registry = RegistryBuilder::new(config, random).start(journal).await.unwrap();
    let (air, mut clients) = air();
    let nacos = Nacos {
        router: beatrix_nacos::router(registry.clone()),
        registry,
    };
    let (nacos, pusher) = pushing(nacos, air);
    for port in 1..=3 {
        let query = format!("serviceName=S&clientIP=10.0.0.1&udpPort={port}");
        nacos.list_as(JAVA, &query).await;
    }
    assert_eq!(clients.all_within(S).await.len(), 2);
    assert_eq!((pusher.counts().subscriptions, pusher.counts().refused), (2, 1));
    // There is room again when others have gone.
    sleep(30 * S).await;
    clients.all_within(S).await;
    nacos
        .list_as(JAVA, "serviceName=S&clientIP=10.0.0.1&udpPort=3")
        .await;
    assert_eq!(clients.next().await.to.port(), 3);
}

#[tokio::test(start_paused = true)]
async fn texts_of_any_length_are_held_in_few_bytes() {
    let (nacos, mut clients, _) = start().await;
    let agent = format!("{JAVA}{}", "x".repeat(5_000));
    let app = "a".repeat(5_000);
    nacos
        .list_as(&agent, &format!("serviceName=S&app={app}&{HERE}"))
        .await;
    clients.next().await;
    let peer = nacos.subscribers().pop().unwrap().peer.unwrap();
    assert_eq!((peer.agent.len(), peer.app.len()), (128, 128));
    // Clusters are echoed in whole or not at all.
    let clusters = vec!["c"; 600].join(",");
    let query = format!("serviceName=T&clusters={clusters}&{HERE}");
    assert_eq!(nacos.list_as(JAVA, &query).await["clusters"], clusters);
    clients.hear_nothing_for(5).await;
}

#[tokio::test(start_paused = true)]
async fn a_door_without_push_lists_all_the_same() {
    let nacos = Nacos::start().await;
    nacos.add(80).await;
    let list = nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    assert_eq!(list["hosts"].as_array().unwrap().len(), 1);
    assert_eq!(nacos.registry.hub().subscribers(), 0);
}
