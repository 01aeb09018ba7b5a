//! Set-up that the benchmarks share: registries full of instances, as a fleet of services would leave them.
//!
//! Everything is drawn from a seed, and nothing expires while it is measured: the instances' times are a day.
//! Run with `cargo bench -p beatrix-benches`; one group with `-- beats`.

use std::time::Duration;

use beatrix_core::catalog::{Catalog, CatalogConfig, Command, Committed, Decision, Keep, Mutation, Proposed};
use beatrix_core::model::{
    Cluster, Endpoint, Epoch, Health, Lease, Liveness, Metadata, Mono, Origin, Registration, Revision,
    ServiceKey, Timings, Wall, Weight,
};
use beatrix_engine::journal::{Journal, JournalError, Known, Memory, Restored, Sink};
use beatrix_engine::random::Random;
use beatrix_engine::{EngineConfig, Registry, RegistryBuilder};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::runtime::Runtime;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const EPOCH: Epoch = Epoch(1);

/// How many instances a service has where it does not matter.
pub const PER_SERVICE: usize = 100;

/// The service of this number.
#[must_use]
pub fn service(number: usize) -> ServiceKey {
    let name = format!("orders-{number}");
    ServiceKey::new(
        "public".parse().expect("a namespace"),
        "DEFAULT_GROUP".parse().expect("a group"),
        name.parse().expect("a service's name"),
    )
}

/// The endpoint of this number.
#[must_use]
pub fn endpoint(number: usize) -> Endpoint {
    let bits = u32::try_from(number).expect("a small number") + 0x0A00_0000;
    Endpoint::V4(bits.into(), 8080)
}

/// What an instance says that lives by beats and has two labels.
#[must_use]
pub fn registration(number: usize, timings: Timings) -> Registration {
    let version = format!("1.4.{}", number % 10);
    Registration {
        cluster: Cluster::DEFAULT.parse().expect("a cluster"),
        weight: Weight::DEFAULT,
        enabled: true,
        metadata: Metadata::new([("version", version.as_str()), ("zone", "eu-central-1a")])
            .expect("two labels"),
        locality: None,
        liveness: Liveness::Beat(timings),
        expires: true,
        incarnation: None,
        own_id: None,
    }
}

/// Times so long that nothing happens.
///
/// # Panics
/// Never: a day is allowed.
#[must_use]
pub fn long() -> Timings {
    Timings::new(Duration::from_secs(5), DAY, DAY).expect("a day is allowed")
}

/// A registration as it is committed.
#[must_use]
pub fn registered(number: usize, per_service: usize, timings: Timings, lease: Lease) -> Mutation {
    Mutation::Registered {
        service: service(number / per_service),
        endpoint: endpoint(number),
        registration: Box::new(registration(number, timings)),
        health: Health::Healthy,
        lease,
    }
}

/// A source of leases and of disorder.
#[must_use]
pub fn seeded() -> StdRng {
    StdRng::seed_from_u64(0xBEA7)
}

fn lease(random: &mut StdRng) -> Lease {
    Lease::from_bits(random.next_u64()).expect("one in 2^64 is none")
}

/// Settings with nothing that gets in the way.
#[must_use]
pub fn config() -> EngineConfig {
    let mut catalog = CatalogConfig::default();
    catalog.guard.enabled = false;
    EngineConfig {
        push_merge_max: Duration::ZERO,
        catalog,
        ..EngineConfig::default()
    }
}

/// A journal that knows all instances from before, and then keeps nothing.
struct Filled(Vec<Committed>, Memory);

impl Journal for Filled {
    async fn restore(&mut self, into: Sink<'_>) -> Result<Restored, JournalError> {
        let committed = std::mem::take(&mut self.0);
        let revision = committed.last().map_or(Revision::ZERO, |last| last.revision);
        into(committed.into_iter().map(Known::Committed).collect());
        Ok(Restored {
            epoch: EPOCH,
            revision,
            gaps: Vec::new(),
        })
    }

    async fn commit(
        &mut self,
        group: Vec<Proposed>,
        at: Wall,
        keep: Keep,
    ) -> Result<Vec<Committed>, JournalError> {
        let mut committed = self.1.commit(group, at, keep).await?;
        // After those from before.
        for committed in &mut committed {
            committed.revision = Revision(committed.revision.0 + (1 << 32));
        }
        Ok(committed)
    }
}

/// A registry that runs, with instances in it.
#[derive(Debug)]
pub struct Fleet {
    /// What its tasks run on.
    pub runtime: Runtime,
    /// The registry.
    pub registry: Registry,
    /// The leases of all instances, shuffled: beats come in no order.
    pub leases: Vec<Lease>,
    /// The instances, shuffled.
    pub instances: Vec<(ServiceKey, Endpoint)>,
}

/// A registry with so many instances, so many to a service.
///
/// # Panics
/// If the runtime cannot be made.
#[must_use]
pub fn fleet(population: usize, per_service: usize) -> Fleet {
    let mut random = seeded();
    let mut leases: Vec<Lease> = (0..population).map(|_| lease(&mut random)).collect();
    let committed = leases.iter().enumerate().map(|(number, lease)| Committed {
        revision: Revision(number as u64 + 1),
        at: Wall(0),
        by: Origin::REGISTRY,
        mutation: registered(number, per_service, long(), *lease),
    });
    let journal = Filled(committed.collect(), Memory::new(EPOCH));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build();
    let runtime = runtime.expect("a runtime");
    let builder = RegistryBuilder::new(config(), Random::from_seed(7));
    let registry = runtime.block_on(builder.start(journal)).expect("nothing is read");
    leases.shuffle(&mut random);
    let mut instances: Vec<_> = (0..population)
        .map(|number| (service(number / per_service), endpoint(number)))
        .collect();
    instances.shuffle(&mut random);
    Fleet {
        runtime,
        registry,
        leases,
        instances,
    }
}

/// A catalog without a registry around it, whose instances all beat last at the same moment.
#[must_use]
pub fn catalog(population: usize, per_service: usize) -> Catalog {
    let mut random = seeded();
    let mut catalog = Catalog::new(config().catalog, Mono(0));
    let mutations: Vec<_> = (0..population)
        .map(|number| registered(number, per_service, Timings::DEFAULT, lease(&mut random)))
        .collect();
    commit(&mut catalog, mutations, Mono(0));
    catalog
}

/// Applies mutations as a journal that commits at once would have it.
pub fn commit(catalog: &mut Catalog, mutations: Vec<Mutation>, now: Mono) {
    for mutation in mutations {
        let revision = catalog.version().revision.next();
        catalog.apply(
            Committed {
                revision,
                at: Wall(0),
                by: Origin::REGISTRY,
                mutation,
            },
            now,
        );
    }
}

/// Decides one command, and applies what it comes to.
pub fn carry_out(catalog: &mut Catalog, command: Command, now: Mono) {
    if let Ok(Decision::Commit(mutations)) = catalog.decide(command, 0, now) {
        commit(catalog, mutations, now);
    }
}

/// The body of a native beat that carries these leases.
#[must_use]
pub fn beat_body(cluster_id: &str, leases: &[Lease]) -> Vec<u8> {
    let leases: Vec<String> = leases.iter().map(|lease| format!("\"{lease}\"")).collect();
    format!(
        "{{\"cluster_id\":\"{cluster_id}\",\"leases\":[{}]}}",
        leases.join(",")
    )
    .into_bytes()
}
