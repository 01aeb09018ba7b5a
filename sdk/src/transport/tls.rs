//! The HTTP client and its TLS.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

use super::Addresses;
use crate::Error;

/// How often a silent TCP connection is checked, so that a vanished peer is noticed below the stream too.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Builds the HTTP client that all requests of a client share.
pub(crate) fn http_client(
    addresses: &Addresses,
    connect_timeout: Duration,
    root_certificates_pem: &[Vec<u8>],
    proxy_from_environment: bool,
) -> Result<Client, Error> {
    // reqwest is built without a provider and panics if there is none; a second installation is refused, which
    // means that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("beatrix-sdk/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(connect_timeout)
        .tcp_keepalive(TCP_KEEPALIVE)
        // A redirected PUT is a GET somewhere else.
        .redirect(Policy::none());
    if !proxy_from_environment {
        builder = builder.no_proxy();
    }
    if !root_certificates_pem.is_empty() || addresses.are_plain() {
        // Without TLS the system's certificates are not needed, and building must not fail in an image that has
        // none.
        builder = builder.tls_certs_only(certificates(root_certificates_pem)?);
    }
    builder
        .build()
        .map_err(|error| Error::invalid("TLS configuration", error.to_string(), "cannot be used"))
}

fn certificates(pems: &[Vec<u8>]) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for pem in pems {
        let bundle = Certificate::from_pem_bundle(pem)
            .map_err(|error| Error::invalid("root certificate", error.to_string(), "must be PEM"))?;
        if bundle.is_empty() {
            return Err(Error::invalid(
                "root certificate",
                "",
                "must be PEM and hold a certificate",
            ));
        }
        all.extend(bundle);
    }
    Ok(all)
}
