//! Invariant 1: every change has one revision; they strictly grow; what changes nothing has none.

use beatrix_core::model::Revision;
use beatrix_engine::Registry;
use beatrix_engine::registry::EventsQuery;

use crate::support::{
    deregister, endpoint, fixed, nth, operate, register, registry, sleep_ms, try_register, with_metadata,
};

fn revisions(registry: &Registry) -> Vec<u64> {
    let query = EventsQuery {
        limit: usize::MAX,
        ..EventsQuery::default()
    };
    let changes = registry.events(&query).changes;
    changes.iter().map(|change| change.revision.0).collect()
}

#[tokio::test(start_paused = true)]
async fn each_change_has_a_revision_of_its_own() {
    let registry = registry().await;
    assert_eq!(
        register(&registry, "a", "10.0.0.1:80").await.revision,
        Revision(1)
    );
    assert_eq!(
        register(&registry, "b", "10.0.0.1:80").await.revision,
        Revision(2)
    );
    assert_eq!(
        operate(&registry, "a", "10.0.0.1:80", 2).await.revision,
        Revision(3)
    );
    assert_eq!(
        deregister(&registry, "b", "10.0.0.1:80").await.revision,
        Revision(4)
    );
    // Falls silent, and goes.
    sleep_ms(31_000).await;
    assert_eq!(revisions(&registry), [1, 2, 3, 4, 5, 6]);
    assert_eq!(registry.version().revision, Revision(6));
}

#[tokio::test(start_paused = true)]
async fn writes_that_are_committed_together_have_revisions_of_their_own() {
    let registry = registry().await;
    let writes: Vec<_> = (0..300)
        .map(|number| {
            let registry = registry.clone();
            tokio::spawn(async move {
                try_register(&registry, &format!("s{}", number % 7), nth(number), fixed())
                    .await
                    .unwrap()
            })
        })
        .collect();
    for write in writes {
        assert!(write.await.unwrap().changed);
    }
    assert_eq!(revisions(&registry), (1..=300).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_changes_nothing_has_no_revision() {
    let registry = registry().await;
    let registered = register(&registry, "a", "10.0.0.1:80").await;
    operate(&registry, "a", "10.0.0.1:80", 2).await;

    let again = register(&registry, "a", "10.0.0.1:80").await;
    assert!(!again.changed);
    assert_eq!(again.lease, registered.lease);
    assert_eq!(again.timings, registered.timings);
    let operated = operate(&registry, "a", "10.0.0.1:80", 2).await;
    assert!(!operated.changed);
    assert_eq!(operated.revision, Revision(2));
    assert_eq!(revisions(&registry), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_read_is_of_one_revision() {
    let registry = registry().await;
    register(&registry, "a", "10.0.0.1:80").await;
    let before = registry.view(crate::support::key("a").borrowed()).unwrap();
    try_register(
        &registry,
        "a",
        endpoint("10.0.0.2:80"),
        with_metadata(fixed(), "x"),
    )
    .await
    .unwrap();
    deregister(&registry, "a", "10.0.0.1:80").await;

    assert_eq!((before.revision, before.len()), (Revision(1), 1));
    let after = registry.view(crate::support::key("a").borrowed()).unwrap();
    assert_eq!((after.revision, after.len()), (Revision(3), 1));
    assert_eq!(
        registry.revision_of(crate::support::key("a").borrowed()),
        Some(Revision(3))
    );
}
