//! The sending half of a connection's stream: it asks the outbox what to do whenever the transport takes more.
//!
//! Lists are rendered here, with no lock held, from the state that there is; their hosts are rendered once for all
//! who are to be told the same.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use beatrix_core::model::Revision;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use super::connection::Connection;
use super::counts::count;
use super::message::Outgoing;
use super::outbox::{Step, Told};
use crate::listing::{self, Filter, Found};

/// See the module. Dropped, it ends its connection: the client has cancelled the stream, or the transport is gone.
#[derive(Debug)]
pub(super) struct Pushes {
    connection: Arc<Connection>,
    /// Wakes for what is due; made when something is for the first time.
    alarm: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Pushes {
    pub(super) fn new(connection: Arc<Connection>) -> Self {
        Self {
            connection,
            alarm: None,
            ended: false,
        }
    }

    /// Whether it is `until` already. Else it wakes then, or before: most of what is due is done before, and an alarm
    /// that goes off for nothing costs less than one that is set anew with each push.
    fn is_due(&mut self, until: Instant, cx: &mut Context<'_>) -> bool {
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if alarm.deadline() > until || alarm.is_elapsed() {
            alarm.as_mut().reset(until);
        }
        alarm.as_mut().poll(cx).is_ready()
    }
}

impl Stream for Pushes {
    type Item = Result<Outgoing, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        loop {
            let requests = &this.connection.shared.requests;
            match this.connection.outbox.step(cx, Instant::now(), requests) {
                Step::Say(message) => return Poll::Ready(Some(Ok(message))),
                Step::Tell(told) => {
                    if let Some(push) = this.connection.push(&told) {
                        return Poll::Ready(Some(Ok(push)));
                    }
                }
                Step::End(why) => {
                    this.ended = true;
                    // Not in order: some clients take that for the end of all work.
                    return Poll::Ready(Some(Err(Status::unavailable(why))));
                }
                Step::Wait(None) => return Poll::Pending,
                Step::Wait(Some(until)) => {
                    if !this.is_due(until, cx) {
                        return Poll::Pending;
                    }
                }
            }
        }
    }
}

impl Drop for Pushes {
    fn drop(&mut self) {
        self.connection.end("the stream has ended");
    }
}

impl Connection {
    /// Makes a push. `None` if it is not wanted any more, if not all instances may be known, since clients take a list at
    /// its word, or while a switch says that nothing is pushed.
    fn push(&self, told: &Told) -> Option<Outgoing> {
        let (nacos, service) = (&self.nacos, told.service.borrowed());
        let registry = &nacos.registry;
        if !nacos.switches().push_enabled {
            return None;
        }
        let filter = Filter {
            clusters: &told.clusters,
            healthy_only: false,
        };
        let read = || registry.view(service);
        let (view, time) = self.ref_times.reading(service, registry.wall(), read);
        let (revision, found): (Revision, Found) = match view {
            Some(view) if view.complete => (
                view.revision.max(told.news.revision),
                listing::of_view(registry, &view, filter),
            ),
            None if registry.complete() => (told.news.revision, Found::default()),
            _ => return None,
        };
        let list = self.told(service, &told.clusters, found, time);
        let request = self.shared.next_request();
        if !self.outbox.told(told.watch, request, revision) {
            return None;
        }
        count(&self.shared.counters.pushed);
        if told.news.again {
            count(&self.shared.counters.pushed_again);
        }
        let before = format!(r#"{{"headers":{{}},"requestId":"{request}","serviceInfo":"#);
        let after = r#","module":"naming"}"#;
        Some(Outgoing::around("NotifySubscriberRequest", before, list, after))
    }
}
