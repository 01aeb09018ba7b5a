//! Earlier states and the history of changes over the embedded journal, on a disk.

use std::sync::Arc;

use beatrix_core::model::Revision;
use beatrix_engine::clock::SystemClock;
use beatrix_engine::journal::{Embedded, EmbeddedConfig};
use beatrix_engine::registry::{EventsQuery, PastError, When};
use beatrix_engine::{EngineConfig, Registry};

use crate::support::{EPOCH, deregister, endpoint, fixed, key, operate, start, try_register, with_metadata};

async fn open(folder: &std::path::Path, config: EngineConfig) -> Registry {
    let journal = Embedded::open(folder, EmbeddedConfig::new(EPOCH), Arc::new(SystemClock::new()));
    start(config, journal.unwrap()).await
}

async fn shown(registry: &Registry, at: u64) -> Option<String> {
    let past = registry
        .past(key("a"), When::Revision(Revision(at)))
        .await
        .unwrap();
    assert_eq!(past.at, Revision(at));
    let view = past.view?;
    let members: Vec<_> = view
        .members()
        .map(|member| format!("{} {:?} {:?}", member.endpoint, member.state, member.record))
        .collect();
    Some(format!("{} {members:?}", view.revision))
}

/// What was is told as it was, before and after a restart, and changes are read where the change log has dropped them.
#[tokio::test]
async fn the_past_is_read_from_the_disk_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = EngineConfig::default();
    config.catalog.change_log_max = 2;
    let registry = open(folder.path(), config.clone()).await;
    let mut were = vec![None];
    for step in 0..6 {
        match step {
            3 => {
                operate(&registry, "a", "10.0.0.1:80", 5).await;
            }
            4 => {
                deregister(&registry, "a", "10.0.0.2:80").await;
            }
            _ => {
                let registration = with_metadata(fixed(), &step.to_string());
                let at = endpoint(&format!("10.0.0.{}:80", step % 3 + 1));
                try_register(&registry, "a", at, registration).await.unwrap();
            }
        }
        let now = registry.version().revision.0;
        let view = registry.view(key("a").borrowed()).unwrap();
        let members: Vec<_> = view
            .members()
            .map(|member| format!("{} {:?} {:?}", member.endpoint, member.state, member.record))
            .collect();
        assert_eq!(now as usize, were.len());
        were.push(Some(format!("{} {members:?}", view.revision)));
        assert_eq!(shown(&registry, now).await, were[now as usize], "the newest");
    }
    let all = |newest_first| EventsQuery {
        newest_first,
        limit: 100,
        ..EventsQuery::default()
    };
    registry.stop().await;
    drop(registry);
    let registry = open(folder.path(), config).await;
    for (at, expected) in were.iter().enumerate() {
        assert_eq!(shown(&registry, at as u64).await, *expected, "at {at}");
    }
    let page = registry.all_events(all(false)).await.unwrap();
    let seen: Vec<_> = page.changes.iter().map(|change| change.revision.0).collect();
    assert_eq!((seen, page.truncated), ((1..=6).collect(), false));
    let page = registry
        .all_events(EventsQuery {
            limit: 4,
            ..all(true)
        })
        .await
        .unwrap();
    let seen: Vec<_> = page.changes.iter().map(|change| change.revision.0).collect();
    assert_eq!((seen, page.next.0), (vec![6, 5, 4, 3], 3));
    let future = registry
        .past(key("a"), When::Revision(Revision(1_000_000_000)))
        .await;
    assert!(matches!(future, Err(PastError::NotYet { .. })));
    registry.stop().await;
}
