//! Whom a probe trusts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use beatrix_core::model::{Endpoint, ProbeKind, Tls};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;

use super::servers::Server;
use super::{endpoint, grpc, http, outcome, spec};
use crate::{ProbeOutcome, Prober, ProberConfig, Resolve, Resolved};

/// A server that speaks TLS, the root that its certificate goes back to, and the names that clients asked for.
struct Secure {
    address: SocketAddr,
    root: CertificateDer<'static>,
    asked_for: Arc<Mutex<Vec<Option<String>>>>,
}

/// Serves the health service over HTTP/2, and anything at all over HTTP/1.1, with a certificate for `name` that ends in
/// `year`.
async fn secure(name: &str, year: i32) -> Secure {
    let mut issuer = CertificateParams::default();
    // A root is found by its name: two of the same name would be one with a bad signature.
    let year_of = format!("root of {year}");
    issuer.distinguished_name.push(rcgen::DnType::CommonName, year_of);
    issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(issuer, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let root = issuer.der().clone();
    let asked_for = Arc::default();
    let address = serve(config, Arc::clone(&asked_for)).await;
    Secure {
        address,
        root,
        asked_for,
    }
}

async fn serve(config: ServerConfig, asked_for: Arc<Mutex<Vec<Option<String>>>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (_, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(health).prepare();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let name = stream.get_ref().1.server_name().map(str::to_owned);
            asked_for.lock().unwrap().push(name);
            let service = TowerToHyperService::new(routes.clone());
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// Both kinds that speak TLS. To HTTP/1.1 the server answers with a gRPC error, which is a 200.
fn kinds(tls: &Tls) -> [ProbeKind; 2] {
    [http("/", tls.clone()), grpc("", tls.clone())]
}

fn trusting(root: &CertificateDer<'static>) -> Prober {
    Prober::new(ProberConfig {
        extra_roots: vec![root.clone()],
        ..ProberConfig::default()
    })
}

#[tokio::test]
async fn unverified_takes_any_certificate() {
    for year in [2020, 2099] {
        let server = secure("orders.example", year).await;
        for kind in kinds(&Tls::Unverified) {
            assert_eq!(outcome(server.address, kind).await, ProbeOutcome::Passed);
        }
    }
}

#[tokio::test]
async fn verified_takes_a_certificate_that_is_good_for_the_name_and_no_other() {
    let server = secure("orders.example", 2099).await;
    let old = secure("orders.example", 2020).await;
    let right = Tls::verified("orders.example").unwrap();
    let wrong = Tls::verified("other.example").unwrap();
    let failed = ProbeOutcome::TlsFailed;
    for (server, root, tls, what) in [
        (&server, &server.root, &right, ProbeOutcome::Passed),
        (
            &server,
            &server.root,
            &wrong,
            failed("the certificate is for another name"),
        ),
        (
            &server,
            &old.root,
            &right,
            failed("the certificate is of an unknown issuer"),
        ),
        (&old, &old.root, &right, failed("the certificate has expired")),
    ] {
        for kind in kinds(tls) {
            let prober = trusting(root);
            let verdict = prober.probe(&endpoint(server.address), &spec(kind.clone())).await;
            assert_eq!(verdict.what, what, "{kind:?}");
        }
    }
    assert!(
        server
            .asked_for
            .lock()
            .unwrap()
            .contains(&Some("orders.example".into()))
    );
}

/// A server with several certificates chooses by the name that is asked for.
#[tokio::test]
async fn the_name_of_an_instance_is_asked_for_and_an_address_is_not() {
    struct Here;
    impl Resolve for Here {
        fn resolve(&self, _: &str) -> Resolved {
            Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) })
        }
    }
    let server = secure("orders.example", 2099).await;
    let prober = Prober::new(ProberConfig {
        resolver: Arc::new(Here),
        ..ProberConfig::default()
    });
    let named = Endpoint::new("orders.example", server.address.port()).unwrap();
    for (target, name) in [
        (named, Some("orders.example".to_owned())),
        (endpoint(server.address), None),
    ] {
        for kind in kinds(&Tls::Unverified) {
            let verdict = prober.probe(&target, &spec(kind)).await;
            assert_eq!(verdict.what, ProbeOutcome::Passed);
            assert_eq!(server.asked_for.lock().unwrap().last(), Some(&name));
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_is_told_apart() {
    for kind in kinds(&Tls::Unverified) {
        let server = Server::saying("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        let failed = ProbeOutcome::TlsFailed("the server does not speak TLS");
        assert_eq!(outcome(server.address, kind).await, failed);
    }
}
