//! nginx, as one process, so that it can be made to hang.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use super::{Server, free_address};
use crate::programs;

/// Starts it, with these pages: `/good` (200), `/sick` (503), `/moved` (302 to `elsewhere`), `/slow` (200, and a body of
/// 1,000 bytes, of which most come at 100 a second). With a certificate and its key, in PEM, it speaks TLS.
///
/// # Errors
///
/// When it cannot be started.
///
/// # Panics
///
/// When it is missing and `CI` is `true`, or does not start in time.
pub async fn nginx(
    elsewhere: SocketAddr,
    certificate: Option<(&str, &str)>,
) -> anyhow::Result<Option<Server>> {
    let Some(program) = programs::server("nginx") else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let here = folder.path().display();
    let address = free_address()?;
    fs::write(folder.path().join("slow"), "x".repeat(1_000))?;
    let (ssl, files) = match certificate {
        Some((certificate, key)) => {
            fs::write(folder.path().join("certificate"), certificate)?;
            fs::write(folder.path().join("key"), key)?;
            let files = format!("ssl_certificate {here}/certificate; ssl_certificate_key {here}/key;");
            (" ssl", files)
        }
        None => ("", String::new()),
    };
    let configuration = format!(
        "daemon off; master_process off; pid {here}/pid;
        events {{ worker_connections 512; }}
        http {{
          access_log off;
          client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
          uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
          server {{
            listen {address}{ssl}; {files}
            location = /good {{ return 200 'good'; }}
            location = /sick {{ return 503; }}
            location = /moved {{ return 302 http://{elsewhere}/good; }}
            location = /slow {{ root {here}; limit_rate 100; limit_rate_after 500; }}
          }}
        }}"
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration)?;
    let mut command = Command::new(program);
    command
        .arg("-e")
        .arg("stderr")
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(file);
    Server::start(&mut command, address, folder).await.map(Some)
}
