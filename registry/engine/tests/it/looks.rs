//! Item 8: the registry looks itself at instances that consumers cannot reach.

use std::net::SocketAddr;
use std::sync::Arc;

use beatrix_core::catalog::Explained;
use beatrix_core::liveness::{Finding, RecheckReading};
use beatrix_core::model::{Health, Marks, Origin, Surface};
use beatrix_engine::Registry;
use beatrix_engine::registry::ConsumerReport;
use tokio::time::Instant;

use crate::probes::{Does, Double, probed, start};
use crate::support::{beating, endpoint, key, ms, nth, sleep_ms, try_register, unguarded};

const A: &str = "10.99.0.1:80";

/// Three consumers, of three addresses, report these.
fn report(registry: &Registry, addresses: &[&str]) {
    let reports: Vec<_> = addresses
        .iter()
        .map(|address| ConsumerReport {
            service: key("s"),
            endpoint: endpoint(address),
            failures: 1,
            within: ms(100),
            error: "connect: refused".into(),
        })
        .collect();
    for host in 1..=3 {
        let peer: SocketAddr = format!("192.168.0.{host}:4711").parse().unwrap();
        let from = registry.on_behalf_of(Origin {
            surface: Surface::Native,
            peer: Some(peer),
        });
        let unknown = from.report_failures(Arc::from("consumer"), &reports).unwrap();
        assert_eq!(unknown, [0; 0]);
    }
}

fn looked(registry: &Registry, address: &str) -> Option<RecheckReading> {
    let service = key("s");
    let told = registry.explain(service.borrowed(), &endpoint(address)).unwrap();
    match told.explained {
        Explained::There(facts) => facts.reports?.recheck,
        Explained::Gone(_) => panic!("it is there"),
    }
}

/// A registry with these instances, of which the first is `A`.
async fn with(count: usize, double: &Arc<Double>) -> Registry {
    let registry = start(unguarded(), double).await;
    for number in 0..count {
        try_register(&registry, "s", nth(number), beating())
            .await
            .unwrap();
    }
    try_register(&registry, "s", endpoint(A), beating())
        .await
        .unwrap();
    registry
}

/// Claim: enough reports order a look; it is shown and changes nothing.
#[tokio::test(start_paused = true)]
async fn an_instance_that_consumers_report_is_looked_at_once_and_what_was_found_is_shown_and_decides_nothing()
{
    for (finding, good) in [(Finding::Down, false), (Finding::Good, true)] {
        let double = Double::new(Does::Answer(finding));
        let registry = with(0, &double).await;
        sleep_ms(1_000).await;
        assert_eq!(double.asked(A), 0, "nobody reported it");
        let before = registry.version().revision;
        report(&registry, &[A]);
        sleep_ms(100).await;
        assert_eq!(double.asked(A), 1);
        let found = looked(&registry, A).expect("it was looked at");
        assert_eq!((found.good, &*found.text), (good, "tcp: as the test says"));
        let view = registry.view(key("s").borrowed()).unwrap();
        let state = view.get(&endpoint(A)).unwrap().state;
        assert!(
            state.marks.has(Marks::REPORTED) && state.health == Health::Healthy,
            "{state:?}"
        );
        assert_eq!(
            registry.version().revision.0,
            before.0 + 1,
            "the mark, and no more"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_lives_by_probes_is_probed_out_of_turn() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(unguarded(), &double).await;
    try_register(&registry, "s", endpoint(A), probed(3_600_000, 1, 3))
        .await
        .unwrap();
    sleep_ms(5_000).await;
    assert_eq!(double.asked(A), 1);
    report(&registry, &[A]);
    sleep_ms(100).await;
    assert_eq!(double.asked(A), 2);
    assert_eq!(registry.probe_counts().passed, 2, "it counts as any probe does");
}

#[tokio::test(start_paused = true)]
async fn one_instance_is_looked_at_once_in_five_seconds() {
    let double = Double::new(Does::Answer(Finding::Down));
    let registry = with(0, &double).await;
    let again = async || {
        registry.end_reports(key("s"), endpoint(A)).await.unwrap();
        report(&registry, &[A]);
        sleep_ms(100).await;
    };
    again().await;
    sleep_ms(2_000).await;
    again().await;
    assert_eq!(double.asked(A), 1, "too soon");
    sleep_ms(3_000).await;
    again().await;
    assert_eq!(double.asked(A), 2);
}

#[tokio::test(start_paused = true)]
async fn sixteen_are_looked_at_at_once_and_the_others_wait() {
    // Slower than a look may last: each takes all of its two seconds.
    let double = Double::new(Does::Slowly(Finding::Good, ms(60_000)));
    let registry = with(100, &double).await;
    let all: Vec<String> = (0..40).map(|number| nth(number).to_string()).collect();
    let began = Instant::now();
    report(&registry, &all.iter().map(String::as_str).collect::<Vec<_>>());
    sleep_ms(1_900).await;
    assert_eq!(
        all.iter().filter(|address| double.asked(address) == 1).count(),
        16
    );
    while all.iter().any(|address| looked(&registry, address).is_none()) {
        sleep_ms(100).await;
    }
    assert!(began.elapsed() <= ms(6_200), "{:?}", began.elapsed());
    assert_eq!(double.at_once_max(), 16);
}

#[tokio::test(start_paused = true)]
async fn who_never_answers_or_panics_is_given_up_and_others_are_looked_at() {
    let double = Double::new(Does::Answer(Finding::Good));
    // So many that nobody who reports is taken to be cut off itself.
    let registry = with(60, &double).await;
    let hanging: Vec<String> = (0..15).map(|number| nth(number).to_string()).collect();
    for address in &hanging {
        double.set(address, Does::Hang);
    }
    let panicking = nth(15).to_string();
    double.set(&panicking, Does::Panic);
    let mut all: Vec<&str> = hanging.iter().map(String::as_str).collect();
    all.push(&panicking);
    report(&registry, &all);
    sleep_ms(100).await;
    report(&registry, &[A]);
    sleep_ms(5_000).await;
    assert!(looked(&registry, A).is_some_and(|found| found.good));
    for address in all {
        let found = looked(&registry, address).unwrap();
        assert!(!found.good && found.text.contains("could not ask"), "{found:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_probes_are_turned_off_nobody_looks() {
    let double = Double::new(Does::Answer(Finding::Good));
    let mut config = unguarded();
    config.catalog.probes.enabled = false;
    let registry = start(config, &double).await;
    try_register(&registry, "s", endpoint(A), beating())
        .await
        .unwrap();
    report(&registry, &[A]);
    sleep_ms(5_000).await;
    assert_eq!((double.asked(A), looked(&registry, A)), (0, None));
    let view = registry.view(key("s").borrowed()).unwrap();
    assert!(
        view.get(&endpoint(A)).unwrap().state.marks.has(Marks::REPORTED),
        "the mark stands"
    );
}
