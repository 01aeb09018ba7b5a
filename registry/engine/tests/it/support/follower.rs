//! A consumer as it should be: it applies what it is told, blindly, and so knows what the registry knows.

use std::collections::BTreeMap;

use beatrix_core::model::{Endpoint, Member, Record, Revision, ServiceKey};
use beatrix_engine::Registry;
use beatrix_engine::hub::{Batch, Resume, Subscribe, Subscription, Update, UpdateKind};

/// What is known of one service.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) at: Revision,
    members: BTreeMap<Endpoint, Member>,
}

/// Follows services through streams that may be cut.
#[derive(Debug)]
pub(crate) struct Follower {
    services: Vec<ServiceKey>,
    pub(crate) known: BTreeMap<ServiceKey, Known>,
    /// The id of the last event that arrived: where to resume.
    pub(crate) id: Revision,
    pub(crate) subscription: Subscription,
    /// What this stream told last of each service.
    told: BTreeMap<ServiceKey, Revision>,
}

impl Follower {
    pub(crate) fn new(registry: &Registry, services: Vec<ServiceKey>) -> Self {
        let subscription = connect(registry, &services, None);
        Self {
            services,
            known: BTreeMap::new(),
            id: Revision::ZERO,
            subscription,
            told: BTreeMap::new(),
        }
    }

    /// The stream is cut and resumed where it was.
    pub(crate) fn reconnect(&mut self, registry: &Registry) {
        let since = (!self.known.is_empty()).then_some(self.id);
        self.told.clear();
        // The id says that there was no change up to it that is not known.
        for known in self.known.values_mut() {
            known.at = known.at.max(self.id);
        }
        self.subscription = connect(registry, &self.services, since);
    }

    /// Takes the first `events` of a batch; with fewer than all of them it was cut in between. An event's id is what
    /// the watch stream gives it.
    pub(crate) fn take(&mut self, batch: &Batch, events: usize) {
        let last = batch.updates.len() - 1;
        for (place, update) in batch.updates.iter().enumerate().take(events) {
            self.apply(update);
            self.id = match batch.resume {
                Resume::Update => update.to.revision,
                Resume::Revision(revision) if place == last => revision,
                Resume::Revision(_) => self.id,
            };
        }
    }

    pub(crate) fn take_all(&mut self, batch: &Batch) {
        self.take(batch, usize::MAX);
    }

    /// Takes the next batch.
    pub(crate) async fn hear(&mut self) {
        let batch = told(&mut self.subscription).await;
        self.take_all(&batch);
    }

    fn apply(&mut self, update: &Update) {
        let known = self.known.entry(update.key.clone()).or_default();
        let told = self.told.insert(update.key.clone(), update.to.revision);
        assert!(told < Some(update.to.revision), "what is told never goes back");
        // After it was cut within a batch it is told from its id on, some of which it knows already.
        if update.to.revision <= known.at && known.at > Revision::ZERO {
            return;
        }
        match &update.kind {
            UpdateKind::Snapshot(view) => {
                known.members = view
                    .members()
                    .map(|member| (member.endpoint.clone(), member.clone()))
                    .collect();
            }
            UpdateKind::Delta { from, delta } => {
                assert!(*from <= known.at, "a delta starts at what is known, or before it");
                for member in &delta.upserted {
                    known.members.insert(member.endpoint.clone(), member.clone());
                }
                for removed in &delta.removed {
                    known.members.remove(&removed.endpoint);
                }
            }
        }
        known.at = update.to.revision;
    }

    /// Whether it knows just what the registry knows.
    pub(crate) fn agrees(&self, registry: &Registry) -> bool {
        self.services.iter().all(|service| {
            let view = registry.view(service.borrowed());
            let truth: Vec<&Member> = view.iter().flat_map(|view| view.members()).collect();
            let known: Vec<&Member> = self
                .known
                .get(service)
                .into_iter()
                .flat_map(|k| k.members.values())
                .collect();
            truth.len() == known.len()
                && truth.iter().zip(known).all(|(truth, known)| {
                    truth.endpoint == known.endpoint
                        && truth.state == known.state
                        && is_alike(&truth.record, &known.record)
                })
        })
    }
}

/// Nobody is told that an instance lives by another connection.
fn is_alike(one: &Record, other: &Record) -> bool {
    one.registration.is_alike(&other.registration)
        && one.operator() == other.operator()
        && one.declared == other.declared
}

fn connect(registry: &Registry, services: &[ServiceKey], since: Option<Revision>) -> Subscription {
    let wish = Subscribe {
        services: services.to_vec(),
        since,
        ..Subscribe::default()
    };
    registry.hub().subscribe(wish).unwrap()
}

/// The next batch, which must come within a minute.
pub(crate) async fn told(subscription: &mut Subscription) -> Batch {
    let batch = tokio::time::timeout(super::ms(60_000), subscription.next()).await;
    batch.expect("something is to be told")
}

/// What there is to tell by now, if anything.
pub(crate) fn poll(subscription: &mut Subscription) -> Option<Batch> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match subscription.poll_next(&mut cx) {
        std::task::Poll::Ready(batch) => Some(batch),
        std::task::Poll::Pending => None,
    }
}
