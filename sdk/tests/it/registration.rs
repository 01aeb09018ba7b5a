//! Registering, beating, and saying goodbye.

use std::time::Duration;

use axum::http::StatusCode;
use beatrix_sdk::wire::problem::kind;
use beatrix_sdk::{Client, DeclaredStatus, Error, Registration, ServiceInstance, ServiceName};

use crate::mock::{Asked, Kind, Mock, dead_url, eventually};

fn orders(last: u8) -> ServiceInstance {
    ServiceInstance::new("orders", format!("10.0.0.{last}"), 80)
}

fn path(last: u8) -> String {
    format!("/api/v1/namespaces/public/groups/DEFAULT_GROUP/services/orders/instances/10.0.0.{last}:80")
}

/// Waits until the registry has answered two more beats: whatever the client made of an earlier answer is done.
async fn two_more_beats(mock: &Mock) {
    let before = mock.beats().len();
    eventually("two more beats", || mock.beats().len() >= before + 2).await;
}

#[tokio::test]
async fn all_registrations_of_a_client_beat_in_one_request() {
    let mock = Mock::start().await;
    let client = mock.client();
    let mut registrations = Vec::new();
    for last in 1..=5 {
        registrations.push(client.register(orders(last)).await.unwrap());
    }
    eventually("a batch of all", || {
        mock.beats().iter().any(|beat| beat.leases.len() == 5)
    })
    .await;
    let joined = mock
        .beats()
        .iter()
        .position(|beat| beat.leases.len() == 5)
        .unwrap();
    eventually("five more batches", || mock.beats().len() > joined + 5).await;
    for beat in &mock.beats()[joined..] {
        assert_eq!(beat.leases.len(), 5, "once joined they stay together");
        assert_eq!(beat.cluster_id, "one");
    }
}

#[tokio::test]
async fn a_registration_says_what_was_set_and_where() {
    let mock = Mock::start().await;
    let client = mock.builder().with_namespace("staging").build().unwrap();
    let name = ServiceName::new("a/b").in_group("shop");
    let instance = ServiceInstance::new(name, "::1", 80)
        .with_weight(2.5)
        .with_metadata("k", "v");
    let registration = client.register(instance.with_incarnation("run-1")).await.unwrap();
    let [Asked::Register { path, request, lease }] = &mock.asked()[..] else {
        panic!("{:?}", mock.asked())
    };
    assert_eq!(
        path,
        "/api/v1/namespaces/staging/groups/shop/services/a%2Fb/instances/[::1]:80"
    );
    assert_eq!(
        (request.weight, request.incarnation.as_deref()),
        (Some(2.5), Some("run-1"))
    );
    assert_eq!(request.metadata["k"], "v");
    assert_eq!(registration.lease().as_ref(), Some(lease));
    assert!(registration.is_registered());
}

#[tokio::test]
async fn what_the_registry_forgot_is_registered_again_in_full() {
    let mock = Mock::start().await;
    let client = mock.client();
    let registrations = [
        client.register(orders(1).with_weight(7.0)).await.unwrap(),
        client.register(orders(2).with_weight(7.0)).await.unwrap(),
    ];
    let before = mock.asked();
    mock.forget_instances();
    eventually("both are back", || mock.registry.instances.lock().len() == 2).await;

    let registered = |asked: &Asked| match asked {
        Asked::Register { path, request, .. } => Some((path.clone(), request.clone())),
        _ => None,
    };
    let mut first: Vec<_> = before.iter().filter_map(registered).collect();
    let mut again: Vec<_> = mock.asked().iter().filter_map(registered).skip(2).collect();
    first.sort_by(|a, b| a.0.cmp(&b.0));
    again.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(first, again, "the same, the incarnation included");
    eventually("the new leases are beaten for", || {
        let held = mock.registry.instances.lock().clone();
        mock.beats()
            .last()
            .is_some_and(|beat| held.values().all(|lease| beat.leases.contains(lease)))
    })
    .await;
    assert!(registrations.iter().all(Registration::is_registered));
}

#[tokio::test]
async fn another_cluster_gets_everything_registered_again() {
    let mock = Mock::start().await;
    let client = mock.client();
    let _registrations = [
        client.register(orders(1)).await.unwrap(),
        client.register(orders(2)).await.unwrap(),
    ];
    *mock.registry.cluster_id.lock() = "two".into();
    mock.forget_instances();
    eventually("beats for the new cluster", || {
        mock.beats()
            .last()
            .is_some_and(|beat| beat.cluster_id == "two" && beat.leases.len() == 2)
    })
    .await;
}

#[tokio::test]
async fn beats_go_on_after_failures_and_at_another_address() {
    let (first, second) = (Mock::start().await, Mock::start().await);
    let client = first.builder().with_address(&*second.url).build().unwrap();
    let registration = client.register(orders(1)).await.unwrap();
    eventually("a beat at the first address", || !first.beats().is_empty()).await;
    second.refuse(Kind::Beat, StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE);
    first.refuse(Kind::Beat, StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE);
    eventually("both are tried again and again", || {
        first.count(Kind::Beat) > 3 && second.count(Kind::Beat) > 3
    })
    .await;
    // The second one is back, and has never heard of the instance.
    second.accept(Kind::Beat);
    eventually("registered at the second address", || {
        !second.registry.instances.lock().is_empty()
    })
    .await;
    eventually("held", || registration.is_registered()).await;
}

#[tokio::test]
async fn a_registration_finds_the_address_that_answers() {
    let mock = Mock::start().await;
    let client = Client::builder(dead_url().await)
        .with_address(&*mock.url)
        .build()
        .unwrap();
    let _registration = client.register(orders(1)).await.unwrap();
    assert_eq!(mock.registry.instances.lock().len(), 1);
}

#[tokio::test]
async fn a_registration_is_tried_again_only_if_that_may_help() {
    let mock = Mock::start().await;
    let client = mock.client();
    mock.refuse(Kind::Register, StatusCode::BAD_REQUEST, kind::INVALID_VALUE);
    let error = client.register(orders(1)).await.unwrap_err();
    assert!(!error.is_retryable() && error.has_no_side_effects(), "{error}");
    assert_eq!(error.problem().unwrap().detail, "as the test said");
    assert_eq!(mock.count(Kind::Register), 1);

    mock.refuse(Kind::Register, StatusCode::SERVICE_UNAVAILABLE, kind::UNAVAILABLE);
    let (registered, ()) = tokio::join!(client.register(orders(1)), async {
        eventually("it is tried again", || mock.count(Kind::Register) > 2).await;
        mock.accept(Kind::Register);
    });
    registered.unwrap().deregister().await.unwrap();
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_given_up_in_time() {
    let mock = Mock::start().await;
    mock.hold(Kind::Register);
    let timeout = Duration::from_millis(50);
    let client = mock
        .builder()
        .with_request_timeout(timeout)
        .with_operation_timeout(timeout * 4)
        .build()
        .unwrap();
    let error = client.register(orders(1)).await.unwrap_err();
    assert!(
        matches!(error, Error::Timeout { after, .. } if after == timeout),
        "{error:?}"
    );
    assert!(error.is_retryable() && !error.has_no_side_effects());
    // It may be registered nevertheless, so it is taken back.
    eventually("a farewell", || {
        mock.asked().contains(&Asked::Deregister {
            path: path(1),
            lease: None,
        })
    })
    .await;
}

#[tokio::test]
async fn a_status_is_sent_at_once_and_again_after_a_new_registration() {
    let mock = Mock::start().await;
    // No beat comes by itself within this test.
    *mock.registry.beat_interval_ms.lock() = 600_000;
    let client = mock.client();
    let registration = client.register(orders(1)).await.unwrap();
    registration
        .set_status(DeclaredStatus::Draining, Some("deploying"))
        .unwrap();
    registration.status_delivered().await;
    let statuses = mock.beats().pop().unwrap().statuses;
    assert_eq!(
        (statuses[0].status, statuses[0].reason.as_deref()),
        (DeclaredStatus::Draining, Some("deploying"))
    );

    mock.forget_instances();
    registration.set_status(DeclaredStatus::Unhealthy, None).unwrap();
    registration.status_delivered().await;
    let held = mock.registry.instances.lock()[&path(1)].clone();
    let last = mock.beats().pop().unwrap();
    assert_eq!(
        (last.statuses[0].status, &last.statuses[0].lease),
        (DeclaredStatus::Unhealthy, &held)
    );

    let too_long = "x".repeat(257);
    assert!(
        registration
            .set_status(DeclaredStatus::Up, Some(&too_long))
            .is_err()
    );
}

#[tokio::test]
async fn a_refused_status_costs_nobody_a_beat() {
    let mock = Mock::start().await;
    let client = mock.client();
    let one = client.register(orders(1)).await.unwrap();
    let _two = client.register(orders(2)).await.unwrap();
    one.set_status(DeclaredStatus::Unhealthy, Some("bad")).unwrap();
    one.status_delivered().await;
    let before = mock.beats().len();
    eventually("beats for both", || {
        mock.beats()[before..].iter().any(|beat| beat.leases.len() == 2)
    })
    .await;
}

#[tokio::test]
async fn a_goodbye_names_the_lease_and_ends_the_beats() {
    let mock = Mock::start().await;
    let client = mock.client();
    let going = client.register(orders(1)).await.unwrap();
    let _staying = client.register(orders(2)).await.unwrap();
    let lease = going.lease().unwrap();
    going.deregister().await.unwrap();
    let said = Asked::Deregister {
        path: path(1),
        lease: Some(lease.clone()),
    };
    assert_eq!(mock.asked().iter().filter(|asked| **asked == said).count(), 1);
    // One batch may have been under way.
    two_more_beats(&mock).await;
    two_more_beats(&mock).await;
    assert!(!mock.beats().last().unwrap().leases.contains(&lease));
}

#[tokio::test]
async fn a_goodbye_to_what_is_gone_already_succeeds() {
    let mock = Mock::start().await;
    *mock.registry.beat_interval_ms.lock() = 600_000;
    let client = mock.client();
    let registration = client.register(orders(1)).await.unwrap();
    mock.forget_instances();
    registration.deregister().await.unwrap();

    // Another process has taken the address: it stays.
    let registration = client.register(orders(1)).await.unwrap();
    mock.registry.instances.lock().insert(path(1), "another".into());
    registration.deregister().await.unwrap();
    assert_eq!(mock.registry.instances.lock()[&path(1)], "another");
}

#[tokio::test]
async fn an_answer_to_a_beat_that_comes_after_the_goodbye_registers_nothing() {
    let mock = Mock::start().await;
    let client = mock.client();
    let going = client.register(orders(1)).await.unwrap();
    let staying = client.register(orders(2)).await.unwrap();
    // A beat is under way, and will be told that its lease is unknown.
    mock.hold(Kind::Beat);
    let before = mock.count(Kind::Beat);
    eventually("a beat is under way", || mock.count(Kind::Beat) > before).await;
    going.deregister().await.unwrap();
    mock.release(Kind::Beat);
    // The other registration shows that the client has gone on.
    two_more_beats(&mock).await;
    two_more_beats(&mock).await;
    assert!(staying.is_registered());
    assert_eq!(
        mock.registry.instances.lock().keys().collect::<Vec<_>>(),
        [&path(2)]
    );
    assert_eq!(mock.count(Kind::Register), 2, "nothing was registered again");
}

#[tokio::test]
async fn a_goodbye_waits_for_a_registration_that_is_under_way_and_takes_it_back() {
    let mock = Mock::start().await;
    let client = mock.client();
    let going = client.register(orders(1)).await.unwrap();
    mock.hold(Kind::Register);
    mock.forget_instances();
    eventually("it is being registered again", || mock.count(Kind::Register) == 2).await;
    let (result, ()) = tokio::join!(going.deregister(), async {
        // The goodbye has been started by now: it is polled first.
        assert_eq!(mock.count(Kind::Deregister), 0);
        mock.release(Kind::Register);
    });
    result.unwrap();
    let asked = mock.asked();
    let Some(Asked::Register { lease, .. }) =
        asked.iter().rev().find(|a| matches!(a, Asked::Register { .. }))
    else {
        panic!("{asked:?}")
    };
    assert_eq!(
        asked.last(),
        Some(&Asked::Deregister {
            path: path(1),
            lease: Some(lease.clone())
        })
    );
    assert!(mock.registry.instances.lock().is_empty());
}

#[tokio::test]
async fn a_dropped_registration_is_deregistered_in_the_background() {
    let mock = Mock::start().await;
    let client = mock.client();
    let registration = client.register(orders(1)).await.unwrap();
    // The client's tasks live on in the registration.
    drop(client);
    two_more_beats(&mock).await;
    drop(registration);
    eventually("it is gone", || mock.registry.instances.lock().is_empty()).await;
}

#[tokio::test]
async fn a_registration_nobody_waits_for_any_more_is_taken_back() {
    let mock = Mock::start().await;
    mock.hold(Kind::Register);
    let client = mock.client();
    tokio::select! {
        result = client.register(orders(1)) => panic!("{result:?}"),
        () = eventually("it is sent", || mock.count(Kind::Register) == 1) => {}
    }
    mock.release(Kind::Register);
    eventually("a farewell", || {
        mock.asked().contains(&Asked::Deregister {
            path: path(1),
            lease: None,
        })
    })
    .await;
}

#[tokio::test]
async fn registering_the_same_instance_again_replaces_the_registration() {
    let mock = Mock::start().await;
    let client = mock.client();
    let older = client.register(orders(1)).await.unwrap();
    let newer = client.register(orders(1).with_weight(3.0)).await.unwrap();
    assert!(!older.is_registered() && newer.is_registered());
    older.deregister().await.unwrap();
    two_more_beats(&mock).await;
    assert!(newer.is_registered());
    assert_eq!(mock.registry.instances.lock().len(), 1);
    assert_eq!(mock.count(Kind::Deregister), 0);
}

#[tokio::test]
async fn a_drain_names_the_instance_and_the_deadline() {
    let mock = Mock::start().await;
    let registration = mock.client().register(orders(1)).await.unwrap();
    let drained = registration.drain(Duration::from_secs(3)).await.unwrap();
    assert!(drained.complete);
    assert_eq!(
        drained.acknowledged,
        [format!("{}/drain", path(1)), "3000".into()]
    );
}
