//! A network namespace behind a link that a test can cut and join again: what is inside is a machine of its own, as
//! far as the network goes. It needs root and the program `ip` of iproute2; all of it is gone with the value.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};

/// A namespace, and the pair of interfaces that leads to it.
#[derive(Debug)]
pub struct Network {
    name: String,
    inside: String,
    here: Ipv4Addr,
}

impl Network {
    /// Lays one, or `None` where the test has to be left out.
    ///
    /// # Panics
    ///
    /// When it cannot be laid and `CI` is `true`.
    #[must_use]
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    pub fn lay() -> Option<Self> {
        match Self::try_lay() {
            Ok(network) => Some(network),
            Err(error) => {
                let message = format!(
                    "a network namespace cannot be made (it takes root, and iproute2 by tests/setup): {error:#}"
                );
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{message}");
                eprintln!("LEFT OUT: {message}");
                None
            }
        }
    }

    fn try_lay() -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, number) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = format!("beatrix-{pid}-{number}");
        // Names of interfaces have 15 characters at most; process ids have 7.
        let (outside, inside) = (
            format!("bx{pid}h{}", number % 10),
            format!("bx{pid}n{}", number % 10),
        );
        // A net of four addresses, of the range that is for tests of this kind.
        let net = (pid.wrapping_mul(4).wrapping_add(number) % (1 << 14)) * 4;
        let base = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + net;
        let (here, there) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        ip(&["netns", "add", &name])?;
        // From here on what is there is taken away again, also if the rest fails. The pair goes with the namespace.
        let network = Self {
            name: name.clone(),
            inside: inside.clone(),
            here,
        };
        ip(&[
            "link", "add", &outside, "type", "veth", "peer", "name", &inside, "netns", &name,
        ])?;
        ip(&["addr", "add", &format!("{here}/30"), "dev", &outside])?;
        ip(&["link", "set", &outside, "up"])?;
        ip(&["-n", &name, "addr", "add", &format!("{there}/30"), "dev", &inside])?;
        ip(&["-n", &name, "link", "set", "lo", "up"])?;
        network.join()?;
        Ok(network)
    }

    /// The address at this end of the link: what listens there is reached from both sides.
    #[must_use]
    pub fn here(&self) -> Ipv4Addr {
        self.here
    }

    /// Cuts the link.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn cut(&self) -> anyhow::Result<()> {
        // The end inside: this end keeps its address and its routes, as that of a machine whose peer is cut off.
        ip(&["-n", &self.name, "link", "set", &self.inside, "down"])
    }

    /// Joins it again.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn join(&self) -> anyhow::Result<()> {
        ip(&["-n", &self.name, "link", "set", &self.inside, "up"])
    }

    /// A command that runs a program inside. Its process is the program's own.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Drop for Network {
    #[expect(clippy::print_stderr, reason = "what is left behind has to be known")]
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "delete", &self.name]) {
            eprintln!("the namespace is left behind: {error:#}");
        }
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("no program ip")?;
    ensure!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
