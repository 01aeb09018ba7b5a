//! Beats, the path that is taken most: leases a second and core, among populations of three sizes.
//!
//! Wanted: 5 million leases a second and core, parsed from the wire.

use std::sync::Arc;

use beatrix_benches::{Fleet, PER_SERVICE, beat_body, fleet};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const POPULATIONS: [usize; 3] = [1_000, 100_000, 1_000_000];
const BATCH: usize = 1_000;

fn main() {
    divan::main();
}

/// The next of some things, over and over.
struct Rounds<T>(Vec<T>, usize);

impl<T> Rounds<T> {
    fn next(&mut self) -> &T {
        self.1 = (self.1 + 1) % self.0.len();
        &self.0[self.1]
    }
}

/// Renewed in the table: no parsing.
#[divan::bench(args = POPULATIONS, sample_count = 1_000)]
fn by_lease(bencher: Bencher<'_, '_>, population: usize) {
    let Fleet {
        registry,
        leases,
        runtime,
        ..
    } = fleet(population, PER_SERVICE);
    let mut batches = Rounds(leases.chunks(BATCH).collect(), 0);
    bencher
        .counter(ItemsCount::new(BATCH))
        .bench_local(|| registry.beat(black_box(batches.next()), |_| ()).renewed);
    runtime.shutdown_background();
}

/// As Nacos clients beat: one instance at a time, by its names.
#[divan::bench(args = POPULATIONS, sample_count = 1_000)]
fn by_address(bencher: Bencher<'_, '_>, population: usize) {
    let Fleet {
        registry,
        instances,
        runtime,
        ..
    } = fleet(population, PER_SERVICE);
    let mut batches = Rounds(instances.chunks(BATCH).collect(), 0);
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for (service, endpoint) in *black_box(batches.next()) {
            assert!(registry.beat_at(service.borrowed(), endpoint).is_some());
        }
    });
    runtime.shutdown_background();
}

/// The body of a native beat with 1,000 leases: parsed and renewed.
#[divan::bench(args = POPULATIONS, sample_count = 1_000)]
fn from_the_wire(bencher: Bencher<'_, '_>, population: usize) {
    let Fleet {
        registry,
        leases,
        runtime,
        ..
    } = fleet(population, PER_SERVICE);
    let cluster = registry.config().cluster_id.clone();
    let bodies: Vec<_> = leases
        .chunks(BATCH)
        .map(|leases| beat_body(&cluster, leases))
        .collect();
    let bytes = bodies[0].len();
    let mut bodies = Rounds(bodies, 0);
    bencher
        .counter(ItemsCount::new(BATCH))
        .counter(BytesCount::new(bytes))
        .bench_local(|| {
            let renewed = beatrix_native::bench::renew(&registry, black_box(bodies.next()));
            assert_eq!(renewed, BATCH as u64);
        });
    runtime.shutdown_background();
}

/// A process with few instances: what a request costs besides its leases.
#[divan::bench(args = [1, 10, 100])]
fn from_the_wire_in_batches_of(bencher: Bencher<'_, '_>, batch: usize) {
    let Fleet {
        registry,
        leases,
        runtime,
        ..
    } = fleet(100_000, PER_SERVICE);
    let cluster = registry.config().cluster_id.clone();
    let mut bodies = Rounds(
        leases
            .chunks(batch)
            .map(|leases| beat_body(&cluster, leases))
            .collect(),
        0,
    );
    bencher
        .counter(ItemsCount::new(batch))
        .bench_local(|| beatrix_native::bench::renew(&registry, black_box(bodies.next())));
    runtime.shutdown_background();
}

/// The same on two cores at once: nothing is shared but the table.
#[divan::bench(threads = [1, 2], args = [1_000_000], sample_count = 1_000)]
fn on_cores(bencher: Bencher<'_, '_>, population: usize) {
    let Fleet {
        registry,
        leases,
        runtime,
        ..
    } = fleet(population, PER_SERVICE);
    let next = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let batches: Vec<_> = leases.chunks(BATCH).collect();
    bencher.counter(ItemsCount::new(BATCH)).bench(|| {
        let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % batches.len();
        registry.beat(black_box(batches[place]), |_| ()).renewed
    });
    runtime.shutdown_background();
}
