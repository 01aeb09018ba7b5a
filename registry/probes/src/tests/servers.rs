//! Servers on free ports of the loopback interface.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long a test waits for what should happen at once.
const SOON: Duration = Duration::from_secs(20);

/// A server. Dropped, it takes no more connections.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    connections: watch::Receiver<Connections>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Connections {
    taken: usize,
    ended: usize,
}

impl Server {
    /// Does `each` with every connection.
    pub(super) async fn of<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, connections) = watch::channel(Connections::default());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|connections| connections.taken += 1);
                let (served, count) = (each(stream), count.clone());
                tokio::spawn(async move {
                    served.await;
                    count.send_modify(|connections| connections.ended += 1);
                });
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }

    /// Answers whatever comes with `answer`, and waits until the client closes.
    pub(super) async fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::of(move |mut stream| {
            let answer = answer.clone();
            async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(&answer).await;
                drain(&mut stream).await;
            }
        })
        .await
    }

    /// How many connections it took.
    pub(super) fn taken(&self) -> usize {
        self.connections.borrow().taken
    }

    /// Waits until all connections that it took have ended.
    pub(super) async fn left_alone(&mut self) {
        let all = self
            .connections
            .wait_for(|of| of.taken > 0 && of.ended == of.taken);
        timeout(SOON, all).await.unwrap().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An address at which nobody listens.
pub(super) async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Reads until the client closes, and gives what it read.
pub(super) async fn drain(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset ends it as well as a close.
    let _ = stream.read_to_end(&mut all).await;
    all
}
