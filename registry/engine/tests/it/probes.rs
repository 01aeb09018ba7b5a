//! Item 6: active probes through the engine, with a double that answers and time that is paused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use beatrix_core::liveness::{Finding, ProbeResult};
use beatrix_core::model::{Endpoint, Health, Liveness, Probe, ProbeKind, ProbePlan, ProbeSpec, Registration};
use beatrix_engine::journal::Memory;
use beatrix_engine::probing::{Asking, Probing};
use beatrix_engine::random::Random;
use beatrix_engine::registry::ProbeOrder;
use beatrix_engine::{EngineConfig, Registry, RegistryBuilder};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::support::{
    EPOCH, endpoint, fixed, health, key, living, ms, nth, reasons, sleep_ms, try_register, unguarded,
    until_not,
};

const A: &str = "10.0.0.1:80";

/// What an endpoint does when it is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    Answer(Finding),
    /// Answers so after this time.
    Slowly(Finding, Duration),
    Hang,
    Panic,
}

#[derive(Debug)]
pub(crate) struct Double {
    does: Mutex<BTreeMap<Endpoint, Does>>,
    others: Does,
    asked: Mutex<Vec<(Instant, Endpoint)>>,
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
}

impl Double {
    pub(crate) fn new(others: Does) -> Arc<Self> {
        Arc::new(Self {
            does: Mutex::default(),
            others,
            asked: Mutex::default(),
            at_once: AtomicUsize::new(0),
            at_once_max: AtomicUsize::new(0),
        })
    }

    pub(crate) fn set(&self, address: &str, does: Does) {
        self.does.lock().insert(endpoint(address), does);
    }

    pub(crate) fn at_once_max(&self) -> usize {
        self.at_once_max.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self, address: &str) -> usize {
        let address = endpoint(address);
        self.asked.lock().iter().filter(|(_, at)| *at == address).count()
    }
}

/// Counts who is asked at once, also when a probe is dropped.
struct Counted(Arc<Double>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct Doubled(Arc<Double>);

impl Probing for Doubled {
    fn probe(&self, endpoint: Endpoint, spec: Arc<ProbeSpec>) -> Asking {
        let double = Arc::clone(&self.0);
        let now = double.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        double.at_once_max.fetch_max(now, Ordering::SeqCst);
        double.asked.lock().push((Instant::now(), endpoint.clone()));
        let does = double
            .does
            .lock()
            .get(&endpoint)
            .copied()
            .unwrap_or(double.others);
        let counted = Counted(double);
        Box::pin(async move {
            let _counted = counted;
            let finding = match does {
                Does::Answer(finding) => finding,
                Does::Slowly(finding, time) => tokio::time::timeout(spec.timeout(), tokio::time::sleep(time))
                    .await
                    .map_or(Finding::Silent, |()| finding),
                Does::Hang => std::future::pending().await,
                Does::Panic => panic!("as the test says"),
            };
            ProbeResult {
                finding,
                word: "test",
                text: "as the test says".into(),
                took: Duration::ZERO,
            }
        })
    }
}

pub(crate) async fn start(config: EngineConfig, double: &Arc<Double>) -> Registry {
    RegistryBuilder::new(config, Random::from_seed(1))
        .with_probing(Arc::new(Doubled(Arc::clone(double))))
        .start(Memory::new(EPOCH))
        .await
        .unwrap()
}

pub(crate) fn probed(interval_ms: u64, rise: u8, fall: u8) -> Registration {
    let plan = ProbePlan {
        interval: Some(ms(interval_ms)),
        rise: Some(rise),
        fall: Some(fall),
        ..ProbePlan::default()
    };
    let spec = ProbeSpec::new(ProbeKind::Tcp, plan).unwrap();
    living(Liveness::Probe(Probe::Own(Arc::new(spec))))
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_stops_answering_is_unhealthy_after_its_fall_and_healthy_after_its_rise() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(unguarded(), &double).await;
    registry
        .register(key("s"), endpoint(A), probed(5_000, 2, 3), Health::Unhealthy)
        .await
        .unwrap();
    let rose = until_not(&registry, "s", A, "unhealthy", Instant::now()).await;
    assert!(rose >= ms(2_500) && rose <= ms(8_500), "{rose:?}");
    sleep_ms(20_000).await;
    double.set(A, Does::Answer(Finding::Bad));
    let fell = until_not(&registry, "s", A, "healthy", Instant::now()).await;
    assert!(fell >= ms(9_000) && fell <= ms(16_600), "{fell:?}");
    sleep_ms(20_000).await;
    double.set(A, Does::Answer(Finding::Good));
    let rose = until_not(&registry, "s", A, "unhealthy", Instant::now()).await;
    assert!(rose >= ms(4_500) && rose <= ms(11_100), "{rose:?}");
    assert_eq!(
        reasons(&registry),
        ["registered", "probe_passed", "probe_failed", "probe_passed"]
    );
}

#[tokio::test(start_paused = true)]
async fn results_that_change_nothing_cost_no_revision() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(unguarded(), &double).await;
    for number in 0..500 {
        try_register(&registry, "s", nth(number), probed(500, 1, 1))
            .await
            .unwrap();
    }
    let before = registry.version();
    sleep_ms(10_000).await;
    assert_eq!(registry.version(), before);
    let counts = registry.probe_counts();
    assert!(counts.passed > 9_000 && counts.failed == 0, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_asked_at_once_than_configured_also_if_all_hang() {
    let mut config = unguarded();
    config.catalog.probes.in_flight_max = 10;
    let double = Double::new(Does::Hang);
    let registry = start(config, &double).await;
    for number in 0..100 {
        try_register(&registry, "s", nth(number), probed(5_000, 1, 1))
            .await
            .unwrap();
    }
    sleep_ms(60_000).await;
    assert_eq!(double.at_once_max(), 10);
    // All had their turn; nobody was asked again before that.
    let asked: Vec<usize> = (0..100)
        .map(|number| double.asked(&nth(number).to_string()))
        .collect();
    assert!(asked.iter().all(|times| (1..=2).contains(times)), "{asked:?}");
    let counts = registry.probe_counts();
    assert!(counts.lateness.max() > ms(20_000) && counts.in_flight == 10);
    // They did not end, which says something about who asked only.
    assert_eq!(health(&registry, "s", &nth(0).to_string()), "healthy");
}

#[tokio::test(start_paused = true)]
async fn one_that_panics_takes_nobody_along_and_is_asked_again() {
    let double = Double::new(Does::Answer(Finding::Good));
    double.set(A, Does::Panic);
    let registry = start(unguarded(), &double).await;
    for address in [A, "10.0.0.2:80"] {
        try_register(&registry, "s", endpoint(address), probed(1_000, 1, 1))
            .await
            .unwrap();
    }
    sleep_ms(20_000).await;
    assert!(double.asked(A) > 15 && double.asked("10.0.0.2:80") > 15);
    assert_eq!(registry.probe_counts().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_probe_in_flight_when_the_process_stood_still_counts_for_nothing() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(unguarded(), &double).await;
    try_register(&registry, "s", endpoint(A), probed(5_000, 1, 1))
        .await
        .unwrap();
    sleep_ms(2_000).await;
    // The answer comes in time, but nobody is awake to see it.
    double.set(A, Does::Slowly(Finding::Good, ms(1_900)));
    let asked = double.asked(A);
    while double.asked(A) == asked {
        sleep_ms(10).await;
    }
    double.set(A, Does::Answer(Finding::Good));
    tokio::time::advance(Duration::from_secs(40)).await;
    sleep_ms(20_000).await;
    assert!(registry.status().stalled >= Duration::from_secs(39));
    assert_eq!(reasons(&registry), ["registered"]);
    assert_eq!(registry.probe_counts().dropped, 1);
}

#[tokio::test(start_paused = true)]
async fn invariant_10_a_registry_whose_own_network_is_gone_flips_nobody() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(EngineConfig::default(), &double).await;
    for number in 0..100 {
        try_register(&registry, "s", nth(number), probed(1_000, 1, 2))
            .await
            .unwrap();
    }
    sleep_ms(5_000).await;
    for number in 0..100 {
        double.set(
            &nth(number).to_string(),
            Does::Slowly(Finding::Good, Duration::from_secs(9)),
        );
    }
    sleep_ms(30_000).await;
    let status = registry.status();
    assert_eq!(status.instances, 100);
    // At most so many fall before so many have that the guard holds, and those are taken back.
    assert_eq!((status.healthy, status.guard.suspects), (100, 100));
    double.does.lock().clear();
    sleep_ms(5_000).await;
    let status = registry.status();
    assert_eq!(
        (
            status.healthy,
            status.guard.suspects,
            status.guard.registry.holding
        ),
        (100, 0, false)
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_ordered_is_asked_now() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(unguarded(), &double).await;
    try_register(&registry, "s", endpoint(A), probed(3_600_000, 1, 1))
        .await
        .unwrap();
    try_register(&registry, "s", endpoint("10.0.0.2:80"), fixed())
        .await
        .unwrap();
    sleep_ms(2_000).await;
    assert_eq!(double.asked(A), 1);
    assert_eq!(registry.probe_now(&key("s"), &endpoint(A)), ProbeOrder::Ordered);
    let fixed = registry.probe_now(&key("s"), &endpoint("10.0.0.2:80"));
    assert_eq!(fixed, ProbeOrder::NotProbed);
    sleep_ms(10).await;
    assert_eq!(double.asked(A), 2);
    let report = registry.probe_report(&key("s"), &endpoint(A)).unwrap();
    assert_eq!(report.scheduled.unwrap().last.unwrap().streak, 2);
}

/// Whoever may call the registry could else have it connect as often as he calls.
#[tokio::test(start_paused = true)]
async fn an_instance_is_ordered_to_be_probed_once_in_five_seconds() {
    let double = Double::new(Does::Answer(Finding::Good));
    let registry = start(unguarded(), &double).await;
    for at in [A, "10.0.0.2:80"] {
        try_register(&registry, "s", endpoint(at), probed(3_600_000, 1, 1))
            .await
            .unwrap();
    }
    sleep_ms(2_000).await;
    let order = |at| registry.probe_now(&key("s"), &endpoint(at));
    assert_eq!(order(A), ProbeOrder::Ordered);
    for _ in 0..100 {
        sleep_ms(40).await;
        assert_eq!(order(A), ProbeOrder::TooSoon);
    }
    assert_eq!(
        double.asked(A),
        2,
        "its first probe, and the one that was ordered"
    );
    assert_eq!(
        order("10.0.0.2:80"),
        ProbeOrder::Ordered,
        "each has a time of its own"
    );
    sleep_ms(1_000).await;
    assert_eq!(order(A), ProbeOrder::Ordered);
    sleep_ms(10).await;
    assert_eq!(double.asked(A), 3);
}

#[tokio::test(start_paused = true)]
async fn where_probes_are_off_nobody_is_asked() {
    let mut config = unguarded();
    config.catalog.probes.enabled = false;
    let double = Double::new(Does::Answer(Finding::Down));
    let registry = start(config, &double).await;
    try_register(&registry, "s", endpoint(A), probed(500, 1, 1))
        .await
        .unwrap();
    sleep_ms(10_000).await;
    assert_eq!((registry.probes(), double.asked(A)), (false, 0));
    assert_eq!(health(&registry, "s", A), "healthy");
}

#[tokio::test(start_paused = true)]
async fn probes_end_with_the_registry() {
    let double = Double::new(Does::Hang);
    let registry = start(unguarded(), &double).await;
    try_register(&registry, "s", endpoint(A), probed(5_000, 1, 1))
        .await
        .unwrap();
    sleep_ms(1_500).await;
    assert_eq!(double.at_once.load(Ordering::SeqCst), 1);
    registry.stop().await;
    crate::support::settle().await;
    assert_eq!(double.at_once.load(Ordering::SeqCst), 0);
}
