//! A journal that fails, and a process that sleeps: neither is the clients' fault.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use beatrix_core::catalog::{Committed, Keep, Proposed};
use beatrix_core::model::Wall;
use beatrix_engine::journal::{Journal, JournalError, Memory, Restored, Sink};
use beatrix_engine::random::Random;
use beatrix_nacos::grpc::Settings;
use serde_json::json;
use tokio::time::{advance, sleep, timeout};

use super::super::harness::{S, World, at, batch, ports, registering};
use super::nothing_is_left;
use crate::harness::Nacos;

/// A journal that can be made to fail.
#[derive(Debug)]
struct Failing {
    memory: Memory,
    fails: Arc<AtomicBool>,
}

impl Journal for Failing {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        self.memory.restore(into).await
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(JournalError("the disk is gone".to_owned()));
        }
        self.memory.commit(group, at, keep).await
    }
}

async fn failing() -> (World, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let journal = Failing {
        memory: Memory::new(Random::from_seed(1).epoch()),
        fails: Arc::clone(&fails),
    };
    let http = Nacos::over(journal).await;
    (World::over(http, Settings::default()), fails)
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_journal_does_not_take_fails_in_its_own_type() {
    let (world, fails) = failing().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    fails.store(true, Ordering::Relaxed);
    for (kind, request, answered) in [
        (
            "InstanceRequest",
            registering("s", at("10.0.0.1", 81)),
            "InstanceResponse",
        ),
        (
            "PersistentInstanceRequest",
            registering("p", at("10.0.0.1", 81)),
            "InstanceResponse",
        ),
        (
            "BatchInstanceRequest",
            batch("s", &[at("10.0.0.1", 81)]),
            "BatchInstanceResponse",
        ),
    ] {
        client.fails(kind, request, 500, answered).await;
    }
    assert_eq!(ports(&client.hosts("s").await), [80], "what is there goes on");
    assert!(client.is_set_up().await);
    fails.store(false, Ordering::Relaxed);
    client.register("s", at("10.0.0.1", 81)).await;
    assert_eq!(ports(&client.hosts("s").await), [81]);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_removed_with_its_connection_is_removed_later() {
    let (world, fails) = failing().await;
    let client = world.client().await;
    client.batch("s", &[at("10.0.0.1", 80), at("10.0.0.1", 81)]).await;
    fails.store(true, Ordering::Relaxed);
    drop((client.stream, client.connection));
    sleep(10 * S).await;
    assert_eq!(ports(&world.hosts("s").await), [80, 81]);
    fails.store(false, Ordering::Relaxed);
    timeout(5 * S, client.served)
        .await
        .expect("it is tried again")
        .unwrap();
    nothing_is_left(&world).await;
}

/// Whoever stops meanwhile does not wait for the journal to be well.
#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_a_journal_that_fails() {
    let (world, fails) = failing().await;
    let client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    fails.store(true, Ordering::Relaxed);
    drop((client.stream, client.connection));
    sleep(3 * S).await;
    timeout(10 * S, world.http.registry.stop())
        .await
        .expect("it stops");
    timeout(10 * S, client.served)
        .await
        .expect("so does the connection")
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_this_process_slept_is_not_the_silence_of_clients() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.register("s", at("10.0.0.1", 80)).await;
    for _ in 0..5 {
        advance(90 * S).await;
        // It goes on as ever, once the process does.
        while let Ok(Some(word)) = timeout(S, client.stream.next()).await.map(Result::unwrap) {
            let answer = word.kind.replace("Request", "Response");
            client.stream.acknowledge(&answer, &word.json);
        }
        assert!(client.is_set_up().await);
    }
    assert_eq!(ports(&client.hosts("s").await), [80]);
}

/// What was written last has been pushed before the streams end.
#[tokio::test(start_paused = true)]
async fn the_last_change_before_a_stop_is_pushed() {
    let world = World::start().await;
    let (provider, mut consumer) = (world.client().await, world.client().await);
    consumer.subscribe("s").await;
    consumer.pushed().await;
    for port in 1..=3 {
        provider.register("s", at("10.0.0.1", port)).await;
    }
    world.http.registry.stop().await;
    let mut last = Vec::new();
    while let Ok(push) = consumer.stream.next_push().await {
        last = ports(push["serviceInfo"]["hosts"].as_array().unwrap());
    }
    assert_eq!(last, [3]);
    // And nobody is served after it.
    let (connection, served) = world.connect().await;
    let refused = connection.request("ServerCheckRequest", &json!({})).await;
    assert!(refused.is_err());
    timeout(5 * S, served).await.expect("it ends").unwrap();
}
