//! A connection that does what an official client does by itself: it says that it lives when nothing else is said,
//! answers when it is asked whether it does, and acknowledges each push.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use beatrix_tests::nacos_grpc::{Connection, Stream};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::naming::Caller;

/// How long nothing is said before the client says that it lives. All official clients have this period.
const HEALTH_CHECK: Duration = Duration::from_secs(5);
/// How long connecting may take: many connect at once.
const CONNECT: Duration = Duration::from_secs(10);
/// How often a new connection asks whether it is set up, and how long it waits in between.
const SET_UP_TRIES: u32 = 1_000;
const SET_UP_PAUSE: Duration = Duration::from_millis(2);

/// A connection that is set up.
#[derive(Debug)]
pub(super) struct Client {
    caller: Caller,
    stream: Stream,
    /// When something was said last.
    active: Instant,
}

/// A push that has arrived.
#[derive(Debug)]
pub(super) struct Pushed {
    /// When it was there and read.
    pub(super) at: Instant,
    /// Its `serviceInfo`.
    pub(super) info: Value,
}

impl Client {
    pub(super) async fn open(addr: SocketAddr) -> anyhow::Result<Self> {
        let connection = timeout(CONNECT, Connection::tcp(addr)).await;
        let caller = Caller::new(connection.context("not connected in time")??);
        caller.check_server().await?;
        let stream = caller.set_up().await?;
        // The words of the stream and a call have no order among each other. Official clients sleep for 100 ms, or ask
        // again until they are known.
        let mut tries = 0;
        while let Err(error) = caller.check_health().await {
            tries += 1;
            if tries == SET_UP_TRIES {
                return Err(error.context("the connection is not set up"));
            }
            sleep(SET_UP_PAUSE).await;
        }
        Ok(Self {
            caller,
            stream,
            active: Instant::now(),
        })
    }

    pub(super) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// The next push, acknowledged.
    pub(super) async fn next_push(&mut self) -> anyhow::Result<Pushed> {
        loop {
            let said = tokio::select! {
                said = self.stream.next() => said?,
                () = sleep_until(self.active + HEALTH_CHECK) => {
                    self.caller.check_health().await?;
                    self.active = Instant::now();
                    continue;
                }
            };
            let mut said = said.context("the registry has ended the stream")?;
            let at = Instant::now();
            self.active = at;
            match said.kind.as_str() {
                "NotifySubscriberRequest" => {
                    self.stream.acknowledge("NotifySubscriberResponse", &said.json);
                    let info = said.json["serviceInfo"].take();
                    return Ok(Pushed { at, info });
                }
                "ClientDetectionRequest" => self.stream.acknowledge("ClientDetectionResponse", &said.json),
                _ => bail!("the registry said {said:?}"),
            }
        }
    }

    /// Lives on without a subscription; gives why that ended.
    pub(super) async fn live(mut self) -> anyhow::Error {
        match self.next_push().await {
            Ok(push) => anyhow::anyhow!("pushed without a subscription: {push:?}"),
            Err(error) => error,
        }
    }
}
