//! However a watcher of a pattern takes what it is told, and whatever comes and goes meanwhile: once it takes all, it
//! knows the services that there are.

use std::collections::BTreeSet;
use std::time::Duration;

use beatrix_tests::nacos_grpc::Pushed;
use proptest::prelude::*;
use serde_json::json;
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout_at};

use super::super::fuzzy::key;
use super::super::harness::{Client, S, World, at};

const PATTERN: &str = "public>>*>>svc*";
/// More than fit into one batch.
const SERVICES: usize = 14;

#[derive(Debug, Clone)]
enum Step {
    Comes(usize),
    Goes(usize),
    /// All that matches goes with the connection that has it.
    AllGo,
    /// It says again what it knows.
    Watch,
    /// Its connection breaks; it comes back, and says what it knows.
    Reconnect,
    /// So long it takes what comes in this way.
    Take(How, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Acknowledging,
    /// It makes nothing of it, and says so.
    Refusing,
    /// It makes nothing of it, and does not say so.
    Ignoring,
    /// Its acknowledgement is lost.
    Silently,
}

fn step() -> impl Strategy<Value = Step> {
    let how = vec![How::Acknowledging, How::Refusing, How::Ignoring, How::Silently];
    prop_oneof![
        5 => (0..SERVICES).prop_map(Step::Comes),
        4 => (0..SERVICES).prop_map(Step::Goes),
        1 => Just(Step::AllGo),
        1 => Just(Step::Watch),
        1 => Just(Step::Reconnect),
        4 => (prop::sample::select(how), 0_u64..7_000).prop_map(|(how, millis)| Step::Take(how, millis)),
    ]
}

/// A client as Java's is.
struct Watcher {
    client: Client,
    knows: BTreeSet<String>,
    /// It has not been told yet that it knows all.
    begins: bool,
}

impl Watcher {
    async fn watch(&self) {
        let knows: Vec<&str> = self.knows.iter().map(String::as_str).collect();
        self.client.watch(PATTERN, self.begins, &knows).await;
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
            if matches!(how, How::Acknowledging | How::Silently) {
                self.apply(&word);
            }
            match how {
                How::Acknowledging => self.client.took(&word.json),
                How::Refusing => {
                    let refusal = json!({"resultCode": 500, "requestId": word.json["requestId"]});
                    self.client
                        .stream
                        .send("NamingFuzzyWatchChangeNotifyResponse", &refusal);
                }
                How::Ignoring | How::Silently => {}
            }
        }
    }

    /// Whatever a batch says of a service, Java takes it for one that came.
    fn apply(&mut self, Pushed { kind, json }: &Pushed) {
        if kind == "NamingFuzzyWatchSyncRequest" {
            let contexts = json["contexts"].as_array().unwrap();
            let keys = contexts
                .iter()
                .map(|context| context["serviceKey"].as_str().unwrap().to_owned());
            self.knows.extend(keys);
            if json["syncType"] == "FINISH_FUZZY_WATCH_INIT_NOTIFY" {
                self.begins = false;
            }
            return;
        }
        let service = json["serviceKey"].as_str().unwrap();
        match json["changedType"].as_str() {
            Some("ADD_SERVICE") => {
                self.knows.insert(service.to_owned());
            }
            Some("DELETE_SERVICE") => {
                self.knows.remove(service);
            }
            _ => panic!("{json}"),
        }
    }
}

async fn all_converge(steps: Vec<Step>) {
    let world = World::start().await;
    let mut provider = world.client().await;
    let mut there = BTreeSet::new();
    let mut watcher = Watcher {
        client: world.client().await,
        knows: BTreeSet::new(),
        begins: true,
    };
    watcher.watch().await;
    for step in steps {
        assert!(provider.is_set_up().await && watcher.client.is_set_up().await);
        match step {
            Step::Comes(number) => {
                let service = format!("svc{number}");
                provider.register(&service, at("10.0.0.1", 80)).await;
                there.insert(key(&service));
            }
            Step::Goes(number) => {
                let service = format!("svc{number}");
                provider.deregister(&service, at("10.0.0.1", 80)).await;
                there.remove(&key(&service));
            }
            Step::AllGo => {
                let next = world.client().await;
                std::mem::replace(&mut provider, next).cut().await;
                there.clear();
            }
            Step::Watch => watcher.watch().await,
            Step::Reconnect => {
                let next = world.client().await;
                std::mem::replace(&mut watcher.client, next).cut().await;
                watcher.watch().await;
            }
            Step::Take(how, millis) => watcher.take(how, Duration::from_millis(millis)).await,
        }
    }
    for _ in 0..6 {
        watcher.take(How::Acknowledging, 4 * S).await;
        assert!(provider.is_set_up().await && watcher.client.is_set_up().await);
    }
    assert_eq!(watcher.knows, there);
    assert!(!watcher.begins, "it is told that it knows all");
    assert!(watcher.client.stream.is_quiet().await, "all is acknowledged");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_who_takes_all_in_the_end_knows_the_services_that_there_are(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(all_converge(steps));
    }
}
