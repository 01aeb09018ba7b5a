//! Who is at the other end of a subscription, and the list of all subscribers. It is for people to read: nothing is
//! decided by it.

use std::collections::HashMap;
use std::sync::Arc;

use beatrix_core::model::ServiceKey;

use super::subscriber::SubscriberInfo;
use super::{Hub, Topic};

/// Who a subscriber is, as far as its door knows. Doors keep the texts short.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Where it is told of changes, as `address:port`.
    pub address: String,
    /// The program that it says it is.
    pub agent: String,
    /// The application that it says it is of.
    pub app: String,
    /// The clusters that it wants to know of, as it named them. Empty: all.
    pub cluster: String,
}

impl Hub {
    /// Says anew who a subscriber is. Returns whether there is such a subscriber.
    pub fn describe(&self, subscriber: u64, peer: Arc<Peer>) -> bool {
        let subscriber = self.subscribers.lock().get(&subscriber).cloned();
        subscriber.is_some_and(|subscriber| {
            subscriber.describe(peer);
            true
        })
    }

    /// Everybody who is subscribed, in the order in which they came, each with the services that it watches, by name.
    ///
    /// Walks all topics, each by itself: who comes or goes meanwhile may be missed.
    #[must_use]
    pub fn all_subscribers(&self) -> Vec<(SubscriberInfo, Vec<ServiceKey>)> {
        let mut watched: HashMap<u64, Vec<ServiceKey>> = HashMap::new();
        let topics: Vec<Arc<Topic>> = self.topics.pin().values().cloned().collect();
        for topic in topics {
            for subscriber in topic.subscribers() {
                watched
                    .entry(subscriber.id())
                    .or_default()
                    .push(topic.key().clone());
            }
        }
        let subscribers: Vec<_> = self.subscribers.lock().values().cloned().collect();
        let mut all: Vec<_> = subscribers
            .iter()
            .map(|subscriber| {
                let mut services = watched.remove(&subscriber.id()).unwrap_or_default();
                services.sort_unstable();
                (subscriber.info(), services)
            })
            .collect();
        all.sort_unstable_by_key(|(info, _)| info.id);
        all
    }
}
