//! The machine of the simulation: clients, network, driver and faults on one clock.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::oracle::Oracle;
use super::{Outcome, Seen, invariants};
use crate::catalog::testing::{World, beat_with, endpoint, key, of_run};
use crate::catalog::tests::deltas::Contents;
use crate::catalog::{CatalogConfig, Command, Mutation};
use crate::liveness::{Beat, GuardConfig, LivenessClock};
use crate::model::{Health, Lease, Marks, Mono, Reason, Revision};

pub(super) const MS: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000 * MS;

pub(super) struct Client {
    pub(super) service: usize,
    pub(super) address: String,
    pub(super) timings: (u64, u64, u64),
    pub(super) run: u32,
    pub(super) lease: Option<Lease>,
    pub(super) up: bool,
    pub(super) cut_until: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// The client's timer: it registers or beats. Timers of earlier runs are stale.
    Send {
        client: usize,
        run: u32,
    },
    /// A beat arrives.
    Arrive {
        client: usize,
        lease: Lease,
    },
    /// A registration arrives.
    Register {
        client: usize,
        run: u32,
    },
    Chaos,
    Resume {
        service: usize,
    },
}

pub(super) struct Machine {
    pub(super) world: World,
    pub(super) oracle: Oracle,
    pub(super) services: Vec<String>,
    pub(super) rng: StdRng,
    pub(super) guard: GuardConfig,
    pub(super) clock: LivenessClock,
    /// Monotonic time.
    pub(super) mono: u64,
    pub(super) end: u64,
    pub(super) stalled_until: u64,
    /// How long the registry was stalled or down for a second or more.
    pub(super) asleep: u64,
    pub(super) last_turn: u64,
    pub(super) clients: Vec<Client>,
    pub(super) readers: Vec<(Revision, Contents)>,
    pub(super) queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    pub(super) queued: u64,
    pub(super) seen: Seen,
    /// When it started last.
    pub(super) restarted: Mono,
    /// The revision that was checked last.
    pub(super) checked: Revision,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let guard = GuardConfig {
            hold_max: Duration::from_secs(rng.random_range(60..400)),
            enabled: rng.random_bool(0.9),
            ..GuardConfig::default()
        };
        let config = CatalogConfig {
            change_log_max: rng.random_range(20..3_000),
            guard: guard.clone(),
            ..CatalogConfig::default()
        };
        let services: Vec<_> = (0..rng.random_range(1..6))
            .map(|number| format!("s{number}"))
            .collect();
        let mut clients = Vec::new();
        for service in 0..services.len() {
            let timings = [
                (5_000, 15_000, 30_000),
                (1_000, 3_000, 6_007),
                (2_000, 9_999, 4_000),
                (7_000, 90_000, 90_011),
            ][rng.random_range(0..4_usize)];
            for number in 0..[3, 19, 25, 60][rng.random_range(0..4_usize)] {
                let address = format!("10.0.{service}.{number}:80");
                clients.push(Client {
                    service,
                    address,
                    timings,
                    run: 0,
                    lease: None,
                    up: true,
                    cut_until: 0,
                });
            }
        }
        let mono = rng.random_range(0..SECOND);
        let mut world = World::new(config);
        world.now = Mono(mono);
        let readers = vec![(Revision::ZERO, Contents::new()); services.len()];
        let mut machine = Self {
            world,
            oracle: Oracle::default(),
            services,
            end: mono + rng.random_range(120..500) * SECOND,
            rng,
            guard,
            clock: LivenessClock::new(Mono(mono)),
            mono,
            stalled_until: 0,
            asleep: 0,
            last_turn: mono,
            clients,
            readers,
            queue: BinaryHeap::new(),
            queued: 0,
            seen: Seen::default(),
            restarted: Mono(mono),
            checked: Revision::ZERO,
        };
        machine.world.reopen();
        for client in 0..machine.clients.len() {
            machine.later(0..5_000, Event::Send { client, run: 0 });
        }
        for service in 0..machine.services.len() {
            machine.later(0..20_000, Event::Resume { service });
        }
        machine.later(20_000..30_000, Event::Chaos);
        machine
    }

    /// Time that the registry lived through, by the simulation's own count.
    pub(super) fn awake(&self) -> u64 {
        self.mono - self.asleep
    }

    pub(super) fn run(mut self) -> Outcome {
        while self.mono < self.end {
            let turn = self.next_turn();
            match self.queue.peek() {
                Some(Reverse((at, _, event))) if *at < turn => {
                    let (at, event) = (*at, *event);
                    self.queue.pop();
                    self.mono = self.mono.max(at);
                    self.happen(event);
                }
                _ => {
                    self.mono = turn;
                    self.turn();
                }
            }
        }
        let Self { world, seen, .. } = self;
        Outcome {
            history: world.history,
            events: world.events,
            beats: seen.beats,
            seen,
        }
    }

    pub(super) fn later(&mut self, ms: std::ops::Range<u64>, event: Event) {
        let at = self.mono + self.rng.random_range(ms.start * MS..ms.end * MS);
        self.at(at, event);
    }

    fn at(&mut self, at: u64, event: Event) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, event)));
    }

    /// The driver sleeps until the next deadline, at most 200 ms, and longer only if it is stalled.
    fn next_turn(&self) -> u64 {
        let look = self.last_turn + LivenessClock::LOOK_INTERVAL.as_micros() as u64;
        let deadline = self.world.catalog.next_deadline();
        let deadline = deadline.map_or(look, |live| live.0 + self.clock.stalled().as_micros() as u64);
        look.min(deadline).max(self.mono).max(self.stalled_until)
    }

    fn turn(&mut self) {
        self.last_turn = self.mono;
        // Checkpoints are made while all goes on.
        if self.rng.random_bool(0.02) {
            let chunks = self.rng.random_range(1..4);
            self.world.capture_some(chunks);
        }
        self.world.now = self.clock.look(Mono(self.mono)).0;
        let now = self.world.now;
        let (mutations, events) = self.world.catalog.due(now);
        for event in &events {
            self.oracle.guard(event, now.0);
        }
        invariants::invariants_3_and_6_nothing_is_early(self, &mutations);
        invariants::invariant_10_the_guard_holds_for_those_who_can_fall_only(self, &events);
        let guarded = !events.is_empty();
        self.world.events.extend(events);
        for mutation in &mutations {
            match mutation {
                Mutation::Measured {
                    reason: Reason::Silent,
                    ..
                } => self.seen.flips += 1,
                Mutation::Measured { marks, .. } if marks.has(Marks::SUSPECT) => self.seen.suspects += 1,
                Mutation::Removed { .. } => self.seen.expiries += 1,
                _ => {}
            }
        }
        let returned = self.race(&mutations);
        self.commit(mutations);
        for slot in returned {
            self.command(Command::Returned { slot });
        }
        if !self.world.catalog.judged.is_empty() {
            // The next turn is at once, and goes on.
            return;
        }
        invariants::invariant_3_deadlines_are_exact(self);
        invariants::invariant_8_who_beats_after_a_restart_is_confirmed(self);
        // What these look at changes with revisions and guards only.
        if self.checked != self.world.revision() || guarded {
            self.checked = self.world.revision();
            invariants::invariant_1_each_change_has_one_revision(self);
            crate::catalog::tests::beats::check_tables(&self.world);
            invariants::invariant_4_views_show_what_was_measured(self);
            invariants::invariant_10_no_mass_expiry_goes_unguarded(self, &self.guard);
        }
    }

    fn commit(&mut self, mutations: Vec<Mutation>) {
        let (now, awake) = (self.world.now.0, self.awake());
        for mutation in &mutations {
            self.oracle.applied(mutation, now, awake);
        }
        self.world.commit(mutations);
    }

    pub(super) fn command(&mut self, command: Command) -> usize {
        match self.world.catalog.decide(command, 0, self.world.now) {
            Ok(crate::catalog::Decision::Commit(mutations)) => {
                let count = mutations.len();
                self.commit(mutations);
                count
            }
            Ok(crate::catalog::Decision::Nothing) | Err(_) => 0,
        }
    }

    /// Whether the registry can take a request now. What arrives while it is stalled waits.
    fn awakes(&mut self, event: Event) -> bool {
        if self.mono < self.stalled_until {
            let at = self.stalled_until + self.rng.random_range(0..5 * MS);
            self.at(at, event);
            return false;
        }
        self.world.now = self.world.now.max(self.clock.at(Mono(self.mono)));
        true
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Send { client, run } => self.send(client, run),
            Event::Arrive { client, lease } => {
                if self.awakes(event) {
                    self.arrive(client, lease);
                }
            }
            Event::Register { client, run } => {
                if self.awakes(event) && self.clients[client].run == run {
                    self.register(client);
                }
            }
            Event::Chaos => {
                if self.awakes(event) {
                    self.later(1_000..15_000, event);
                    self.chaos();
                }
            }
            Event::Resume { service } => {
                if self.awakes(event) {
                    let name = self.services[service].clone();
                    let held = &self.readers[service];
                    let (resumed, newest) =
                        invariants::invariant_9_who_comes_back_catches_up(&self.world, &name, held);
                    *if resumed {
                        &mut self.seen.resumed
                    } else {
                        &mut self.seen.snapshots
                    } += 1;
                    self.readers[service] = (self.world.revision(), newest);
                    self.later(100..30_000, Event::Resume { service });
                }
            }
        }
    }

    fn send(&mut self, number: usize, run: u32) {
        let client = &self.clients[number];
        if !client.up || client.run != run {
            return;
        }
        let interval = client.timings.0;
        let reaches = self.mono >= client.cut_until && self.rng.random_bool(0.97);
        let lease = client.lease;
        if reaches {
            let arrives = match lease {
                Some(lease) => Event::Arrive {
                    client: number,
                    lease,
                },
                None => Event::Register { client: number, run },
            };
            self.later(1..60, arrives);
        }
        self.later(
            interval * 8 / 10..interval * 11 / 10,
            Event::Send { client: number, run },
        );
    }

    fn arrive(&mut self, number: usize, lease: Lease) {
        self.seen.beats += 1;
        let name = self.name(number);
        let (now, awake) = (self.world.now.0, self.awake());
        match self.world.beat_unheard(lease) {
            Beat::Renewed => self.oracle.beat(&name, now, awake),
            Beat::Returned(slot) => {
                self.oracle.beat(&name, now, awake);
                self.seen.returns += self.command(Command::Returned { slot }) as u64;
            }
            Beat::Unknown => {
                // It registers again in full.
                if self.clients[number].lease == Some(lease) {
                    self.clients[number].lease = None;
                    let run = self.clients[number].run;
                    self.later(1..60, Event::Register { client: number, run });
                }
            }
            Beat::NotBeating => panic!("all of them beat"),
        }
    }

    pub(super) fn name(&self, client: usize) -> super::oracle::Name {
        let client = &self.clients[client];
        (key(&self.services[client.service]), endpoint(&client.address))
    }

    fn register(&mut self, number: usize) {
        let (service, endpoint) = self.name(number);
        let client = &self.clients[number];
        let (interval, unhealthy, remove) = client.timings;
        let registration = of_run(
            &format!("run-{}", client.run),
            beat_with(interval, unhealthy, remove),
        );
        let lease = self.world.fresh_lease();
        let command = Command::Register {
            service: service.clone(),
            endpoint: endpoint.clone(),
            registration: Box::new(registration),
            health: Health::Healthy,
            lease,
            uniform: false,
        };
        self.command(command);
        let (now, awake) = (self.world.now.0, self.awake());
        let standing = self
            .world
            .catalog
            .standing(service.borrowed(), &endpoint)
            .unwrap();
        self.oracle.beat(&(service, endpoint), now, awake);
        self.clients[number].lease = Some(standing.lease);
    }
}
