//! A registry with the gRPC door, HTTP beside it, and connections in memory, so that paused time is all the time there is.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use beatrix_nacos::grpc::{Grpc, Settings};
use beatrix_tests::nacos_grpc::{Answer, Connection, Pushed, Stream};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::Status;

use crate::harness::Nacos;

/// How much the two ends of a connection may have between them.
const PIPE_BYTES: usize = 64 * 1024;

pub(crate) struct World {
    pub(crate) http: Nacos,
    pub(crate) grpc: Grpc,
    next_port: AtomicU16,
}

/// A connection that is set up, and its stream.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) stream: Stream,
    /// Ends when the door has let go of it.
    pub(crate) served: JoinHandle<()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        Self::over(Nacos::start().await, settings)
    }

    pub(crate) fn over(http: Nacos, settings: Settings) -> Self {
        Self {
            grpc: Grpc::new(http.registry.clone(), settings),
            http,
            next_port: AtomicU16::new(40_000),
        }
    }

    /// A transport, and nothing said on it.
    pub(crate) async fn connect(&self) -> (Connection, JoinHandle<()>) {
        let (io, served) = self.transport();
        (Connection::over(io).await.unwrap(), served)
    }

    /// The bytes of a transport, as its client has them.
    pub(crate) fn transport(&self) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        let peer = SocketAddr::from(([10, 0, 0, 9], port));
        let door = self.grpc.clone();
        let served = tokio::spawn(async move { door.serve(theirs, peer).await });
        (ours, served)
    }

    /// A connection that is set up as Go's client does.
    pub(crate) async fn client(&self) -> Client {
        let (connection, served) = self.connect().await;
        connection
            .request("ServerCheckRequest", &json!({}))
            .await
            .unwrap();
        let stream = connection.set_up().await.unwrap();
        // Nothing on the stream says that the set-up was taken.
        eventually("the connection is set up", async || {
            connection
                .request("HealthCheckRequest", &json!({}))
                .await
                .ok()
                .map(|_| ())
        })
        .await;
        Client {
            connection,
            stream,
            served,
        }
    }

    /// A connection whose set-up is this, without a check of the server before it.
    pub(crate) async fn set_up_with(&self, setup: &Value) -> Client {
        let (connection, served) = self.connect().await;
        let stream = connection.stream().await.unwrap();
        stream.send("ConnectionSetupRequest", setup);
        Client {
            connection,
            stream,
            served,
        }
    }

    /// The hosts that another client is told.
    pub(crate) async fn hosts(&self, service: &str) -> Vec<Value> {
        let client = self.client().await;
        client.hosts(service).await
    }
}

impl Client {
    pub(crate) async fn ask(&self, kind: &str, json: Value) -> Answer {
        self.connection.request(kind, &json).await.unwrap()
    }

    /// Asks for what must succeed.
    pub(crate) async fn done(&self, kind: &str, json: Value) -> Value {
        let answer = self.ask(kind, json).await;
        assert_eq!(answer.json["resultCode"], 200, "{answer:?}");
        assert_eq!(answer.json["errorCode"], 0, "{answer:?}");
        answer.json
    }

    /// Asks for what must fail with this code, and in this type.
    pub(crate) async fn fails(&self, kind: &str, json: Value, code: i64, answered: &str) {
        let answer = self.ask(kind, json).await;
        assert_eq!(answer.json["errorCode"], code, "{answer:?}");
        assert_eq!(answer.json["success"], false, "{answer:?}");
        assert_eq!(answer.kind, answered, "{answer:?}");
    }

    pub(crate) async fn register(&self, service: &str, instance: Value) {
        self.done("InstanceRequest", registering(service, instance)).await;
    }

    pub(crate) async fn deregister(&self, service: &str, instance: Value) {
        self.done("InstanceRequest", deregistering(service, instance))
            .await;
    }

    pub(crate) async fn query(&self, service: &str) -> Value {
        self.done("ServiceQueryRequest", of(service)).await["serviceInfo"].clone()
    }

    pub(crate) async fn hosts(&self, service: &str) -> Vec<Value> {
        self.query(service).await["hosts"].as_array().unwrap().clone()
    }

    /// Subscribes, and returns the list of the answer.
    pub(crate) async fn subscribe(&self, service: &str) -> Value {
        self.subscribe_to(service, "", true).await["serviceInfo"].clone()
    }

    /// Subscribes to clusters of a service, or ends that; returns the answer.
    pub(crate) async fn subscribe_to(&self, service: &str, clusters: &str, subscribe: bool) -> Value {
        let mut request = of(service);
        request["subscribe"] = subscribe.into();
        request["clusters"] = clusters.into();
        self.done("SubscribeServiceRequest", request).await
    }

    /// Makes these all the instances that the connection has in a service.
    pub(crate) async fn batch(&self, service: &str, instances: &[Value]) {
        let done = self.done("BatchInstanceRequest", batch(service, instances)).await;
        assert_eq!(done["type"], "batchRegisterInstance");
    }

    /// Whether it is set up, by the answer to a health check.
    pub(crate) async fn is_set_up(&self) -> bool {
        let answer = self.connection.request("HealthCheckRequest", &json!({})).await;
        answer.is_ok_and(|answer| answer.json["resultCode"] == 200)
    }

    /// The next word of the registry that comes in time.
    pub(crate) async fn next_within(&mut self, time: Duration) -> Option<Pushed> {
        let next = timeout(time, self.stream.next()).await.ok()?;
        Some(next.unwrap().expect("the stream goes on"))
    }

    /// How many lists are pushed in this time, all acknowledged, and the last of them.
    pub(crate) async fn pushes_within(&mut self, time: Duration) -> (usize, Option<Value>) {
        let (end, mut count, mut last) = (Instant::now() + time, 0, None);
        while let Ok(push) = timeout_at(end, self.stream.next_push()).await {
            count += 1;
            last = Some(push.unwrap()["serviceInfo"].clone());
        }
        (count, last)
    }

    /// The status with which the registry ends the stream, once it does, and with it the transport.
    pub(crate) async fn ended(mut self) -> Status {
        let status = loop {
            match self.stream.next().await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    panic!("the stream ends in order, which some clients take for the end of all work")
                }
                Err(status) => break status,
            }
        };
        self.served.await.unwrap();
        status
    }

    /// Cuts the transport.
    pub(crate) async fn cut(self) {
        drop(self.stream);
        drop(self.connection);
        self.served.await.unwrap();
    }

    /// The next push, acknowledged.
    pub(crate) async fn pushed(&mut self) -> Value {
        self.stream.next_push().await.unwrap()["serviceInfo"].clone()
    }

    /// Says every 5 s that it lives, as clients do, for so long.
    pub(crate) async fn lives_for(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.done("HealthCheckRequest", json!({})).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }

    /// Whether nothing comes on the stream for so long.
    pub(crate) async fn is_quiet_for(&mut self, time: Duration) -> bool {
        timeout(time, self.stream.next()).await.is_err()
    }
}

/// The names of a service in the default group.
pub(crate) fn of(service: &str) -> Value {
    json!({"namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service})
}

pub(crate) fn registering(service: &str, instance: Value) -> Value {
    let mut request = of(service);
    request["type"] = "registerInstance".into();
    request["instance"] = instance;
    request
}

pub(crate) fn deregistering(service: &str, instance: Value) -> Value {
    let mut request = registering(service, instance);
    request["type"] = "deregisterInstance".into();
    request
}

pub(crate) fn batch(service: &str, instances: &[Value]) -> Value {
    let mut request = of(service);
    request["type"] = "batchRegisterInstance".into();
    request["instances"] = instances.into();
    request
}

/// A value with these members in the place of its own.
pub(crate) fn with(mut value: Value, members: Value) -> Value {
    let Value::Object(members) = members else {
        panic!("{members} has no members");
    };
    for (name, member) in members {
        value[name] = member;
    }
    value
}

/// Whether there is a `null` anywhere in it, which Python's clients do not take.
pub(crate) fn has_null(json: &Value) -> bool {
    match json {
        Value::Null => true,
        Value::Array(all) => all.iter().any(has_null),
        Value::Object(all) => all.values().any(has_null),
        _ => false,
    }
}

/// An instance as a client says it.
pub(crate) fn at(ip: &str, port: u16) -> Value {
    json!({"ip": ip, "port": port, "weight": 1.0, "healthy": true, "enabled": true, "ephemeral": true, "metadata": {}})
}

/// Waits for a condition, in small steps of time that may be paused.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = timeout(Duration::from_secs(10), looking).await;
    found.unwrap_or_else(|_| panic!("in vain: {what}"))
}

/// A second.
pub(crate) const S: Duration = Duration::from_secs(1);

/// The ports of hosts, ordered.
pub(crate) fn ports(hosts: &[Value]) -> Vec<u64> {
    let mut ports: Vec<u64> = hosts.iter().map(|host| host["port"].as_u64().unwrap()).collect();
    ports.sort_unstable();
    ports
}
