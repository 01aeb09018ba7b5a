//! Writes and expiry: instances a second through the one owner, with a journal that keeps nothing.

use std::time::Duration;

use beatrix_benches::{Fleet, PER_SERVICE, catalog, commit, endpoint, fleet, long, registration, service};
use beatrix_core::catalog::Catalog;
use beatrix_core::model::{Health, Mono, OperatorPatch, Weight};
use divan::Bencher;
use divan::counter::ItemsCount;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AT_ONCE: usize = 1_000;

fn main() {
    divan::main();
}

/// New instances, 1,000 clients at a time.
#[divan::bench(args = [1_000, 100_000, 1_000_000], sample_count = 50, sample_size = 1)]
fn register(bencher: Bencher<'_, '_>, population: usize) {
    let Fleet {
        registry, runtime, ..
    } = fleet(population, PER_SERVICE);
    let mut next = population;
    bencher.counter(ItemsCount::new(AT_ONCE)).bench_local(|| {
        runtime.block_on(async {
            let mut clients = JoinSet::new();
            for number in next..next + AT_ONCE {
                let registry = registry.clone();
                let instance = registration(number, long());
                clients.spawn(async move {
                    let service = service(number / PER_SERVICE);
                    registry
                        .register(service, endpoint(number), instance, Health::Healthy)
                        .await
                        .is_ok()
                });
            }
            assert!(clients.join_all().await.into_iter().all(|done| done));
        });
        next += AT_ONCE;
    });
    runtime.shutdown_background();
}

/// One client that waits for each answer.
#[divan::bench]
fn one_after_another(bencher: Bencher<'_, '_>) {
    let Fleet {
        registry,
        runtime,
        instances,
        ..
    } = fleet(100_000, PER_SERVICE);
    let (service, endpoint) = instances[0].clone();
    let mut weight = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        weight = weight % 9_000 + 1;
        let patch = OperatorPatch {
            weight: Weight::new(f64::from(weight)).ok(),
            ..OperatorPatch::default()
        };
        runtime.block_on(registry.operate(service.clone(), endpoint.clone(), patch))
    });
    runtime.shutdown_background();
}

/// All that is due at once, in the portions that the catalog gives. Returns how many changes it was.
fn turn(catalog: &mut Catalog, now: Mono) -> usize {
    let mut changes = 0;
    while catalog.next_deadline().is_some_and(|deadline| deadline <= now) {
        let (mutations, _) = catalog.due(now);
        changes += mutations.len();
        commit(catalog, mutations, now);
    }
    changes
}

/// All fall silent in the same moment: found, decided and applied.
#[divan::bench(args = [1_000, 100_000], sample_count = 10, sample_size = 1)]
fn fall_silent_together(bencher: Bencher<'_, '_>, population: usize) {
    let after = Mono(0).after(Duration::from_secs(15));
    bencher
        .counter(ItemsCount::new(population))
        .with_inputs(|| catalog(population, PER_SERVICE))
        .bench_local_values(|mut catalog| {
            assert_eq!(turn(&mut catalog, after), population);
            catalog
        });
}

/// All go in the same moment.
#[divan::bench(args = [1_000, 100_000], sample_count = 10, sample_size = 1)]
fn expire_together(bencher: Bencher<'_, '_>, population: usize) {
    let after = Mono(0).after(Duration::from_secs(31));
    bencher
        .counter(ItemsCount::new(population))
        .with_inputs(|| catalog(population, PER_SERVICE))
        .bench_local_values(|mut catalog| {
            assert_eq!(turn(&mut catalog, after), population);
            assert_eq!(catalog.instances(), 0);
            catalog
        });
}

/// A turn of the owner in which nobody is due.
#[divan::bench(args = [1_000, 100_000, 1_000_000])]
fn next_deadline(bencher: Bencher<'_, '_>, population: usize) {
    let catalog = catalog(population, PER_SERVICE);
    bencher.bench_local(|| catalog.next_deadline());
}
