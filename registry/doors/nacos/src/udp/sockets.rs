//! The only place that touches the network: one socket for each family of addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long a datagram may wait for room in the socket. What waits in it for a machine that does not answer takes the
/// room of all others, for seconds: they must not wait as long.
const ROOM_WAIT: Duration = Duration::from_millis(20);

/// Something that carries datagrams. Tests have another one than the network.
pub trait Datagrams: Send + Sync + 'static {
    /// Sends one datagram.
    ///
    /// # Errors
    /// If it cannot be sent. That it was sent does not mean that it arrives.
    fn send(&self, to: SocketAddr, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Receives one datagram. What does not fit into `into` is cut off.
    ///
    /// # Errors
    /// If nothing can be received now.
    fn receive(&self, into: &mut [u8]) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;
}

/// The sockets of the process.
#[derive(Debug)]
pub struct Sockets {
    v4: Option<Socket>,
    v6: Option<Socket>,
}

#[derive(Debug)]
struct Socket {
    socket: UdpSocket,
    /// Whether the last datagram found no room. Then the next does not wait for it.
    full: AtomicBool,
}

impl Sockets {
    /// Binds free ports of the address that HTTP is bound to: who reaches the one hears from the other, and a registry
    /// on loopback sends nothing out. If HTTP listens on all addresses there is a socket for each family; that the
    /// system may have no IPv6 is no error.
    ///
    /// # Errors
    /// If no socket can be bound.
    pub async fn bind(http: IpAddr) -> io::Result<Self> {
        let (mut v4, mut v6) = (None, None);
        match http.to_canonical() {
            ip if ip.is_unspecified() => {
                v4 = Some(Socket::bind(Ipv4Addr::UNSPECIFIED.into()).await?);
                v6 = Socket::bind(Ipv6Addr::UNSPECIFIED.into()).await.ok();
            }
            ip @ IpAddr::V4(_) => v4 = Some(Socket::bind(ip).await?),
            ip @ IpAddr::V6(_) => v6 = Some(Socket::bind(ip).await?),
        }
        Ok(Self { v4, v6 })
    }
}

impl Datagrams for Sockets {
    async fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let socket = match to {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => &self.v6,
        };
        match socket {
            Some(socket) => socket.send(to, bytes).await,
            None => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        loop {
            for socket in [&self.v4, &self.v6].into_iter().flatten() {
                match socket.socket.try_recv_from(into) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    received => return received,
                }
            }
            tokio::select! {
                readable = readable(self.v4.as_ref()) => readable?,
                readable = readable(self.v6.as_ref()) => readable?,
            }
        }
    }
}

impl Socket {
    async fn bind(ip: IpAddr) -> io::Result<Self> {
        Ok(Self {
            socket: UdpSocket::bind((ip, 0)).await?,
            full: AtomicBool::new(false),
        })
    }

    async fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let mut sent = self.socket.try_send_to(bytes, to);
        if would_block(&sent) && !self.full.load(Ordering::Relaxed) {
            let room = timeout(ROOM_WAIT, self.socket.send_to(bytes, to)).await;
            sent = room.unwrap_or_else(|_| Err(io::ErrorKind::WouldBlock.into()));
        }
        self.full.store(would_block(&sent), Ordering::Relaxed);
        sent.map(|_| ())
    }
}

fn would_block(sent: &io::Result<usize>) -> bool {
    sent.as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

async fn readable(socket: Option<&Socket>) -> io::Result<()> {
    match socket {
        Some(socket) => socket.socket.readable().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_sockets_are_those_of_the_address_of_http() {
        for (http, v4) in [
            ("127.0.0.1", Some("127.0.0.1")),
            ("::ffff:127.0.0.1", Some("127.0.0.1")),
            ("0.0.0.0", Some("0.0.0.0")),
            ("::", Some("0.0.0.0")),
        ] {
            let sockets = Sockets::bind(http.parse().unwrap()).await.unwrap();
            let bound = sockets
                .v4
                .as_ref()
                .map(|socket| socket.socket.local_addr().unwrap().ip().to_string());
            assert_eq!(bound.as_deref(), v4, "{http}");
            if !http.contains("0.0.0.0") && http != "::" {
                let to = "[::1]:9".parse().unwrap();
                let error = sockets.send(to, b"x").await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
            }
        }
    }
}
