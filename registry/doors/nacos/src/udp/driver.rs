//! The one task: it looks at who has news, renders, sends, and does what time demands.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use beatrix_core::model::Revision;
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

/// No acknowledgement is nearly so long.
const ACK_BYTES_MAX: usize = 2_048;

/// After a failure to receive, rather than spinning.
const RECEIVE_PAUSE: Duration = Duration::from_millis(100);

/// A subscription, and what is needed to ask it for news.
#[derive(Debug)]
struct Held {
    subscription: Subscription,
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
    payloads: Payloads,
}

impl<D: Datagrams> Driver<D> {
    pub(super) fn new(shared: Arc<Shared>, datagrams: D) -> Self {
        Self {
            payloads: Payloads::new(shared.registry.clone()),
            shared,
            datagrams: Arc::new(datagrams),
            held: HashMap::new(),
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
            self.send_again(now).await;
            self.tell().await;
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

    async fn send_again(&mut self, now: Instant) {
        let due = self.shared.book.lock().take_due(now);
        count(&self.shared.counters.given_up, due.given_up.len() as u64);
        {
            let mut leases = self.shared.leases.lock();
            for id in due.given_up {
                leases.silence(id);
            }
        }
        for id in due.again {
            self.tell_again(id).await;
        }
    }

    /// Tells all who have news.
    async fn tell(&mut self) {
        let news = self.shared.ready.take();
        let arrived = news.arrived.into_iter().map(|subscription| {
            let id = subscription.id();
            let held = Held {
                subscription,
                waker: self.shared.ready.waker(id),
                since: Instant::now(),
                told: None,
            };
            (id, held)
        });
        let arrived: Vec<_> = arrived.collect();
        let ids: Vec<u64> = arrived.iter().map(|(id, _)| *id).chain(news.woken).collect();
        self.held.extend(arrived);
        for id in ids {
            self.tell_one(id).await;
        }
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

    /// Tells once more what was not acknowledged, as it is now: the bytes that were sent are not kept.
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
        // Thousands may follow, and others want the worker, too.
        tokio::task::coop::consume_budget().await;
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
    let Answer { subscription, newest } = answer;
    if let Some(revision) = newest {
        count(&shared.counters.acknowledged, 1);
        shared.registry.hub().acknowledge(subscription, revision);
    }
    if shared.leases.lock().heard(subscription) {
        shared.ready.woken(subscription);
    }
}
