//! Which service is in which shard, and the tasks of the shards.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::feed::Feed;
use super::follow;
use super::shard::Shard;
use crate::ServiceKey;
use crate::transport::Transport;

/// Two and a half of the registry's pings: one may be late, a second one not.
pub(crate) const SILENCE_MAX: Duration = Duration::from_millis(37_500);

/// What all streams of a client have in common.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The name of this subscriber, for people.
    pub(crate) name: Option<String>,
    /// How long a stream may be silent before it counts as broken.
    pub(crate) silence_max: Duration,
}

/// All services that a client follows.
#[derive(Debug)]
pub(crate) struct Shards {
    /// In the order in which they were made; a shard stays, even empty, as another service may come.
    shards: Mutex<Vec<Arc<Shard>>>,
    transport: Arc<Transport>,
    settings: Settings,
    stop: CancellationToken,
}

/// The place of one handle in its shard. Dropped, it is given back.
#[derive(Debug)]
pub(super) struct Place {
    shard: Arc<Shard>,
    feed: Arc<Feed>,
}

impl Shards {
    pub(crate) fn new(transport: Arc<Transport>, settings: Settings, stop: CancellationToken) -> Self {
        Self {
            shards: Mutex::default(),
            transport,
            settings,
            stop,
        }
    }

    /// Follows a service; starts a task if a stream is needed.
    pub(super) fn add(&self, key: &ServiceKey) -> Place {
        // Held throughout, so that two callers with the same new service get the same feed.
        let mut shards = self.shards.lock();
        let in_set = shards.iter().find_map(|shard| Some((shard, shard.join(key)?)));
        let found = in_set.or_else(|| shards.iter().find_map(|shard| Some((shard, shard.add(key)?))));
        if let Some((shard, feed)) = found {
            return Place {
                shard: Arc::clone(shard),
                feed,
            };
        }
        let shard = Arc::new(Shard::default());
        let feed = shard.add(key).expect("an empty shard has room");
        shards.push(Arc::clone(&shard));
        let task = follow::run(
            Arc::clone(&shard),
            Arc::clone(&self.transport),
            self.settings.clone(),
        );
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(task));
        Place { shard, feed }
    }
}

impl Place {
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(super) fn is_connected(&self) -> bool {
        self.shard.is_connected()
    }
}

impl Clone for Place {
    fn clone(&self) -> Self {
        // The service is in the set for as long as this place is.
        let feed = self.shard.join(self.feed.key());
        debug_assert!(
            feed.is_some_and(|feed| Arc::ptr_eq(&feed, &self.feed)),
            "a place is in its shard"
        );
        Self {
            shard: Arc::clone(&self.shard),
            feed: Arc::clone(&self.feed),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shard.leave(self.feed.key());
    }
}
