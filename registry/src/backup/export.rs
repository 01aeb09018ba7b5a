//! Writing a backup.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use beatrix_native::backup::check::Follower;

use super::api::Api;
use super::{Export, Lines};

/// It holds leases and passwords: for its owner alone.
const MODE: u32 = 0o600;

pub(super) async fn run(wanted: Export) -> anyhow::Result<String> {
    let mut response = Api::new(&wanted.url)?.export(wanted.namespace.as_deref()).await?;
    let mut target = Target::open(wanted.output)?;
    let (mut lines, mut follower) = (Lines::default(), Follower::default());
    // Each line is looked at as a later import would, so that a backup that cannot be used is told today.
    while let Some(piece) = response.chunk().await.context("the backup was cut")? {
        lines.push(&piece)?;
        while let Some(line) = lines.next_line() {
            follower.take(&line)?;
            target.write(&line)?;
        }
    }
    if let Some(line) = lines.rest() {
        follower.take(&line)?;
    }
    follower.end()?;
    target.finish()?;
    let sums = follower.sums();
    Ok(format!(
        "exported {} namespaces, {} settings, {} services, {} layers, {} instances",
        sums.namespaces, sums.settings, sums.services, sums.layers, sums.instances
    ))
}

/// Where the backup goes. A file has its name only once it is whole.
enum Target {
    Output,
    File {
        file: File,
        part: PathBuf,
        path: PathBuf,
    },
}

impl Target {
    fn open(path: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::Output) };
        let mut part = path.clone().into_os_string();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        Ok(Self::File { file, part, path })
    }

    fn write(&mut self, line: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Output => std::io::stdout()
                .write_all(line)
                .context("cannot write the output"),
            Self::File { file, part, .. } => file
                .write_all(line)
                .with_context(|| format!("cannot write {}", part.display())),
        }
    }

    fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Output => std::io::stdout().flush().context("cannot write the output"),
            Self::File { file, part, path } => file
                .sync_all()
                .and_then(|()| std::fs::rename(&part, &path))
                .with_context(|| format!("cannot write {}", path.display())),
        }
    }
}

fn create(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(MODE)
        .open(path)?;
    // One that was there keeps its own.
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}
