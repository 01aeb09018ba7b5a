//! The bidirectional stream of a connection.

use anyhow::Context;
use beatrix_nacos_wire::Payload;
use futures_util::Stream as _;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::connection::Answer;

/// How many messages wait to be sent. A test that says more at once has a defect.
const OUTGOING_MAX: usize = 1_024;

/// An open stream. Dropped, it is cancelled.
#[derive(Debug)]
pub struct Stream {
    sender: Option<mpsc::Sender<Payload>>,
    incoming: Streaming<Payload>,
}

/// What the registry said on its own account.
pub type Pushed = Answer;

pub(super) fn outgoing() -> (mpsc::Sender<Payload>, impl futures_util::Stream<Item = Payload>) {
    let (sender, mut receiver) = mpsc::channel(OUTGOING_MAX);
    (sender, stream::poll_fn(move |cx| receiver.poll_recv(cx)))
}

impl Stream {
    pub(super) fn new(sender: mpsc::Sender<Payload>, incoming: Streaming<Payload>) -> Self {
        Self {
            sender: Some(sender),
            incoming,
        }
    }

    /// Says something.
    ///
    /// # Panics
    ///
    /// When too much waits to be sent.
    pub fn send(&self, kind: &str, json: &Value) {
        self.send_payload(Payload::of(kind, json.to_string()));
    }

    /// Says anything.
    ///
    /// # Panics
    ///
    /// When too much waits to be sent.
    pub fn send_payload(&self, payload: Payload) {
        let Some(sender) = &self.sender else { return };
        match sender.try_send(payload) {
            // The registry has ended the stream; a test sees that where it reads.
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Ends its own side.
    pub fn half_close(&mut self) {
        self.sender = None;
    }

    /// The next message, or `None` when the registry ends the stream in order.
    ///
    /// # Errors
    ///
    /// The status with which the stream ends.
    ///
    /// # Panics
    ///
    /// When a message holds no JSON.
    pub async fn next(&mut self) -> Result<Option<Pushed>, Status> {
        let payload = self.incoming.message().await?;
        Ok(payload.map(|payload| Answer::of(&payload).expect("every message holds JSON")))
    }

    /// The next message of this type; others are passed over, as are answers to them.
    ///
    /// # Errors
    ///
    /// When the stream ends before.
    pub async fn next_of(&mut self, kind: &str) -> anyhow::Result<Value> {
        loop {
            let pushed = self.next().await?.context("the stream has ended")?;
            if pushed.kind == kind {
                return Ok(pushed.json);
            }
        }
    }

    /// The next push of a service, acknowledged as Go's client does.
    ///
    /// # Errors
    ///
    /// When the stream ends before.
    pub async fn next_push(&mut self) -> anyhow::Result<Value> {
        let push = self.next_of("NotifySubscriberRequest").await?;
        self.acknowledge("NotifySubscriberResponse", &push);
        Ok(push)
    }

    /// Answers a request of the registry with success.
    pub fn acknowledge(&self, kind: &str, request: &Value) {
        let answer = json!({
            "resultCode": 200,
            "errorCode": 0,
            "success": false,
            "message": "",
            "requestId": request["requestId"],
        });
        self.send(kind, &answer);
    }

    /// Whether a message has come that was not taken yet.
    pub async fn is_quiet(&mut self) -> bool {
        let mut incoming = std::pin::pin!(&mut self.incoming);
        std::future::poll_fn(|cx| std::task::Poll::Ready(incoming.as_mut().poll_next(cx).is_pending())).await
    }
}
