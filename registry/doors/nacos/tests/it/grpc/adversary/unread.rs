//! A client whose transport stands still: it takes no byte of what it is sent, and says that it lives.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use beatrix_nacos_wire::Payload;
use beatrix_tests::nacos_grpc::Connection;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::time::{Instant, sleep, timeout};

use super::super::harness::{Client, S, World, at, eventually, with};
use super::nothing_is_left;

/// A transport that takes nothing while it is shut.
struct Shut {
    io: DuplexStream,
    shut: Arc<AtomicBool>,
}

impl AsyncRead for Shut {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.shut.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl AsyncWrite for Shut {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A client that is subscribed to `s`, and then takes nothing more.
async fn shut(world: &World) -> Client {
    let shut = Arc::new(AtomicBool::new(false));
    let (io, served) = world.transport();
    let io = Shut {
        io,
        shut: Arc::clone(&shut),
    };
    let connection = Connection::over(io).await.unwrap();
    let stream = connection.set_up().await.unwrap();
    let mut client = Client {
        connection,
        stream,
        served,
    };
    eventually("it is set up", async || client.is_set_up().await.then_some(())).await;
    client.subscribe("s").await;
    client.pushed().await;
    client.register("of-the-shut-one", at("10.0.0.1", 80)).await;
    shut.store(true, Ordering::Relaxed);
    client
}

#[tokio::test(start_paused = true)]
async fn one_whose_transport_stands_still_costs_others_nothing_and_is_dropped_in_the_end() {
    let world = World::start().await;
    let shut = shut(&world).await;
    let mut quick = world.client().await;
    quick.subscribe("s").await;
    quick.pushed().await;
    let provider = world.client().await;
    let began = Instant::now();
    let shouting = async {
        loop {
            let call = shut.connection.call(Payload::of("HealthCheckRequest", "{}"));
            assert!(
                timeout(S, call).await.is_err(),
                "nothing is taken from the transport"
            );
            sleep(4 * S).await;
        }
    };
    let metadata = json!({"metadata": {"k": "v".repeat(1_000)}});
    let changing = async {
        let mut round = 0;
        while world.grpc.counts().connections == 3 {
            round += 1;
            provider
                .register("s", with(at("10.0.0.1", 1 + round % 60_000), metadata.clone()))
                .await;
            timeout(S, quick.pushed())
                .await
                .expect("the other one is told at once");
            sleep(Duration::from_millis(200)).await;
        }
        round
    };
    let round = tokio::select! {
        () = shouting => unreachable!(),
        round = changing => u64::from(round),
    };
    let lasted = began.elapsed();
    assert!(lasted >= 300 * S && lasted <= 330 * S, "{lasted:?}");
    let to_shut = world.grpc.counts().pushed - round;
    assert!(
        to_shut < 300,
        "little is made for one who does not read, but {to_shut} were"
    );
    assert!(world.hosts("of-the-shut-one").await.is_empty());
    for client in [quick, provider] {
        client.cut().await;
    }
    nothing_is_left(&world).await;
}

/// It cannot answer what it does not see.
#[tokio::test(start_paused = true)]
async fn one_whose_transport_stands_still_and_is_silent_is_dropped_at_once() {
    let world = World::start().await;
    let shut = shut(&world).await;
    timeout(27 * S, shut.served)
        .await
        .expect("it is dropped")
        .unwrap();
    nothing_is_left(&world).await;
}
