//! One client that runs: what it was told, and what it says.

use std::net::SocketAddr;

use beatrix_tests::eventually::{SOON, eventually};
use beatrix_tests::process::{Process, Signal};

use super::{Kind, PATIENCE};

/// A client's driver, which is a process of its own. Dropped, it is killed.
pub(super) struct Driver {
    kind: Kind,
    process: Process,
}

impl Driver {
    /// Starts one with more flags, or gives `None` where the client is missing and the test has to be left out.
    pub(super) fn start(kind: Kind, registry: SocketAddr, flags: &[&str]) -> anyhow::Result<Option<Self>> {
        let Some(client) = kind.find() else {
            return Ok(None);
        };
        let server = format!("--server={registry}");
        let all = [&server, "--ip=127.0.0.1", r#"--metadata={"zone":"a"}"#];
        let process = Process::spawn(client.command().args(all).args(flags))?;
        Ok(Some(Self { kind, process }))
    }

    /// Waits until the registry has said ok.
    pub(super) async fn is_registered(&self) {
        self.says("registered").await;
    }

    /// Waits until it says this.
    pub(super) async fn says(&self, line: &str) {
        let find = |said: &beatrix_tests::process::Line| (said.text == line).then_some(());
        let what = format!("{:?} says `{line}`", self.kind);
        self.process.line(&what, PATIENCE, find).await;
    }

    /// Waits until the newest list behind a word is these instances, all healthy, and no other.
    pub(super) async fn shows(&self, word: &str, instances: &[&str]) {
        let mut wanted: Vec<_> = instances.iter().map(|it| format!("{it}=healthy")).collect();
        wanted.sort();
        let what = format!("{:?} has {word} {wanted:?}", self.kind);
        eventually(&what, PATIENCE, async || {
            (self.lists(word).last() == Some(&wanted)).then_some(())
        })
        .await;
    }

    /// All lists behind a word so far, each in order.
    pub(super) fn lists(&self, word: &str) -> Vec<Vec<String>> {
        let lines = self.process.lines().into_iter();
        let lists = lines.filter_map(|line| {
            let rest = line.text.strip_prefix(word)?;
            let mut list: Vec<_> = rest.split_whitespace().map(str::to_owned).collect();
            list.sort();
            Some(list)
        });
        lists.collect()
    }

    /// Asks for the other batch.
    pub(super) fn again(&self) -> anyhow::Result<()> {
        self.process.signal(Signal::Hangup)
    }

    /// Lets it say goodbye and end.
    pub(super) async fn goodbye(mut self) -> anyhow::Result<()> {
        self.process.signal(Signal::Term)?;
        self.says("deregistered").await;
        let status = self.process.end(SOON).await;
        assert!(status.success(), "{:?} ended with {status}", self.kind);
        Ok(())
    }

    /// Ends it so that it cannot say goodbye.
    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill()
    }
}
