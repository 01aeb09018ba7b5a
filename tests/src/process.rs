//! A child process with its output, its signals and its certain end.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::time::Instant;

use crate::eventually::eventually;

/// A line that a process wrote, and when it arrived here.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it arrived.
    pub at: Instant,
    /// The line without its end.
    pub text: String,
}

/// Signals that tests send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Please stop.
    Term,
    /// Something that is agreed upon with who gets it.
    Hangup,
    /// Stand still.
    Stop,
    /// Go on.
    Continue,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Term => "-TERM",
            Self::Hangup => "-HUP",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
        }
    }
}

/// A running program. Dropped, it is killed and waited for, and its output is shown.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Process {
    /// Starts a program and collects what it writes to both outputs.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let lines = Arc::default();
        collect(child.stdout.take(), &lines);
        collect(child.stderr.take(), &lines);
        Ok(Self { name, child, lines })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it wrote so far.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Its output as one text, for messages.
    #[must_use]
    pub fn output(&self) -> String {
        self.lines()
            .into_iter()
            .map(|line| line.text)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Waits for a line, also one that it wrote before, and gives what `find` makes of it.
    ///
    /// # Panics
    ///
    /// When no such line comes in time.
    pub async fn line<T>(&self, what: &str, within: Duration, find: impl Fn(&Line) -> Option<T>) -> T {
        eventually(what, within, || {
            let found = self.lines().iter().find_map(&find);
            async move { found }
        })
        .await
    }

    /// Whether it has ended, and how.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub async fn end(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let child = &mut self.child;
        eventually(&what, within, || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        })
        .await
    }

    /// Sends a signal.
    ///
    /// # Errors
    ///
    /// When the program `kill` is missing, or the process is gone.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // The program, because sending a signal by hand takes unsafe code or one more dependency.
        let status = Command::new("kill")
            .args([signal.name(), &self.pid().to_string()])
            .status()
            .context("cannot start the program kill")?;
        anyhow::ensure!(
            status.success(),
            "kill {} {} said {status}",
            signal.name(),
            self.pid()
        );
        Ok(())
    }

    /// Ends it with SIGKILL, so that it cannot say goodbye, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failing test shows what its processes said")]
    fn drop(&mut self) {
        // Both fail only for a process that is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Test runners swallow it unless the test fails, be it by panic or by error.
        eprintln!("--- output of {}\n{}\n---", self.name, self.output());
    }
}

/// Collects the lines of one output in a thread of its own, which ends with the output.
fn collect(output: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<Vec<Line>>>) {
    let Some(output) = output else { return };
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for text in BufReader::new(output).lines().map_while(Result::ok) {
            let line = Line {
                at: Instant::now(),
                text,
            };
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
