//! The services that share a stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::feed::Feed;
use crate::ServiceKey;
use crate::name::encode;

/// How many services share a stream. It bounds what one addition costs: a snapshot of each.
pub(super) const SERVICES_MAX: usize = 128;
/// How long the list of services may be in the URL. The `http` crate takes 65,535 bytes, proxies often 8,192; long
/// names should not be what makes a request fail.
const QUERY_LEN_MAX: usize = 6_000;

/// A set of services with one stream. Who adds and drops services is [`Shards`](super::shards::Shards).
#[derive(Debug, Default)]
pub(super) struct Shard {
    members: Mutex<BTreeMap<ServiceKey, Member>>,
    /// The set changed.
    pub(super) changed: Notify,
    is_connected: AtomicBool,
}

#[derive(Debug)]
struct Member {
    feed: Arc<Feed>,
    handles: usize,
}

impl Shard {
    /// The feed of a service that is in the set already, for one more handle.
    pub(super) fn join(&self, key: &ServiceKey) -> Option<Arc<Feed>> {
        let mut members = self.members.lock();
        let member = members.get_mut(key)?;
        member.handles += 1;
        Some(Arc::clone(&member.feed))
    }

    /// Adds a service, if there is room for it.
    pub(super) fn add(&self, key: &ServiceKey) -> Option<Arc<Feed>> {
        let mut members = self.members.lock();
        let query_len: usize = members.keys().chain([key]).map(|key| query(key).len() + 1).sum();
        // A set of one is always in order: there is no better place for it.
        if !members.is_empty() && (members.len() >= SERVICES_MAX || query_len > QUERY_LEN_MAX) {
            return None;
        }
        let feed = Arc::new(Feed::new(key.clone()));
        members.insert(
            key.clone(),
            Member {
                feed: Arc::clone(&feed),
                handles: 1,
            },
        );
        drop(members);
        self.changed.notify_one();
        Some(feed)
    }

    /// Counts one handle less, and drops the service with its last one.
    pub(super) fn leave(&self, key: &ServiceKey) {
        let mut members = self.members.lock();
        let Some(member) = members.get_mut(key) else {
            return;
        };
        member.handles -= 1;
        if member.handles == 0 {
            members.remove(key);
            drop(members);
            self.changed.notify_one();
        }
    }

    /// The set as it is now.
    pub(super) fn feeds(&self) -> Vec<Arc<Feed>> {
        self.members
            .lock()
            .values()
            .map(|member| Arc::clone(&member.feed))
            .collect()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Relaxed)
    }

    pub(super) fn set_connected(&self, is_connected: bool) {
        self.is_connected.store(is_connected, Ordering::Relaxed);
    }
}

/// The part of a URL's query that names a service.
pub(super) fn query(key: &ServiceKey) -> String {
    // The slashes between the three stay; one inside a name is encoded, though the registry would take it.
    format!(
        "service={}/{}/{}",
        encode(key.namespace()),
        encode(key.group()),
        encode(key.service())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Defaults;
    use crate::{Error, ServiceName};

    fn key(service: &str) -> ServiceKey {
        let key: Result<_, Error> = ServiceName::new(service).resolve(&Defaults::default());
        key.unwrap()
    }

    #[test]
    fn a_service_stays_until_its_last_handle_goes() {
        let shard = Shard::default();
        shard.add(&key("a")).unwrap();
        assert!(shard.join(&key("a")).is_some());
        shard.leave(&key("a"));
        assert_eq!(shard.feeds().len(), 1);
        shard.leave(&key("a"));
        assert_eq!(shard.feeds().len(), 0);
        assert!(shard.join(&key("a")).is_none());
    }

    #[test]
    fn a_set_is_bounded_by_count_and_by_the_length_of_its_query() {
        let shard = Shard::default();
        let added = (0..1000)
            .take_while(|i| shard.add(&key(&format!("s{i}"))).is_some())
            .count();
        assert_eq!(added, SERVICES_MAX);

        let shard = Shard::default();
        let long = |i: u32| key(&format!("{i}{}", "é".repeat(500)));
        let added = (0..1000).take_while(|&i| shard.add(&long(i)).is_some()).count();
        assert_eq!(added, 1);
    }

    #[test]
    fn a_query_names_a_service_in_full() {
        assert_eq!(
            query(&key("a/b c".trim_end_matches(" c"))),
            "service=public/DEFAULT_GROUP/a%2Fb"
        );
    }
}
