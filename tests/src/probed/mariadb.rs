//! MariaDB with a data folder of its own, as whoever runs the test.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;

use super::{Server, free_address};
use crate::programs;

/// A database server and the way in for its administrator.
#[derive(Debug)]
pub struct Mariadb {
    /// The server.
    pub server: Server,
    socket: PathBuf,
}

/// Starts it, with the users `probe`, who has the password, and `open`, who has none.
///
/// # Errors
///
/// When it cannot be set up or started.
///
/// # Panics
///
/// When it is missing and `CI` is `true`, or does not start in time.
pub async fn mariadb(password: &str) -> anyhow::Result<Option<Mariadb>> {
    let Some(program) = programs::server("mariadbd") else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let user = said_by(Command::new("id").arg("-un"))?;
    // As root it insists on being told that root is meant.
    let user = format!("--user={}", user.trim());
    let data = format!("--datadir={}", data.display());
    let mut install = Command::new("mariadb-install-db");
    // Its tables on the way have the same names each time: in a folder for all, two at once take them from each other.
    let scratch = format!("--tmpdir={}", folder.path().display());
    install.args(["--no-defaults", &user, &data, &scratch, "--skip-test-db"]);
    said_by(install.arg("--auth-root-authentication-method=normal"))?;
    let users = folder.path().join("users.sql");
    fs::write(
        &users,
        format!("CREATE USER probe@'%' IDENTIFIED BY '{password}';\nCREATE USER open@'%';\n"),
    )?;
    let address = free_address()?;
    let socket = folder.path().join("socket");
    let mut command = Command::new(program);
    command
        .args([
            "--no-defaults",
            &user,
            &data,
            &scratch,
            "--bind-address=127.0.0.1",
        ])
        .arg(format!("--port={}", address.port()))
        .arg(format!("--socket={}", socket.display()))
        .arg(format!("--init-file={}", users.display()))
        .arg(format!("--pid-file={}", folder.path().join("pid").display()))
        .args(["--innodb-buffer-pool-size=8M", "--skip-name-resolve"]);
    let server = Server::start(&mut command, address, folder).await?;
    Ok(Some(Mariadb { server, socket }))
}

impl Mariadb {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Has the administrator say something, and gives the rows of the answer.
    ///
    /// # Errors
    ///
    /// When the client is missing or the statement fails.
    pub fn administer(&self, statement: &str) -> anyhow::Result<String> {
        let socket = format!("--socket={}", self.socket.display());
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "--user=root", "--protocol=socket", &socket]);
        said_by(client.args(["--batch", "--skip-column-names", "--execute", statement]))
    }
}

/// Runs a program to its end and gives what it wrote.
fn said_by(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{name} failed: {said} {complaint}");
    Ok(said)
}
