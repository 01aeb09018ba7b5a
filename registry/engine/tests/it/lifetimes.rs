//! A service that is to be uniform never gets instances of both lifetimes, however many register at once.

use beatrix_core::catalog::Refusal;
use beatrix_core::model::{Endpoint, Existence, Health, Lifetime, Liveness, Registration, ServicePatch};
use beatrix_engine::registry::Registered;
use beatrix_engine::{Registry, WriteError};

use crate::support::journal::{Script, busy};
use crate::support::{
    beating, endpoint, fixed, key, living, ms, nth, settle, start, try_register, unguarded,
};

const A: &str = "10.0.0.1:80";

async fn uniform(
    registry: &Registry,
    service: &str,
    endpoint: Endpoint,
    registration: Registration,
) -> Result<Registered, WriteError> {
    registry
        .register_uniform(key(service), endpoint, registration, Health::Healthy)
        .await
}

fn is_for<T>(result: &Result<T, WriteError>, expected: Lifetime) -> bool {
    matches!(result, Err(WriteError::Refused(Refusal::OtherLifetime { lifetime, .. })) if *lifetime == expected)
}

fn bound_to(lifetime: Lifetime) -> ServicePatch {
    ServicePatch {
        lifetime: Some(Some(lifetime)),
        ..ServicePatch::default()
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_that_wait_together_for_a_new_service_the_first_is_taken() {
    let (registry, _script) = busy().await;
    let (first, second, third) = tokio::join!(
        uniform(&registry, "s", nth(1), beating()),
        uniform(&registry, "s", nth(2), fixed()),
        uniform(&registry, "s", nth(3), beating()),
    );
    assert!(first.unwrap().changed && third.unwrap().changed);
    assert!(is_for(&second, Lifetime::Ephemeral), "{second:?}");
    let (registry, _script) = busy().await;
    let (first, second) = tokio::join!(
        uniform(&registry, "s", nth(1), fixed()),
        uniform(&registry, "s", nth(2), beating()),
    );
    assert!(first.unwrap().changed);
    assert!(is_for(&second, Lifetime::Persistent), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn beside_one_that_does_not_care_the_order_decides() {
    let (registry, _script) = busy().await;
    let (any, second) = tokio::join!(
        try_register(&registry, "s", nth(1), fixed()),
        uniform(&registry, "s", nth(2), beating()),
    );
    assert!(any.unwrap().changed);
    assert!(is_for(&second, Lifetime::Persistent), "{second:?}");
    let (registry, _script) = busy().await;
    let (first, any) = tokio::join!(
        uniform(&registry, "s", nth(2), beating()),
        try_register(&registry, "s", nth(1), fixed()),
    );
    assert!(first.unwrap().changed && any.unwrap().changed);
}

#[tokio::test(start_paused = true)]
async fn services_of_different_lifetimes_are_committed_together() {
    let (registry, script) = busy().await;
    let writes: Vec<_> = (0..200)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move {
                let (service, registration) = match number % 2 {
                    0 => ("ephemeral", beating()),
                    _ => ("persistent", fixed()),
                };
                uniform(&registry, service, nth(number), registration).await
            })
        })
        .collect();
    for write in writes {
        assert!(write.await.unwrap().unwrap().changed);
    }
    assert_eq!(script.groups(), [1, 200]);
}

#[tokio::test(start_paused = true)]
async fn a_declaration_and_registrations_that_wait_together_see_each_other() {
    let (registry, _script) = busy().await;
    let (declared, refused, taken) = tokio::join!(
        registry.declare_service(key("s"), bound_to(Lifetime::Persistent), Existence::Absent),
        try_register(&registry, "s", endpoint(A), beating()),
        try_register(&registry, "s", endpoint(A), fixed()),
    );
    assert!(declared.unwrap().changed && taken.unwrap().changed);
    assert!(is_for(&refused, Lifetime::Persistent), "{refused:?}");

    let (registry, _script) = busy().await;
    let (taken, too_late, refused) = tokio::join!(
        try_register(&registry, "s", endpoint(A), beating()),
        registry.declare_service(key("s"), bound_to(Lifetime::Persistent), Existence::Absent),
        registry.declare_service(key("s"), bound_to(Lifetime::Persistent), Existence::Any),
    );
    assert!(taken.unwrap().changed);
    assert!(matches!(
        too_late,
        Err(WriteError::Refused(Refusal::ServiceExists(_)))
    ));
    assert!(is_for(&refused, Lifetime::Ephemeral), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn who_waits_together_with_the_goodbye_of_the_last_of_the_other_lifetime_is_taken() {
    for replaced in [false, true] {
        let script = Script::default();
        let registry = start(unguarded(), script.journal()).await;
        for service in ["s", "t"] {
            let there = try_register(&registry, service, endpoint(A), fixed()).await;
            assert!(there.unwrap().changed);
        }
        script.take(ms(100));
        let first = registry.clone();
        tokio::spawn(async move { try_register(&first, "first", nth(0), fixed()).await });
        settle().await;
        let goodbye = async |service: &str| {
            let goes = match replaced {
                false => registry.deregister(key(service), endpoint(A), None, &[]).await,
                true => {
                    let other = try_register(&registry, service, endpoint(A), beating()).await;
                    return other.unwrap().changed;
                }
            };
            goes.unwrap().changed
        };
        let session = registry.new_session();
        let published = (nth(3), living(Liveness::Session(session)), Health::Healthy);
        let (gone, gone_too, registered, published, refused) = tokio::join!(
            goodbye("s"),
            goodbye("t"),
            uniform(&registry, "s", nth(2), beating()),
            registry.publish(key("t"), session, vec![published]),
            uniform(&registry, "s", nth(4), fixed()),
        );
        assert!(gone && gone_too);
        assert!(registered.unwrap().changed && published.unwrap().changed);
        assert!(is_for(&refused, Lifetime::Ephemeral), "{refused:?}");
    }
}
