//! One connection: who it is, what it has registered, and how it ends.
//!
//! A connection is a transport: its calls and its stream belong together because they came over the same one. Its
//! instances live as long as it does, as those of a session of the core. Whoever holds it last lets go of it; nothing of
//! it is left then, in this door or behind it.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use beatrix_core::model::{Endpoint, Health, Origin, Registration, ServiceKey, SessionId, Surface, Wall};
use beatrix_engine::WriteError;
use tokio::sync::{Notify, RwLock, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::{Failure, Nothing};
use super::counts::count;
use super::fuzzy::{Granted, Wish};
use super::message::Outgoing;
use super::outbox::Outbox;
use super::pulse::{Look, Pulse};
use super::receiving::Receiving;
use super::ref_time::RefTimes;
use super::shared::Shared;
use crate::door::Nacos;

/// After a failure of the journal, before its instances are tried to be removed again.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// How long a request waits for the set-up of its connection, once the stream was asked for.
const SET_UP_WITHIN: Duration = Duration::from_secs(1);

/// Who a client says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Client {
    /// Its application. Nacos: `unknown` if it names none.
    pub(super) app: String,
    /// Its library and version.
    pub(super) version: String,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    /// Nacos: milliseconds, address and port. Clients log it.
    pub(super) id: String,
    pub(super) peer: SocketAddr,
    pub(super) opened: Wall,
    pub(super) shared: Arc<Shared>,
    /// The door, for writes on behalf of this client.
    pub(super) nacos: Nacos,
    pub(super) session: SessionId,
    pub(super) pulse: Pulse,
    pub(super) outbox: Arc<Outbox>,
    pub(super) ref_times: RefTimes,
    pub(super) receiving: Receiving,
    client: OnceLock<Client>,
    /// Whether its stream is open.
    streams: AtomicBool,
    /// Whether a stream has been asked for: then its set-up is on its way.
    streams_soon: AtomicBool,
    /// Told when it is set up, or ends.
    settled: Notify,
    /// Whether it has registered anything.
    published: AtomicBool,
    /// Whether it watches, or has watched, a pattern.
    watches_patterns: AtomicBool,
    /// The number of the request by which it was asked whether it lives; 0 while it is not asked.
    asked: AtomicU64,
    /// Whether it has ended. Held while something is registered, so that nothing comes after what its end removes.
    ended: RwLock<bool>,
    over: CancellationToken,
}

impl Connection {
    pub(super) fn new(shared: &Arc<Shared>, peer: SocketAddr) -> Self {
        let registry = &shared.nacos.registry;
        let origin = Origin {
            surface: Surface::NacosGrpc,
            peer: Some(peer),
        };
        let opened = registry.wall();
        Self {
            id: format!("{}_{}_{}", opened.0, peer.ip(), peer.port()),
            peer,
            opened,
            shared: Arc::clone(shared),
            nacos: shared.nacos.on_behalf_of(origin),
            session: registry.new_session(),
            pulse: Pulse::new(Instant::now()),
            outbox: Arc::default(),
            ref_times: RefTimes::default(),
            receiving: Receiving::default(),
            client: OnceLock::new(),
            streams: AtomicBool::new(false),
            streams_soon: AtomicBool::new(false),
            settled: Notify::new(),
            published: AtomicBool::new(false),
            watches_patterns: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            ended: RwLock::new(false),
            over: CancellationToken::new(),
        }
    }

    /// Who is at the other end, once it has said so. Without that no request is taken.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.get()
    }

    /// It says who it is. Nacos 2.x: a second time changes nothing, and is no mistake.
    pub(super) fn set_up(&self, client: Client) {
        let _only_the_first = self.client.set(client);
        self.pulse.heard(Instant::now());
        self.settled.notify_waiters();
    }

    /// A stream is asked for. To be called in the order in which requests come.
    pub(super) fn expect_stream(&self) {
        self.streams_soon.store(true, Ordering::Release);
    }

    /// Whether it is set up. If its stream was asked for before, that is waited for: some clients do not wait between
    /// their set-up and their first request, and nothing keeps the one that came later from being looked at earlier.
    pub(super) async fn is_set_up(&self) -> bool {
        let ready = || self.client().is_some() || self.has_ended();
        if !ready() && self.streams_soon.load(Ordering::Acquire) {
            let waited = async {
                loop {
                    let mut settled = pin!(self.settled.notified());
                    // Before it is looked again, so that nothing is missed in between.
                    settled.as_mut().enable();
                    if ready() {
                        return;
                    }
                    settled.await;
                }
            };
            let _as_it_is_then = timeout(SET_UP_WITHIN, waited).await;
        }
        self.client().is_some() && !self.has_ended()
    }

    /// Takes the stream, if it is not taken.
    pub(super) fn open_stream(&self) -> bool {
        !self.streams.swap(true, Ordering::AcqRel)
    }

    /// A push or notice was answered.
    pub(super) fn answered(&self, request: u64, well: bool) {
        let now = Instant::now();
        if request != 0 && request == self.asked.load(Ordering::Acquire) {
            if well {
                self.asked.store(0, Ordering::Release);
                self.pulse.answered(now);
            } else {
                self.drop_it("it says that it is not well");
            }
            return;
        }
        if self.client().is_some() {
            self.pulse.heard(now);
        }
        if let Some(acknowledged) = self.outbox.answered(request, well) {
            count(&self.shared.counters.acknowledged);
            let hub = self.nacos.registry.hub();
            hub.acknowledge(acknowledged.subscriber, acknowledged.revision);
        }
    }

    /// Looks whether its client lives. Returns when to look again.
    pub(super) fn look(&self, now: Instant, due: Instant) -> Instant {
        let set_up = self.client().is_some();
        match self.pulse.look(now, due, set_up, self.outbox.unread()) {
            Look::Again(at) => at,
            Look::Ask(until) => {
                let request = self.shared.next_request();
                self.asked.store(request, Ordering::Release);
                let ask = Outgoing::request("ClientDetectionRequest", Some(request), "internal", Nothing {});
                self.outbox.say(ask);
                until
            }
            Look::Gone(why) => {
                self.drop_it(why);
                now + TRY_AGAIN
            }
        }
    }

    fn drop_it(&self, why: &'static str) {
        if self.end(why) {
            count(&self.shared.counters.dropped);
            tracing::info!(connection = self.id, why, "a connection is dropped");
        }
    }

    /// Ends it. Returns whether it had not ended. What it has registered goes when its transport has.
    pub(super) fn end(&self, why: &'static str) -> bool {
        let first = self.outbox.end(why);
        self.over.cancel();
        self.settled.notify_waiters();
        first
    }

    /// Ends it once what waits is pushed. No request is taken meanwhile.
    pub(super) fn finish(&self, why: &'static str) {
        self.outbox.finish(why);
        self.over.cancel();
        self.settled.notify_waiters();
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.over.is_cancelled()
    }

    /// Resolves when it has ended.
    pub(super) async fn is_over(&self) {
        self.over.cancelled().await;
    }

    /// What it has in this service is exactly this from now on. Nacos 2.x: a connection has one publication in a
    /// service, and each registration takes the place of the one before it.
    ///
    /// # Errors
    /// If the registry refuses, or the connection has ended.
    pub(super) async fn publish(
        &self,
        service: ServiceKey,
        instances: Vec<(Endpoint, Registration, Health)>,
    ) -> Result<(), Failure> {
        let ended = self.ended.read().await;
        if *ended {
            return Err(Failure::disconnected());
        }
        if !instances.is_empty() {
            self.published.store(true, Ordering::Release);
        }
        let registry = &self.nacos.registry;
        registry.publish(service, self.session, instances).await?;
        drop(ended);
        Ok(())
    }

    /// Hands a wish about patterns over. `None` if the connection or the registry has ended.
    pub(super) async fn fuzzy(&self, wish: Wish) -> Option<Granted> {
        let ended = self.ended.read().await;
        if *ended {
            return None;
        }
        self.watches_patterns.store(true, Ordering::Release);
        let granted = self.hand_over(wish).await?;
        // It stands in line now: what is handed over at the end stands behind it.
        drop(ended);
        granted.await.ok()
    }

    async fn hand_over(&self, wish: Wish) -> Option<oneshot::Receiver<Granted>> {
        let SessionId(watcher) = self.session;
        let feed = &self.shared.feed;
        feed.wish(&self.shared.nacos, watcher, &self.outbox, wish).await
    }

    /// Its transport is gone: so are its subscriptions, and after the grace its instances, unless the registry stops.
    /// Who restarts it finds them, and waits for their client.
    pub(super) async fn close(&self) {
        self.end("the connection has ended");
        // Whoever is registering finishes, and nobody begins: so this is the last word about its instances.
        *self.ended.write().await = true;
        // Side by side: its instances do not wait for those who look through a namespace for a pattern.
        tokio::join!(self.leave_patterns(), self.leave_instances());
    }

    async fn leave_patterns(&self) {
        if self.watches_patterns.load(Ordering::Acquire)
            && let Some(done) = self.hand_over(Wish::Leave).await
        {
            let _done_or_the_registry_has_ended = done.await;
        }
    }

    async fn leave_instances(&self) {
        if !self.published.load(Ordering::Acquire) {
            return;
        }
        let registry = &self.nacos.registry;
        let grace = self.shared.settings.reconnect_grace;
        if !grace.is_zero() {
            registry.leave_session(self.session);
            tokio::select! {
                () = sleep(grace) => {}
                () = registry.stopping() => return,
            }
        }
        while !registry.is_stopping() {
            match registry.close_session(self.session).await {
                Ok(_) | Err(WriteError::Stopping | WriteError::Refused(_)) => return,
                Err(WriteError::Unavailable(error)) => {
                    tracing::warn!(
                        connection = self.id,
                        error,
                        "instances of a connection that has ended stay for now"
                    );
                    sleep(TRY_AGAIN).await;
                }
            }
        }
    }
}
