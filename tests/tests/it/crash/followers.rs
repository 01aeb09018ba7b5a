//! Those who follow the quiet services over all restarts: readers that ask all the time, a raw stream, the SDK, and
//! official Nacos clients. None of them may ever be shown a list that lacks an instance.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use beatrix_tests::eventually::eventually;
use beatrix_tests::nacos;
use beatrix_tests::native::Native;
use beatrix_tests::process::{Line, Process};
use beatrix_tests::programs;
use beatrix_tests::sse::Mirror;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{QUIET, STANDING, always_there};

/// How often a reader asks.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a client may take to poll or to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the readers and the stream saw.
#[derive(Debug, Default)]
struct Seen {
    lists: AtomicU64,
    views: AtomicU64,
    events: AtomicU64,
    resumed: AtomicU64,
    /// What must not be.
    wrong: Mutex<Vec<String>>,
}

/// All followers.
pub(super) struct Followers {
    seen: Arc<Seen>,
    /// Whom the stream saw, at last.
    streamed: Arc<Mutex<BTreeSet<String>>>,
    /// The SDK's consumer.
    consumer: Process,
    /// Official clients, by name.
    clients: Vec<(&'static str, Process)>,
    _tasks: JoinSet<()>,
}

impl Followers {
    /// Lets all follow the service through the relay, and waits until each has seen it.
    pub(super) async fn begin(relay: SocketAddr) -> anyhow::Result<Self> {
        let seen: Arc<Seen> = Arc::default();
        let streamed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let mut tasks = JoinSet::new();
        for service in [QUIET, STANDING] {
            tasks.spawn(lists(relay, service, Arc::clone(&seen)));
            tasks.spawn(views(relay, service, Arc::clone(&seen)));
        }
        tasks.spawn(stream(relay, Arc::clone(&seen), Arc::clone(&streamed)));
        let consumer = Process::spawn(Command::new(programs::built("consumer")?).args([
            format!("--registry=http://{relay}"),
            format!("--service={QUIET}"),
            "--calls-every-ms=0".to_owned(),
        ]))?;
        let mut clients = Vec::new();
        for (name, client, port) in [
            ("PyPI nacos-sdk-python", programs::python_client(), 18_191),
            ("npm nacos", programs::node_client(), 18_192),
        ] {
            let Some(client) = client else { continue };
            let process = Process::spawn(client.command().args([
                format!("--server={relay}"),
                format!("--service={QUIET}"),
                "--ip=127.0.0.1".to_owned(),
                format!("--port={port}"),
                "--metadata={}".to_owned(),
                "--beat-interval-ms=1000".to_owned(),
                "--watch".to_owned(),
            ]))?;
            clients.push((name, process));
        }
        for (name, process) in &clients {
            process
                .line(&format!("{name} lists the service"), PATIENCE, |line| {
                    listed(line).then_some(())
                })
                .await;
        }
        let some = always_there().next().unwrap_or_default();
        consumer
            .line("the SDK's consumer sees the service", PATIENCE, |line| {
                line.text.contains(&some).then_some(())
            })
            .await;
        Ok(Self {
            seen,
            streamed,
            consumer,
            clients,
            _tasks: tasks,
        })
    }

    /// Whether anybody was shown what must not be.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let wrong = self.seen.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        for line in self.consumer.lines() {
            ensure!(!line.text.contains(" removed "), "the SDK told: {}", line.text);
        }
        for (name, process) in &self.clients {
            for line in process.lines() {
                if listed(&line) {
                    let lacks = always_there().find(|instance| !line.text.contains(&format!("{instance}=")));
                    ensure!(
                        lacks.is_none(),
                        "{name} was shown a list without {}: {}",
                        lacks.unwrap_or_default(),
                        line.text
                    );
                }
                // One of them tells each change instead of the list.
                let gone = line.text.starts_with("heard DELETED");
                ensure!(
                    !gone || !always_there().any(|instance| line.text.contains(&instance)),
                    "{name} heard that one is gone: {}",
                    line.text
                );
            }
        }
        Ok(())
    }

    /// Waits until all have heard of one more instance: they still followed. Returns what they saw.
    pub(super) async fn end(self, told: &str) -> anyhow::Result<String> {
        let heard = |line: &Line| line.text.contains(told).then_some(());
        self.consumer
            .line("the SDK hears of the last one", PATIENCE, heard)
            .await;
        for (name, process) in &self.clients {
            process
                .line(&format!("{name} hears of the last one"), PATIENCE, heard)
                .await;
        }
        eventually("the stream hears of the last one", PATIENCE, async || {
            let streamed = self.streamed.lock().unwrap_or_else(PoisonError::into_inner);
            streamed.contains(told).then_some(())
        })
        .await;
        self.check()?;
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let seen = &self.seen;
        for (what, seen) in [
            ("lists", &seen.lists),
            ("views", &seen.views),
            ("resumed streams", &seen.resumed),
        ] {
            ensure!(count(seen) > 0, "there were no {what}");
        }
        Ok(format!(
            "{} lists, {} views, {} events on streams resumed {} times, {} official clients",
            count(&seen.lists),
            count(&seen.views),
            count(&seen.events),
            count(&seen.resumed),
            self.clients.len()
        ))
    }
}

/// Whether a client's line shows a list.
fn listed(line: &Line) -> bool {
    let changes = ["ADDED", "MODIFIED", "DELETED"];
    match line.text.split_once(' ') {
        Some(("listed" | "selected" | "pushed", _)) => true,
        Some(("heard", rest)) => !changes.iter().any(|change| rest.starts_with(change)),
        _ => false,
    }
}

impl Seen {
    fn look(&self, who: &str, instances: &BTreeSet<String>) {
        if let Some(lacks) = always_there().find(|instance| !instances.contains(instance)) {
            self.wrong(format!(
                "{who} was shown {} instances, without {lacks}",
                instances.len()
            ));
        }
    }

    fn wrong(&self, text: String) {
        self.wrong
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}

/// Asks for the Nacos list all the time. An error is no answer; an answer must be whole.
async fn lists(relay: SocketAddr, service: &'static str, seen: Arc<Seen>) {
    loop {
        if let Ok(list) = nacos::list(relay, service).await {
            let instances = list.hosts.iter().map(|host| format!("{}:{}", host.ip, host.port));
            seen.look("who lists over Nacos", &instances.collect());
            seen.lists.fetch_add(1, Ordering::Relaxed);
        }
        sleep(PAUSE).await;
    }
}

/// The same in the native API; there it is also wrong that there is no such service.
async fn views(relay: SocketAddr, service: &'static str, seen: Arc<Seen>) {
    loop {
        match Native::new(relay).view(service).await {
            Ok(Some(view)) => {
                let instances = view.instances.iter().map(beatrix_wire::Instance::authority);
                seen.look("who reads the view", &instances.collect());
                seen.views.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => seen.wrong("who reads the view was told that there is no such service".into()),
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Follows the stream and resumes it after each cut, as a browser does.
async fn stream(relay: SocketAddr, seen: Arc<Seen>, streamed: Arc<Mutex<BTreeSet<String>>>) {
    let mut mirror = Mirror::default();
    let mut resume: Option<String> = None;
    loop {
        if let Ok(mut stream) = Native::new(relay).watch(&[QUIET], resume.as_deref()).await {
            if resume.is_some() {
                seen.resumed.fetch_add(1, Ordering::Relaxed);
            }
            while let Ok(Some(event)) = stream.next().await {
                mirror.apply(&event);
                if !event.id.is_empty() {
                    resume = Some(event.id.clone());
                }
                if mirror.snapshots > 0 {
                    let instances = mirror.instances.keys().cloned().collect();
                    seen.look("who follows the stream", &instances);
                    *streamed.lock().unwrap_or_else(PoisonError::into_inner) = instances;
                }
                seen.events.fetch_add(1, Ordering::Relaxed);
            }
        }
        sleep(PAUSE).await;
    }
}
