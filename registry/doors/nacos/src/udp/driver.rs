//! The one task: it looks at who has news, renders, sends, and does what time demands.
//!
//! It works in slices of one service each, and takes note of what is new between them.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::hub::Subscription;
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::ack;
use super::book::{Answer, Sent};
use super::leases::Told;
use super::payloads::{Payloads, Wanted};
use super::pusher::{Shared, count};
use super::sockets::Datagrams;
use super::target::Target;
use super::turns::Turns;

/// No acknowledgement is nearly so long.
const ACK_BYTES_MAX: usize = 2_048;

/// How many subscriptions of a service are told in one turn. A turn ends sooner when a packet was rendered and packed,
/// which takes as long as sending many.
const SLICE: usize = 32;

/// After a failure to receive, rather than spinning.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// A subscription, and what is needed to ask it for news.
#[derive(Debug)]
struct Held {
    subscription: Subscription,
    service: ServiceKey,
    waker: Waker,
    since: Instant,
    /// The state that was told last.
    told: Option<Revision>,
}

impl Held {
    /// The newest state that is to be told, or `None`: then the waker will tell when there is one.
    fn news(&mut self) -> Option<Revision> {
        let mut context = Context::from_waker(&self.waker);
        loop {
            let Poll::Ready(batch) = self.subscription.poll_next(&mut context) else {
                return None;
            };
            let newest = batch.updates.iter().map(|update| update.to.revision).max();
            // What was rendered may have been newer than what it was rendered for.
            if newest > self.told {
                return newest;
            }
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Driver<D> {
    shared: Arc<Shared>,
    datagrams: Arc<D>,
    held: HashMap<u64, Held>,
    turns: Turns,
    payloads: Payloads,
}

impl<D: Datagrams> Driver<D> {
    pub(super) fn new(shared: Arc<Shared>, datagrams: D) -> Self {
        Self {
            payloads: Payloads::new(shared.registry.clone()),
            shared,
            datagrams: Arc::new(datagrams),
            held: HashMap::new(),
            turns: Turns::default(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut stopped = pin!(self.shared.registry.stopped());
        // Beside the sending: while thousands are sent, the first acknowledgements come in, and the system keeps few.
        let mut receiving = JoinSet::new();
        receiving.spawn(receive(Arc::clone(&self.shared), Arc::clone(&self.datagrams)));
        let mut stopping = false;
        loop {
            let now = Instant::now();
            self.end_leases(now);
            self.payloads.forget_due(now);
            self.take_due(now);
            self.take_news();
            if !self.turns.is_empty() {
                self.turn().await;
                // Thousands may follow, and others want the worker, too.
                tokio::task::yield_now().await;
                continue;
            }
            if stopping {
                // The last changes were pushed before the registry had stopped, so they are told.
                return;
            }
            let next = self.next();
            let sleep = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.shared.ready.wait() => {}
                () = sleep => {}
                () = &mut stopped => stopping = true,
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let lease = self.shared.leases.lock().next_end();
        let due = self.shared.book.lock().next_due();
        [lease, due, self.payloads.next_forget()]
            .into_iter()
            .flatten()
            .min()
    }

    fn end_leases(&mut self, now: Instant) {
        let ended = self.shared.leases.lock().end_due(now);
        for id in ended {
            self.held.remove(&id);
            self.shared.book.lock().forget(id);
        }
    }

    /// What was not acknowledged in time: it is to be sent again, or nothing more is.
    fn take_due(&mut self, now: Instant) {
        let due = self.shared.book.lock().take_due(now);
        count(&self.shared.counters.given_up, due.given_up.len() as u64);
        if !due.given_up.is_empty() {
            let mut leases = self.shared.leases.lock();
            for id in due.given_up {
                leases.silence(id);
            }
        }
        self.line_up(due.again);
    }

    fn take_news(&mut self) {
        let news = self.shared.ready.take();
        let mut arrived = Vec::with_capacity(news.arrived.len());
        for (subscription, service) in news.arrived {
            let id = subscription.id();
            let held = Held {
                subscription,
                service,
                waker: self.shared.ready.waker(id),
                since: Instant::now(),
                told: None,
            };
            self.held.insert(id, held);
            arrived.push(id);
        }
        self.line_up(arrived);
        self.line_up(news.woken);
    }

    /// One that has ended may have been woken before.
    fn line_up(&mut self, ids: Vec<u64>) {
        for id in ids {
            if let Some(held) = self.held.get(&id) {
                self.turns.add(&held.service, id);
            }
        }
    }

    /// Tells some subscribers of the service whose turn it is.
    async fn turn(&mut self) {
        let Some(service) = self.turns.service().cloned() else {
            return;
        };
        let rendered = self.payloads.rendered();
        for _ in 0..SLICE {
            let Some(id) = self.turns.next_of(&service) else {
                return;
            };
            self.tell_one(id).await;
            self.tell_again(id).await;
            if self.payloads.rendered() != rendered {
                break;
            }
        }
        self.turns.rotate(&service);
    }

    async fn tell_one(&mut self, id: u64) {
        loop {
            // One that has ended may have been woken before; what a silent one has missed waits in the hub.
            let Some(told) = self.shared.leases.lock().audible(id).cloned() else {
                return;
            };
            let Some(held) = self.held.get_mut(&id) else {
                return;
            };
            let Some(revision) = held.news() else {
                return;
            };
            if let Some((sent, bytes)) = self.made(id, &told, revision) {
                // Before it is sent, so that no acknowledgement comes too early.
                self.shared.book.lock().sent(id, sent, Instant::now());
                count(&self.shared.counters.sent, 1);
                self.send(told.target, &bytes).await;
            }
        }
    }

    /// Tells once more what was to be acknowledged and was not, as it is now: the bytes that were sent are not kept.
    async fn tell_again(&mut self, id: u64) {
        let Some(told) = self.shared.leases.lock().audible(id).cloned() else {
            return;
        };
        let Some(revision) = self.shared.book.lock().to_send_again(id) else {
            return;
        };
        if let Some((sent, bytes)) = self.made(id, &told, revision) {
            self.shared.book.lock().sent_again(id, sent, Instant::now());
            count(&self.shared.counters.resent, 1);
            self.send(told.target, &bytes).await;
        }
    }

    /// The packet that tells this state or a later one. `None` if there is none now.
    fn made(&mut self, id: u64, told: &Told, revision: Revision) -> Option<(Sent, Bytes)> {
        let held = self.held.get_mut(&id)?;
        let wanted = Wanted {
            service: &told.service,
            clusters: &told.peer.cluster,
            revision,
            since: held.since,
        };
        let payload = self.payloads.get(wanted, Instant::now())?;
        held.told = Some(payload.revision);
        let Some(bytes) = payload.bytes else {
            count(&self.shared.counters.too_large, 1);
            return None;
        };
        let sent = Sent {
            id: payload.id,
            target: told.target,
            revision: payload.revision,
        };
        Some((sent, bytes))
    }

    /// A failure is not the end of anything: it is like a datagram that is lost.
    async fn send(&self, target: Target, bytes: &[u8]) {
        if let Err(error) = self.datagrams.send(target.address(), bytes).await {
            count(&self.shared.counters.failed, 1);
            tracing::debug!(%target, %error, "a datagram cannot be sent");
        }
    }
}

/// Takes acknowledgements, for ever. What is none changes nothing.
async fn receive<D: Datagrams>(shared: Arc<Shared>, datagrams: Arc<D>) {
    let mut buffer = [0; ACK_BYTES_MAX];
    loop {
        let (len, from) = match datagrams.receive(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "no datagram can be received");
                sleep(RECEIVE_PAUSE).await;
                continue;
            }
        };
        if let Some(id) = ack::acknowledged(&buffer[..len]) {
            let now = Instant::now();
            let answer = shared.book.lock().acknowledged(Target::source(from), id, now);
            if let Some(answer) = answer {
                take(&shared, answer);
            }
        }
        // A flood of datagrams must not keep the worker to itself.
        tokio::task::coop::consume_budget().await;
    }
}

fn take(shared: &Shared, answer: Answer) {
    let Answer {
        subscription,
        revision,
        newest,
    } = answer;
    if newest {
        count(&shared.counters.acknowledged, 1);
    }
    // Also of a state that a newer datagram has superseded: a drain may wait for just this one.
    shared.registry.hub().acknowledge(subscription, revision);
    if shared.leases.lock().heard(subscription) {
        shared.ready.woken(subscription);
    }
}
