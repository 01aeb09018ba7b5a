//! The requests of a backup, and how often they are tried.

use std::time::Duration;

use anyhow::{Context, bail};
use beatrix_wire as wire;
use reqwest::{Client, Response, StatusCode};

/// How often a part is sent that the registry cannot take just now, and how long is waited in between.
const TRIES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// How long the registry may say nothing.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The native API of one registry, as far as backups need it.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    url: String,
}

impl Api {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        // Fails if somebody was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(SILENCE_MAX)
            .no_proxy()
            .build()
            .context("no HTTP client")?;
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    /// The lines of a backup.
    pub(super) async fn export(&self, namespace: Option<&str>) -> anyhow::Result<Response> {
        let mut request = self.client.get(format!("{}/api/v1/export", self.url));
        if let Some(namespace) = namespace {
            request = request.query(&[("namespace", namespace)]);
        }
        let response = request.send().await.context("the registry cannot be reached")?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refused(response).await)
    }

    /// Sends lines. What the registry cannot take just now is sent again: what was done of it already stays done.
    pub(super) async fn import(
        &self,
        lines: &[u8],
        persistent_only: bool,
        dry_run: bool,
    ) -> anyhow::Result<wire::ImportReport> {
        let mut tried = 1;
        loop {
            let sent = self
                .client
                .post(format!("{}/api/v1/import", self.url))
                .query(&[("persistent_only", persistent_only), ("dry_run", dry_run)])
                .body(lines.to_vec())
                .send()
                .await;
            let response = sent.context("the registry cannot be reached; what was sent before stands")?;
            let again = matches!(
                response.status(),
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
            );
            if response.status().is_success() {
                return response.json().await.context("the answer cannot be read");
            }
            if !again || tried == TRIES {
                return Err(refused(response).await);
            }
            tried += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn refused(response: Response) -> anyhow::Error {
    let status = response.status();
    let told: anyhow::Result<()> = async {
        let problem: wire::Problem = response.json().await?;
        bail!("the registry refuses: {} ({status})", problem.detail);
    }
    .await;
    match told {
        Err(error) if error.to_string().starts_with("the registry") => error,
        _ => anyhow::anyhow!("the registry answers {status}"),
    }
}
