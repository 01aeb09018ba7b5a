//! A real folder: who has it, and what the system refuses.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use beatrix_core::catalog::Keep;
use beatrix_engine::clock::SystemClock;
use beatrix_engine::journal::Journal;
use beatrix_engine::journal::embedded::{Embedded, EmbeddedConfig, OpenError};

use super::{Started, checkpoint, commit, config, try_start, until};

fn open(folder: &Path, config: EmbeddedConfig) -> Result<Embedded, OpenError> {
    Embedded::open(folder, config, Arc::new(SystemClock::new()))
}

async fn start(folder: &Path) -> Started {
    try_start(open(folder, config())).await.unwrap()
}

#[tokio::test]
async fn a_folder_keeps_what_was_committed_and_a_checkpoint_with_the_log_is_what_was_before() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut started = start(&data).await;
    let revision = commit(&mut started.journal, 0..3_000, Keep::Behind)
        .await
        .unwrap();
    let pieces = checkpoint(&started, revision, 0..3_000).await.unwrap();
    commit(&mut started.journal, 3_000..6_000, Keep::Durable)
        .await
        .unwrap();
    started.journal.close().await;
    drop(started);
    let started = start(&data).await;
    assert_eq!(started.pieces(), pieces);
    assert_eq!(started.log().len(), 3_000);
    let report = started.journal.report();
    assert!(report.closed && !report.repaired, "{report:?}");
    assert_eq!((report.pieces, report.mutations), (pieces.len() as u64, 3_000));
}

/// Claim: a second process on the same data is told so, with the number of the first.
#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused_and_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path()).await;
    let error = open(folder.path(), config()).unwrap_err();
    let pid = std::process::id();
    assert!(
        matches!(error, OpenError::InUse { pid: Some(found), .. } if found == pid),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains(&format!("in use by the process {pid}")),
        "{error}"
    );
    drop(first);
    // Who holds it is gone, and so is the lock; its file is not, and hinders nobody.
    assert!(folder.path().join("lock").exists());
    start(folder.path()).await;
}

/// Claim: what is kept, leases among it, can be read by nobody but who runs the registry.
#[tokio::test]
async fn the_folder_and_its_files_are_open_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _journal = start(&data).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert_eq!(files, 2, "the store and the lock");
}

/// Mounts are for root; the same is shown on a simulated disk for everybody.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn small(at: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(at);
        let mounted = mount.stderr(std::process::Stdio::null()).status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(at))
    }

    fn read_only(&self) {
        let mut mount = Command::new("mount");
        mount.args(["-o", "remount,ro"]).arg(self.0);
        assert!(mount.status().unwrap().success());
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Claim: a folder that cannot be written to is refused at the start, by name.
#[tokio::test]
async fn a_read_only_folder_is_refused_at_the_start_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::small(folder.path(), "8m") else {
        eprintln!("left out: it takes the right to mount");
        return;
    };
    mount.read_only();
    let error = open(folder.path(), config()).unwrap_err().to_string();
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
    assert!(error.contains("Read-only file system"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = open(file.path(), config()).unwrap_err().to_string();
    assert!(error.contains("cannot be used"), "{error}");
}

/// Claim: a real file system that fills: durable writes are refused, and after there is room all goes on.
#[tokio::test]
async fn a_full_file_system_refuses_durable_writes_and_recovers_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_mount) = Mount::small(folder.path(), "24m") else {
        eprintln!("left out: it takes the right to mount");
        return;
    };
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 8 * 1024 * 1024]).unwrap();
    let data = folder.path().join("data");
    let mut started = start(&data).await;
    let state = started.journal.state();
    let mut acked = 0;
    let error = loop {
        match commit(&mut started.journal, acked..acked + 2_000, Keep::Durable).await {
            Ok(_) => acked += 2_000,
            Err(error) => break error,
        }
    };
    assert!(error.0.contains("No space left on device"), "{error}");
    assert!(acked > 10_000);
    commit(&mut started.journal, 0..5, Keep::Behind).await.unwrap();
    std::fs::remove_file(&ballast).unwrap();
    started.checkpoints().wanted().await;
    let newest = commit(&mut started.journal, 5..6, Keep::Behind).await.unwrap();
    checkpoint(&started, newest, 0..100).await.unwrap();
    until("the end of the trouble", || state.trouble().is_none()).await;
    commit(&mut started.journal, 6..7, Keep::Durable).await.unwrap();
    started.journal.close().await;
    drop(started);
    let started = start(&data).await;
    assert_eq!((started.pieces().len(), started.log().len()), (201, 1));
}
