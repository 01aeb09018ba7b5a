//! What may be there, by what was asked for and acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

/// The state of a thing as a number that its last write chose; `None`: it is not there.
pub(super) type State = Option<u64>;

/// A write to a thing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    /// What it makes of the thing.
    pub(super) state: State,
    /// When its acknowledgement came, if it came.
    pub(super) acknowledged: Option<Instant>,
}

/// What is said to survive, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Promise {
    /// From its acknowledgement on.
    Durable,
    /// From a while after it.
    Behind,
}

/// One thing that is written to: the state in which a round found it, and the writes since, in order.
#[derive(Debug, Clone)]
struct Thing {
    found: State,
    writes: Vec<Write>,
    promise: Promise,
}

/// All things, by service and name.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    things: BTreeMap<(String, String), Thing>,
    acknowledged: u64,
    unsure: u64,
}

impl Ledger {
    /// The state in which the thing was found.
    pub(super) fn state(&self, service: &str, name: &str) -> State {
        let key = (service.to_owned(), name.to_owned());
        self.things.get(&key).and_then(|thing| thing.found)
    }

    /// Enters the writes of a round to one thing.
    pub(super) fn enter(&mut self, service: &str, name: &str, promise: Promise, writes: Vec<Write>) {
        let acknowledged = writes.iter().filter(|write| write.acknowledged.is_some()).count();
        self.acknowledged += acknowledged as u64;
        self.unsure += (writes.len() - acknowledged) as u64;
        let fresh = Thing {
            found: None,
            writes: Vec::new(),
            promise,
        };
        let key = (service.to_owned(), name.to_owned());
        self.things.entry(key).or_insert(fresh).writes.extend(writes);
    }

    /// Checks what a service was found with after a kill, and takes it as what is there from now on.
    pub(super) fn settle(
        &mut self,
        service: &str,
        found: &HashMap<String, u64>,
        killed: Instant,
        behind_max: Duration,
    ) -> anyhow::Result<()> {
        for name in found.keys() {
            let known = self.things.contains_key(&(service.to_owned(), name.clone()));
            ensure!(known, "{service}/{name} is there, and nobody ever asked for it");
        }
        for ((of, name), thing) in &mut self.things {
            if of != service {
                continue;
            }
            let state = found.get(name).copied();
            let allowed = thing.allowed(killed, behind_max);
            ensure!(
                allowed.contains(&state),
                "{service}/{name} is {state:?} and may be one of {allowed:?}: found {:?} before, then {:?}",
                thing.found,
                thing
                    .writes
                    .iter()
                    .map(|write| (
                        write.state,
                        write.acknowledged.map(|at| killed.saturating_duration_since(at))
                    ))
                    .collect::<Vec<_>>()
            );
            thing.found = state;
            thing.writes.clear();
        }
        Ok(())
    }

    /// How many writes were acknowledged, and how many were under way when the registry was killed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.acknowledged, self.unsure)
    }
}

impl Thing {
    /// The states in which it may be: that of the last write that is promised, and of each after it.
    fn allowed(&self, killed: Instant, behind_max: Duration) -> Vec<State> {
        let promised = self.writes.iter().rposition(|write| {
            write.acknowledged.is_some_and(|at| match self.promise {
                Promise::Durable => true,
                Promise::Behind => at + behind_max <= killed,
            })
        });
        let (first, rest) = match promised {
            Some(place) => (self.writes[place].state, &self.writes[place + 1..]),
            None => (self.found, &self.writes[..]),
        };
        std::iter::once(first)
            .chain(rest.iter().map(|write| write.state))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_millis(100);

    /// A thing that was found as 1, with a write each 80 ms before the kill, and one that was not acknowledged.
    fn ledger(promise: Promise, killed: Instant) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.enter("s", "a", promise, Vec::new());
        let found = HashMap::from([("a".to_owned(), 1)]);
        ledger
            .things
            .get_mut(&("s".into(), "a".into()))
            .expect("entered")
            .found = Some(1);
        assert!(ledger.settle("s", &found, killed, MAX).is_ok());
        let before = |ms| {
            Some(
                killed
                    .checked_sub(Duration::from_millis(ms))
                    .expect("the clock has run for long"),
            )
        };
        let writes = [(Some(2), before(160)), (None, before(80)), (Some(3), None)];
        let writes = writes.map(|(state, acknowledged)| Write { state, acknowledged });
        ledger.enter("s", "a", promise, writes.into());
        ledger
    }

    #[test]
    fn what_was_acknowledged_must_be_there_and_what_was_not_may_be() {
        for (promise, state, allowed) in [
            (Promise::Durable, Some(1), false),
            (Promise::Durable, Some(2), false),
            (Promise::Durable, None, true),
            (Promise::Durable, Some(3), true),
            (Promise::Durable, Some(4), false),
            (Promise::Behind, Some(1), false),
            (Promise::Behind, Some(2), true),
            (Promise::Behind, None, true),
            (Promise::Behind, Some(3), true),
        ] {
            let killed = Instant::now() + Duration::from_secs(1);
            let found = state.map(|state| ("a".to_owned(), state)).into_iter().collect();
            let settled = ledger(promise, killed).settle("s", &found, killed, MAX);
            assert_eq!(settled.is_ok(), allowed, "{promise:?} {state:?}: {settled:?}");
        }
    }

    #[test]
    fn what_nobody_asked_for_must_not_be_there() {
        let killed = Instant::now() + Duration::from_secs(1);
        let found = HashMap::from([("a".to_owned(), 3), ("b".to_owned(), 1)]);
        let settled = ledger(Promise::Durable, killed).settle("s", &found, killed, MAX);
        assert!(settled.unwrap_err().to_string().contains("s/b"));
    }
}
