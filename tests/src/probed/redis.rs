//! redis-server, without a file of its data.

use std::net::SocketAddr;
use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Server, free_address};
use crate::programs;

/// Starts it; with a password if one is given.
///
/// # Errors
///
/// When it cannot be started.
///
/// # Panics
///
/// When it is missing and `CI` is `true`, or does not start in time.
pub async fn redis(password: Option<&str>) -> anyhow::Result<Option<Server>> {
    let Some(program) = programs::server("redis-server") else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let address = free_address()?;
    let mut command = Command::new(program);
    command
        .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
        .args([
            "--save",
            "",
            "--appendonly",
            "no",
            "--enable-debug-command",
            "yes",
        ])
        .arg("--dir")
        .arg(folder.path());
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    Server::start(&mut command, address, folder).await.map(Some)
}

/// Sends one command, on a connection of its own, and gives the first line of the answer.
///
/// # Errors
///
/// When the connection breaks.
pub async fn ask(address: SocketAddr, command: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("{command}\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n") {
        answer.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&answer).trim_end().to_owned())
}
