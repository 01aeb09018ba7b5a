//! Clients with connections under a seed: connections break, and the registry learns of it at once or late; clients come
//! back over new ones, crash, share addresses, say something else; the registry restarts. Whoever is alive is never
//! missing from a list, whoever is not goes, and a client that says the same again is heard by nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::beats::check_tables;
use crate::catalog::CatalogConfig;
use crate::catalog::testing::{World, address, beat, labelled};
use crate::liveness::FlapConfig;
use crate::model::Marks;

const SECOND: u64 = 1_000_000;

struct Client {
    address: String,
    label: u32,
    alive: bool,
    /// Its connection, or when it comes back over a new one.
    connection: Result<u64, u64>,
}

struct Net {
    world: World,
    rng: StdRng,
    clients: Vec<Client>,
    /// Broken connections of which the registry has yet to learn, and when it does.
    half_open: Vec<(u64, u64)>,
    sessions: u64,
    /// What open connections have said of each address, the last last.
    said: BTreeMap<String, Vec<(u64, u32)>>,
    restarted: Option<u64>,
    /// Reconnects that caused nothing, and falls to another that was there as well.
    silent: u32,
    fell_back: u32,
}

impl Net {
    fn new(seed: u64) -> Self {
        let world = World::new(CatalogConfig {
            // A label that changes often is no health that does, but the guard and all else are as they are.
            flap: FlapConfig {
                enabled: false,
                ..FlapConfig::default()
            },
            ..CatalogConfig::default()
        });
        let client = |number: usize| Client {
            address: address(number % 30),
            label: (number % 3) as u32,
            alive: true,
            connection: Err(0),
        };
        Self {
            world,
            rng: StdRng::seed_from_u64(seed),
            clients: (0..40).map(client).collect(),
            half_open: Vec::new(),
            sessions: 0,
            said: BTreeMap::new(),
            restarted: None,
            silent: 0,
            fell_back: 0,
        }
    }

    fn publish(&mut self, number: usize) {
        let client = &self.clients[number];
        let (address, label) = (client.address.clone(), client.label);
        let Ok(session) = client.connection else { return };
        let said = self.said.entry(address.clone()).or_default();
        let same = said.last().is_some_and(|(_, last)| *last == label);
        said.retain(|(of, _)| *of != session);
        said.push((session, label));
        let registered = labelled("label", &label.to_string(), beat());
        let changes = self.world.publish_as("s", session, &[(&address, registered)]);
        let changes = changes.unwrap();
        if same {
            assert_eq!(changes, 0, "{address} is as it was");
            self.silent += 1;
        }
    }

    fn connect(&mut self, number: usize) {
        self.sessions += 1;
        self.clients[number].connection = Ok(self.sessions);
        self.publish(number);
    }

    fn closed(&mut self, session: u64) {
        for said in self.said.values_mut() {
            let had = said.last().is_some_and(|(of, _)| *of == session);
            said.retain(|(of, _)| *of != session);
            self.fell_back += u32::from(had && !said.is_empty());
        }
        self.world.close(session);
    }

    /// The connection of a client breaks.
    fn breaks(&mut self, number: usize) {
        let now = self.world.now.0;
        if let Ok(session) = std::mem::replace(&mut self.clients[number].connection, Err(now)) {
            match self.rng.random_bool(0.5) {
                true => self
                    .half_open
                    .push((now + self.rng.random_range(0..20) * SECOND, session)),
                // Its client is back before the registry has looked.
                false => {
                    if self.clients[number].alive {
                        self.connect(number);
                    }
                    self.closed(session);
                }
            }
        }
    }

    fn restarts(&mut self) {
        self.world.reopen();
        self.half_open.clear();
        self.said.clear();
        self.restarted = Some(self.world.now.0);
        for client in 0..self.clients.len() {
            // As clients do that look at their connections every 30 s.
            let back = self.world.now.0 + self.rng.random_range(0..31 * SECOND);
            self.clients[client].connection = Err(back);
        }
    }

    /// What is due by now: late closes, and clients that come back.
    fn catches_up(&mut self) {
        let now = self.world.now.0;
        while let Some(due) = self.half_open.iter().position(|(at, _)| *at <= now) {
            let (_, session) = self.half_open.swap_remove(due);
            self.closed(session);
        }
        for number in 0..self.clients.len() {
            let client = &self.clients[number];
            if client.alive && client.connection.is_err_and(|back| back <= now) {
                self.connect(number);
            }
        }
    }

    fn step(&mut self) {
        let some = self.rng.random_range(0..self.clients.len());
        match self.rng.random_range(0..40) {
            0..15 => self.breaks(some),
            15..20 => {
                self.clients[some].alive = false;
                self.breaks(some);
            }
            20..28 => {
                let now = self.world.now.0;
                let client = &mut self.clients[some];
                if !client.alive {
                    (client.alive, client.connection) = (true, Err(now));
                }
            }
            28..34 => {
                self.clients[some].label = self.rng.random_range(0..3);
                self.publish(some);
            }
            34 => self.restarts(),
            35 => self.world.capture_some(usize::MAX),
            _ => {
                let seconds = self.rng.random_range(0..10);
                self.world.advance(Duration::from_secs(seconds));
            }
        }
        self.catches_up();
    }

    fn check(&self) {
        let now = self.world.now.0;
        let returns = self.world.catalog.config().returning.remove_after();
        let waits = self
            .restarted
            .is_some_and(|at| now < at + returns.as_micros() as u64);
        for client in &self.clients {
            let member = self.world.member("s", &client.address);
            let said = self.said.get(&client.address).and_then(|said| said.last());
            let sharing = self
                .clients
                .iter()
                .filter(|other| other.address == client.address);
            // Of one that has yet to come back after a restart nothing is known if another of the same address went.
            let alone = sharing.count() == 1;
            if client.alive && (alone || client.connection.is_ok()) {
                let member = member.as_ref().expect("whoever is alive is there");
                assert!(member.serving(), "{member:?}");
            } else if said.is_none() && !waits && !client.alive {
                // Or somebody else is alive at the same address, and said so.
                let suspect = |marks: Marks| marks.has(Marks::SUSPECT);
                assert!(
                    member.as_ref().is_none_or(|member| suspect(member.state.marks)),
                    "{member:?} is of nobody"
                );
            }
            if let (Some(member), Some((_, label))) = (&member, said) {
                let label = label.to_string();
                assert_eq!(member.record.metadata().get("label"), Some(&*label));
                assert!(!member.state.marks.has(Marks::UNCONFIRMED));
            }
        }
    }
}

#[test]
fn whoever_is_alive_is_never_missing_and_whoever_is_not_goes() {
    let (mut silent, mut fell_back) = (0, 0);
    for seed in 0..12 {
        eprintln!("seed {seed}");
        let mut net = Net::new(seed);
        net.catches_up();
        for _ in 0..600 {
            net.step();
            net.check();
            check_tables(&net.world);
        }
        for client in 0..net.clients.len() {
            net.clients[client].alive = false;
            net.breaks(client);
        }
        net.world.advance(Duration::from_secs(3_600));
        net.catches_up();
        assert_eq!(net.world.catalog.instances(), 0);
        assert_eq!(net.world.catalog.standbys.len(), 0);
        assert_eq!(net.world.catalog.sessions.iter().count(), 0);
        (silent, fell_back) = (silent + net.silent, fell_back + net.fell_back);
    }
    assert!(silent > 500 && fell_back > 50, "{silent} {fell_back}");
}
