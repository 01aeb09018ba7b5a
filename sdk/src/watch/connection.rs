//! One stream, from its beginning to its end.
//!
//! What may be resumed: an event's `id` says that everything up to it was sent on this stream. That holds for all
//! services only once each of them has had its snapshot, so before that neither is the stream resumed, nor is
//! anything acknowledged.

use std::sync::Arc;

use beatrix_wire::{DELTA, HELLO, Hello, PING, SNAPSHOT, ServiceDelta, ServiceView};
use reqwest::Response;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::acks::Acks;
use super::feed::Feed;
use super::shard::{Shard, query};
use super::shards::Settings;
use super::sse::{Event, Parser};
use crate::Error;
use crate::name::encode;
use crate::transport::{Address, Transport};
use crate::view::Gap;

/// The longest event that is read; a snapshot of 100,000 instances takes less.
const EVENT_LEN_MAX: usize = 64 << 20;

/// What a stream needs.
pub(super) struct Connection<'a> {
    pub(super) shard: &'a Shard,
    pub(super) transport: &'a Arc<Transport>,
    pub(super) settings: &'a Settings,
    pub(super) address: &'a Address,
    /// The services that it asks for; the set may change meanwhile.
    pub(super) feeds: Vec<Arc<Feed>>,
}

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// Other services are followed now.
    SetChanged,
    /// A difference did not apply.
    Gap,
    /// It broke, was silent too long, or could not be opened.
    Broken(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

impl From<Gap> for End {
    fn from(Gap: Gap) -> Self {
        Self::Gap
    }
}

impl Connection<'_> {
    /// Opens the stream and reads it to its end. `last_id` is where to resume, and where it could be resumed then.
    pub(super) async fn run(&self, last_id: &mut Option<String>) -> End {
        if !self.is_synced() {
            *last_id = None;
        }
        let opened = self
            .transport
            .open_stream(self.address, &self.path(), last_id.as_deref())
            .await;
        let result = match opened {
            Ok(response) => self.read(response, last_id).await,
            Err(error) => Err(error.into()),
        };
        match result {
            Err(end) => end,
            Ok(never) => match never {},
        }
    }

    fn path(&self) -> String {
        let mut path = String::from("/api/v1/watch?acks=true");
        if let Some(name) = &self.settings.name {
            path.push_str(&format!("&name={}", encode(name)));
        }
        for feed in &self.feeds {
            path.push('&');
            path.push_str(&query(feed.key()));
        }
        path
    }

    async fn read(
        &self,
        mut response: Response,
        last_id: &mut Option<String>,
    ) -> Result<std::convert::Infallible, End> {
        let mut parser = Parser::new(EVENT_LEN_MAX);
        let mut events = Vec::new();
        let mut acks = None;
        loop {
            let silent_at = Instant::now() + self.settings.silence_max;
            let chunk = tokio::select! {
                // Reading comes first, so that what has arrived is not thrown away for a reopening.
                biased;
                chunk = timeout_at(silent_at, response.chunk()) => chunk,
                () = self.shard.changed.notified() => {
                    if self.is_set_changed() {
                        return Err(End::SetChanged);
                    }
                    continue;
                }
            };
            let chunk = chunk
                .map_err(|_| self.address.timeout(self.settings.silence_max))?
                .map_err(|error| self.address.failure(error))?
                .ok_or_else(|| self.address.broken("the registry ended the stream"))?;
            parser
                .push(&chunk, &mut events)
                .map_err(|error| self.address.not_understood(error.to_string()))?;
            for event in events.drain(..) {
                self.take(&event, last_id, &mut acks)?;
            }
        }
    }

    fn take(&self, event: &Event, last_id: &mut Option<String>, acks: &mut Option<Acks>) -> Result<(), End> {
        match event.name.as_str() {
            HELLO => {
                let hello: Hello = self.json(event)?;
                match last_id.as_deref().filter(|_| hello.resumed).and_then(version) {
                    Some((epoch, revision)) => {
                        self.feeds.iter().for_each(|feed| feed.resume(epoch, revision));
                    }
                    None => {
                        tracing::debug!(reason = hello.not_resumed, "the stream starts afresh");
                        self.feeds.iter().for_each(|feed| feed.unsync());
                    }
                }
                *acks = Some(Acks::start(
                    Arc::clone(self.transport),
                    self.address.clone(),
                    &hello.subscriber,
                ));
                self.shard.set_connected(true);
                // Its id is not one to resume at: what it announces is still to come.
                return Ok(());
            }
            SNAPSHOT => {
                let view: ServiceView = self.json(event)?;
                if let Some(feed) = self.feed(&view.namespace, &view.group, &view.service) {
                    feed.replace(view);
                }
            }
            DELTA => {
                let delta: ServiceDelta = self.json(event)?;
                if let Some(feed) = self.feed(&delta.namespace, &delta.group, &delta.service) {
                    feed.apply(delta)?;
                }
            }
            // It has nothing to act upon, but moves the point to resume at: where a quiet service stood long ago is
            // forgotten by a busy registry.
            PING => {
                self.may_resume_at(event, last_id);
                return Ok(());
            }
            // Something that a newer registry says besides.
            _ => return Ok(()),
        }
        if self.may_resume_at(event, last_id)
            && let Some(acks) = acks
        {
            acks.send(&event.id);
        }
        Ok(())
    }

    /// Notes an event as the one to resume after, if that is possible.
    fn may_resume_at(&self, event: &Event, last_id: &mut Option<String>) -> bool {
        if event.id.is_empty() || !self.is_synced() {
            return false;
        }
        *last_id = Some(event.id.clone());
        true
    }

    fn json<T: DeserializeOwned>(&self, event: &Event) -> Result<T, Error> {
        serde_json::from_str(&event.data).map_err(|error| {
            self.address
                .not_understood(format!("event `{}`: {error}", event.name))
        })
    }

    fn feed(&self, namespace: &str, group: &str, service: &str) -> Option<&Arc<Feed>> {
        self.feeds
            .iter()
            .find(|feed| feed.key().is(namespace, group, service))
    }

    fn is_synced(&self) -> bool {
        self.feeds.iter().all(|feed| feed.is_synced())
    }

    fn is_set_changed(&self) -> bool {
        let now = self.shard.feeds();
        now.len() != self.feeds.len() || now.iter().zip(&self.feeds).any(|(a, b)| !Arc::ptr_eq(a, b))
    }
}

/// An event's id is `epoch.revision`.
fn version(id: &str) -> Option<(&str, u64)> {
    let (epoch, revision) = id.rsplit_once('.')?;
    Some((epoch, revision.parse().ok()?))
}
