//! Reads and pushes: lists of large services, and one change that a thousand subscribers are told of.

use beatrix_benches::{Fleet, fleet};
use beatrix_core::model::{OperatorPatch, Weight};
use beatrix_engine::hub::{Subscribe, Subscription};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

fn weighing(weight: u32) -> OperatorPatch {
    OperatorPatch {
        weight: Weight::new(f64::from(weight % 9_000 + 1)).ok(),
        ..OperatorPatch::default()
    }
}

/// The list of a service in which nothing has changed since it was asked for last.
#[divan::bench(args = [1_000, 100_000])]
fn list_again(bencher: Bencher<'_, '_>, instances: usize) {
    let Fleet {
        registry,
        runtime,
        instances: all,
        ..
    } = fleet(instances, instances);
    let service = all[0].0.clone();
    bencher.bench_local(|| {
        let view = registry.view(black_box(service.borrowed())).expect("it is there");
        beatrix_native::bench::view(&view)
    });
    runtime.shutdown_background();
}

/// The list of a service after one change: the view, and all its JSON, of which one chunk is rendered anew. The write
/// itself is not measured.
#[divan::bench(args = [1_000, 100_000])]
fn list_after_a_change(bencher: Bencher<'_, '_>, instances: usize) {
    let Fleet {
        registry,
        runtime,
        instances: all,
        ..
    } = fleet(instances, instances);
    let service = all[0].0.clone();
    let view = registry.view(service.borrowed()).expect("it is there");
    let bytes = beatrix_native::bench::view(&view).len();
    drop(view);
    let mut next = 0;
    bencher
        .counter(BytesCount::new(bytes))
        .with_inputs(|| {
            next += 1;
            let (service, endpoint) = all[next % all.len()].clone();
            let written = runtime.block_on(registry.operate(
                service,
                endpoint,
                weighing(u32::try_from(next).unwrap_or(1)),
            ));
            assert!(written.is_ok());
        })
        .bench_local_values(|()| {
            let view = registry.view(black_box(service.borrowed())).expect("it is there");
            beatrix_native::bench::view(&view)
        });
    runtime.shutdown_background();
}

/// A write, its push, and all subscribers taking the rendered event.
#[divan::bench(args = [1_000, 10_000], sample_count = 50)]
fn fan_out(bencher: Bencher<'_, '_>, subscribers: usize) {
    let Fleet {
        registry,
        runtime,
        instances,
        ..
    } = fleet(100, 100);
    let (service, endpoint) = instances[0].clone();
    let mut subscriptions: Vec<Subscription> = (0..subscribers)
        .map(|_| {
            let wish = Subscribe {
                services: vec![service.clone()],
                ..Subscribe::default()
            };
            registry.hub().subscribe(wish).expect("below the limit")
        })
        .collect();
    runtime.block_on(async {
        for subscription in &mut subscriptions {
            subscription.next().await;
        }
    });
    let mut weight = 0;
    bencher.counter(ItemsCount::new(subscribers)).bench_local(|| {
        weight += 1;
        runtime.block_on(async {
            let written = registry
                .operate(service.clone(), endpoint.clone(), weighing(weight))
                .await;
            assert!(written.is_ok());
            for subscription in &mut subscriptions {
                let batch = subscription.next().await;
                black_box(beatrix_native::bench::event(&batch.updates[0]));
            }
        });
    });
    runtime.shutdown_background();
}
