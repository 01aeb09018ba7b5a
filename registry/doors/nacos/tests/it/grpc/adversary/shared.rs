//! Several who say something of the same addresses, come and go in any order, and over two doors: the last word counts,
//! and when who said it goes, that of the last one who is still there.

use std::collections::BTreeMap;

use beatrix_nacos::grpc::Settings;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::Builder;

use super::super::harness::{Client, World, at, with};
use super::nothing_is_left;
use crate::harness::Nacos;

const CLIENTS: usize = 3;
const PORTS: [u16; 2] = [80, 81];

#[derive(Debug, Clone)]
enum Step {
    /// A connection says that it has exactly these.
    Publish(usize, Vec<u16>),
    /// A connection ends, and another one takes its place.
    Cut(usize),
    OverHttp(u16),
    GoodbyeOverHttp(u16),
}

/// Who said something of an address, the last one last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Connection(usize),
    Http,
}

impl Who {
    /// By this it is seen whose word counts.
    fn weight(self) -> u64 {
        match self {
            Self::Connection(number) => number as u64 + 1,
            Self::Http => 9,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let ports = prop::sample::subsequence(PORTS.to_vec(), 0..=PORTS.len());
    let port = || prop::sample::select(PORTS.to_vec());
    prop_oneof![
        6 => (0..CLIENTS, ports).prop_map(|(client, ports)| Step::Publish(client, ports)),
        2 => (0..CLIENTS).prop_map(Step::Cut),
        1 => port().prop_map(Step::OverHttp),
        1 => port().prop_map(Step::GoodbyeOverHttp),
    ]
}

/// What there must be.
#[derive(Debug, Default)]
struct Model(BTreeMap<u16, Vec<Who>>);

impl Model {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Publish(client, ports) => {
                self.withdraw(*client);
                for port in ports {
                    let said = self.0.entry(*port).or_default();
                    // Who beats over HTTP does not wait: his next beat is told that he is unknown.
                    said.retain(|who| *who != Who::Http);
                    said.push(Who::Connection(*client));
                }
            }
            Step::Cut(client) => self.withdraw(*client),
            Step::OverHttp(port) => {
                let said = self.0.entry(*port).or_default();
                said.retain(|who| *who != Who::Http);
                said.push(Who::Http);
            }
            Step::GoodbyeOverHttp(port) => {
                self.0.remove(port);
            }
        }
    }

    fn withdraw(&mut self, client: usize) {
        for said in self.0.values_mut() {
            said.retain(|who| *who != Who::Connection(client));
        }
    }

    fn listed(&self) -> Vec<(u64, u64)> {
        let last = |(port, said): (&u16, &Vec<Who>)| Some((u64::from(*port), said.last()?.weight()));
        self.0.iter().filter_map(last).collect()
    }
}

async fn all_follow_the_model(steps: Vec<Step>) {
    let world = World::over(Nacos::start().await, Settings::default());
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(world.client().await);
    }
    let mut model = Model::default();
    for step in steps {
        match &step {
            Step::Publish(client, ports) => {
                let weight = json!({"weight": Who::Connection(*client).weight()});
                let instance = |port: &u16| with(at("10.0.0.1", *port), weight.clone());
                let instances: Vec<Value> = ports.iter().map(instance).collect();
                clients[*client].batch("S", &instances).await;
            }
            Step::Cut(client) => {
                let next = world.client().await;
                std::mem::replace(&mut clients[*client], next).cut().await;
            }
            Step::OverHttp(port) => {
                let query = format!("serviceName=S&ip=10.0.0.1&port={port}&weight=9");
                world.http.register(&query).await;
            }
            Step::GoodbyeOverHttp(port) => {
                let query = format!("serviceName=S&ip=10.0.0.1&port={port}");
                world.http.instance("DELETE", &query).await.is_ok();
            }
        }
        model.take(&step);
        let hosts = world.http.hosts().await;
        let mut listed: Vec<_> = hosts
            .iter()
            .map(|host| {
                (
                    host["port"].as_u64().unwrap(),
                    host["weight"].as_f64().unwrap() as u64,
                )
            })
            .collect();
        listed.sort_unstable();
        assert_eq!(listed, model.listed(), "after {step:?}");
    }
    for client in clients {
        client.cut().await;
    }
    for port in PORTS {
        let query = format!("serviceName=S&ip=10.0.0.1&port={port}");
        world.http.instance("DELETE", &query).await.is_ok();
    }
    nothing_is_left(&world).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_last_word_of_those_who_are_there_counts(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(all_follow_the_model(steps));
    }
}
