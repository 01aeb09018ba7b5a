//! Providers as they are: each registers, beats in its own rhythm over a connection of its own, and says goodbye when
//! it is asked to stop. Killed, they just stop.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use beatrix_tests::http1::{Connection, Request, Response, stays_here};
use beatrix_tests::native::{beating, instance_path};
use beatrix_wire::{BeatRequest, BeatResponse, RegisterRequest, RegisterResponse};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::fleet::Fleet;

/// Many providers in one process, until SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Providers {
    /// Where the registry listens; an address of this machine.
    #[arg(long, value_parser = on_this_machine)]
    addr: SocketAddr,
    /// The service that they provide.
    #[arg(long, default_value = "orders")]
    service: String,
    /// The number of the first: it makes the address.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    first: u64,
    /// How many there are.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// How often each beats.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    interval_ms: u64,
    /// Silence after which one is unhealthy.
    #[arg(long, default_value_t = 15_000)]
    unhealthy_after_ms: u64,
    /// Silence after which one is removed.
    #[arg(long, default_value_t = 30_000)]
    remove_after_ms: u64,
    /// How long they run at most.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
}

fn on_this_machine(text: &str) -> Result<SocketAddr, String> {
    let addr: SocketAddr = text
        .parse()
        .map_err(|_| "not an address with a port".to_owned())?;
    if stays_here(addr.ip()) {
        Ok(addr)
    } else {
        Err("not an address of this machine".to_owned())
    }
}

/// One of them.
struct Provider {
    addr: SocketAddr,
    path: String,
    registration: RegisterRequest,
    connection: Option<Connection>,
    patience: Duration,
}

impl Providers {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut asked = signal(SignalKind::terminate())?;
        let (goodbye, _) = watch::channel(false);
        let (registered, mut all_registered) = tokio::sync::mpsc::channel(16);
        let every = Duration::from_millis(self.interval_ms);
        let mut tasks = JoinSet::new();
        for number in 0..self.count {
            let provider = Provider {
                addr: self.addr,
                path: instance_path(&self.service, &format!("{}:8080", Fleet::ip(self.first + number))),
                registration: beating(self.interval_ms, self.unhealthy_after_ms, self.remove_after_ms),
                connection: None,
                patience: every.max(Duration::from_secs(1)),
            };
            // Each in its own rhythm: a fleet does not beat as one.
            let begins = every.mul_f64(number as f64 / self.count as f64);
            tasks.spawn(provider.lives(begins, every, registered.clone(), goodbye.subscribe()));
        }
        drop(registered);
        for _ in 0..self.count {
            ensure!(all_registered.recv().await.is_some(), "a provider ended");
        }
        println!("registered {}", self.count);
        let asked = timeout(Duration::from_secs(self.seconds), asked.recv())
            .await
            .is_ok();
        ensure!(asked, "nobody asked them to stop");
        goodbye.send_replace(true);
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        println!("deregistered {}", self.count);
        Ok(())
    }
}

impl Provider {
    async fn lives(
        mut self,
        begins: Duration,
        every: Duration,
        registered: tokio::sync::mpsc::Sender<()>,
        mut goodbye: watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let mut ticks = interval_at(Instant::now() + begins, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut lease: Option<RegisterResponse> = None;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = goodbye.wait_for(|asked| *asked) => break,
            }
            // What does not get through is tried again at the next tick, as a client does it.
            match &lease {
                None => {
                    let body = serde_json::to_vec(&self.registration)?;
                    let answer = self.ask(Request::new("PUT", self.path.as_str()).json(body)).await;
                    if let Some(answer) = answer.filter(|answer| answer.status() < 300) {
                        lease = Some(answer.json()?);
                        let _nobody_counts_any_more = registered.try_send(());
                    }
                }
                Some(held) => {
                    let beat = BeatRequest {
                        cluster_id: held.cluster_id.clone(),
                        leases: held.lease.iter().cloned().collect(),
                        statuses: Vec::new(),
                        in_flight: Default::default(),
                    };
                    let body = serde_json::to_vec(&beat)?;
                    if let Some(answer) = self.ask(Request::new("POST", "/api/v1/beats").json(body)).await
                        && answer.json::<BeatResponse>()?.renewed == 0
                    {
                        lease = None;
                    }
                }
            }
        }
        let answer = self.ask(Request::new("DELETE", self.path.as_str())).await;
        ensure!(
            answer.is_some_and(|answer| answer.status() < 300),
            "the goodbye of {} was not taken",
            self.path
        );
        Ok(())
    }

    /// Asks over the kept connection, or a new one where that is gone. `None` if no answer comes in time.
    async fn ask(&mut self, request: Request) -> Option<Response> {
        let bytes = request.into_bytes();
        let kept = self.connection.take();
        let asked = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => Connection::open(self.addr).await?,
            };
            let answer = connection.exchange(&bytes).await?;
            std::io::Result::Ok((connection, answer))
        };
        let (connection, answer) = timeout(self.patience, asked).await.ok()?.ok()?;
        self.connection = Some(connection);
        Some(answer)
    }
}
