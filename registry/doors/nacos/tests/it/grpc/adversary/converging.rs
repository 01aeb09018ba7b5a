//! However a subscriber takes what it is told, and whatever changes meanwhile: once it takes all, it has what there is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::harness::{Client, S, World, at, of, ports, with};

const SERVICES: [&str; 2] = ["a", "b"];
const CLUSTERS: [&str; 4] = ["", "X", "Y", "X,Y"];

#[derive(Debug, Clone)]
enum Step {
    /// Somebody has these in a service: ports of even numbers are in X, others in Y.
    Provide(usize, Vec<u16>),
    Subscribe(usize, usize),
    Unsubscribe(usize),
    /// So long it takes what comes in this way.
    Take(How, u64),
    /// Its connection breaks; it comes back, and subscribes to all again.
    Reconnect,
}

#[derive(Debug, Clone, Copy)]
enum How {
    Acknowledging,
    Refusing,
    Ignoring,
}

fn step() -> impl Strategy<Value = Step> {
    let service = || 0..SERVICES.len();
    let how = prop::sample::select(vec![How::Acknowledging, How::Refusing, How::Ignoring]);
    prop_oneof![
        4 => (service(), prop::sample::subsequence((1..=6).collect::<Vec<u16>>(), 0..=6))
            .prop_map(|(service, ports)| Step::Provide(service, ports)),
        2 => (service(), 0..CLUSTERS.len()).prop_map(|(service, clusters)| Step::Subscribe(service, clusters)),
        1 => service().prop_map(Step::Unsubscribe),
        4 => (how, 0_u64..7_000).prop_map(|(how, millis)| Step::Take(how, millis)),
        1 => Just(Step::Reconnect),
    ]
}

/// A subscriber, and what it knows.
struct Subscriber {
    client: Client,
    /// What it is subscribed to, with the clusters.
    wants: BTreeMap<&'static str, &'static str>,
    /// The latest list of each service that it has taken since.
    knows: BTreeMap<String, Value>,
    /// The times of all lists.
    times: BTreeSet<(String, u64)>,
    /// The times of the last pushes. An answer may be read before a push that came before it.
    pushed: BTreeMap<String, u64>,
}

impl Subscriber {
    async fn of(world: &World) -> Self {
        Self {
            client: world.client().await,
            wants: BTreeMap::new(),
            knows: BTreeMap::new(),
            times: BTreeSet::new(),
            pushed: BTreeMap::new(),
        }
    }

    /// A list came.
    fn came(&mut self, info: &Value) {
        let (name, time) = name_and_time(info);
        assert!(self.times.insert((name, time)), "two of one time: {info}");
    }

    /// A list was pushed.
    fn was_pushed(&mut self, info: &Value) {
        self.came(info);
        let (name, time) = name_and_time(info);
        let before = self.pushed.insert(name, time);
        assert!(before < Some(time), "{info} is not later than {before:?}");
    }

    /// Takes a list, unless it has a later one.
    fn takes(&mut self, info: &Value) {
        let (name, time) = name_and_time(info);
        let knows = self.knows.entry(name).or_default();
        if knows["lastRefTime"].as_u64() < Some(time) {
            *knows = info.clone();
        }
    }

    async fn subscribe(&mut self, service: &'static str, clusters: &'static str) {
        let answer = self.client.subscribe_to(service, clusters, true).await;
        self.came(&answer["serviceInfo"]);
        // Who names other clusters has the answer, and no push because of it.
        if self.wants.insert(service, clusters).is_some() {
            self.takes(&answer["serviceInfo"]);
        }
    }

    async fn take(&mut self, how: How, time: Duration) {
        let end = Instant::now() + time;
        while let Ok(word) = timeout_at(end, self.client.stream.next()).await {
            let word = word.unwrap().unwrap();
            if word.kind == "ClientDetectionRequest" {
                self.client
                    .stream
                    .acknowledge("ClientDetectionResponse", &word.json);
                continue;
            }
            assert_eq!(word.kind, "NotifySubscriberRequest");
            let info = &word.json["serviceInfo"];
            let name = info["name"].as_str().unwrap();
            assert!(self.wants.contains_key(name), "it unsubscribed: {info}");
            self.was_pushed(info);
            match how {
                How::Acknowledging => {
                    self.client
                        .stream
                        .acknowledge("NotifySubscriberResponse", &word.json);
                    self.takes(info);
                }
                How::Refusing => {
                    let refusal = json!({"resultCode": 500, "requestId": word.json["requestId"]});
                    self.client.stream.send("NotifySubscriberResponse", &refusal);
                }
                How::Ignoring => {}
            }
        }
    }

    /// What was under way when it unsubscribed is passed over, as clients do.
    async fn pass_over(&mut self) {
        let end = Instant::now() + Duration::from_millis(1);
        while let Ok(word) = timeout_at(end, self.client.stream.next()).await {
            let word = word.unwrap().unwrap();
            let answer = word.kind.replace("Request", "Response");
            self.client.stream.acknowledge(&answer, &word.json);
            let info = &word.json["serviceInfo"];
            if info["name"]
                .as_str()
                .is_some_and(|name| self.wants.contains_key(name))
            {
                self.was_pushed(info);
                self.takes(info);
            }
        }
    }
}

fn name_and_time(info: &Value) -> (String, u64) {
    let name = info["name"].as_str().unwrap().to_owned();
    (name, info["lastRefTime"].as_u64().unwrap())
}

async fn all_converge(steps: Vec<Step>) {
    let world = World::start().await;
    let provider = world.client().await;
    let mut subscriber = Subscriber::of(&world).await;
    for step in steps {
        assert!(provider.is_set_up().await);
        match step {
            Step::Provide(service, ports) => {
                let cluster = |port: u16| if port.is_multiple_of(2) { "X" } else { "Y" };
                let instance =
                    |port: &u16| with(at("10.0.0.1", *port), json!({"clusterName": cluster(*port)}));
                let instances: Vec<Value> = ports.iter().map(instance).collect();
                provider.batch(SERVICES[service], &instances).await;
            }
            Step::Subscribe(service, clusters) => {
                subscriber.pass_over().await;
                subscriber.subscribe(SERVICES[service], CLUSTERS[clusters]).await;
            }
            Step::Unsubscribe(service) => {
                let service = SERVICES[service];
                let answer = subscriber.client.subscribe_to(service, "", false).await;
                subscriber.came(&answer["serviceInfo"]);
                subscriber.wants.remove(service);
                subscriber.knows.remove(service);
                subscriber.pass_over().await;
            }
            Step::Take(how, millis) => subscriber.take(how, Duration::from_millis(millis)).await,
            Step::Reconnect => {
                let next = Subscriber::of(&world).await;
                let before = std::mem::replace(&mut subscriber, next);
                before.client.cut().await;
                for (service, clusters) in before.wants {
                    subscriber.subscribe(service, clusters).await;
                }
            }
        }
    }
    for _ in 0..3 {
        subscriber.take(How::Acknowledging, 4 * S).await;
        assert!(provider.is_set_up().await && subscriber.client.is_set_up().await);
    }
    for (service, clusters) in subscriber.wants.clone() {
        let knows = &subscriber.knows[service];
        let query = with(of(service), json!({"cluster": clusters}));
        let now = provider.done("ServiceQueryRequest", query).await["serviceInfo"].clone();
        let hosts = |info: &Value| ports(info["hosts"].as_array().unwrap());
        assert_eq!(hosts(knows), hosts(&now), "{service}");
        assert_eq!(knows["clusters"], clusters);
    }
    sleep(S).await;
    assert!(subscriber.client.stream.is_quiet().await, "all is acknowledged");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_who_takes_all_in_the_end_has_what_there_is(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(all_converge(steps));
    }
}
