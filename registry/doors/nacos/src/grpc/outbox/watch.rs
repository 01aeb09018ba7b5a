//! One service that a connection is subscribed to, and what its client was told of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use beatrix_core::model::{Revision, ServiceKey};
use beatrix_engine::hub::Subscription;
use tokio::time::Instant;

/// How many pushes of a service may wait for their acknowledgement: as many as there are within the time that a client
/// has for it, since bursts are merged. Of more the oldest are forgotten.
const SENT_KEPT: usize = 128;

/// A push that is not acknowledged yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) request: u64,
    pub(super) revision: Revision,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) service: ServiceKey,
    /// As the client named them; empty for all.
    pub(super) clusters: Arc<str>,
    pub(super) subscription: Subscription,
    waker: Waker,
    /// Whether it stands in the line of those that are to be looked at.
    pub(super) rung: bool,
    /// The newest state that there is to tell, as far as the hub has said.
    news: Option<Revision>,
    /// The newest state that was told.
    told: Option<Revision>,
    /// The pushes that are not acknowledged, the newest last. Only that one is made again; but who acknowledges an older
    /// one knows that state.
    sent: VecDeque<Sent>,
    /// When it is to be told once more, whatever there is to tell.
    pub(super) due: Option<Instant>,
    /// Nothing is told before this: it could overtake the answer to the subscription, and not every client compares the
    /// times of lists.
    settled: Instant,
}

/// What there is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::grpc) struct News {
    /// This state, or a later one.
    pub(in crate::grpc) revision: Revision,
    /// It was told already, and not acknowledged.
    pub(in crate::grpc) again: bool,
}

/// What an answer comes to.
#[derive(Debug)]
pub(super) enum Answered {
    Nothing,
    /// The newest push could not be taken.
    Refused,
    /// This state is known, and with it all before.
    Acknowledged {
        revision: Revision,
        newest: bool,
        /// The pushes that are no longer waited for.
        requests: Vec<u64>,
    },
}

impl Watch {
    /// A new one, whose client is answered with the state that there is now: pushed is what there is at `due`, if only the
    /// same once more, and what comes after it.
    pub(super) fn new(
        service: ServiceKey,
        clusters: Arc<str>,
        subscription: Subscription,
        waker: Waker,
        due: Instant,
    ) -> Self {
        let mut watch = Self {
            service,
            clusters,
            subscription,
            waker,
            rung: false,
            news: None,
            told: None,
            sent: VecDeque::new(),
            due: Some(due),
            settled: due,
        };
        watch.look();
        watch.told = watch.news;
        watch
    }

    /// It is subscribed once more: this, too, is answered, and nothing shall overtake the answer.
    pub(super) fn again(&mut self, settled: Instant) {
        self.settled = settled;
    }

    /// When it is to be told what it cannot be told yet.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        (now < self.settled && self.news > self.told).then_some(self.settled)
    }

    /// Asks the hub for news. It rings when there is more.
    pub(super) fn look(&mut self) {
        let mut context = Context::from_waker(&self.waker);
        while let Poll::Ready(batch) = self.subscription.poll_next(&mut context) {
            let newest = batch.updates.iter().map(|update| update.to.revision).max();
            self.news = self.news.max(newest);
        }
    }

    /// What is to be told at `now`, if anything is.
    pub(super) fn to_tell(&self, now: Instant) -> Option<News> {
        let revision = self.news.filter(|_| now >= self.settled)?;
        let fresh = self.news > self.told;
        let due = self.due.is_some_and(|due| due <= now);
        (fresh || due).then_some(News {
            revision,
            again: !fresh && !self.sent.is_empty(),
        })
    }

    /// Notes that a state was told. Returns the number of a push that is no longer waited for, if there are too many.
    pub(super) fn told(&mut self, sent: Sent) -> Option<u64> {
        self.told = self.told.max(Some(sent.revision));
        self.sent.push_back(sent);
        let over = self.sent.len() > SENT_KEPT;
        over.then(|| self.sent.pop_front())
            .flatten()
            .map(|sent| sent.request)
    }

    /// Takes an answer to one of its pushes.
    pub(super) fn answered(&mut self, request: u64, well: bool) -> Answered {
        let Some(place) = self.sent.iter().position(|sent| sent.request == request) else {
            return Answered::Nothing;
        };
        let newest = place + 1 == self.sent.len();
        let revision = self.sent[place].revision;
        if !well {
            // It is made again, and then it has another number.
            if newest {
                return Answered::Refused;
            }
            self.sent.remove(place);
            return Answered::Nothing;
        }
        let known = self.sent.drain(..=place);
        Answered::Acknowledged {
            revision,
            newest,
            requests: known.map(|sent| sent.request).collect(),
        }
    }

    /// The numbers of the pushes that are waited for.
    pub(super) fn requests(&self) -> impl Iterator<Item = u64> {
        self.sent.iter().map(|sent| sent.request)
    }
}
