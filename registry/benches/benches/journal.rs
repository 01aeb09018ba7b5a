//! The journal: what a registration costs in it, and durable groups beside the bare store's.
//!
//! The ratio of the issue: `durable_groups` beside `bare_groups`, of the same size and in the same run, at least 0.7.

use std::sync::Arc;
use std::time::Duration;

use beatrix_benches::{PER_SERVICE, endpoint, long, registration, service};
use beatrix_core::catalog::{Keep, Mutation, Proposed};
use beatrix_core::model::{Epoch, Health, Lease, Origin, Revision, Wall};
use beatrix_engine::clock::SystemClock;
use beatrix_engine::journal::embedded::codec::record::put_record;
use beatrix_engine::journal::embedded::disk::Folder;
use beatrix_engine::journal::embedded::store::{Batch, Store};
use beatrix_engine::journal::{Embedded, EmbeddedConfig, Journal};
use divan::Bencher;
use divan::counter::ItemsCount;
use tokio::runtime::Runtime;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const GROUPS: [usize; 3] = [1, 16, 256];

fn main() {
    divan::main();
}

fn group(size: usize) -> Vec<Proposed> {
    let proposed = (0..size).map(|number| Proposed {
        mutation: Mutation::Registered {
            service: service(number / PER_SERVICE),
            endpoint: endpoint(number),
            registration: Box::new(registration(number, long())),
            health: Health::Healthy,
            lease: Lease::from_bits(number as u64 + 1).expect("a lease"),
        },
        by: Origin::REGISTRY,
    });
    proposed.collect()
}

struct Rig {
    journal: Embedded,
    runtime: Runtime,
    _folder: tempfile::TempDir,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let config = EmbeddedConfig::new(Epoch(1));
    let mut journal = Embedded::open(folder.path(), config, Arc::new(SystemClock::new())).expect("a journal");
    runtime
        .block_on(journal.restore(&mut |_| {}))
        .expect("an empty journal");
    Rig {
        journal,
        runtime,
        _folder: folder,
    }
}

/// A registration as bytes.
#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let Proposed { mutation, by } = group(1).remove(0);
    let mut out = Vec::with_capacity(1024);
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        out.clear();
        put_record(
            &mut out,
            Revision(1_000_000),
            Wall(1_700_000_000_000),
            by,
            &mutation,
        );
        out.len()
    });
}

/// What the owner waits for when beat instances register: revisions and a place in the queue, while the thread writes.
#[divan::bench(args = GROUPS)]
fn behind(bencher: Bencher<'_, '_>, size: usize) {
    let mut rig = rig();
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| group(size))
        .bench_local_values(|group| {
            let commit = rig.journal.commit(group, Wall(1), Keep::Behind);
            rig.runtime.block_on(commit).expect("it is taken").len()
        });
    rig.runtime.block_on(rig.journal.close());
}

/// Groups that are durable when they are acknowledged.
#[divan::bench(args = GROUPS, sample_count = 300, sample_size = 1)]
fn durable_groups(bencher: Bencher<'_, '_>, size: usize) {
    let mut rig = rig();
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| group(size))
        .bench_local_values(|group| {
            let commit = rig.journal.commit(group, Wall(1), Keep::Durable);
            rig.runtime.block_on(commit).expect("it is kept").len()
        });
    rig.runtime.block_on(rig.journal.close());
}

/// The same bytes into the same store, as blocks that were made beforehand, by nobody but this loop.
#[divan::bench(args = GROUPS, sample_count = 300, sample_size = 1)]
fn bare_groups(bencher: Bencher<'_, '_>, size: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&Folder::new(folder.path())).expect("a store");
    let mut block = Vec::new();
    for Proposed { mutation, by } in group(size) {
        block.extend_from_slice(&[0; 8]);
        put_record(&mut block, Revision(1_000_000), Wall(1), by, &mutation);
    }
    let mut next = 0;
    bencher
        .counter(ItemsCount::new(size))
        .with_inputs(|| {
            next += 1;
            Batch {
                log: vec![(Revision(next), block.clone())],
                ..Batch::default()
            }
        })
        .bench_local_values(|batch| store.write(&batch).expect("it is written"));
}

/// Reading a log back: a million registrations, decoded and handed over.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn restore_a_million(bencher: Bencher<'_, '_>) {
    const MILLION: usize = 1_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = Runtime::new().expect("a runtime");
    let open = || {
        Embedded::open(
            folder.path(),
            EmbeddedConfig::new(Epoch(1)),
            Arc::new(SystemClock::new()),
        )
        .expect("a journal")
    };
    runtime.block_on(async {
        let mut journal = open();
        journal.restore(&mut |_| {}).await.expect("an empty journal");
        for _ in 0..MILLION / 1_000 {
            let committed = journal.commit(group(1_000), Wall(1), Keep::Behind).await;
            committed.expect("it is taken");
        }
        journal.close().await;
    });
    bencher.counter(ItemsCount::new(MILLION)).bench_local(|| {
        runtime.block_on(async {
            let mut journal = open();
            let mut known = 0;
            let restored = journal.restore(&mut |portion| known += portion.len()).await;
            restored.expect("it is read");
            assert_eq!(known, MILLION);
            journal.close().await;
        });
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
}
