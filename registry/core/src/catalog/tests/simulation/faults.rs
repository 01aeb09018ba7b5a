//! What goes wrong in the simulation: crashes, cuts, stalls, restarts, goodbyes, operators.

use std::time::Duration;

use rand::RngExt;

use super::invariants;
use super::machine::{Event, MS, Machine, SECOND};
use crate::catalog::testing::{expires, key, off};
use crate::catalog::tests::deltas::{Contents, contents};
use crate::catalog::{Command, EXPIRY, Mutation};
use crate::liveness::{Beat, LivenessClock};
use crate::model::{Existence, Mono, Reason};

impl Machine {
    pub(super) fn chaos(&mut self) {
        let some = self.rng.random_range(0..self.clients.len());
        match self.rng.random_range(0..17) {
            0 | 1 => self.clients[some].up = false,
            2..=4 => self.start(some),
            5 | 6 => self.burst(),
            7 | 8 => self.stall(),
            9 => self.restart(),
            10 => self.goodbye(some),
            11 => {
                // A service is scaled down.
                let service = self.clients[some].service;
                for client in 0..self.clients.len() {
                    if self.clients[client].service == service && self.rng.random_bool(0.5) {
                        self.goodbye(client);
                    }
                }
            }
            12 => {
                for client in 0..self.clients.len() {
                    if !self.clients[client].up && self.rng.random_bool(0.7) {
                        self.start(client);
                    }
                }
            }
            13 => self.operate(some),
            14 => self.operate_ahead(some),
            15 => self.force_guard(some),
            _ => self.turn_expiry(),
        }
    }

    /// An operator turns the consequences of silence off, and later on again, in a service or everywhere.
    fn turn_expiry(&mut self) {
        let service = self.rng.random_range(0..=self.services.len());
        let scope = self.services.get(service).map(|name| key(name));
        let on = self.oracle.off.contains(&scope);
        let turned = match &scope {
            Some(service) => self.command(Command::DeclareService {
                service: service.clone(),
                patch: Box::new(expires(on)),
                must: Existence::Any,
            }),
            None => self.command(Command::Set {
                name: EXPIRY.parse().unwrap(),
                value: Some(if on { "on" } else { "off" }.into()),
            }),
        };
        assert_eq!(turned, 1, "{scope:?} {on}");
        self.seen.turned += 1;
        let (now, awake) = (self.world.now.0, self.awake());
        self.oracle.turn(scope, on, now, awake);
    }

    /// An operator's layer of an instance that may have yet to come back.
    fn operate_ahead(&mut self, number: usize) {
        let (service, endpoint) = self.name(number);
        self.command(Command::Operate {
            service,
            endpoint,
            patch: Box::new(off()),
            ahead: true,
        });
    }

    /// The client's process starts, after it ended if it ran.
    fn start(&mut self, number: usize) {
        let client = &mut self.clients[number];
        (client.up, client.run, client.lease) = (true, client.run + 1, None);
        let run = client.run;
        self.later(0..2_000, Event::Send { client: number, run });
    }

    /// Some or all clients of a service, or of all, are cut off for a while.
    fn burst(&mut self) {
        let service = self.rng.random_range(0..=self.services.len());
        let share = [0.1, 0.25, 0.5, 1.0][self.rng.random_range(0..4_usize)];
        let until = self.mono + self.rng.random_range(2..120) * SECOND;
        for client in &mut self.clients {
            if (service == self.services.len() || client.service == service) && self.rng.random_bool(share) {
                client.cut_until = until;
            }
        }
    }

    fn stall(&mut self) {
        let lasts = match self.rng.random_bool(0.5) {
            true => self.rng.random_range(50 * MS..700 * MS),
            false => self.rng.random_range(SECOND..60 * SECOND),
        };
        self.stalled_until = self.mono + lasts;
        if lasts >= SECOND {
            self.asleep += lasts;
            self.seen.stalls += 1;
        }
    }

    fn restart(&mut self) {
        let all = |machine: &Self| -> Vec<Contents> {
            let views = machine.services.iter().map(|service| machine.world.view(service));
            views
                .map(|view| view.map(|view| contents(&view)).unwrap_or_default())
                .collect()
        };
        let before = all(self);
        self.seen.restarts += 1;
        self.mono += self.rng.random_range(0..10 * SECOND);
        self.clock = LivenessClock::new(Mono(self.mono));
        self.last_turn = self.mono;
        self.world.now = Mono(self.mono);
        self.restarted = self.world.now;
        if self.rng.random_bool(0.4) {
            // All that ever was is still in the log.
            self.world.checkpoint.clear();
        }
        self.seen.checkpoints += u64::from(!self.world.checkpoint.is_empty());
        let pieces = self.world.pieces();
        self.world.reopen();
        assert_eq!(self.world.pieces(), pieces);
        let (now, awake) = (self.world.now.0, self.awake());
        self.oracle.restart(now, awake);
        invariants::invariant_8_a_restart_changes_no_list(&self.services, &before, &self.world);
    }

    fn goodbye(&mut self, number: usize) {
        let (service, endpoint) = self.name(number);
        let lease = self.clients[number].lease;
        if lease.is_some() {
            self.command(Command::Deregister {
                service,
                endpoint,
                lease,
                only: &[],
                reason: Reason::Deregistered,
            });
        }
        (self.clients[number].up, self.clients[number].lease) = (false, None);
    }

    fn operate(&mut self, number: usize) {
        if self.rng.random_bool(0.5) {
            let held = !self.world.catalog.end_guard(None, self.world.now).is_empty();
            assert_eq!(held, self.oracle.everywhere || !self.oracle.holding.is_empty());
            if held {
                self.oracle.ended_by_hand(self.world.now.0);
            }
            return;
        }
        let (service, endpoint) = self.name(number);
        match self.rng.random_bool(0.6) {
            true => self.command(Command::Operate {
                service,
                endpoint,
                patch: Box::new(off()),
                ahead: false,
            }),
            false => self.command(Command::ClearOperator { service, endpoint }),
        };
    }

    /// An operator has the guard hold, in the service of a client or everywhere.
    fn force_guard(&mut self, number: usize) {
        let (service, _) = self.name(number);
        let scope = self.rng.random_bool(0.7).then_some(service);
        let lasts = Duration::from_secs(self.rng.random_range(1..120));
        let forced = self
            .world
            .catalog
            .force_guard(scope.as_ref(), lasts, self.world.now);
        // It may have no instances yet.
        let Ok((mutations, turn)) = forced else { return };
        self.seen.forced += 1;
        self.oracle.guard(&turn.event, self.world.now.0);
        self.oracle
            .forced(scope, (self.world.now.0, lasts.as_micros() as u64));
        self.commit(mutations);
    }

    /// Now and then a beat arrives between the decision and its commit. Of one that was held to be live it does not
    /// see that it is to return; of a suspect it does, and its word arrives after the commit.
    pub(super) fn race(&mut self, mutations: &[Mutation]) -> Vec<u32> {
        let mut returned = Vec::new();
        for mutation in mutations {
            if let Mutation::Measured {
                service,
                endpoint,
                reason: Reason::Silent,
                ..
            } = mutation
                && self.rng.random_bool(0.05)
            {
                let lease = self
                    .world
                    .catalog
                    .standing(service.borrowed(), endpoint)
                    .unwrap()
                    .lease;
                match self.world.beat_unheard(lease) {
                    Beat::Renewed => {}
                    Beat::Returned(slot) => returned.push(slot),
                    other => panic!("{other:?} of one that stands"),
                }
                let (now, awake) = (self.world.now.0, self.awake());
                self.oracle.beat(&(service.clone(), endpoint.clone()), now, awake);
            }
        }
        returned
    }
}
