//! A process that has no file left to open cannot ask anybody.

use std::fs::File;
use std::process::Command;

use beatrix_core::model::{ProbeKind, Tls};

use super::{asking, endpoint, http, spec};
use crate::{ProbeOutcome, Prober, ProberConfig};

/// Should it be held against them, a registry that runs out of files would declare everybody dead.
#[test]
fn running_out_of_files_is_not_held_against_the_instances() {
    let test = std::env::current_exe().unwrap();
    // In a process of its own, since the others need files, too.
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""])
        .arg(test)
        .args(["--exact", "tests::files::in_a_process_of_64_files", "--ignored"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "it uses up the files of its process; the test above runs it"]
async fn in_a_process_of_64_files() {
    let prober = Prober::new(ProberConfig::default());
    let target = endpoint(super::servers::nobody().await);
    let mut held = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
        assert!(held.len() < 64, "the limit is not in force");
    }
    for kind in asking()
        .into_iter()
        .chain([ProbeKind::Tcp, http("/", Tls::Unverified)])
    {
        let verdict = prober.probe(&target, &spec(kind.clone())).await;
        assert!(
            matches!(verdict.what, ProbeOutcome::OwnTrouble(_)),
            "{kind:?}: {verdict:?}"
        );
        assert!(!verdict.good && !verdict.counts());
    }
    drop(held);
    let verdict = prober.probe(&target, &spec(ProbeKind::Tcp)).await;
    assert_eq!(verdict.what, ProbeOutcome::Refused);
}
