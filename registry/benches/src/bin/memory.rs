//! Fills a registry with beat instances of two labels each, and prints what one costs in memory, and what a
//! registry costs that nobody uses.
//!
//! `cargo run --release -p beatrix-benches --bin memory [instances] [instances in a service]`

use std::process::ExitCode;
use std::time::Duration;

use beatrix_benches::{config, endpoint, long, registration, service};
use beatrix_core::model::{Epoch, Health, Lease};
use beatrix_engine::journal::Memory;
use beatrix_engine::random::Random;
use beatrix_engine::{Registry, RegistryBuilder};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AT_ONCE: usize = 1_000;

/// What the kernel says of this process: resident bytes, and processor time so far.
fn usage() -> Option<(usize, Duration)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: usize = resident.split_whitespace().next()?.parse().ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name, which may hold anything but ends with the last parenthesis. Ticks are of 10 ms.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some((kib * 1_024, Duration::from_millis(ticks * 10)))
}

async fn fill(registry: &Registry, instances: usize, per_service: usize) -> Vec<Lease> {
    let mut leases = Vec::with_capacity(instances);
    for first in (0..instances).step_by(AT_ONCE) {
        let mut clients = JoinSet::new();
        for number in first..instances.min(first + AT_ONCE) {
            let registry = registry.clone();
            clients.spawn(async move {
                let instance = registration(number, long());
                registry
                    .register(
                        service(number / per_service),
                        endpoint(number),
                        instance,
                        Health::Healthy,
                    )
                    .await
            });
        }
        leases.extend(
            clients
                .join_all()
                .await
                .into_iter()
                .flatten()
                .map(|registered| registered.lease),
        );
    }
    leases
}

#[expect(clippy::print_stdout, reason = "this is a command line")]
async fn measure(instances: usize, per_service: usize) -> Option<()> {
    const WATCHED: Duration = Duration::from_secs(10);
    let builder = RegistryBuilder::new(config(), Random::from_seed(1));
    let registry = builder.start(Memory::new(Epoch(1))).await.ok()?;
    let (before, _) = usage()?;
    let began = Instant::now();
    let leases = fill(&registry, instances, per_service).await;
    let took = began.elapsed();
    // What is freed goes back to the system a little later.
    sleep(Duration::from_secs(2)).await;
    let (after, _) = usage()?;
    // The leases are this program's own.
    let kept = after - before - leases.capacity() * size_of::<Lease>();
    println!(
        "{} instances in {} services, registered in {took:.1?}",
        leases.len(),
        instances.div_ceil(per_service)
    );
    println!("resident: {} MiB before, {} MiB after", before >> 20, after >> 20);
    println!(
        "an instance: {} bytes (the change log of up to 65536 changes included)",
        kept / instances
    );

    let (_, used) = usage()?;
    sleep(WATCHED).await;
    let (_, idle) = usage()?;
    println!(
        "idle: {:.2} % of a core",
        (idle - used).as_secs_f64() * 100.0 / WATCHED.as_secs_f64()
    );

    // Each beats every 5 s, spread evenly.
    let ends = Instant::now() + WATCHED;
    let mut batches = leases.chunks(AT_ONCE).cycle();
    let pause = Duration::from_secs(5).div_f64((instances as f64 / AT_ONCE as f64).max(1.0));
    let mut next = Instant::now();
    let (_, used) = usage()?;
    while Instant::now() < ends {
        registry.beat(batches.next()?, |_| ());
        next += pause;
        tokio::time::sleep_until(next).await;
    }
    let (_, beating) = usage()?;
    println!(
        "all beating every 5 s: {:.2} % of a core",
        (beating - used).as_secs_f64() * 100.0 / WATCHED.as_secs_f64()
    );
    registry.stop().await;
    Some(())
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1).map_while(|arg| arg.parse().ok());
    let (instances, per_service) = (args.next().unwrap_or(1_000_000), args.next().unwrap_or(100));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build();
    let measured = runtime
        .ok()
        .and_then(|runtime| runtime.block_on(measure(instances, per_service)));
    if measured.is_some() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
