//! Who means harm, or is broken: nothing that one client does costs another one anything, and nothing of it stays.

mod big;
mod bounds;
mod churn;
mod converging;
mod cut;
mod doors;
mod drain;
mod failing;
mod fields;
mod garbage;
mod grace;
mod late;
mod races;
mod raw;
mod requests;
mod restart;
mod shared;
mod strangers;
mod unread;
mod watching;

use serde_json::Value;

use tokio::time::sleep;

use super::harness::{Client, S, World, at, eventually, has_null, ports};

/// One who wants nothing but to go on: subscribed to a service that nobody touches.
struct Bystander {
    provider: Client,
    consumer: Client,
}

impl Bystander {
    async fn of(world: &World) -> Self {
        let (provider, mut consumer) = (world.client().await, world.client().await);
        provider.register("calm", at("10.9.9.9", 99)).await;
        consumer.subscribe("calm").await;
        consumer.pushed().await;
        Self { provider, consumer }
    }

    /// What comes of something that takes long enough that it has to say that it lives.
    async fn during<T>(&self, something: impl Future<Output = T>) -> T {
        let living = async {
            loop {
                assert!(self.provider.is_set_up().await && self.consumer.is_set_up().await);
                sleep(5 * S).await;
            }
        };
        tokio::select! {
            come = something => come,
            () = living => unreachable!(),
        }
    }

    /// It has noticed nothing, and is served.
    async fn goes_on(&mut self) {
        assert!(self.consumer.stream.is_quiet().await);
        assert_eq!(ports(&self.consumer.hosts("calm").await), [99]);
        assert!(self.provider.is_set_up().await);
        self.provider.register("calm", at("10.9.9.9", 100)).await;
        assert_eq!(
            ports(self.consumer.pushed().await["hosts"].as_array().unwrap()),
            [100]
        );
        self.provider.register("calm", at("10.9.9.9", 99)).await;
        assert_eq!(
            ports(self.consumer.pushed().await["hosts"].as_array().unwrap()),
            [99]
        );
    }
}

/// Nothing is left of anybody.
async fn nothing_is_left(world: &World) {
    eventually("nothing is left", async || {
        let status = world.http.registry.status();
        let hub = world.http.registry.hub();
        let left = (
            world.grpc.counts().connections,
            status.subscribers,
            status.instances,
            hub.watched(),
        );
        (left == (0, 0, 0, 0)).then_some(())
    })
    .await;
}

/// What every answer must be, whatever was asked.
fn is_an_answer(kind: &str, json: &Value) {
    assert!(!kind.is_empty());
    assert!(json["resultCode"].is_i64(), "{json}");
    let code = json["errorCode"].as_i64();
    assert!(
        code.is_some_and(|code| code != 500),
        "nothing is the registry's fault: {json}"
    );
    assert_eq!(json["success"], code == Some(0), "{json}");
    assert!(!has_null(json), "{json}");
}
