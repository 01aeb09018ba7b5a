//! UDP push, as clients of Nacos 1.x see it.

mod air;
mod bounds;
mod checklist;
mod drain;
mod loopback;
mod restart;
mod sharing;

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::middleware::map_request;
use beatrix_engine::hub::SubscriberInfo;
use beatrix_nacos::udp::{Datagrams, Pusher};
use serde_json::Value;
use tokio::task::JoinHandle;

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
    start_over(Nacos::start().await)
}

/// Push for a door that is there.
fn start_over(nacos: Nacos) -> (Nacos, Clients, Pusher) {
    let (air, clients) = air();
    let (nacos, pusher) = pushing(nacos, air);
    (nacos, clients, pusher)
}

/// A door with push, to which all who ask without an agent are Java clients; what is pushed; and the end of it.
pub(crate) struct Pushing {
    pub(crate) nacos: Nacos,
    pub(crate) pusher: Pusher,
    clients: Clients,
    task: JoinHandle<()>,
}

impl Pushing {
    pub(crate) async fn start() -> Self {
        let (air, clients) = air();
        let nacos = Nacos::start().await;
        let (pusher, run) = Pusher::new(nacos.registry.clone(), air);
        let router = beatrix_nacos::router_beside(nacos.registry.clone(), Some(pusher.clone()), None);
        let java = map_request(async |mut request: Request<Body>| {
            let agent = HeaderValue::from_static(JAVA);
            request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
            request
        });
        let router = router.layer(java);
        Self {
            nacos: Nacos { router, ..nacos },
            pusher,
            clients,
            task: tokio::spawn(run),
        }
    }

    /// Takes all that was pushed, which is lists, and acknowledges each second one. Returns how many they were.
    pub(crate) async fn take_all(&mut self) -> usize {
        let all = self.clients.all_within(Duration::from_millis(100)).await;
        for (place, datagram) in all.iter().enumerate() {
            assert!(datagram.list()["hosts"].is_array());
            if place % 2 == 0 {
                self.clients.ack(datagram);
            }
        }
        all.len()
    }

    /// The next list that is pushed, which is acknowledged.
    pub(crate) async fn next_list(&mut self) -> Value {
        let next = self.clients.next().await;
        self.clients.ack(&next);
        next.list()
    }

    /// Stops, and expects that pushing has ended in order.
    pub(crate) async fn stop(self) {
        self.nacos.registry.stop().await;
        self.task.await.unwrap();
    }
}

/// The same door, with push.
fn pushing(nacos: Nacos, datagrams: impl Datagrams) -> (Nacos, Pusher) {
    let (pusher, run) = Pusher::new(nacos.registry.clone(), datagrams);
    tokio::spawn(run);
    let router = beatrix_nacos::router_beside(nacos.registry.clone(), Some(pusher.clone()), None);
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
