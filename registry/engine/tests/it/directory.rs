//! Lists of very many services: complete, in order, and made while others write.

use beatrix_core::catalog::DirectoryQuery;
use beatrix_core::model::{Existence, ServicePatch};

use crate::support::{fixed, key, nth, registry, try_register};

const ALL: DirectoryQuery<'_> = DirectoryQuery {
    namespace: "public",
    group: None,
    group_contains: None,
    search: None,
    empty: true,
    declared: false,
    offset: 0,
    limit: 10,
};

#[tokio::test(start_paused = true)]
async fn a_page_of_very_many_tells_how_many_there_are() {
    const SERVICES: usize = 5_000;
    let registry = registry().await;
    for number in 0..SERVICES {
        let name = format!("s{number:05}");
        registry
            .declare_service(key(&name), ServicePatch::default(), Existence::Absent)
            .await
            .unwrap();
    }
    for number in [7, 1_023, 1_024, 4_999] {
        try_register(&registry, &format!("s{number:05}"), nth(number), fixed())
            .await
            .unwrap();
    }
    let page = registry.directory(DirectoryQuery { offset: 1_020, ..ALL });
    assert_eq!(page.total, SERVICES);
    let names: Vec<_> = page
        .services
        .iter()
        .map(|summary| summary.key.name.to_string())
        .collect();
    assert_eq!(
        names,
        (1_020..1_030)
            .map(|number| format!("s{number:05}"))
            .collect::<Vec<_>>()
    );
    let full = registry.directory(DirectoryQuery { empty: false, ..ALL });
    assert_eq!((full.total, full.services.len()), (4, 4));
    let behind = registry.directory(DirectoryQuery {
        offset: SERVICES,
        ..ALL
    });
    assert_eq!((behind.total, behind.services.len()), (SERVICES, 0));
}

/// A list in the middle of writes is no list of one moment; but what stood all the while is in it, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_all_the_while_is_listed_once_beside_writers() {
    const STANDING: usize = 3_000;
    let registry = registry().await;
    for number in 0..STANDING {
        let name = format!("s{number:05}");
        registry
            .declare_service(key(&name), ServicePatch::default(), Existence::Absent)
            .await
            .unwrap();
    }
    let writer = registry.clone();
    let writing = tokio::spawn(async move {
        for round in 0..300 {
            let name = key(&format!("s{:05}-{}", round * 10, round % 3));
            writer
                .declare_service(name.clone(), ServicePatch::default(), Existence::Any)
                .await
                .unwrap();
            if round % 2 == 0 {
                writer.remove_service(name).await.unwrap();
            }
        }
    });
    let mut lists = 0;
    while !writing.is_finished() || lists < 3 {
        let page = registry.directory(DirectoryQuery {
            limit: usize::MAX,
            ..ALL
        });
        assert_eq!(page.total, page.services.len());
        let standing = page
            .services
            .iter()
            .filter(|summary| summary.key.name.as_str().len() == 6);
        assert_eq!(standing.count(), STANDING);
        assert!(page.services.is_sorted_by(|one, next| one.key < next.key));
        lists += 1;
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}
