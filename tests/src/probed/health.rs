//! A gRPC server with the health service of tonic.

use std::process::Command;
use std::time::Duration;

use super::{STARTED, Server};
use crate::process::Process;
use crate::programs;

/// Starts one that takes so long over every answer.
///
/// # Errors
///
/// When it is not built or cannot be started.
///
/// # Panics
///
/// When it does not start in time.
pub async fn health_server(answer_after: Duration) -> anyhow::Result<Server> {
    let mut command = Command::new(programs::built("beatrix-health-server")?);
    command.args(["--answer-after-ms", &answer_after.as_millis().to_string()]);
    let process = Process::spawn(&mut command)?;
    let address = process
        .line("the address that it listens on", STARTED, |line| {
            line.text.strip_prefix("listening on ")?.parse().ok()
        })
        .await;
    Ok(Server {
        process,
        address,
        _folder: None,
    })
}
