//! Shutting down: what is in flight is said until nothing is, and then goodbye.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use beatrix_sdk::wire::InFlight;
use beatrix_sdk::{Probe, ServiceInstance};

use crate::mock::{Asked, Mock, eventually};

fn said(mock: &Mock) -> Vec<u64> {
    let beats = mock.beats();
    let said = beats.iter().flat_map(|beat| {
        // It keeps the lease as well.
        assert!(beat.in_flight.keys().all(|lease| beat.leases.contains(lease)));
        beat.in_flight.values().copied()
    });
    said.collect()
}

fn deregistered(mock: &Mock) -> bool {
    let asked = mock.registry.asked.lock();
    asked
        .iter()
        .any(|asked| matches!(asked, Asked::Deregister { .. }))
}

#[tokio::test]
async fn it_says_what_is_in_flight_until_nothing_is_and_only_then_deregisters() {
    let mock = Mock::start().await;
    let registration = mock
        .client()
        .register(ServiceInstance::new("orders", "10.0.0.1", 80))
        .await
        .unwrap();
    let in_flight = Arc::new(AtomicU64::new(3));
    let count = Arc::clone(&in_flight);
    let shutting_down = tokio::spawn(async move {
        let count = || count.load(Ordering::Relaxed);
        registration.shut_down(Duration::from_secs(30), count).await
    });
    eventually("three are in flight", || {
        said(&mock) == [3] || said(&mock).starts_with(&[3, 3])
    })
    .await;
    in_flight.store(1, Ordering::Relaxed);
    eventually("one is in flight", || said(&mock).contains(&1)).await;
    assert!(!deregistered(&mock) && !shutting_down.is_finished());
    in_flight.store(0, Ordering::Relaxed);
    let drained = shutting_down.await.unwrap().unwrap();
    assert!(drained.complete);
    assert_eq!(drained.in_flight, Some(InFlight { count: 0, at_ms: 7 }));
    assert!(deregistered(&mock) && mock.registry.instances.lock().is_empty());
    assert!(said(&mock).is_sorted_by(|a, b| a >= b));
}

/// It has no lease by which the registry could be told, and waits for nobody.
#[tokio::test]
async fn an_instance_that_is_probed_finishes_what_is_in_flight_before_it_deregisters() {
    let mock = Mock::start().await;
    let instance = || ServiceInstance::new("orders", "10.0.0.1", 80).with_probe(Probe::tcp());
    let registration = mock.client().register(instance()).await.unwrap();
    assert_eq!(registration.lease(), None);
    let in_flight = Arc::new(AtomicU64::new(2));
    let count = Arc::clone(&in_flight);
    let shutting_down = tokio::spawn(async move {
        let count = || count.load(Ordering::Relaxed);
        registration.shut_down(Duration::from_secs(30), count).await
    });
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!deregistered(&mock) && !shutting_down.is_finished());
    in_flight.store(0, Ordering::Relaxed);
    assert!(shutting_down.await.unwrap().unwrap().complete);
    assert!(deregistered(&mock));
    // And no longer than it may.
    let registration = mock.client().register(instance()).await.unwrap();
    let drained = registration.shut_down(Duration::from_millis(300), || 9).await;
    assert!(!drained.unwrap().complete);
}

#[tokio::test]
async fn what_is_left_at_the_deadline_is_told_and_it_deregisters_all_the_same() {
    let mock = Mock::start().await;
    let registration = mock
        .client()
        .register(ServiceInstance::new("orders", "10.0.0.1", 80))
        .await
        .unwrap();
    let drained = registration
        .shut_down(Duration::from_millis(300), || 9)
        .await
        .unwrap();
    assert_eq!((drained.complete, drained.in_flight.unwrap().count), (false, 9));
    assert!(deregistered(&mock));
}
