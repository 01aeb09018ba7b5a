//! A subscriber as the Nacos clients of the 1.x line are: it names a UDP port when it asks for a list, and hears of
//! changes there.

use std::borrow::Cow;
use std::io::Read;
use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::http1::{self, Request};
use crate::nacos::Host;

/// Who pushes are made for: Nacos goes by the agent.
pub const AGENT: &str = "Nacos-Java-Client:v1.4.7";
/// The most that a datagram can carry.
const DATAGRAM_MAX: usize = 65_535;
/// The most that a packet may come to.
const PACKET_MAX: u64 = 16 * 1024 * 1024;
/// What a compressed datagram starts with.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// A subscriber with a socket of its own on the loopback interface.
#[derive(Debug)]
pub struct Subscriber {
    registry: SocketAddr,
    socket: UdpSocket,
    buffer: Vec<u8>,
}

/// What came in a datagram.
#[derive(Debug, Clone)]
pub struct Push {
    /// When it arrived.
    pub at: Instant,
    /// What an acknowledgement has to name.
    pub id: i64,
    /// The service, with its group.
    pub name: String,
    /// The instances.
    pub hosts: Vec<Host>,
}

/// The service inside a packet; one without instances may leave them out.
#[derive(Debug, Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    hosts: Vec<Host>,
}

impl Subscriber {
    /// Opens a socket; nothing is asked for yet.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub async fn bind(registry: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            registry,
            socket: UdpSocket::bind("127.0.0.1:0").await?,
            buffer: vec![0; DATAGRAM_MAX],
        })
    }

    /// Asks for the list of a service, and so for pushes. Clients do so again every few seconds, or they are forgotten.
    ///
    /// # Errors
    ///
    /// When the answer is not a list.
    pub async fn subscribe(&self, service: &str) -> anyhow::Result<()> {
        let port = self.socket.local_addr()?.port();
        let target = format!(
            "/nacos/v1/ns/instance/list?serviceName=DEFAULT_GROUP%40%40{service}&clientIP=127.0.0.1&udpPort={port}"
        );
        let request = Request::new("GET", target).header("User-Agent", AGENT);
        let answer = http1::send(self.registry, request).await?;
        ensure!(answer.status() == 200, "{} {}", answer.status(), answer.text());
        Ok(())
    }

    /// Waits for the next datagram, and acknowledges it.
    ///
    /// # Cancel safety
    ///
    /// No datagram is lost when the future is dropped before it is ready.
    ///
    /// # Errors
    ///
    /// When it is not a push.
    pub async fn push(&mut self) -> anyhow::Result<Push> {
        let (length, from) = self.socket.recv_from(&mut self.buffer).await?;
        let at = Instant::now();
        let bytes = plain(&self.buffer[..length])?;
        let push = read(&bytes, at).with_context(|| String::from_utf8_lossy(&bytes).into_owned())?;
        let ack = format!(
            "{{\"type\":\"push-ack\",\"lastRefTime\":\"{}\",\"data\":\"\"}}",
            push.id
        );
        self.socket.try_send_to(ack.as_bytes(), from)?;
        Ok(push)
    }
}

/// The packet as it was before it was compressed, if it was: large ones are.
fn plain(datagram: &[u8]) -> anyhow::Result<Cow<'_, [u8]>> {
    if !datagram.starts_with(&GZIP) {
        return Ok(datagram.into());
    }
    let mut plain = Vec::new();
    GzDecoder::new(datagram)
        .take(PACKET_MAX)
        .read_to_end(&mut plain)
        .context("a datagram that only looks compressed")?;
    Ok(plain.into())
}

fn read(bytes: &[u8], at: Instant) -> anyhow::Result<Push> {
    let packet: Value = serde_json::from_slice(bytes)?;
    match packet["type"].as_str() {
        Some("dom" | "service") => {}
        other => bail!("a packet of the type {other:?}"),
    }
    // A number from Nacos; some servers send text.
    let id = &packet["lastRefTime"];
    let id = id.as_i64().or_else(|| id.as_str()?.parse().ok());
    let Service { name, hosts } = serde_json::from_str(packet["data"].as_str().context("data is not text")?)?;
    Ok(Push {
        at,
        id: id.context("no lastRefTime")?,
        name,
        hosts,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_carries_the_service_as_text() {
        let packet = r#"{"type":"dom","data":"{\"name\":\"g@@s\",\"hosts\":[{\"ip\":\"10.0.0.1\",\"port\":80,\"healthy\":true}]}","lastRefTime":7}"#;
        let push = read(packet.as_bytes(), Instant::now()).unwrap();
        assert_eq!((push.id, &push.name[..]), (7, "g@@s"));
        assert_eq!(push.hosts[0].port, 80);
    }

    #[test]
    fn what_is_no_push_is_an_error() {
        for packet in [
            "{}",
            r#"{"type":"push-ack","lastRefTime":1,"data":""}"#,
            r#"{"type":"dom","data":{},"lastRefTime":1}"#,
        ] {
            assert!(read(packet.as_bytes(), Instant::now()).is_err(), "{packet}");
        }
    }
}
