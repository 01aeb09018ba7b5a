//! Small makers, a clock whose wall time jumps, and shorter words for what the tests do most.

pub(crate) mod follower;
pub(crate) mod journal;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use beatrix_core::catalog::CatalogConfig;
use beatrix_core::model::{
    Cluster, Endpoint, Epoch, Health, Lease, Liveness, Member, Metadata, Mono, OperatorPatch, Registration,
    Revision, ServiceKey, Timings, Wall, Weight,
};
use beatrix_engine::clock::{Clock, SystemClock};
use beatrix_engine::hub::{Subscribe, Subscription};
use beatrix_engine::journal::{Journal, Memory};
use beatrix_engine::random::Random;
use beatrix_engine::registry::{EventsQuery, Registered};
use beatrix_engine::{EngineConfig, Registry, RegistryBuilder, WriteError, Written};
use tokio::time::Instant;

pub(crate) const EPOCH: Epoch = Epoch(0xE);

/// Every setting's default, without the guard: most tests let a handful fall silent on purpose.
pub(crate) fn unguarded() -> EngineConfig {
    let mut catalog = CatalogConfig::default();
    catalog.guard.enabled = false;
    EngineConfig {
        catalog,
        ..EngineConfig::default()
    }
}

pub(crate) async fn registry() -> Registry {
    start(unguarded(), Memory::new(EPOCH)).await
}

pub(crate) async fn start(config: EngineConfig, journal: impl Journal) -> Registry {
    let builder = RegistryBuilder::new(config, Random::from_seed(1));
    builder.start(journal).await.unwrap()
}

/// Real monotonic time (which tests pause) and a wall clock that jumps.
#[derive(Debug, Default)]
pub(crate) struct JumpingWall {
    mono: SystemClock,
    offset_ms: AtomicI64,
}

impl JumpingWall {
    pub(crate) fn jump(&self, seconds: i64) {
        self.offset_ms.fetch_add(seconds * 1_000, Ordering::Relaxed);
    }
}

impl Clock for JumpingWall {
    fn mono(&self) -> Mono {
        self.mono.mono()
    }

    fn wall(&self) -> Wall {
        Wall(1_700_000_000_000_u64.saturating_add_signed(self.offset_ms.load(Ordering::Relaxed)))
    }
}

pub(crate) async fn registry_with_clock(clock: Arc<JumpingWall>) -> Registry {
    let builder = RegistryBuilder::new(unguarded(), Random::from_seed(1)).with_clock(clock);
    builder.start(Memory::new(EPOCH)).await.unwrap()
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) async fn sleep_ms(time: u64) {
    tokio::time::sleep(ms(time)).await;
}

/// Lets every task run until none can without time going on.
pub(crate) async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn key(name: &str) -> ServiceKey {
    format!("public/DEFAULT_GROUP/{name}").parse().unwrap()
}

pub(crate) fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// The endpoint of this number.
pub(crate) fn nth(number: usize) -> Endpoint {
    endpoint(&format!(
        "10.{}.{}.{}:80",
        number >> 16 & 255,
        number >> 8 & 255,
        number & 255
    ))
}

pub(crate) fn living(liveness: Liveness) -> Registration {
    Registration {
        cluster: Cluster::DEFAULT.parse().unwrap(),
        weight: Weight::DEFAULT,
        enabled: true,
        metadata: Metadata::default(),
        locality: None,
        liveness,
        expires: true,
        incarnation: None,
        own_id: None,
    }
}

pub(crate) fn beating() -> Registration {
    living(Liveness::Beat(Timings::DEFAULT))
}

pub(crate) fn fixed() -> Registration {
    living(Liveness::Static)
}

pub(crate) fn with_metadata(registration: Registration, entry: &str) -> Registration {
    Registration {
        metadata: Metadata::new([("entry", entry)]).unwrap(),
        ..registration
    }
}

pub(crate) fn weighing(weight: u32) -> OperatorPatch {
    OperatorPatch {
        weight: Some(Weight::new(f64::from(weight)).unwrap()),
        ..OperatorPatch::default()
    }
}

pub(crate) async fn try_register(
    registry: &Registry,
    service: &str,
    endpoint: Endpoint,
    registration: Registration,
) -> Result<Registered, WriteError> {
    registry
        .register(key(service), endpoint, registration, Health::Healthy)
        .await
}

pub(crate) async fn register(registry: &Registry, service: &str, address: &str) -> Registered {
    let registered = try_register(registry, service, endpoint(address), beating()).await;
    registered.unwrap()
}

pub(crate) async fn deregister(registry: &Registry, service: &str, address: &str) -> Written {
    let gone = registry.deregister(key(service), endpoint(address), None, &[]);
    gone.await.unwrap()
}

pub(crate) async fn operate(registry: &Registry, service: &str, address: &str, weight: u32) -> Written {
    let operated = registry.operate(key(service), endpoint(address), weighing(weight));
    operated.await.unwrap()
}

/// Beats. Returns whether the lease is known.
pub(crate) fn beat(registry: &Registry, lease: Lease) -> bool {
    registry.beat(&[lease], |_| ()).renewed == 1
}

pub(crate) fn member(registry: &Registry, service: &str, address: &str) -> Option<Member> {
    let view = registry.view(key(service).borrowed())?;
    view.get(&endpoint(address)).cloned()
}

/// `healthy`, `suspect`, `unhealthy` or `gone`.
pub(crate) fn health(registry: &Registry, service: &str, address: &str) -> &'static str {
    match member(registry, service, address) {
        None => "gone",
        Some(member) if member.state.suspect() => "suspect",
        Some(member) if member.healthy() => "healthy",
        Some(_) => "unhealthy",
    }
}

pub(crate) fn subscribe(registry: &Registry, services: &[&str], since: Option<Revision>) -> Subscription {
    let wish = Subscribe {
        services: services.iter().map(|name| key(name)).collect(),
        since,
        ..Subscribe::default()
    };
    registry.hub().subscribe(wish).unwrap()
}

/// Reasons of all changes, in order.
pub(crate) fn reasons(registry: &Registry) -> Vec<&'static str> {
    let query = EventsQuery {
        limit: usize::MAX,
        ..EventsQuery::default()
    };
    let changes = registry.events(&query).changes;
    changes.iter().map(|change| change.reason.as_str()).collect()
}

/// When, since `from`, the instance is no longer what it `is`. Looks at every millisecond, for three minutes.
pub(crate) async fn until_not(
    registry: &Registry,
    service: &str,
    address: &str,
    is: &str,
    from: Instant,
) -> Duration {
    while health(registry, service, address) == is {
        assert!(from.elapsed() < ms(180_000), "it stays {is}");
        sleep_ms(1).await;
    }
    from.elapsed()
}
