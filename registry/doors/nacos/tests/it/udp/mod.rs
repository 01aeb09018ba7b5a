//! UDP push, as clients of Nacos 1.x see it.

mod air;
mod bounds;
mod checklist;
mod loopback;
mod sharing;

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::{Request, header};
use beatrix_engine::hub::SubscriberInfo;
use beatrix_nacos::udp::{Datagrams, Pusher};
use serde_json::Value;

use crate::harness::{INSTANCE, Nacos};
use air::{Clients, air};

/// What most clients call themselves.
const JAVA: &str = "Nacos-Java-Client:v1.4.7";

/// Where most clients listen.
const HERE: &str = "clientIP=127.0.0.1&udpPort=54321";

fn here() -> SocketAddr {
    "127.0.0.1:54321".parse().unwrap()
}

/// A door with push, and what it is pushed through.
async fn start() -> (Nacos, Clients, Pusher) {
    let (air, clients) = air();
    let (nacos, pusher) = pushing(Nacos::start().await, air);
    (nacos, clients, pusher)
}

/// The same door, with push.
fn pushing(nacos: Nacos, datagrams: impl Datagrams) -> (Nacos, Pusher) {
    let (pusher, run) = Pusher::new(nacos.registry.clone(), datagrams);
    tokio::spawn(run);
    let router = beatrix_nacos::router_with_push(nacos.registry.clone(), pusher.clone());
    (Nacos { router, ..nacos }, pusher)
}

impl Nacos {
    /// Lists as `agent`, and so subscribes or renews.
    async fn list_as(&self, agent: &str, query: &str) -> Value {
        let request = Request::builder()
            .uri(format!("{INSTANCE}/list?{query}"))
            .header(header::USER_AGENT, agent);
        let answer = self.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// Registers an instance of the service `S` at this port. It does not live by beats: no time changes it.
    async fn add(&self, port: u16) {
        self.register(&format!("serviceName=S&ip=1.1.1.1&port={port}&ephemeral=false"))
            .await;
    }

    fn subscribers(&self) -> Vec<SubscriberInfo> {
        self.registry
            .hub()
            .subscribers_of(&"public/DEFAULT_GROUP/S".parse().unwrap())
    }
}
