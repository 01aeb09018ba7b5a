//! The gRPC health protocol, `grpc.health.v1.Health/Check`, over HTTP/2.
//!
//! `SERVING` is good. That a service is not known, that a server has no health service, and that it says it is not serving
//! are bad, each with its own word. The channel is made over a connection that was dialled here, and once: should it break,
//! the probe is over instead of dialling again. All tasks that the channel starts end with the probe.

use std::error::Error;
use std::future::{Ready, ready};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use beatrix_core::model::{Endpoint as Target, GrpcProbe, Tls};
use hyper::Uri;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::dial::{broken, dial};
use crate::outcome::{ProbeOutcome, Step};
use crate::tls::{self, Trust};
use crate::wire::ANSWER_BYTES_MAX;

/// Asks `address`, which `target` was found to have.
pub(crate) async fn ask(target: &Target, address: SocketAddr, probe: &GrpcProbe, trust: &Trust) -> Step {
    let stream = dial(address).await?;
    let name = match (probe.tls(), target) {
        (Tls::Verified { server_name }, _) => Some(&**server_name),
        (_, Target::Name(name, _)) => Some(&**name),
        _ => None,
    };
    let (scheme, stream): (_, Box<dyn Stream>) = match probe.tls() {
        Tls::None => ("http", Box::new(stream)),
        Tls::Unverified => (
            "https",
            Box::new(wrap(stream, name, address, trust.unverified()).await?),
        ),
        Tls::Verified { .. } => (
            "https",
            Box::new(wrap(stream, name, address, trust.verified()?).await?),
        ),
    };
    let authority = match name {
        Some(name) => format!("{name}:{}", address.port()),
        None => address.to_string(),
    };
    check(stream, scheme, &authority, probe.service()).await
}

/// TLS over a connection, with HTTP/2 as the protocol. The name goes into the handshake if TLS can have it there.
async fn wrap<S: Stream>(
    stream: S,
    name: Option<&str>,
    address: SocketAddr,
    config: &ClientConfig,
) -> Step<impl Stream + use<S>> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = name
        .and_then(|name| ServerName::try_from(name).ok())
        .map_or_else(|| ServerName::from(address.ip()), |name| name.to_owned());
    let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
    handshake.await.map_err(|error| tls::failed(&error))
}

async fn check(stream: Box<dyn Stream>, scheme: &str, authority: &str, service: &str) -> Step {
    let bad = |_| ProbeOutcome::OwnTrouble("the address makes no URL");
    // TLS is done already, so that the channel must not begin it; the request says all the same how it came.
    let origin: Uri = format!("{scheme}://{authority}").parse().map_err(bad)?;
    let plain: Uri = format!("http://{authority}").parse().map_err(bad)?;
    let tasks = Ended(Tasks::default());
    let channel = Endpoint::from(plain)
        .origin(origin)
        .executor(tasks.0.clone())
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .connect_with_connector(Once(Some(TokioIo::new(stream))))
        .await
        .map_err(|error| lost(&error))?;
    let mut client = HealthClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
    let service = service.to_owned();
    let answer = client.check(Request::new(HealthCheckRequest { service })).await;
    match answer.map_err(|status| refused(&status))?.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        ServingStatus::NotServing => Err(ProbeOutcome::NotServing),
        ServingStatus::ServiceUnknown => Err(ProbeOutcome::UnknownService),
        ServingStatus::Unknown => Err(ProbeOutcome::BadAnswer(
            "the service does not know its own health",
        )),
    }
}

/// How many bytes of headers are read: what is longer is not the answer of a health service.
const HEADERS_BYTES_MAX: u32 = 16 * 1024;

/// What came of a call without an answer.
fn refused(status: &Status) -> ProbeOutcome {
    // What the server said has no source; what the transport met has.
    if let Some(source) = status.source() {
        return lost(source);
    }
    match status.code() {
        Code::Unimplemented => ProbeOutcome::Unimplemented,
        Code::NotFound => ProbeOutcome::UnknownService,
        Code::Unauthenticated | Code::PermissionDenied => ProbeOutcome::AuthFailed,
        code => ProbeOutcome::GrpcStatus(code.into()),
    }
}

/// What came of a connection that broke.
fn lost(error: &(dyn Error + 'static)) -> ProbeOutcome {
    let mut cause = error;
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            // Errors of HTTP/2 come as errors of I/O, too.
            return match io.kind() {
                io::ErrorKind::Other | io::ErrorKind::InvalidData => NOT_GRPC,
                _ => broken(io),
            };
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return NOT_GRPC,
        }
    }
}

const NOT_GRPC: ProbeOutcome = ProbeOutcome::BadAnswer("the answer is not gRPC");

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for S {}

/// Connects once, to what is connected already.
struct Once(Option<TokioIo<Box<dyn Stream>>>);

impl tower::Service<Uri> for Once {
    type Response = TokioIo<Box<dyn Stream>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| io::ErrorKind::ConnectionReset.into()))
    }
}

/// The tasks of one channel.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl Executor<Pin<Box<dyn Future<Output = ()> + Send>>> for Tasks {
    fn execute(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

/// Ends the tasks when the probe is through, or when nobody waits for it any more. They hold their own set, so that
/// letting go of it would not end them.
struct Ended(Tasks);

impl Drop for Ended {
    fn drop(&mut self) {
        let Tasks(running) = &self.0;
        running.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}
