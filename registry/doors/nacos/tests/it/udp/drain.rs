//! A drain waits for those who are told by UDP: their acknowledgements count, and who gives none is named.

use std::time::Duration;

use beatrix_core::model::{Endpoint, ServiceKey};
use beatrix_engine::registry::Drained;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use beatrix_nacos::udp::Sockets;

use super::air::unpacked;
use super::{HERE, JAVA, pushing, start};
use crate::harness::Nacos;

const S: Duration = Duration::from_secs(1);

/// Drains the instance at this port; tells how long that took.
fn drain(nacos: &Nacos, port: u16, deadline: Duration) -> JoinHandle<(Drained, Duration)> {
    let registry = nacos.registry.clone();
    tokio::spawn(async move {
        let from = Instant::now();
        let service: ServiceKey = "public/DEFAULT_GROUP/S".parse().unwrap();
        let endpoint: Endpoint = format!("1.1.1.1:{port}").parse().unwrap();
        let drained = registry.drain(service, endpoint, deadline).await.unwrap();
        (drained, from.elapsed())
    })
}

#[tokio::test(start_paused = true)]
async fn a_drain_is_complete_with_the_acknowledgement_of_the_list_without_the_instance() {
    let (nacos, mut clients, _) = start().await;
    nacos.add(80).await;
    nacos.add(81).await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    assert_eq!(first.ports(), [80, 81]);
    let draining = drain(&nacos, 80, 20 * S);
    let told = clients.next().await;
    assert_eq!(told.ports(), [81]);
    // That he knows the list from before says nothing.
    clients.ack(&first);
    sleep(S).await;
    assert!(!draining.is_finished());
    clients.ack(&told);
    let (drained, after) = draining.await.unwrap();
    assert!(drained.complete, "{drained:?}");
    assert_eq!(drained.acknowledged, ["127.0.0.1:54321 (nacos-udp)"]);
    assert_eq!((drained.waiting.len(), drained.without_acks), (0, 0));
    assert!(after >= S && after < S + Duration::from_millis(10), "{after:?}");
}

/// The list goes on changing: what he acknowledges is never the newest.
#[tokio::test(start_paused = true)]
async fn an_acknowledgement_of_a_push_that_a_newer_one_has_superseded_counts() {
    let (nacos, mut clients, _) = start().await;
    nacos.add(80).await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    let first = clients.next().await;
    clients.ack(&first);
    let draining = drain(&nacos, 80, 20 * S);
    let told = clients.next().await;
    nacos.add(81).await;
    let newer = clients.next().await;
    assert_eq!((told.ports(), newer.ports()), (vec![], vec![81]));
    clients.ack(&told);
    assert!(draining.await.unwrap().0.complete);
}

#[tokio::test(start_paused = true)]
async fn who_never_acknowledges_is_named_at_the_deadline_also_when_his_lease_has_ended() {
    let (nacos, mut clients, pusher) = start().await;
    nacos.add(80).await;
    nacos.list_as(JAVA, &format!("serviceName=S&{HERE}")).await;
    nacos
        .list_as(JAVA, "serviceName=S&clientIP=127.0.0.1&udpPort=54322")
        .await;
    // One who polls without a port, and one who is told by another door and acknowledges nothing.
    nacos.list_as(JAVA, "serviceName=S").await;
    let native = beatrix_engine::hub::Subscribe {
        services: vec!["public/DEFAULT_GROUP/S".parse().unwrap()],
        ..Default::default()
    };
    let _native = nacos.registry.hub().subscribe(native).unwrap();
    for _ in 0..2 {
        let told = clients.next().await;
        clients.ack(&told);
    }
    let draining = drain(&nacos, 80, 60 * S);
    for _ in 0..2 {
        let told = clients.next().await;
        if told.to.port() == 54_322 {
            clients.ack(&told);
        }
    }
    sleep(40 * S).await;
    assert_eq!(pusher.counts().subscriptions, 0, "their leases have ended");
    assert!(!draining.is_finished());
    let (drained, after) = draining.await.unwrap();
    assert_eq!(drained.waiting, ["127.0.0.1:54321 (nacos-udp)"]);
    assert_eq!(drained.acknowledged, ["127.0.0.1:54322 (nacos-udp)"]);
    assert_eq!((drained.complete, drained.without_acks), (false, 1));
    assert!(
        after >= 60 * S && after < 60 * S + Duration::from_millis(10),
        "{after:?}"
    );
}

/// Time is real here, and what is waited for comes long before the bounds.
#[tokio::test]
async fn over_real_sockets_an_acknowledgement_completes_a_drain_and_silence_does_not() {
    let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
    let sockets = Sockets::bind(loopback).await.unwrap();
    let (nacos, _pusher) = pushing(Nacos::start().await, sockets);
    for port in [80, 81] {
        nacos.add(port).await;
    }
    let socket = UdpSocket::bind((loopback, 0)).await.unwrap();
    let name = socket.local_addr().unwrap();
    let query = format!("serviceName=S&clientIP={}&udpPort={}", name.ip(), name.port());
    nacos.list_as(JAVA, &query).await;
    let acknowledging = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).await.unwrap();
            let packet = unpacked(&buffer[..len]);
            let list: serde_json::Value = serde_json::from_str(packet["data"].as_str().unwrap()).unwrap();
            let hosts = list["hosts"].as_array().unwrap().len();
            let ack = format!(
                r#"{{"type":"push-ack","lastRefTime":"{}","data":""}}"#,
                packet["lastRefTime"]
            );
            socket.send_to(ack.as_bytes(), from).await.unwrap();
            if hosts == 1 {
                // From here on it is deaf.
                return socket;
            }
        }
    });
    let (drained, after) = drain(&nacos, 80, 30 * S).await.unwrap();
    assert!(drained.complete && after < 10 * S, "{drained:?} after {after:?}");
    assert_eq!(drained.acknowledged, [format!("{name} (nacos-udp)")]);
    let _deaf = acknowledging.await.unwrap();
    let (drained, _) = drain(&nacos, 81, S).await.unwrap();
    assert_eq!(
        (drained.complete, drained.waiting),
        (false, vec![format!("{name} (nacos-udp)")])
    );
}
