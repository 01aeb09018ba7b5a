//! What comes at the very end, or later than it should.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::super::harness::{S, World, at};

/// Whoever acknowledges within the time that Nacos gives him is heard, however fast the service changes.
#[tokio::test(start_paused = true)]
async fn a_late_acknowledgement_in_a_burst_counts() {
    let world = World::start().await;
    let mut consumer = world.client().await;
    consumer.subscribe("s").await;
    consumer.pushed().await;
    let provider = world.client().await;
    let before = world.grpc.counts();
    let began = Instant::now();
    let changing = async {
        let mut port = 0;
        while began.elapsed() < 10 * S {
            port += 1;
            provider.register("s", at("10.0.0.1", port)).await;
            sleep(Duration::from_millis(50)).await;
        }
    };
    let mut late = VecDeque::new();
    let hearing = async {
        loop {
            if let Ok(word) = timeout(S / 100, consumer.stream.next()).await {
                late.push_back((Instant::now() + 4 * S, word.unwrap().unwrap().json));
            }
            while late.front().is_some_and(|(at, _)| *at <= Instant::now()) {
                let (_, word) = late.pop_front().unwrap();
                consumer.stream.acknowledge("NotifySubscriberResponse", &word);
            }
        }
    };
    tokio::select! { () = changing => {}, () = hearing => {} }
    let after = world.grpc.counts();
    assert_eq!(after.pushed_again, before.pushed_again);
    assert!(after.acknowledged - before.acknowledged > 100, "{after:?}");
}

/// What was written before a stop is pushed before the streams end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_pushes_what_was_written_last() {
    for round in 0..5 {
        let world = World::start().await;
        let provider = world.client().await;
        provider.register("s", at("10.0.0.1", 1)).await;
        let mut consumers = Vec::new();
        for _ in 0..40 {
            let mut consumer = world.client().await;
            consumer.subscribe("s").await;
            consumer.pushed().await;
            consumers.push(consumer);
        }
        provider.register("s", at("10.0.0.1", 2)).await;
        provider.register("s", at("10.0.0.1", 3)).await;
        let registry = world.http.registry.clone();
        let stopping = tokio::spawn(async move { registry.stop().await });
        for consumer in &mut consumers {
            let mut last = 0;
            while let Ok(Some(word)) = consumer.stream.next().await {
                last = word.json["serviceInfo"]["hosts"][0]["port"]
                    .as_u64()
                    .unwrap_or(last);
            }
            assert_eq!(last, 3, "in round {round}");
        }
        stopping.await.unwrap();
    }
}
