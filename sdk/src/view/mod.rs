//! One service as a caller sees it.
//!
//! - [`View`]: the instances at one revision, immutable and shared; how to choose one of them.
//! - [`Change`]: what differs between two views.
//! - `mirror`: makes views out of what the registry sends.
//! - `protect`: the rules by which a shorter list is not believed.

mod change;
mod mirror;
mod protect;

use std::sync::Arc;

use beatrix_wire::{Instance, Removal};

pub use change::Change;
pub(crate) use mirror::{Gap, Mirror};
pub use protect::Stale;

use crate::random;
use crate::{ServiceKey, wire};

/// The instances of one service at one revision.
///
/// ```
/// # fn example(view: &beatrix_sdk::View) {
/// match view.pick() {
///     Some(instance) => println!("calling {}", instance.authority()),
///     None => println!("nobody serves {}", view.key()),
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    key: ServiceKey,
    epoch: String,
    revision: u64,
    complete: bool,
    known: bool,
    stale: Option<Stale>,
    /// Ordered by address and port.
    instances: Vec<Arc<Instance>>,
    /// Oldest first, bounded.
    removals: Vec<Removal>,
}

impl View {
    /// What is known before the registry has said anything: nothing.
    pub(crate) fn unknown(key: ServiceKey) -> Self {
        Self {
            key,
            epoch: String::new(),
            revision: 0,
            complete: false,
            known: false,
            stale: None,
            instances: Vec::new(),
            removals: Vec::new(),
        }
    }

    /// The service.
    #[must_use]
    pub fn key(&self) -> &ServiceKey {
        &self.key
    }

    /// The history that [`revision`](Self::revision) counts in.
    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The revision of the service; 0 when it never had a change, or is not known yet.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Whether the registry has said anything about the service yet.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Whether the registry is sure to know all instances. It is not just after its own start.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Why this view shows more than the registry says now, if it does.
    #[must_use]
    pub fn stale(&self) -> Option<Stale> {
        self.stale
    }

    /// All instances, ordered by address and port.
    #[must_use]
    pub fn instances(&self) -> &[Arc<Instance>] {
        &self.instances
    }

    /// The instances that callers should use now, as the registry judges.
    pub fn serving_instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.iter().filter(|instance| instance.serving)
    }

    /// The instance at this address, if there is one.
    #[must_use]
    pub fn instance(&self, address: &str, port: u16) -> Option<&Arc<Instance>> {
        self.instances
            .iter()
            .find(|instance| instance.port == port && instance.address == address)
    }

    /// The instances that left while this client watched, with the reason; oldest first, the newest 64.
    #[must_use]
    pub fn removals(&self) -> &[Removal] {
        &self.removals
    }

    /// Chooses a serving instance at random, in proportion to the weights. One that enough consumers cannot reach
    /// (`reported`) is chosen only if nobody else serves.
    ///
    /// When the list is kept although the whole service fell silent ([`stale`](Self::stale)), no instance counts
    /// as serving any more; then one is chosen among those that are switched on and not draining, since one that
    /// may be alive is better than none.
    #[must_use]
    pub fn pick(&self) -> Option<&Arc<Instance>> {
        self.pick_at(random::thread_unit())
    }

    /// Chooses as [`pick`](Self::pick) does, but at a given point in `0.0..1.0` instead of a random one. The same
    /// point gives the same instance while the list and its weights stay the same.
    #[must_use]
    pub fn pick_at(&self, point: f64) -> Option<&Arc<Instance>> {
        let serving: fn(&Instance) -> bool = |instance| instance.serving;
        let last_known: fn(&Instance) -> bool = |instance| instance.enabled && !instance.draining;
        let preferred: fn(&Instance) -> bool = |instance| instance.serving && !instance.reported;
        self.pick_among(point, preferred)
            .or_else(|| self.pick_among(point, serving))
            .or_else(|| self.stale.and_then(|_| self.pick_among(point, last_known)))
    }

    fn pick_among(&self, point: f64, eligible: fn(&Instance) -> bool) -> Option<&Arc<Instance>> {
        let candidates = || {
            self.instances
                .iter()
                .filter(|instance| eligible(instance) && weight(instance) > 0.0)
        };
        let mut left = candidates().map(|instance| weight(instance)).sum::<f64>() * point.clamp(0.0, 1.0);
        let mut last = None;
        for instance in candidates() {
            left -= weight(instance);
            last = Some(instance);
            if left < 0.0 {
                break;
            }
        }
        // Rounding may leave a rest after the last one, who is then meant.
        last
    }

    /// What happened between `before` and this view, in the order of the instances.
    #[must_use]
    pub fn changes_since(&self, before: &View) -> Vec<Change> {
        change::between(before, self)
    }

    /// Whether a reader of `self` learns nothing new from `other`.
    fn says_the_same_as(&self, other: &View) -> bool {
        self.known == other.known
            && self.complete == other.complete
            && self.stale == other.stale
            && self.instances == other.instances
    }

    pub(crate) fn is_news_to(&self, before: &View) -> bool {
        !self.says_the_same_as(before)
    }

    /// The same, marked.
    pub(crate) fn marked(&self, stale: Stale) -> Self {
        Self {
            stale: Some(stale),
            ..self.clone()
        }
    }
}

/// The weight to balance by, or none where the wire carried nonsense.
fn weight(instance: &wire::Instance) -> f64 {
    let weight = instance.balancing_weight();
    if weight.is_finite() { weight.max(0.0) } else { 0.0 }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::name::Defaults;

    /// A healthy instance; `address` ends in its port.
    pub(crate) fn instance(address: &str) -> Instance {
        let (address, port) = address.rsplit_once(':').unwrap();
        Instance {
            address: address.into(),
            port: port.parse().unwrap(),
            cluster: "DEFAULT".into(),
            weight: 1.0,
            effective_weight: None,
            enabled: true,
            metadata: Default::default(),
            region: None,
            zone: None,
            liveness: "beat".into(),
            health: wire::Health::Healthy,
            serving: true,
            reason: "registered".into(),
            reason_text: None,
            suspect: false,
            unconfirmed: false,
            flapping: false,
            reported: false,
            draining: false,
            since_ms: 0,
            serving_since_ms: None,
            revision: 1,
            operator: None,
        }
    }

    pub(crate) fn key(service: &str) -> ServiceKey {
        crate::ServiceName::new(service)
            .resolve(&Defaults::default())
            .unwrap()
    }

    fn view(instances: Vec<Instance>) -> View {
        let instances = instances.into_iter().map(Arc::new).collect();
        View {
            known: true,
            complete: true,
            instances,
            ..View::unknown(key("orders"))
        }
    }

    fn weighted(address: &str, weight: f64) -> Instance {
        Instance {
            weight,
            ..instance(address)
        }
    }

    #[test]
    fn picks_are_in_proportion_to_the_weights() {
        let view = view(vec![
            weighted("a:1", 1.0),
            weighted("b:1", 0.0),
            weighted("c:1", 3.0),
        ]);
        let picks: Vec<&str> = (0..8)
            .map(|i| view.pick_at(f64::from(i) / 8.0).unwrap().address.as_str())
            .collect();
        assert_eq!(picks, ["a", "a", "c", "c", "c", "c", "c", "c"]);
        assert_eq!(view.pick_at(1.0).unwrap().address, "c");
    }

    #[test]
    fn one_that_is_new_is_picked_by_the_share_that_it_gets_so_far() {
        let new = Instance {
            effective_weight: Some(1.0),
            ..weighted("a:1", 10.0)
        };
        let view = view(vec![new, weighted("b:1", 3.0)]);
        let picks: Vec<&str> = (0..4)
            .map(|i| view.pick_at(f64::from(i) / 4.0).unwrap().address.as_str())
            .collect();
        assert_eq!(picks, ["a", "b", "b", "b"]);
    }

    #[test]
    fn one_that_is_reported_is_picked_only_if_nobody_else_serves() {
        let reported = |address: &str| Instance {
            reported: true,
            ..instance(address)
        };
        let others = view(vec![reported("a:1"), instance("b:1"), reported("c:1")]);
        for point in [0.0, 0.5, 0.99] {
            assert_eq!(others.pick_at(point).unwrap().address, "b");
        }
        let alone = view(vec![
            reported("a:1"),
            Instance {
                serving: false,
                ..instance("b:1")
            },
        ]);
        assert_eq!(alone.pick_at(0.5).unwrap().address, "a");
    }

    #[test]
    fn only_serving_instances_are_picked() {
        let silent = Instance {
            serving: false,
            ..instance("a:1")
        };
        assert_eq!(view(vec![silent.clone()]).pick(), None);
        assert_eq!(
            view(vec![silent, instance("b:1")]).pick_at(0.0).unwrap().address,
            "b"
        );
        assert_eq!(view(vec![]).pick(), None);
        assert_eq!(view(vec![weighted("a:1", f64::NAN)]).pick(), None);
    }

    #[test]
    fn of_a_list_that_fell_silent_one_that_may_be_alive_is_picked() {
        let silent = Instance {
            serving: false,
            ..instance("b:1")
        };
        let off = Instance {
            enabled: false,
            ..Instance {
                address: "a".into(),
                ..silent.clone()
            }
        };
        let draining = Instance {
            draining: true,
            ..Instance {
                address: "c".into(),
                ..silent.clone()
            }
        };
        let kept = view(vec![off, silent, draining]).marked(Stale::FellSilent);
        for point in [0.0, 0.5, 0.99] {
            assert_eq!(kept.pick_at(point).unwrap().address, "b");
        }
    }
}
