//! Transports that are cut in the midst of something: nothing of it stays.

use std::time::Duration;

use beatrix_core::catalog::{Committed, Keep, Proposed};
use beatrix_core::model::Wall;
use beatrix_engine::journal::{Journal, JournalError, Memory, Restored, Sink};
use beatrix_engine::random::Random;
use beatrix_nacos::grpc::Settings;
use beatrix_nacos_wire::Payload;
use serde_json::json;
use tokio::time::sleep;

use super::super::harness::{S, World, at, batch, of, registering, with};
use super::nothing_is_left;
use crate::harness::Nacos;

const MS: Duration = Duration::from_millis(1);

/// A journal that takes its time, so that writes are under way for long.
#[derive(Debug)]
struct Slow(Memory);

impl Journal for Slow {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        self.0.restore(into).await
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        sleep(100 * MS).await;
        self.0.commit(group, at, keep).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_the_transport_was_cut_is_gone() {
    let journal = Slow(Memory::new(Random::from_seed(1).epoch()));
    let world = World::over(Nacos::over(journal).await, Settings::default());
    for after in (0..300).step_by(7) {
        let client = world.client().await;
        let requests = [
            ("InstanceRequest", registering("s", at("10.0.0.1", 80))),
            (
                "BatchInstanceRequest",
                batch("s", &[at("10.0.0.1", 81), at("10.0.0.1", 82)]),
            ),
            ("InstanceRequest", registering("t", at("10.0.0.1", 80))),
            (
                "SubscribeServiceRequest",
                with(of("s"), json!({"subscribe": true})),
            ),
        ];
        let calls = requests.map(|(kind, json)| client.connection.call(Payload::of(kind, json.to_string())));
        tokio::select! {
            _ = futures_util::future::join_all(calls) => sleep(MS).await,
            () = sleep(after * MS) => {}
        }
        client.cut().await;
        let status = world.http.registry.status();
        assert_eq!(
            (status.instances, status.subscribers),
            (0, 0),
            "cut after {after} ms"
        );
    }
    sleep(S).await;
    nothing_is_left(&world).await;
}

/// The client is told so, or hears nothing; what it is not told is that it was done.
#[tokio::test(start_paused = true)]
async fn what_comes_after_the_end_of_the_stream_registers_nothing() {
    let journal = Slow(Memory::new(Random::from_seed(1).epoch()));
    let world = World::over(Nacos::over(journal).await, Settings::default());
    for after in (0..120).step_by(5) {
        let mut client = world.client().await;
        client.stream.half_close();
        sleep(after * MS).await;
        // Whatever comes of it.
        let _refused_or_undone = client
            .connection
            .request("InstanceRequest", &registering("s", at("10.0.0.1", 80)))
            .await;
        client.served.await.unwrap();
        assert_eq!(world.http.registry.status().instances, 0, "after {after} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_the_registry_ends_all_connections() {
    let world = World::start().await;
    let mut clients = Vec::new();
    for number in 0..20 {
        let client = world.client().await;
        client.register("s", at("10.0.0.1", 80 + number)).await;
        client.subscribe("s").await;
        clients.push(client);
    }
    world.http.registry.stop().await;
    for client in clients {
        assert_eq!(client.ended().await.code(), tonic::Code::Unavailable);
    }
    assert_eq!(world.grpc.counts().connections, 0);
}
