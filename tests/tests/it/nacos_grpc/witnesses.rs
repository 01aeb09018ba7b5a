//! Consumers of all kinds who look on while the registry is away and back: one who asks for the list over Nacos's HTTP
//! all the time, one who reads the native view, one on the native stream, and one over gRPC. None of them may be shown
//! a list without the instance.
//!
//! The one over gRPC is `nacos_rust_client`: the others pass over lists that are empty.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use beatrix_tests::eventually::eventually;
use beatrix_tests::native::Native;
use beatrix_tests::sse::Mirror;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::driver::Driver;
use super::outside::Place;
use super::{Kind, PATIENCE};

/// How often one asks.
const PAUSE: Duration = Duration::from_millis(10);

/// What they were shown.
#[derive(Debug, Default)]
struct Seen {
    lists: AtomicU64,
    views: AtomicU64,
    /// Whom the stream showed last.
    streamed: Mutex<Vec<String>>,
    /// What must not be.
    wrong: Mutex<Vec<String>>,
}

/// All witnesses of one instance.
pub(super) struct Witnesses {
    place: Place<'static>,
    instance: String,
    seen: Arc<Seen>,
    over_grpc: Option<Driver>,
    tasks: JoinSet<()>,
}

impl Witnesses {
    /// Lets all look on, and waits until each has seen the instance.
    pub(super) async fn begin(
        registry: SocketAddr,
        place: Place<'static>,
        instance: &str,
    ) -> anyhow::Result<Self> {
        let seen: Arc<Seen> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(lists(registry, place, instance.to_owned(), Arc::clone(&seen)));
        tasks.spawn(views(registry, place, instance.to_owned(), Arc::clone(&seen)));
        tasks.spawn(stream(registry, place, instance.to_owned(), Arc::clone(&seen)));
        let service = format!("--service={}", place.service);
        let over_grpc = Driver::start(Kind::RustClient, registry, &[&service, "--subscribe"])?;
        let witnesses = Self {
            place,
            instance: instance.to_owned(),
            seen,
            over_grpc,
            tasks,
        };
        witnesses.look_on(instance).await;
        if let Some(driver) = &witnesses.over_grpc {
            driver.shows("heard ", &[instance]).await;
        }
        Ok(witnesses)
    }

    /// Waits until those who ask were shown something more, and the stream has shown this instance.
    async fn look_on(&self, streamed: &str) {
        let counts = || [&self.seen.lists, &self.seen.views].map(|count| count.load(Ordering::Relaxed));
        let before = counts();
        eventually(
            &format!("all witnesses of {:?} look on", self.place),
            PATIENCE,
            async || {
                let more = before.iter().zip(counts()).all(|(before, now)| now > *before);
                let shown = self.seen.streamed.lock().unwrap_or_else(PoisonError::into_inner);
                (more && shown.iter().any(|it| it == streamed)).then_some(())
            },
        )
        .await;
    }

    /// Waits until all have seen that another came, who is there by now, and checks that nobody ever missed the instance.
    pub(super) async fn end(mut self, came: &str) -> anyhow::Result<()> {
        self.look_on(came).await;
        if let Some(driver) = &self.over_grpc {
            driver.shows("heard ", &[came, &self.instance]).await;
            let wanted = format!("{}=healthy", self.instance);
            let lists = driver.lists("heard ");
            ensure!(
                lists.iter().all(|list| list.contains(&wanted)),
                "who is subscribed to {:?} over gRPC was shown a list without it: {lists:?}",
                self.place
            );
        }
        let wrong = self
            .seen
            .wrong
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join("\n");
        ensure!(wrong.is_empty(), "of {:?}: {wrong}", self.place);
        ensure!(self.tasks.try_join_next().is_none(), "a witness failed");
        Ok(())
    }
}

impl Seen {
    fn look(&self, who: &str, instance: &str, mut all: impl Iterator<Item = String>) {
        if !all.any(|it| it == instance) {
            self.wrong(format!("{who} was shown a list without {instance}"));
        }
    }

    fn wrong(&self, text: String) {
        self.wrong
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }
}

/// An error is no answer; an answer must be whole.
async fn lists(registry: SocketAddr, place: Place<'static>, instance: String, seen: Arc<Seen>) {
    loop {
        if let Ok(list) = place.listed(registry).await {
            seen.look("who lists over HTTP", &instance, list.into_iter());
            seen.lists.fetch_add(1, Ordering::Relaxed);
        }
        sleep(PAUSE).await;
    }
}

/// The same in the native API; there it is also wrong that there is no such service.
async fn views(registry: SocketAddr, place: Place<'static>, instance: String, seen: Arc<Seen>) {
    loop {
        match place.view(registry).await {
            Ok(Some(view)) => {
                let all = view.instances.iter().map(beatrix_wire::Instance::authority);
                seen.look("who reads the view", &instance, all);
                seen.views.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => seen.wrong("who reads the view was told that there is no such service".into()),
            Err(_) => {}
        }
        sleep(PAUSE).await;
    }
}

/// Follows the stream and resumes it after each cut, as a browser does.
async fn stream(registry: SocketAddr, place: Place<'static>, instance: String, seen: Arc<Seen>) {
    let mut mirror = Mirror::default();
    let mut resume: Option<String> = None;
    loop {
        if let Ok(mut stream) = Native::new(registry)
            .watch(&[place.service], resume.as_deref())
            .await
        {
            while let Ok(Some(event)) = stream.next().await {
                mirror.apply(&event);
                if !event.id.is_empty() {
                    resume = Some(event.id.clone());
                }
                if mirror.snapshots > 0 {
                    let all: Vec<_> = mirror.instances.keys().cloned().collect();
                    seen.look("who follows the stream", &instance, all.iter().cloned());
                    *seen.streamed.lock().unwrap_or_else(PoisonError::into_inner) = all;
                }
            }
        }
        sleep(PAUSE).await;
    }
}
