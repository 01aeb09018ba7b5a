//! Reading a backup in: first all of it is checked, then it is sent in parts.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use anyhow::{Context, bail};
use beatrix_core::model::Namespace;
use beatrix_native::backup::IMPORT_BYTES_MAX;
use beatrix_native::backup::check::Follower;
use beatrix_native::backup::entry::Entry;
use beatrix_wire as wire;

use super::api::Api;
use super::{Import, LineTooLong, replace};

/// How many bytes are sent at once, or one line where that is longer.
const PART_BYTES: usize = 512 * 1024;

/// How many refused lines are told.
const TOLD_MAX: usize = 20;

pub(super) async fn run(wanted: Import) -> anyhow::Result<(String, bool)> {
    let mut backup = Backup::open(&wanted)?;
    let contents = backup.check()?;
    let api = Api::new(&wanted.url)?;
    let mut sender = Sender::new(&api, &wanted);
    let mut entries = backup.entries()?;
    while let Some((line, text, _)) = entries.next()? {
        sender.put(line, &text).await?;
    }
    sender.flush().await?;
    let mut removed = 0;
    if wanted.replace {
        let sent = sender.report.changed;
        replace::run(&api, &mut sender, backup.entries()?, &contents).await?;
        removed = sender.report.changed - sent;
    }
    Ok(sender.told(&contents, removed, wanted.dry_run))
}

/// What a backup is of.
#[derive(Debug)]
pub(super) struct Contents {
    /// The namespaces that it names.
    pub(super) namespaces: BTreeSet<Namespace>,
    /// Whether it is of the whole registry.
    pub(super) whole: bool,
    pub(super) sums: wire::BackupEnd,
}

/// A backup that can be read more than once.
struct Backup(File);

impl Backup {
    fn open(wanted: &Import) -> anyhow::Result<Self> {
        if let Some(path) = &wanted.input {
            let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            return Ok(Self(file));
        }
        // What comes through a pipe comes once. The file has no name, and nobody else can read it.
        let mut file = tempfile::tempfile().context("no temporary file for what comes from the input")?;
        std::io::copy(&mut std::io::stdin().lock(), &mut file).context("the input cannot be kept")?;
        Ok(Self(file))
    }

    fn entries(&mut self) -> anyhow::Result<Entries<'_>> {
        self.0
            .seek(SeekFrom::Start(0))
            .context("the backup must be a file, or come from the input")?;
        Ok(Entries {
            reader: BufReader::new(&self.0),
            follower: Follower::default(),
            line: 0,
        })
    }

    /// Reads all of it: nothing is sent of a backup that is not whole.
    fn check(&mut self) -> anyhow::Result<Contents> {
        let mut entries = self.entries()?;
        let mut namespaces = BTreeSet::new();
        while let Some((_, _, entry)) = entries.next()? {
            if let Some(namespace) = entry.place().namespace()
                && !namespaces.contains(namespace)
            {
                namespaces.insert(namespace.clone());
            }
        }
        let header = entries.follower.header();
        let only = header.and_then(|header| header.namespaces.clone());
        let whole = only.is_none();
        for namespace in only.unwrap_or_default() {
            namespaces.insert(namespace.parse().context("line 1")?);
        }
        Ok(Contents {
            namespaces,
            whole,
            sums: entries.follower.sums().clone(),
        })
    }
}

/// The entries of a backup with their lines, in order.
pub(super) struct Entries<'a> {
    reader: BufReader<&'a File>,
    follower: Follower,
    line: u64,
}

impl Entries<'_> {
    /// The next entry, with its line and the number of that. The first and the last line are none.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<(u64, Vec<u8>, Entry)>> {
        loop {
            let mut text = Vec::new();
            let mut bounded = (&mut self.reader).take(IMPORT_BYTES_MAX as u64 + 1);
            bounded
                .read_until(b'\n', &mut text)
                .context("the backup cannot be read")?;
            if text.is_empty() {
                self.follower.end()?;
                return Ok(None);
            }
            if text.len() > IMPORT_BYTES_MAX {
                return Err(LineTooLong).with_context(|| format!("line {}", self.line + 1));
            }
            self.line += 1;
            if let Some(entry) = self.follower.take(&text)? {
                return Ok(Some((self.line, text, entry)));
            }
        }
    }
}

/// Sends lines in parts, and sums up what became of them.
pub(super) struct Sender<'a> {
    api: &'a Api,
    persistent_only: bool,
    dry_run: bool,
    part: Vec<u8>,
    /// The number of each line of the part in the backup; 0 for one that is not in it.
    numbers: Vec<u64>,
    report: wire::ImportReport,
}

impl<'a> Sender<'a> {
    fn new(api: &'a Api, wanted: &Import) -> Self {
        Self {
            api,
            persistent_only: wanted.persistent_only,
            dry_run: wanted.dry_run,
            part: Vec::new(),
            numbers: Vec::new(),
            report: wire::ImportReport::default(),
        }
    }

    pub(super) async fn put(&mut self, number: u64, line: &[u8]) -> anyhow::Result<()> {
        if !self.part.is_empty() && self.part.len() + line.len() > PART_BYTES {
            self.flush().await?;
        }
        self.part.extend_from_slice(line);
        self.numbers.push(number);
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let report = self
            .api
            .import(&self.part, self.persistent_only, self.dry_run)
            .await
            .with_context(|| format!("in the part that begins with line {}", self.numbers[0]))?;
        self.part.clear();
        let numbers = std::mem::take(&mut self.numbers);
        self.report.changed += report.changed;
        self.report.unchanged += report.unchanged;
        self.report.skipped += report.skipped;
        for mut refused in report.refused {
            let Some(place) = refused
                .line
                .checked_sub(1)
                .and_then(|place| usize::try_from(place).ok())
            else {
                bail!("the answer names no line");
            };
            refused.line = numbers.get(place).copied().unwrap_or_default();
            if self.report.refused.len() < TOLD_MAX {
                self.report.refused.push(refused);
            }
        }
        Ok(())
    }

    fn told(&self, contents: &Contents, removed: u64, dry_run: bool) -> (String, bool) {
        let (sums, report) = (&contents.sums, &self.report);
        let mut told = format!(
            "{} namespaces, {} settings, {} services, {} layers, {} instances: ",
            sums.namespaces, sums.settings, sums.services, sums.layers, sums.instances
        );
        if dry_run {
            told += &format!(
                "the backup is whole; {} lines would be sent, {} left out, {removed} things removed",
                report.changed - removed,
                report.skipped
            );
        } else {
            told += &format!(
                "{} lines changed something, {} were so already, {} were left out, {removed} things were removed",
                report.changed - removed,
                report.unchanged,
                report.skipped
            );
        }
        for refused in &report.refused {
            told += &format!("\nline {}: refused: {}", refused.line, refused.detail);
        }
        (told, report.refused.is_empty())
    }
}
