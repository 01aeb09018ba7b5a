//! Requests to the registry: one attempt, or attempts until a deadline.
//!
//! Every call of the native API may be repeated without harm, so whatever failed retryably is tried again, at the
//! next address. Who must never give up (beats, the stream) loops over single attempts itself.

mod addresses;
mod answer;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, IF_NONE_MATCH};
use reqwest::{Method, Response};
use serde::Serialize;
use tokio::time::Instant;

pub(crate) use addresses::{Address, Addresses};
pub(crate) use answer::Answer;
pub(crate) use tls::http_client;

use crate::Error;
use crate::backoff::Backoff;
use crate::random::Dice;

const RETRY_WAIT_MIN: Duration = Duration::from_millis(50);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);

/// The way to the registry, shared by everything in a client.
#[derive(Debug)]
pub(crate) struct Transport {
    pub(crate) http: reqwest::Client,
    pub(crate) addresses: Addresses,
    /// How long one attempt may take.
    pub(crate) request_timeout: Duration,
    /// How long a call tries in all.
    pub(crate) operation_timeout: Duration,
    pub(crate) dice: Dice,
}

/// A request that can be sent more than once.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    method: Method,
    /// Path and query, encoded.
    path: String,
    body: Option<Bytes>,
    if_none_match: Option<String>,
    /// How long one attempt may take, where it is not the usual time.
    timeout: Option<Duration>,
}

impl Call {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            if_none_match: None,
            timeout: None,
        }
    }

    pub(crate) fn with_json(self, body: &impl Serialize) -> Self {
        let body =
            serde_json::to_vec(body).expect("wire types have text keys only, so they always serialise");
        self.with_body(body.into())
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn with_if_none_match(mut self, etag: Option<String>) -> Self {
        self.if_none_match = etag;
        self
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl Transport {
    /// One attempt at the current address. A failure that another address might not share moves on to the next.
    pub(crate) async fn once(&self, call: &Call) -> Result<Answer, Error> {
        let address = self.addresses.current();
        let result = self.once_at(&address, call).await;
        if result
            .as_ref()
            .is_err_and(|error| error.is_retryable() || matches!(error, Error::Answer { .. }))
        {
            self.addresses.failed(&address);
        }
        result
    }

    /// One attempt at a certain address.
    pub(crate) async fn once_at(&self, address: &Address, call: &Call) -> Result<Answer, Error> {
        let timeout = call.timeout.unwrap_or(self.request_timeout);
        let mut request = self.http.request(call.method.clone(), address.url(&call.path));
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        if let Some(etag) = &call.if_none_match {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| address.failure(error))?;
            answer::read(address, response).await
        };
        tokio::time::timeout(timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(address.timeout(timeout)))
    }

    /// Attempts until one succeeds, fails for good, or the time that a call may take in all is over.
    pub(crate) async fn repeat(&self, call: &Call) -> Result<Answer, Error> {
        let deadline = Instant::now() + call.timeout.unwrap_or_default().max(self.operation_timeout);
        let mut waits = self.backoff();
        loop {
            let error = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = waits.next().unwrap_or(RETRY_WAIT_MAX);
            if !error.is_retryable() || Instant::now() + wait >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "trying again");
            tokio::time::sleep(wait).await;
        }
    }

    /// Opens a stream of events: answers once the head of the answer is there, and leaves the body to be read.
    pub(crate) async fn open_stream(
        &self,
        address: &Address,
        path: &str,
        last_event_id: Option<&str>,
    ) -> Result<Response, Error> {
        let mut request = self
            .http
            .get(address.url(path))
            .header(ACCEPT, "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| address.failure(error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            Err(match answer::read(address, response).await {
                Ok(answer) => address.not_understood(format!("status {} instead of a stream", answer.status)),
                Err(error) => error,
            })
        };
        tokio::time::timeout(self.request_timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(address.timeout(self.request_timeout)))
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(RETRY_WAIT_MIN, RETRY_WAIT_MAX, self.dice.clone())
    }
}
