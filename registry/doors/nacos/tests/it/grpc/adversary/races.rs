//! What happens at the same time on several threads. Time is real here.

use std::collections::BTreeMap;
use std::time::Duration;

use beatrix_nacos_wire::Payload;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::super::fuzzy::watching;
use super::super::harness::{World, at, batch, of, registering, with};
use super::nothing_is_left;

/// Those that stay, so that it takes a while to make a list of them.
const STAY: u16 = 30;

/// In two clusters, of which one is asked for, so that each list is made by itself; the last port tells the state.
fn instances(state: u16) -> Vec<Value> {
    let of_a = |port| with(at("10.0.0.1", port), json!({"clusterName": "A"}));
    let stay = (1..=STAY).map(of_a);
    stay.chain([of_a(1_000 + state), at("10.0.0.2", 80)]).collect()
}

/// When a list was told, and which state it has.
fn told(info: &Value) -> (u64, u64) {
    let hosts = info["hosts"].as_array().unwrap().iter();
    let newest = hosts.map(|host| host["port"].as_u64().unwrap()).max();
    (info["lastRefTime"].as_u64().unwrap(), newest.unwrap())
}

/// Clients keep the list with the latest time. One that is older than another and has a later time would stand until the
/// next change, whenever that is, since the other one was acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_lists_the_one_with_the_later_time_is_never_the_older_one() {
    const LASTS: Duration = Duration::from_secs(3);
    const ASKING: usize = 8;
    let world = World::start().await;
    let provider = world.client().await;
    provider.batch("s", &instances(1)).await;
    let mut consumer = world.client().await;
    consumer.subscribe_to("s", "A", true).await;
    let end = Instant::now() + LASTS;
    let changing = async {
        let mut state = 1;
        while Instant::now() < end {
            state += 1;
            provider.batch("s", &instances(state)).await;
        }
    };
    let connection = &consumer.connection;
    let asking = async || {
        let mut all = Vec::new();
        while Instant::now() < end {
            let request = with(of("s"), json!({"cluster": "A"}));
            let answer = connection.request("ServiceQueryRequest", &request).await.unwrap();
            all.push(told(&answer.json["serviceInfo"]));
        }
        all
    };
    let stream = &mut consumer.stream;
    let hearing = async {
        let mut all = Vec::new();
        while Instant::now() < end {
            if let Ok(push) = timeout(Duration::from_millis(100), stream.next_push()).await {
                all.push(told(&push.unwrap()["serviceInfo"]));
            }
        }
        all
    };
    let asking = join_all((0..ASKING).map(|_| asking()));
    let ((), pushed, asked) = tokio::join!(changing, hearing, asking);
    assert!(pushed.len() > 3, "{pushed:?}");
    let all: BTreeMap<u64, u64> = asked.into_iter().chain([pushed]).flatten().collect();
    let mut newest = 0;
    for (time, state) in all {
        assert!(state >= newest, "at {time} state {state} is told, after {newest}");
        newest = state;
    }
}

/// Calls, streams and the ends of transports run on threads of their own, and meet in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_connections_that_are_cut_in_the_midst_of_all_nothing_is_left() {
    const AT_ONCE: u16 = 8;
    const ROUNDS: u16 = 40;
    let world = World::start().await;
    let coming = async |number: u16| {
        for round in 0..ROUNDS {
            let client = world.client().await;
            let port = 1 + number % 3;
            let calls = [
                ("InstanceRequest", registering("s", at("10.0.0.1", port))),
                (
                    "BatchInstanceRequest",
                    batch("t", &[at("10.0.0.1", port), at("10.0.0.1", 9)]),
                ),
                (
                    "SubscribeServiceRequest",
                    with(of("s"), json!({"subscribe": true})),
                ),
                ("NamingFuzzyWatchRequest", watching("public>>*>>*", true, &[])),
                ("InstanceRequest", registering("t", at("10.0.0.1", port))),
            ];
            let calls = calls.map(|(kind, json)| client.connection.call(Payload::of(kind, json.to_string())));
            let after = Duration::from_micros(u64::from(round % 10) * 300);
            let _whatever = timeout(after, join_all(calls)).await;
            if round % 2 == 0 {
                drop(client.stream);
                client.served.await.unwrap();
            } else {
                client.cut().await;
            }
        }
    };
    join_all((0..AT_ONCE).map(coming)).await;
    nothing_is_left(&world).await;
    let counts = world.grpc.counts();
    assert_eq!((counts.opened, counts.dropped), (u64::from(AT_ONCE * ROUNDS), 0));
}
