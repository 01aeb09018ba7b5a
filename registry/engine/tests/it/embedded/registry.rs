//! The registry on a disk that fails or hangs: what is refused, what goes on, and that it comes back.

use std::io::ErrorKind;
use std::time::Duration;

use beatrix_core::model::Revision;
use beatrix_engine::WriteError;
use beatrix_engine::journal::embedded::EmbeddedConfig;
use tokio::time::timeout;

use super::{SimDisk, config, on, until};
use crate::support::{beating, fixed, member, nth, start, try_register, unguarded};

/// Claim: after one durable write that failed a quiet registry takes durable writes again once the disk is well, though
/// nothing else is written; and a restart finds all that was acknowledged, and nothing that was refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_registry_takes_durable_writes_again_after_one_that_failed() {
    let disk = SimDisk::default();
    let registry = start(unguarded(), on(&disk, config()).unwrap()).await;
    let storage = registry.storage().unwrap();
    try_register(&registry, "s", nth(1), fixed()).await.unwrap();
    disk.fail(Some(ErrorKind::StorageFull));
    try_register(&registry, "s", nth(2), fixed()).await.unwrap_err();
    disk.fail(None);
    until("the end of the trouble", || storage.trouble().is_none()).await;
    let revision = try_register(&registry, "s", nth(3), fixed())
        .await
        .unwrap()
        .revision;
    assert_eq!(revision, Revision(3), "what was refused had one, too");
    registry.stop().await;

    let registry = start(unguarded(), on(&disk, config()).unwrap()).await;
    let found = (1..4).filter(|number| member(&registry, "s", &nth(*number).to_string()).is_some());
    assert_eq!(found.collect::<Vec<_>>(), [1, 3]);
    registry.stop().await;
}

/// Claim: a disk that does not answer is said to have failed after a bounded time. Then durable writes are refused, the
/// rest goes on, and when the disk answers again nothing that was refused is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_refuses_what_is_durable_and_stops_nothing_else() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        write_max: Duration::from_millis(300),
        ..config()
    };
    let registry = start(unguarded(), on(&disk, config).unwrap()).await;
    let storage = registry.storage().unwrap();
    let soon = Duration::from_secs(10);
    try_register(&registry, "s", nth(1), fixed()).await.unwrap();
    disk.hang(true);
    let refused = timeout(soon, try_register(&registry, "s", nth(2), fixed()))
        .await
        .unwrap();
    let Err(WriteError::Unavailable(error)) = refused else {
        panic!("{refused:?}")
    };
    assert!(error.contains("the simulated disk does not answer"), "{error}");
    let trouble = storage.trouble().unwrap();
    assert!(trouble.error.contains("does not answer") && !trouble.writes_behind);
    timeout(soon, try_register(&registry, "s", nth(3), beating()))
        .await
        .unwrap()
        .unwrap();
    timeout(soon, try_register(&registry, "s", nth(4), fixed()))
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(storage.figures().failures, 1);

    disk.hang(false);
    until("the end of the trouble", || storage.trouble().is_none()).await;
    assert_eq!((storage.figures().failures, storage.figures().not_kept), (1, 0));
    try_register(&registry, "s", nth(5), fixed()).await.unwrap();
    registry.stop().await;
    let registry = start(unguarded(), on(&disk, super::config()).unwrap()).await;
    let found = (1..6).filter(|number| member(&registry, "s", &nth(*number).to_string()).is_some());
    assert_eq!(found.collect::<Vec<_>>(), [1, 3, 5]);
    registry.stop().await;
}

/// Claim: the end of a registry whose disk hangs takes a bounded time.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_hangs_does_not_keep_the_registry_from_its_end() {
    let disk = SimDisk::default();
    let config = EmbeddedConfig {
        write_max: Duration::from_millis(300),
        close_max: Duration::from_millis(500),
        ..config()
    };
    let registry = start(unguarded(), on(&disk, config).unwrap()).await;
    try_register(&registry, "s", nth(1), beating()).await.unwrap();
    disk.hang(true);
    let stopped = timeout(Duration::from_secs(10), registry.stop()).await;
    disk.hang(false);
    assert!(stopped.is_ok());
}

/// Claim: what beats is registered while the disk is bad, also beside what must be durable and is refused: in the group
/// that fails, and in those after it.
#[tokio::test]
async fn a_beat_registration_is_taken_while_the_disk_is_bad_though_a_durable_one_beside_it_is_not() {
    let disk = SimDisk::default();
    let registry = start(unguarded(), on(&disk, config()).unwrap()).await;
    try_register(&registry, "s", nth(1), fixed()).await.unwrap();
    disk.fail(Some(ErrorKind::StorageFull));
    for number in [10, 20] {
        // On one thread: the owner finds both.
        let (durable, beat, other) = tokio::join!(
            try_register(&registry, "s", nth(number), fixed()),
            try_register(&registry, "s", nth(number + 1), beating()),
            try_register(&registry, "t", nth(number + 2), beating()),
        );
        assert!(matches!(durable, Err(WriteError::Unavailable(_))), "{durable:?}");
        assert!(member(&registry, "s", &nth(number).to_string()).is_none());
        assert!(crate::support::beat(&registry, beat.unwrap().lease) && other.is_ok());
        assert!(member(&registry, "t", &nth(number + 2).to_string()).is_some());
    }
    disk.fail(None);
    registry.stop().await;
}
