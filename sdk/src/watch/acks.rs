//! Tells the registry what was acted upon, so that a drain knows when nobody sends new requests any more.

use std::sync::Arc;
use std::time::Duration;

use beatrix_wire::Ack;
use reqwest::Method;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::Backoff;
use crate::name::encode;
use crate::transport::{Address, Call, Transport};

const WAIT_MIN: Duration = Duration::from_millis(50);
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Acknowledges in a task of its own, so that the stream never waits for it. The newest event is acknowledged; it
/// covers the ones before, so that those which came while a request was under way cost none of their own.
#[derive(Debug)]
pub(super) struct Acks {
    newest: watch::Sender<String>,
    _task: AbortOnDropHandle<()>,
}

impl Acks {
    /// Acknowledges to the node that the stream comes from: it alone knows the subscriber.
    pub(super) fn start(transport: Arc<Transport>, address: Address, subscriber: &str) -> Self {
        let path = format!("/api/v1/watch/{}/acks", encode(subscriber));
        let (newest, receiver) = watch::channel(String::new());
        let task = tokio::spawn(send(transport, address, path, receiver));
        Self {
            newest,
            _task: AbortOnDropHandle::new(task),
        }
    }

    /// Everything up to this event was acted upon.
    pub(super) fn send(&self, id: &str) {
        self.newest.send_if_modified(|newest| {
            let is_new = newest != id;
            if is_new {
                id.clone_into(newest);
            }
            is_new
        });
    }
}

async fn send(
    transport: Arc<Transport>,
    address: Address,
    path: String,
    mut newest: watch::Receiver<String>,
) {
    let mut waits = Backoff::new(WAIT_MIN, WAIT_MAX, transport.dice.clone());
    while newest.changed().await.is_ok() {
        loop {
            let id = newest.borrow_and_update().clone();
            let call = Call::new(Method::POST, &*path).with_json(&Ack { id });
            match transport.once_at(&address, &call).await {
                Ok(_) => {
                    waits.reset();
                    break;
                }
                Err(error) if error.is_retryable() => {
                    tracing::debug!(%error, "an acknowledgement failed");
                    tokio::time::sleep(waits.next().unwrap_or(WAIT_MAX)).await;
                }
                Err(error) => {
                    // The registry has forgotten the subscriber, so the stream is about to end; or it does not
                    // want acknowledgements at all.
                    tracing::debug!(%error, "an acknowledgement was refused");
                    return;
                }
            }
        }
    }
}
