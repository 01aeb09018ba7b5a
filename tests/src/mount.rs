//! A small file system of a test's own, in memory: it can be filled, and be made read-only also for root. It takes root
//! and the program `mount`; it is gone with the value.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use tempfile::TempDir;

/// The file that takes the room.
const BALLAST: &str = "ballast";

/// A mounted tmpfs.
#[derive(Debug)]
pub struct Small {
    at: TempDir,
}

impl Small {
    /// Mounts one of so many MiB, or `None` where the test has to be left out.
    ///
    /// # Panics
    ///
    /// When it cannot be mounted and `CI` is `true`.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    pub fn mount(mib: usize) -> Option<Self> {
        match Self::try_mount(mib) {
            Ok(small) => Some(small),
            Err(error) => {
                let message = format!("a file system cannot be mounted (it takes root): {error:#}");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
                eprintln!("LEFT OUT: {message}");
                None
            }
        }
    }

    fn try_mount(mib: usize) -> anyhow::Result<Self> {
        let at = tempfile::tempdir()?;
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "none"]);
        done(command.arg(at.path()))?;
        Ok(Self { at })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.at.path()
    }

    /// Takes all room but for less than a page.
    ///
    /// # Errors
    ///
    /// When something else fails than the room.
    pub fn fill(&self) -> anyhow::Result<()> {
        use std::io::Write;
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path().join(BALLAST))?;
        for size in [1 << 16, 1 << 12] {
            let piece = vec![1; size];
            loop {
                match file.write(&piece) {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("the file system cannot be filled"),
                }
            }
        }
        Ok(())
    }

    /// Gives the room back.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn make_room(&self) -> anyhow::Result<()> {
        Ok(std::fs::remove_file(self.path().join(BALLAST))?)
    }

    /// Makes it read-only.
    ///
    /// # Errors
    ///
    /// While somebody writes to it.
    pub fn read_only(&self) -> anyhow::Result<()> {
        done(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily, since a process that a failing test leaves may still have it open.
        let _may_be_gone = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn done(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("cannot start the program mount")?;
    ensure!(
        output.status.success(),
        "mount: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
