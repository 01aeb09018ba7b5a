//! The registry on a disk that fails or hangs: what is refused, what goes on, and that it comes back.

use std::io::ErrorKind;

use beatrix_core::model::Revision;

use super::{SimDisk, config, on, until};
use crate::support::{fixed, member, nth, start, try_register, unguarded};

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
