//! What is not acknowledged, and who does not read. Checklist 74 to 76, 85.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use super::harness::{Client, S, World, at, ports, with};

/// The next push, not acknowledged.
async fn told(client: &mut Client, within: Duration) -> Value {
    let word = client.next_within(within).await.expect("it is told");
    assert_eq!(word.kind, "NotifySubscriberRequest");
    word.json
}

fn hosts(push: &Value) -> Vec<u64> {
    ports(push["serviceInfo"]["hosts"].as_array().unwrap())
}

fn answer(client: &Client, push: &Value, members: Value) {
    let answer = with(members, json!({"requestId": push["requestId"]}));
    client.stream.send("NotifySubscriberResponse", &answer);
}

#[tokio::test(start_paused = true)]
async fn checklist_74_what_is_not_acknowledged_is_told_again_as_it_is_by_then() {
    let world = World::start().await;
    let provider = world.client().await;
    provider.register("s", at("10.0.0.1", 80)).await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    let first = told(&mut client, S).await;
    let at_first = Instant::now();
    let again = told(&mut client, 8 * S).await;
    assert!(at_first.elapsed() >= 5 * S, "{:?}", at_first.elapsed());
    assert_eq!(hosts(&again), [80]);
    assert_ne!(first["requestId"], again["requestId"]);
    assert!(again["serviceInfo"]["lastRefTime"].as_u64() > first["serviceInfo"]["lastRefTime"].as_u64());
    // An answer that comes late says nothing of what was told since.
    answer(&client, &first, json!({"resultCode": 200}));
    let third = told(&mut client, 8 * S).await;
    answer(&client, &third, json!({"resultCode": 200}));
    assert!(client.is_quiet_for(10 * S).await);
    // A change while one waits is told at once, and is all that is told again.
    provider.register("s", at("10.0.0.1", 81)).await;
    assert_eq!(hosts(&told(&mut client, S).await), [81]);
    provider.register("s", at("10.0.0.1", 82)).await;
    assert_eq!(hosts(&told(&mut client, S).await), [82]);
    assert_eq!(hosts(&told(&mut client, 8 * S).await), [82]);
    assert!(world.grpc.counts().pushed_again >= 3);
}

#[tokio::test(start_paused = true)]
async fn checklist_75_what_a_client_could_not_take_is_told_again_after_a_second() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    let mut push = told(&mut client, S).await;
    for _ in 0..3 {
        answer(
            &client,
            &push,
            json!({"resultCode": 500, "errorCode": 500, "success": true}),
        );
        let refused = Instant::now();
        push = told(&mut client, 2 * S).await;
        let after = refused.elapsed();
        assert!(
            after >= Duration::from_millis(900) && after <= Duration::from_millis(1_300),
            "{after:?}"
        );
    }
    // Java says so on its stream when its handler throws.
    let refusal = json!({"resultCode": 500, "errorCode": -500, "requestId": push["requestId"]});
    client.stream.send("ErrorResponse", &refusal);
    told(&mut client, 2 * S).await;
}

#[tokio::test(start_paused = true)]
async fn checklist_76_an_acknowledgement_may_leave_success_out() {
    let world = World::start().await;
    let mut client = world.client().await;
    client.subscribe("s").await;
    let push = told(&mut client, S).await;
    answer(
        &client,
        &push,
        json!({"resultCode": 200, "errorCode": 0, "message": ""}),
    );
    assert!(client.is_quiet_for(15 * S).await);
    assert_eq!(world.grpc.counts().acknowledged, 1);
}

/// The list of each round has 20 kB, and a client's transport takes 2 MB that nobody reads.
#[tokio::test(start_paused = true)]
async fn checklist_85_one_who_does_not_read_costs_nobody_anything() {
    const ROUNDS: u16 = 1_000;
    let world = World::start().await;
    let (provider, mut slow, mut quick) = (world.client().await, world.client().await, world.client().await);
    for client in [&slow, &quick] {
        client.subscribe("s").await;
    }
    quick.pushed().await;
    let metadata = json!({"metadata": {"k": "v".repeat(1_000)}});
    let instances = |round| -> Vec<Value> {
        (0..20)
            .map(|more| with(at("10.0.0.1", 10_000 + round + more), metadata.clone()))
            .collect()
    };
    let alive = async {
        loop {
            assert!(slow.is_set_up().await);
            sleep(5 * S).await;
        }
    };
    let changes = async {
        for round in 0..ROUNDS {
            provider.batch("s", &instances(round)).await;
            let pushed = timeout(S, quick.pushed())
                .await
                .expect("the other one is told at once");
            assert_eq!(
                ports(pushed["hosts"].as_array().unwrap())[0],
                u64::from(10_000 + round)
            );
            sleep(Duration::from_millis(60)).await;
        }
    };
    tokio::select! {
        () = alive => unreachable!(),
        () = changes => {}
    }
    let to_slow = world.grpc.counts().pushed - u64::from(ROUNDS);
    assert!(
        to_slow < 150,
        "nothing is made for one who does not read, but {to_slow} were"
    );
    // It reads again, and finds the newest last.
    let (_, last) = slow.pushes_within(10 * S).await;
    let last = last.unwrap();
    assert_eq!(
        ports(last["hosts"].as_array().unwrap())[0],
        u64::from(9_999 + ROUNDS)
    );
}
