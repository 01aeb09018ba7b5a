//! One request by HTTP/1.1. The status decides; the body is read so far that a server which hangs in the middle of its
//! answer is noticed, and not beyond the bound.
//!
//! **What is dialled.** The address in the URL is always a checked one: where a name has to stand there, which only TLS
//! needs for its server name, the client knows no other address of it. No proxy, no redirect, no cookies, no
//! decompression. A redirect is an answer like any other: its status decides.
//!
//! **How it closes.** A connection serves one request, which says `Connection: close`. Whoever closes first keeps the
//! connection in `TIME_WAIT` for a minute, and these sockets are the library's, where `SO_LINGER` cannot be set (see
//! `dial`). It is a race between the server, which was told to close, and this side, which closes when the answer is there:
//! against nginx on loopback 299 of 300 waited on the server's side. What waits here costs some 250 bytes of the kernel's
//! memory for a minute, and does not use up ports: a port is taken only together with a target, and no target is asked more
//! than 120 times a minute. `tcp_max_tw_buckets` bounds them all; beyond it the kernel forgets the wait, which does no harm
//! to connections of one request.

use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};

use beatrix_core::model::{Endpoint, HttpMethod, HttpProbe, Tls};
use reqwest::dns::{Name, Resolve, Resolving};
use reqwest::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, ClientBuilder, Method, Response, Url, redirect};
use rustls::ClientConfig;
use tokio::time::Instant;

use crate::dial::{broken, not_connected};
use crate::outcome::{ProbeOutcome, Step};
use crate::tls::{self, Trust};
use crate::wire::{ANSWER_BYTES_MAX, within};

/// The clients of all HTTP probes.
pub(crate) struct Http {
    /// For URLs with an IP address in them; with TLS it takes any certificate.
    plain: Client,
}

impl Http {
    pub(crate) fn new(trust: &Trust) -> Self {
        let plain = builder(trust.unverified())
            .build()
            .expect("a client with its configuration of TLS given and no proxy can be made");
        Self { plain }
    }

    /// Asks `address`, which `target` was found to have.
    pub(crate) async fn ask(
        &self,
        target: &Endpoint,
        address: SocketAddr,
        probe: &HttpProbe,
        trust: &Trust,
        deadline: Instant,
    ) -> Step {
        let (client, url) = match (probe.tls(), target) {
            (Tls::None, _) => (self.plain.clone(), literal("http", address, probe)?),
            (Tls::Unverified, Endpoint::Name(name, _)) => match named(name, address, probe) {
                Some(url) => (named_client(name, address, trust.unverified())?, url),
                None => (self.plain.clone(), literal("https", address, probe)?),
            },
            (Tls::Unverified, _) => (self.plain.clone(), literal("https", address, probe)?),
            (Tls::Verified { server_name }, _) => {
                let url = named(server_name, address, probe).ok_or(BAD_URL)?;
                (named_client(server_name, address, trust.verified()?)?, url)
            }
        };
        let request = client
            .request(method(probe), url)
            .headers(headers(target, address.port(), probe)?);
        within(deadline, async {
            let response = request.send().await.map_err(|error| failed(&error))?;
            let status = response.status().as_u16();
            if probe.expected().contains(status) {
                read(response).await
            } else {
                Err(ProbeOutcome::BadStatus(status))
            }
        })
        .await
    }
}

const BAD_URL: ProbeOutcome = ProbeOutcome::OwnTrouble("the address and the path make no URL");

fn builder(config: &ClientConfig) -> ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(config.clone())
        .user_agent(concat!("beatrix/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .dns_resolver(NoLookups)
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(0)
        .http1_only()
}

/// Knows no name. Which addresses a name has was asked once, before; should a client ever ask for another, or for that one
/// in another spelling, the probe ends instead of dialling what nobody has checked.
#[derive(Debug)]
struct NoLookups;

impl Resolve for NoLookups {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("names are looked up before a request is made".into()) })
    }
}

/// A client that knows one name, and one address of it.
fn named_client(name: &str, address: SocketAddr, config: &ClientConfig) -> Step<Client> {
    builder(config)
        .resolve(name, address)
        .build()
        .map_err(|_| ProbeOutcome::OwnTrouble("it could not make a client"))
}

/// The URL of a checked address.
fn literal(scheme: &str, address: SocketAddr, probe: &HttpProbe) -> Step<Url> {
    Url::parse(&format!("{scheme}://{address}{}", probe.path()))
        .ok()
        .filter(|url| is_of(url, address.ip()))
        .ok_or(BAD_URL)
}

/// The URL of a name, for TLS. `None` if a URL would not have it as a name: it takes some for addresses, which would be
/// dialled without being looked up or checked.
fn named(name: &str, address: SocketAddr, probe: &HttpProbe) -> Option<Url> {
    let url = Url::parse(&format!("https://{name}:{}{}", address.port(), probe.path())).ok()?;
    (url.domain() == Some(name)).then_some(url)
}

/// Belt and braces: whatever stands in the path, the host of the URL is the address.
fn is_of(url: &Url, ip: IpAddr) -> bool {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).parse() == Ok(ip)
}

fn method(probe: &HttpProbe) -> Method {
    match probe.method() {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Options => Method::OPTIONS,
        HttpMethod::Post => Method::POST,
    }
}

fn headers(target: &Endpoint, port: u16, probe: &HttpProbe) -> Step<HeaderMap> {
    let bad = |_| ProbeOutcome::OwnTrouble("a header cannot be sent");
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    // The library does not say that there is no body, and some servers wait for one.
    if probe.method() == HttpMethod::Post {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    // The URL has the address, and a server may have several hosts. One that is named below takes its place.
    if let Endpoint::Name(name, _) = target {
        let host = match (probe.tls(), port) {
            (Tls::None, 80) | (Tls::Unverified | Tls::Verified { .. }, 443) => name.to_string(),
            _ => format!("{name}:{port}"),
        };
        headers.insert(HOST, HeaderValue::from_str(&host).map_err(|_| BAD_URL)?);
    }
    for (name, value) in probe.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| BAD_URL)?;
        let mut value = HeaderValue::from_str(value.reveal()).map_err(bad)?;
        value.set_sensitive(true);
        if name == HOST {
            headers.insert(name, value);
        } else {
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// Reads the body, as far as it is read. That it goes on beyond that does not make a good status a bad one.
async fn read(mut response: Response) -> Step {
    let mut left = ANSWER_BYTES_MAX;
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    Ok(())
}

/// What came of a request that has no answer. The library wraps what went wrong several times.
fn failed(error: &reqwest::Error) -> ProbeOutcome {
    let mut cause: &(dyn Error + 'static) = error;
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match tls::within(io) {
                Some(tls) => ProbeOutcome::TlsFailed(tls::why(tls)),
                None if error.is_connect() => not_connected(io),
                None if error.is_body() || error.is_decode() => cut_short(io),
                None => broken(io),
            };
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return ProbeOutcome::TlsFailed(tls::why(tls));
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>()
            && let Some(outcome) = not_answered(http)
        {
            return outcome;
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return ProbeOutcome::Closed,
        }
    }
}

/// A status came, and not all of its body.
fn cut_short(error: &io::Error) -> ProbeOutcome {
    match broken(error) {
        ProbeOutcome::Closed => ProbeOutcome::BadAnswer("the body was cut short"),
        other => other,
    }
}

const NOT_HTTP: ProbeOutcome = ProbeOutcome::BadAnswer("the answer is not HTTP");

/// What an error of HTTP says, unless it only says that another is behind it.
fn not_answered(error: &hyper::Error) -> Option<ProbeOutcome> {
    if error.is_parse() || error.is_parse_too_large() {
        Some(NOT_HTTP)
    } else if error.source().is_some() {
        None
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(ProbeOutcome::Closed)
    } else {
        // The server talks before it is asked, as servers of mail and of databases do; that error has no other name.
        Some(NOT_HTTP)
    }
}
