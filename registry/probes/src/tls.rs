//! Whom a probe trusts, and why TLS did not come about.
//!
//! The provider of the cryptography is named in every configuration, so that a probe works whether or not the process has
//! installed one. Sessions are never resumed: a resumed one does not show its certificate again, and so would hide that it
//! has expired.

use std::error::Error;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::dial::broken;
use crate::outcome::{ProbeOutcome, Step};

/// The two configurations of TLS.
pub(crate) struct Trust {
    unverified: ClientConfig,
    /// Made when it is first asked for, since it reads the system's roots. `None`: there are none.
    verified: OnceLock<Option<ClientConfig>>,
    extra_roots: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// `extra_roots` are trusted beside those of the system.
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Self {
        let provider = provider();
        let anybody = Arc::new(Anybody(
            provider.signature_verification_algorithms.supported_schemes(),
        ));
        Self {
            unverified: config(provider, anybody),
            verified: OnceLock::new(),
            extra_roots,
        }
    }

    /// Any certificate will do.
    pub(crate) fn unverified(&self) -> &ClientConfig {
        &self.unverified
    }

    /// The certificate must be good for the name.
    pub(crate) fn verified(&self) -> Step<&ClientConfig> {
        let made = self.verified.get_or_init(|| {
            let provider = provider();
            let roots = self.extra_roots.iter().cloned();
            let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider)).ok()?;
            Some(config(provider, Arc::new(verifier)))
        });
        made.as_ref()
            .ok_or(ProbeOutcome::OwnTrouble("it has no root certificates to trust"))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn config(provider: Arc<CryptoProvider>, verifier: Arc<dyn ServerCertVerifier>) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

/// Takes any certificate, without looking at it: whoever it belongs to, and however it is made. So the signature, which
/// would only prove that its owner is there, is not looked at either.
#[derive(Debug)]
struct Anybody(Vec<SignatureScheme>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// What came of a handshake that failed.
pub(crate) fn failed(error: &io::Error) -> ProbeOutcome {
    within(error).map_or_else(|| broken(error), |tls| ProbeOutcome::TlsFailed(why(tls)))
}

/// The error of TLS that an error of I/O carries.
pub(crate) fn within(error: &io::Error) -> Option<&rustls::Error> {
    let mut inner: &(dyn Error + 'static) = error.get_ref()?;
    loop {
        if let Some(tls) = inner.downcast_ref() {
            return Some(tls);
        }
        // An error of I/O in an error of I/O does not name what it carries as its source.
        inner = match inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(carried) => carried,
            None => inner.source()?,
        };
    }
}

/// Why, in our words.
pub(crate) fn why(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate(error),
        rustls::Error::NoCertificatesPresented => "the server shows no certificate",
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS",
        rustls::Error::AlertReceived(_) => "the server refused the handshake",
        rustls::Error::PeerIncompatible(_) => "the server has no version or cipher in common",
        rustls::Error::NoApplicationProtocol => "the server does not offer the protocol",
        _ => "the handshake failed",
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "the certificate has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the certificate is for another name"
        }
        CertificateError::UnknownIssuer => "the certificate is of an unknown issuer",
        CertificateError::Revoked => "the certificate is revoked",
        _ => "the certificate is not good",
    }
}
