//! Who is to be told of which service, and until when. Time comes in as an argument.
//!
//! A subscription ends 30 s after the last list request that named it. Its end stands in a heap once: when its time
//! comes, the last request tells whether it is over, or when to look again. So a renewal costs a look-up, and nobody
//! walks all subscriptions.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::model::ServiceKey;
use beatrix_engine::hub::Peer;
use tokio::time::Instant;

use super::target::Target;

/// How long a list request subscribes for. Nacos 2.x: a client that only subscribes is dropped when its last list is
/// older than 30 s; clients ask every ten.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// Who is told of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) service: ServiceKey,
    pub(super) target: Target,
    pub(super) peer: Arc<Peer>,
}

#[derive(Debug)]
struct Lease {
    told: Told,
    ends: Instant,
}

/// What a list request means for a subscription that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewed {
    /// It goes on.
    Same,
    /// It goes on, and the client says other things of itself.
    Changed(u64),
}

/// All subscriptions, by the number that the hub gave them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    leases: HashMap<u64, Lease>,
    /// Nacos: one subscription for each service and target.
    by_name: HashMap<(ServiceKey, Target), u64>,
    ends: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Leases {
    /// Prolongs a subscription, and takes what the client says of itself now. `None` if there is none.
    pub(super) fn renew(&mut self, told: &Told, now: Instant) -> Option<Renewed> {
        let id = *self.by_name.get(&(told.service.clone(), told.target))?;
        let lease = self.leases.get_mut(&id)?;
        lease.ends = now + LEASE;
        if lease.told.peer == told.peer {
            return Some(Renewed::Same);
        }
        lease.told.peer = Arc::clone(&told.peer);
        Some(Renewed::Changed(id))
    }

    /// Begins a subscription that is not there yet.
    pub(super) fn begin(&mut self, id: u64, told: Told, now: Instant) {
        let ends = now + LEASE;
        self.by_name.insert((told.service.clone(), told.target), id);
        self.leases.insert(id, Lease { told, ends });
        self.ends.push(Reverse((ends, id)));
    }

    /// Ends those whose time is over, and names them.
    pub(super) fn end_due(&mut self, now: Instant) -> Vec<u64> {
        let mut ended = Vec::new();
        while let Some(Reverse((at, id))) = self.ends.peek().copied() {
            if at > now {
                break;
            }
            self.ends.pop();
            match self.leases.get(&id) {
                Some(lease) if lease.ends > now => self.ends.push(Reverse((lease.ends, id))),
                Some(Lease { told, .. }) => {
                    self.by_name.remove(&(told.service.clone(), told.target));
                    self.leases.remove(&id);
                    ended.push(id);
                }
                None => {}
            }
        }
        ended
    }

    /// When to look for ends again.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Told> {
        self.leases.get(&id).map(|lease| &lease.told)
    }

    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(service: &str, port: u16, cluster: &str) -> Told {
        Told {
            service: format!("public/g/{service}").parse().unwrap(),
            target: Target::new("10.0.0.1", port).unwrap(),
            peer: Arc::new(Peer {
                cluster: cluster.into(),
                ..Peer::default()
            }),
        }
    }

    #[test]
    fn a_lease_ends_30_s_after_its_last_renewal() {
        let mut leases = Leases::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (a, b) = (told("a", 1, ""), told("b", 1, ""));
        assert_eq!(leases.renew(&a, start), None);
        leases.begin(1, a.clone(), start);
        leases.begin(2, b.clone(), at(1));
        assert_eq!(leases.renew(&a, at(10)), Some(Renewed::Same));
        assert_eq!(leases.next_end(), Some(at(30)));

        assert!(leases.end_due(at(30)).is_empty());
        assert_eq!(leases.end_due(at(31)), [2]);
        assert_eq!((leases.get(2), leases.len()), (None, 1));
        assert_eq!(leases.next_end(), Some(at(40)));
        assert!(leases.end_due(at(39)).is_empty());
        assert_eq!(leases.end_due(at(40)), [1]);
        assert_eq!((leases.next_end(), leases.len()), (None, 0));
        assert!(leases.by_name.is_empty());
        // What has ended can begin anew.
        assert_eq!(leases.renew(&b, at(41)), None);
    }

    #[test]
    fn there_is_one_for_each_service_and_target_and_a_repeat_says_the_rest_anew() {
        let mut leases = Leases::default();
        let now = Instant::now();
        leases.begin(1, told("a", 1, "c1"), now);
        assert_eq!(leases.renew(&told("a", 2, "c1"), now), None);
        assert_eq!(leases.renew(&told("b", 1, "c1"), now), None);
        assert_eq!(leases.renew(&told("a", 1, "c1"), now), Some(Renewed::Same));
        assert_eq!(leases.renew(&told("a", 1, "c2"), now), Some(Renewed::Changed(1)));
        assert_eq!(leases.get(1).unwrap().peer.cluster, "c2");
        assert_eq!(leases.renew(&told("a", 1, "c2"), now), Some(Renewed::Same));
    }
}
