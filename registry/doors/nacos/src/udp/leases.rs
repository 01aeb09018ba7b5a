//! Who is to be told of which service, and until when. Time comes in as an argument.
//!
//! A subscription ends 30 s after the last list request that named it, or later if clients are told to ask more rarely.
//! Its end stands in a heap once: when its time
//! comes, the last request tells whether it is over, or when to look again. So a renewal costs a look-up, and nobody
//! walks all subscriptions.
//!
//! One who acknowledges nothing is silent: he is told nothing until he is heard of again, by an acknowledgement or by
//! another list request.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use beatrix_core::model::ServiceKey;
use beatrix_engine::hub::Peer;
use tokio::time::Instant;

use super::target::Target;
use crate::limits::{UDP_CLUSTERS_PER_SERVICE_MAX, UDP_SUBSCRIPTIONS_MAX, UDP_SUBSCRIPTIONS_PER_ADDRESS_MAX};

/// How long a list request subscribes for, at least.
const LEASE_MIN: Duration = Duration::from_secs(30);

/// How long a list request subscribes for. Nacos 2.x: a client that only subscribes is dropped when its last list is
/// older than 30 s and older than `push_cache_millis`, which is how often clients ask: every ten seconds, unless a
/// switch says otherwise.
pub(super) fn lease(push_cache_millis: u64) -> Duration {
    LEASE_MIN.max(Duration::from_millis(push_cache_millis))
}

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
    /// Where it stands in the heap.
    scheduled: Instant,
    /// Whether nothing is sent to him, since he acknowledges nothing.
    silent: bool,
}

/// What a list request means for a subscription that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Renewed {
    pub(super) id: u64,
    /// Whether the client says other things of itself.
    pub(super) changed: bool,
    /// Whether it wants to be told in a form that there is no room for. Then it stays as it was, and is not prolonged.
    pub(super) refused: bool,
    /// Whether it was silent until now.
    pub(super) was_silent: bool,
}

/// All subscriptions, by the number that the hub gave them.
#[derive(Debug, Default)]
pub(super) struct Leases {
    leases: HashMap<u64, Lease>,
    /// Nacos: one subscription for each service and target.
    by_name: HashMap<(ServiceKey, Target), u64>,
    /// How many are told of each text of clusters of a service.
    forms: HashMap<ServiceKey, HashMap<String, usize>>,
    /// How many are told at each address.
    by_address: HashMap<IpAddr, usize>,
    ends: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Leases {
    /// Prolongs a subscription, and takes what the client says of itself now. `None` if there is none.
    pub(super) fn renew(&mut self, told: &Told, lasts: Duration, now: Instant) -> Option<Renewed> {
        let id = *self.by_name.get(&(told.service.clone(), told.target))?;
        let before = Arc::clone(&self.leases.get(&id)?.told.peer);
        if before.cluster != told.peer.cluster {
            if !self.have_room_for_form_of(told) {
                return Some(Renewed {
                    id,
                    changed: false,
                    refused: true,
                    was_silent: false,
                });
            }
            self.add_form(told);
            self.remove_form(&told.service, &before.cluster);
        }
        let lease = self.leases.get_mut(&id)?;
        lease.ends = now + lasts;
        if lease.ends < lease.scheduled {
            // Leases are shorter than they were.
            lease.scheduled = lease.ends;
            self.ends.push(Reverse((lease.ends, id)));
        }
        lease.told.peer = Arc::clone(&told.peer);
        Some(Renewed {
            id,
            changed: before != told.peer,
            refused: false,
            was_silent: std::mem::take(&mut lease.silent),
        })
    }

    fn have_room_for_form_of(&self, told: &Told) -> bool {
        let forms = self.forms.get(&told.service);
        forms.is_none_or(|forms| {
            forms.len() < UDP_CLUSTERS_PER_SERVICE_MAX || forms.contains_key(&told.peer.cluster)
        })
    }

    fn add_form(&mut self, told: &Told) {
        let forms = self.forms.entry(told.service.clone()).or_default();
        *forms.entry(told.peer.cluster.clone()).or_default() += 1;
    }

    fn remove_form(&mut self, service: &ServiceKey, clusters: &str) {
        let Some(forms) = self.forms.get_mut(service) else {
            return;
        };
        if let Some(there) = forms.get_mut(clusters) {
            *there -= 1;
            if *there == 0 {
                forms.remove(clusters);
            }
        }
        if forms.is_empty() {
            self.forms.remove(service);
        }
    }

    /// Whether one more may begin.
    pub(super) fn have_room_for(&self, told: &Told) -> bool {
        let there = self
            .by_address
            .get(&told.target.ip())
            .copied()
            .unwrap_or_default();
        self.leases.len() < UDP_SUBSCRIPTIONS_MAX
            && there < UDP_SUBSCRIPTIONS_PER_ADDRESS_MAX
            && self.have_room_for_form_of(told)
    }

    /// Begins a subscription that is not there yet.
    pub(super) fn begin(&mut self, id: u64, told: Told, lasts: Duration, now: Instant) {
        let ends = now + lasts;
        self.by_name.insert((told.service.clone(), told.target), id);
        *self.by_address.entry(told.target.ip()).or_default() += 1;
        self.add_form(&told);
        let lease = Lease {
            told,
            ends,
            scheduled: ends,
            silent: false,
        };
        self.leases.insert(id, lease);
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
            match self.leases.get_mut(&id) {
                Some(lease) if lease.scheduled != at => {}
                Some(lease) if lease.ends > now => {
                    lease.scheduled = lease.ends;
                    self.ends.push(Reverse((lease.ends, id)));
                }
                Some(_) => {
                    self.end(id);
                    ended.push(id);
                }
                None => {}
            }
        }
        ended
    }

    fn end(&mut self, id: u64) {
        let Some(Lease { told, .. }) = self.leases.remove(&id) else {
            return;
        };
        if let Some(there) = self.by_address.get_mut(&told.target.ip()) {
            *there -= 1;
            if *there == 0 {
                self.by_address.remove(&told.target.ip());
            }
        }
        self.remove_form(&told.service, &told.peer.cluster);
        self.by_name.remove(&(told.service, told.target));
    }

    /// Nothing was acknowledged for too long.
    pub(super) fn silence(&mut self, id: u64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.silent = true;
        }
    }

    /// Something was acknowledged. Returns whether that ends a silence.
    pub(super) fn heard(&mut self, id: u64) -> bool {
        let lease = self.leases.get_mut(&id);
        lease.is_some_and(|lease| std::mem::take(&mut lease.silent))
    }

    /// When to look for ends again.
    pub(super) fn next_end(&self) -> Option<Instant> {
        self.ends.peek().map(|Reverse((at, _))| *at)
    }

    /// Whom to tell. `None` if he has ended or is silent.
    pub(super) fn audible(&self, id: u64) -> Option<&Told> {
        let lease = self.leases.get(&id).filter(|lease| !lease.silent);
        lease.map(|lease| &lease.told)
    }

    pub(super) fn len(&self) -> usize {
        self.leases.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = LEASE_MIN;

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

    fn renewed(id: u64, changed: bool) -> Renewed {
        Renewed {
            id,
            changed,
            refused: false,
            was_silent: false,
        }
    }

    #[test]
    fn a_lease_ends_30_s_after_its_last_renewal() {
        let mut leases = Leases::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (a, b) = (told("a", 1, ""), told("b", 1, ""));
        assert_eq!(leases.renew(&a, LEASE, start), None);
        leases.begin(1, a.clone(), LEASE, start);
        leases.begin(2, b.clone(), LEASE, at(1));
        assert_eq!(leases.renew(&a, LEASE, at(10)), Some(renewed(1, false)));
        assert_eq!(leases.next_end(), Some(at(30)));

        assert!(leases.end_due(at(30)).is_empty());
        assert_eq!(leases.end_due(at(31)), [2]);
        assert_eq!((leases.audible(2), leases.len()), (None, 1));
        assert_eq!(leases.next_end(), Some(at(40)));
        assert!(leases.end_due(at(39)).is_empty());
        assert_eq!(leases.end_due(at(40)), [1]);
        assert_eq!((leases.next_end(), leases.len()), (None, 0));
        assert!(leases.by_name.is_empty() && leases.by_address.is_empty() && leases.forms.is_empty());
        // What has ended can begin anew.
        assert_eq!(leases.renew(&b, LEASE, at(41)), None);
    }

    #[test]
    fn a_lease_is_as_long_as_clients_wait_and_30_s_at_least() {
        assert_eq!(lease(10_000), LEASE);
        assert_eq!(lease(60_000), 2 * LEASE);
        let mut leases = Leases::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let a = told("a", 1, "");
        leases.begin(1, a.clone(), 100 * LEASE, start);
        // From here on they are shorter, and again longer.
        leases.renew(&a, LEASE, at(1));
        assert_eq!(leases.next_end(), Some(at(31)));
        leases.renew(&a, 2 * LEASE, at(2));
        assert!(leases.end_due(at(31)).is_empty());
        assert_eq!(leases.next_end(), Some(at(62)));
        assert_eq!(leases.end_due(at(62)), [1]);
        leases.begin(2, a, LEASE, at(62));
        // What is left of the first long one ends nobody.
        assert_eq!(leases.end_due(at(92)), [2]);
        assert!(leases.end_due(at(4_000)).is_empty());
        assert_eq!(leases.next_end(), None);
    }

    #[test]
    fn there_is_one_for_each_service_and_target_and_a_repeat_says_the_rest_anew() {
        let mut leases = Leases::default();
        let now = Instant::now();
        leases.begin(1, told("a", 1, "c1"), LEASE, now);
        assert_eq!(leases.renew(&told("a", 2, "c1"), LEASE, now), None);
        assert_eq!(leases.renew(&told("b", 1, "c1"), LEASE, now), None);
        assert_eq!(
            leases.renew(&told("a", 1, "c1"), LEASE, now),
            Some(renewed(1, false))
        );
        assert_eq!(
            leases.renew(&told("a", 1, "c2"), LEASE, now),
            Some(renewed(1, true))
        );
        assert_eq!(leases.audible(1).unwrap().peer.cluster, "c2");
        assert_eq!(
            leases.renew(&told("a", 1, "c2"), LEASE, now),
            Some(renewed(1, false))
        );
    }

    #[test]
    fn one_who_is_silent_is_told_nothing_until_he_is_heard_of() {
        let mut leases = Leases::default();
        let now = Instant::now();
        let a = told("a", 1, "");
        leases.begin(1, a.clone(), LEASE, now);
        assert!(!leases.heard(1));
        leases.silence(1);
        assert_eq!(leases.audible(1), None);
        assert!(leases.heard(1));
        assert_eq!(leases.audible(1), Some(&a));
        leases.silence(1);
        let after = Renewed {
            was_silent: true,
            ..renewed(1, false)
        };
        assert_eq!(leases.renew(&a, LEASE, now), Some(after));
        assert_eq!(leases.audible(1), Some(&a));
        leases.silence(2);
        assert!(!leases.heard(2));
    }

    #[test]
    fn a_service_is_told_of_in_only_so_many_forms() {
        let mut leases = Leases::default();
        let start = Instant::now();
        for number in 1..=32 {
            let one = told("a", number, &number.to_string());
            assert!(leases.have_room_for(&one));
            leases.begin(u64::from(number), one, LEASE, start);
        }
        assert!(!leases.have_room_for(&told("a", 33, "33")));
        assert!(leases.have_room_for(&told("a", 33, "32")));
        assert!(leases.have_room_for(&told("b", 33, "33")));
        // Who wants another one keeps what he had.
        let other = Renewed {
            refused: true,
            ..renewed(1, false)
        };
        assert_eq!(
            leases.renew(&told("a", 1, "33"), LEASE, start + LEASE),
            Some(other)
        );
        assert_eq!(leases.audible(1).unwrap().peer.cluster, "1");
        assert_eq!(
            leases.renew(&told("a", 1, "2"), LEASE, start + LEASE),
            Some(renewed(1, true))
        );
        assert_eq!(
            leases.renew(&told("a", 1, "33"), LEASE, start + LEASE),
            Some(renewed(1, true))
        );
        assert!(!leases.have_room_for(&told("a", 33, "1")));
        assert_eq!(leases.end_due(start + LEASE).len(), 31);
        assert!(leases.have_room_for(&told("a", 33, "1")));
    }

    #[test]
    fn only_so_many_are_told_at_one_address() {
        let mut leases = Leases::default();
        let now = Instant::now();
        for port in 1..=1_000 {
            let one = told("a", port, "");
            assert!(leases.have_room_for(&one));
            leases.begin(
                u64::from(port),
                one,
                LEASE,
                now + Duration::from_secs(u64::from(port == 1)),
            );
        }
        let more = told("b", 1, "");
        assert!(!leases.have_room_for(&more));
        let elsewhere = Told {
            target: Target::new("10.0.0.2", 1).unwrap(),
            ..more.clone()
        };
        assert!(leases.have_room_for(&elsewhere));
        assert_eq!(leases.end_due(now + LEASE).len(), 999);
        assert!(leases.have_room_for(&more));
    }
}
