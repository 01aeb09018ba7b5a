//! Limits hold to the last instance, however many ask at once, and refuse nobody who fits.

use beatrix_core::catalog::{CatalogConfig, LAYERS_PER_SERVICE_MAX, LayerOf, LayerPiece, Part, Refusal};
use beatrix_core::model::OperatorLayer;
use beatrix_engine::registry::Wanted;
use beatrix_engine::{EngineConfig, Registry, WriteError};

use crate::support::journal::Script;
use crate::support::{fixed, key, ms, nth, settle, start, try_register, unguarded, weighing};

fn limited(instances: usize, per_service: usize, services: usize) -> EngineConfig {
    let defaults = unguarded();
    EngineConfig {
        catalog: CatalogConfig {
            instances_max: instances,
            instances_per_service_max: per_service,
            services_max: services,
            ..defaults.catalog
        },
        ..defaults
    }
}

/// All at once: returns how many were taken, and which limits refused the others.
async fn register_all(registry: &Registry, wanted: Vec<(String, usize)>) -> (usize, Vec<&'static str>) {
    let writes: Vec<_> = wanted
        .into_iter()
        .map(|(service, number)| {
            let registry = registry.clone();
            tokio::spawn(async move { try_register(&registry, &service, nth(number), fixed()).await })
        })
        .collect();
    let (mut taken, mut limits) = (0, Vec::new());
    for write in writes {
        match write.await.unwrap() {
            Ok(_) => taken += 1,
            Err(WriteError::Refused(Refusal::Limit { limit, .. })) => limits.push(limit),
            Err(other) => panic!("{other}"),
        }
    }
    (taken, limits)
}

#[tokio::test(start_paused = true)]
async fn they_are_exact_when_all_ask_at_once() {
    let script = Script::default();
    script.take(ms(10));
    let registry = start(limited(50, 20, 100), script.journal()).await;
    let wanted = (0..200)
        .map(|number| (format!("s{}", number % 2), number))
        .collect();
    let (taken, limits) = register_all(&registry, wanted).await;
    assert_eq!(taken, 40);
    assert!(
        limits.iter().all(|limit| *limit == "instances_per_service_max"),
        "{limits:?}"
    );
    let wanted = (0..100).map(|number| (format!("t{number}"), number)).collect();
    let (taken, limits) = register_all(&registry, wanted).await;
    assert_eq!((taken, registry.status().instances), (10, 50));
    assert!(limits.iter().all(|limit| *limit == "instances_max"));
}

#[tokio::test(start_paused = true)]
async fn services_are_counted_exactly_as_well() {
    let script = Script::default();
    script.take(ms(10));
    let registry = start(limited(1_000, 1_000, 7), script.journal()).await;
    let wanted = (0..100)
        .map(|number| (format!("s{}", number % 20), number))
        .collect();
    let (taken, limits) = register_all(&registry, wanted).await;
    assert_eq!((taken, registry.status().services), (35, 7));
    assert!(limits.iter().all(|limit| *limit == "services_max"));
}

#[tokio::test(start_paused = true)]
async fn who_fits_is_not_refused_for_what_else_is_written() {
    let script = Script::default();
    let registry = start(limited(100, 10, 100), script.journal()).await;
    for number in 0..9 {
        try_register(&registry, "full", nth(number), fixed())
            .await
            .unwrap();
    }
    script.take(ms(100));
    let first = registry.clone();
    tokio::spawn(async move { try_register(&first, "first", nth(0), fixed()).await });
    settle().await;
    // All of these are one group with the one that just fits.
    let others: Vec<_> = (0..9)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.operate(key("full"), nth(number), weighing(7)).await })
        })
        .collect();
    settle().await;
    let wanted = (0..20).map(|number| (format!("other{number}"), number)).collect();
    let elsewhere = tokio::spawn({
        let registry = registry.clone();
        async move { register_all(&registry, wanted).await }
    });
    settle().await;
    let fits = try_register(&registry, "full", nth(9), fixed()).await;
    assert!(fits.is_ok(), "{fits:?}");
    assert_eq!(elsewhere.await.unwrap(), (20, Vec::new()));
    for other in others {
        other.await.unwrap().unwrap();
    }
    let refused = try_register(&registry, "full", nth(10), fixed()).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "limit instances_per_service_max of 10 is reached"
    );
}

/// Layers that are imported together: how many were taken.
async fn import_layers(registry: &Registry, wanted: impl Iterator<Item = (String, usize)>) -> usize {
    let mut proposed = Vec::new();
    for (service, number) in wanted {
        let piece = LayerPiece {
            endpoint: nth(number),
            layer: OperatorLayer {
                draining: true,
                sticky: true,
                ..OperatorLayer::default()
            },
            of: LayerOf::Next,
        };
        let wanted = Wanted::Part(key(&service), Box::new(Part::Layer(piece)));
        proposed.push(registry.put_back(wanted).await.unwrap());
    }
    let mut taken = 0;
    for proposal in proposed {
        match proposal.answer().await {
            Ok(_) => taken += 1,
            Err(WriteError::Refused(Refusal::Limit { .. })) => {}
            Err(other) => panic!("{other}"),
        }
    }
    taken
}

/// And beside them others in the same group, which take nothing of what they are counted by.
#[tokio::test(start_paused = true)]
async fn imported_layers_keep_to_the_limits_and_are_not_refused_too_early() {
    let script = Script::default();
    script.take(ms(10));
    let registry = start(limited(100_000, 50_000, 10), script.journal()).await;
    let services = (0..100).map(|number| (format!("s{number}"), number));
    assert_eq!(import_layers(&registry, services).await, 10);
    assert_eq!(registry.status().services, 10);
    let of_one = (0..LAYERS_PER_SERVICE_MAX - 50).map(|number| ("s0".to_owned(), number));
    assert_eq!(
        import_layers(&registry, of_one).await,
        LAYERS_PER_SERVICE_MAX - 50
    );
    let others = (0..200).map(|number| ("s1".to_owned(), 50_000 + number));
    let of_one = (0..100).map(|number| ("s0".to_owned(), 20_000 + number));
    assert_eq!(import_layers(&registry, others.chain(of_one)).await, 250);
}
