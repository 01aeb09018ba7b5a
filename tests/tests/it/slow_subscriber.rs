//! A subscriber that does not read costs no growing memory, and has the newest state soon after it reads again.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::ensure;
use beatrix_tests::eventually::SOON;
use beatrix_tests::http1::{Connection, Request};
use beatrix_tests::native::{instance_path, standing};
use beatrix_tests::proc_fs::resident_bytes;
use beatrix_tests::registry::Registry;
use beatrix_tests::sse::Mirror;
use beatrix_wire::RegisterRequest;

const INSTANCES: usize = 20;
/// Changes of one phase; with [`TEXT_BYTES`] each they come to 40 MB, more than all buffers on the way hold.
const CHANGES: usize = 5_000;
const TEXT_BYTES: usize = 8_000;
/// Less than half of a phase, and much more than the noise of an allocator.
const GROWTH_MAX: u64 = 18 * 1024 * 1024;

/// Changes the instances in turn; `phase` makes each text one that was not there before.
async fn churn(addr: SocketAddr, phase: &str) -> anyhow::Result<u64> {
    let mut connection = Connection::open(addr).await?;
    let filler = "x".repeat(TEXT_BYTES);
    let mut revision = 0;
    for number in 0..CHANGES {
        let metadata = BTreeMap::from([("text".to_owned(), format!("{phase}{number}{filler}"))]);
        let registration = RegisterRequest {
            metadata,
            ..standing()
        };
        let target = instance_path("orders", &format!("10.0.0.1:{}", 1_000 + number % INSTANCES));
        let request = Request::new("PUT", target).json(serde_json::to_vec(&registration)?);
        let answer = connection.request(request).await?;
        ensure!(
            (200..300).contains(&answer.status()),
            "{} {}",
            answer.status(),
            answer.text()
        );
        revision = answer.json::<beatrix_wire::RegisterResponse>()?.revision;
    }
    Ok(revision)
}

#[tokio::test]
async fn a_subscriber_that_does_not_read_costs_nothing_and_catches_up() -> anyhow::Result<()> {
    let registry = Registry::start().await?;
    // The same churn without any subscriber first, so that what it costs by itself is not counted.
    churn(registry.addr(), "warm").await?;
    let mut stream = registry.native().watch(&["orders"], None).await?;
    let mut mirror = Mirror::default();
    stream
        .find("a snapshot", SOON, |event| {
            mirror.apply(event);
            (mirror.snapshots == 1).then_some(())
        })
        .await?;

    let before = resident_bytes(registry.process.pid())?;
    let received_before = stream.received();
    let newest = churn(registry.addr(), "blind").await?;
    let grown = resident_bytes(registry.process.pid())?.saturating_sub(before);
    assert!(
        grown < GROWTH_MAX,
        "the registry grew by {grown} bytes for one that does not read"
    );

    // It reads again. What the kernel held comes first, then the newest state: not everything in between.
    stream
        .find("the newest state", SOON, |event| {
            mirror.apply(event);
            (mirror.revision == newest).then_some(())
        })
        .await?;
    let received = stream.received() - received_before;
    assert!(received < GROWTH_MAX, "{received} bytes were kept for it");
    assert_eq!(mirror.instances.len(), INSTANCES);
    for number in CHANGES - INSTANCES..CHANGES {
        let text = &mirror.instances[&format!("10.0.0.1:{}", 1_000 + number % INSTANCES)].metadata["text"];
        assert!(text.starts_with(&format!("blind{number}x")), "{}", &text[..20]);
    }
    Ok(())
}
