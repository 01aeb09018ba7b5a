//! A network that is none: what is sent can be looked at, and what is said comes in. So time can be paused.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use beatrix_nacos::udp::Datagrams;
use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, timeout};

/// More than any test sends.
const HELD: usize = 10_000;

/// The registry's end.
#[derive(Debug)]
pub(super) struct Air {
    out: mpsc::Sender<Datagram>,
    back: Mutex<mpsc::Receiver<(SocketAddr, Vec<u8>)>>,
    weather: Arc<Weather>,
}

/// What sending is like.
#[derive(Debug, Default)]
struct Weather {
    /// Whether all of it fails.
    broken: AtomicBool,
    /// Whether each takes 10 ms.
    slow: AtomicBool,
}

/// The end of all clients.
#[derive(Debug)]
pub(super) struct Clients {
    sent: mpsc::Receiver<Datagram>,
    back: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    weather: Arc<Weather>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Datagram {
    pub(super) to: SocketAddr,
    pub(super) bytes: Vec<u8>,
    pub(super) at: Instant,
}

pub(super) fn air() -> (Air, Clients) {
    let (out, sent) = mpsc::channel(HELD);
    let (back, heard) = mpsc::channel(HELD);
    let weather = Arc::<Weather>::default();
    let air = Air {
        out,
        back: Mutex::new(heard),
        weather: Arc::clone(&weather),
    };
    (air, Clients { sent, back, weather })
}

impl Datagrams for Air {
    async fn send(&self, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        if self.weather.slow.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if self.weather.broken.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let (bytes, at) = (bytes.to_vec(), Instant::now());
        self.out.try_send(Datagram { to, bytes, at }).unwrap();
        Ok(())
    }

    async fn receive(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self.back.lock().await.recv().await {
            Some((from, datagram)) => {
                let len = datagram.len().min(into.len());
                into[..len].copy_from_slice(&datagram[..len]);
                Ok((len, from))
            }
            None => std::future::pending().await,
        }
    }
}

impl Clients {
    /// The next datagram, which comes within 2 s.
    pub(super) async fn next(&mut self) -> Datagram {
        let next = timeout(Duration::from_secs(2), self.sent.recv()).await;
        next.expect("a datagram comes").unwrap()
    }

    /// All that comes within `time`, or until the pusher has ended.
    pub(super) async fn all_within(&mut self, time: Duration) -> Vec<Datagram> {
        let end = Instant::now() + time;
        let mut all = Vec::new();
        while let Ok(Some(datagram)) = tokio::time::timeout_at(end, self.sent.recv()).await {
            all.push(datagram);
        }
        all
    }

    /// Expects that nothing comes for so many seconds.
    pub(super) async fn hear_nothing_for(&mut self, seconds: u64) {
        let all = self.all_within(Duration::from_secs(seconds)).await;
        assert!(all.is_empty(), "{all:?}");
    }

    /// Sends something to the registry.
    pub(super) fn say(&self, from: SocketAddr, datagram: impl Into<Vec<u8>>) {
        self.back.try_send((from, datagram.into())).unwrap();
    }

    /// Acknowledges as Java does.
    pub(super) fn ack(&self, datagram: &Datagram) {
        let id = datagram.id();
        let ack = format!(r#"{{"type": "push-ack", "lastRefTime":"{id}", "data":""}}"#);
        self.say(datagram.to, ack);
    }

    /// From here on nothing can be sent, or again everything.
    pub(super) fn break_down(&self, broken: bool) {
        self.weather.broken.store(broken, Ordering::Relaxed);
    }

    /// From here on each datagram takes 10 ms to be sent.
    pub(super) fn slow_down(&self) {
        self.weather.slow.store(true, Ordering::Relaxed);
    }
}

/// What a datagram carries, unpacked as clients do.
pub(super) fn unpacked(bytes: &[u8]) -> Value {
    let mut json = Vec::new();
    if bytes.starts_with(&[0x1F, 0x8B]) {
        GzDecoder::new(bytes).read_to_end(&mut json).unwrap();
    } else {
        json.extend_from_slice(bytes);
    }
    serde_json::from_slice(&json).unwrap()
}

impl Datagram {
    pub(super) fn packet(&self) -> Value {
        unpacked(&self.bytes)
    }

    pub(super) fn id(&self) -> u64 {
        self.packet()["lastRefTime"].as_u64().unwrap()
    }

    /// The list that it carries.
    pub(super) fn list(&self) -> Value {
        let packet = self.packet();
        assert_eq!(packet["type"], "dom");
        serde_json::from_str(packet["data"].as_str().unwrap()).unwrap()
    }

    /// The ports of the hosts that it carries.
    pub(super) fn ports(&self) -> Vec<u64> {
        let list = self.list();
        let hosts = list["hosts"].as_array().unwrap();
        hosts.iter().map(|host| host["port"].as_u64().unwrap()).collect()
    }
}
