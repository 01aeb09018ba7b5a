//! The real sockets. Time is real here, and what is waited for comes long before the bounds.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use beatrix_nacos::udp::Sockets;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::air::unpacked;
use super::{JAVA, pushing};
use crate::harness::Nacos;

/// A client: asks, listens, acknowledges.
async fn a_client_is_told_and_acknowledges(http: IpAddr, client: IpAddr) {
    let sockets = Sockets::bind(http).await.unwrap();
    let (nacos, pusher) = pushing(Nacos::start().await, sockets);
    let socket = UdpSocket::bind((client, 0)).await.unwrap();
    let port = socket.local_addr().unwrap().port();
    nacos
        .list_as(JAVA, &format!("serviceName=S&clientIP={client}&udpPort={port}"))
        .await;
    for hosts in [0, 1, 20] {
        for port in 1..=hosts {
            nacos.add(port).await;
        }
        loop {
            let mut buffer = vec![0; 65_536];
            let received = timeout(Duration::from_secs(10), socket.recv_from(&mut buffer)).await;
            let (len, from) = received.expect("a datagram comes").unwrap();
            let packet = unpacked(&buffer[..len]);
            let ack = format!(
                r#"{{"type":"push-ack","lastRefTime":"{}","data":""}}"#,
                packet["lastRefTime"]
            );
            socket.send_to(ack.as_bytes(), from).await.unwrap();
            let list: serde_json::Value = serde_json::from_str(packet["data"].as_str().unwrap()).unwrap();
            if list["hosts"].as_array().unwrap().len() == usize::from(hosts) {
                break;
            }
        }
    }
    // The last one is; those before it may have been superseded sooner than they were acknowledged.
    let acknowledged = async {
        while nacos.subscribers()[0].acked < nacos.registry.version().revision {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(5), acknowledged)
        .await
        .expect("the newest state is acknowledged");
    let counts = pusher.counts();
    assert_eq!((counts.failed, counts.resent), (0, 0));
}

#[tokio::test]
async fn a_client_on_loopback_is_told_and_its_acks_are_heard() {
    let loopback = IpAddr::from([127, 0, 0, 1]);
    a_client_is_told_and_acknowledges(loopback, loopback).await;
    let all = IpAddr::from([0, 0, 0, 0]);
    a_client_is_told_and_acknowledges(all, loopback).await;
}

#[tokio::test]
async fn so_is_one_that_listens_on_ipv6() {
    let loopback = Ipv6Addr::LOCALHOST.into();
    if UdpSocket::bind((loopback, 0)).await.is_err() {
        // A machine without IPv6 cannot show it.
        return;
    }
    a_client_is_told_and_acknowledges(loopback, loopback).await;
    let all = IpAddr::from([0, 0, 0, 0]);
    a_client_is_told_and_acknowledges(all, loopback).await;
}
