//! The way of a probe: which addresses, whether they may be dialled, the question, the verdict; and one deadline for all.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use beatrix_core::model::{Endpoint, ProbeKind, ProbeSpec};
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use crate::http::Http;
use crate::outcome::{ProbeOutcome, Step, Verdict};
use crate::resolve::{Lookups, Resolve, SystemResolver};
use crate::targets::{Network, OwnAddresses, Targets};
use crate::tls::Trust;
use crate::wire::{Wire, within};
use crate::{dial, grpc, mysql, redis};

/// How many addresses of a host name are tried, one after the other. All are checked.
const ADDRESSES_MAX: usize = 8;

/// What a [`Prober`] goes by.
pub struct ProberConfig {
    /// Networks that may be dialled although they are refused otherwise: link-local and multicast addresses, those of a
    /// cloud's metadata service, unspecified ones and the broadcast one. Whoever may register an instance can have the
    /// registry dial what is allowed here. Default: none.
    pub allow: Vec<Network>,
    /// Networks that may not be dialled, whatever else is said. Default: none, so that whoever may register an instance can
    /// have the registry connect to any address and port that is not refused anyhow.
    pub deny: Vec<Network>,
    /// Where the registry listens, which is never dialled. Default: nowhere.
    pub own: OwnAddresses,
    /// Roots that certificates may go back to, beside those of the system. Default: none.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// Who knows the addresses of host names. Default: the system.
    pub resolver: Arc<dyn Resolve>,
}

impl Default for ProberConfig {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            own: OwnAddresses::default(),
            extra_roots: Vec::new(),
            resolver: Arc::new(SystemResolver),
        }
    }
}

impl fmt::Debug for ProberConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProberConfig")
            .field("allow", &self.allow)
            .field("deny", &self.deny)
            .field("own", &self.own)
            .field("extra_roots", &self.extra_roots.len())
            .finish_non_exhaustive()
    }
}

/// Asks instances whether they are well. Clones share everything; one is enough for a process.
#[derive(Clone)]
pub struct Prober {
    shared: Arc<Shared>,
}

struct Shared {
    targets: Targets,
    lookups: Lookups,
    trust: Trust,
    http: Http,
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

impl Prober {
    /// A prober. It needs no runtime yet, and no cryptography that the process has installed.
    #[must_use]
    pub fn new(config: ProberConfig) -> Self {
        let trust = Trust::new(config.extra_roots);
        Self {
            shared: Arc::new(Shared {
                targets: Targets::new(config.allow, config.deny, config.own),
                lookups: Lookups::new(config.resolver),
                http: Http::new(&trust),
                trust,
            }),
        }
    }

    /// Asks the instance that is registered with `target`, once. It is through by the timeout of `spec`, whatever the other
    /// side does.
    ///
    /// Of a host name with several addresses those are tried, one after the other, that nobody listens on; the first that
    /// takes the connection decides.
    ///
    /// # Cancel safety
    /// Dropped, it asks no further and closes its connection.
    pub async fn probe(&self, target: &Endpoint, spec: &ProbeSpec) -> Verdict {
        let start = Instant::now();
        let deadline = start + spec.timeout();
        let (answer, at) = self.first(target, spec, deadline).await;
        Verdict {
            good: answer.is_ok(),
            took: at - start,
            what: answer.err().unwrap_or(ProbeOutcome::Passed),
        }
    }

    async fn first(&self, target: &Endpoint, spec: &ProbeSpec, deadline: Instant) -> (Step, Instant) {
        let addresses = match self.addresses(target, spec, deadline).await {
            Ok(addresses) => addresses,
            Err(outcome) => return (Err(outcome), Instant::now()),
        };
        let mut last = (Err(ProbeOutcome::Unresolved), Instant::now());
        for address in addresses {
            last = self.ask(target, address, spec, deadline).await;
            if !matches!(last.0, Err(ProbeOutcome::Refused | ProbeOutcome::Unreachable)) {
                break;
            }
        }
        last
    }

    /// Where to ask. Each address was checked; if one of a name may not be dialled, none is.
    async fn addresses(
        &self,
        target: &Endpoint,
        spec: &ProbeSpec,
        deadline: Instant,
    ) -> Step<Vec<SocketAddr>> {
        let port = spec.port().unwrap_or(target.port());
        if port == 0 {
            return Err(ProbeOutcome::NoPort);
        }
        let found = match target {
            Endpoint::V4(ip, _) => vec![IpAddr::V4(*ip)],
            Endpoint::V6(ip, _) => vec![IpAddr::V6(*ip)],
            Endpoint::Name(name, _) => self.shared.lookups.addresses(name, deadline).await?,
        };
        // What is checked is what is dialled, so the form is settled first.
        let found: Vec<_> = found.iter().map(IpAddr::to_canonical).collect();
        if let Some(ip) = found.iter().find(|ip| !self.shared.targets.permits(**ip, port)) {
            return Err(ProbeOutcome::Forbidden(*ip));
        }
        let tried = found.into_iter().take(ADDRESSES_MAX);
        Ok(tried.map(|ip| SocketAddr::new(ip, port)).collect())
    }

    /// Asks at one address. The moment is that of the answer: what is said after it is not counted in.
    async fn ask(
        &self,
        target: &Endpoint,
        address: SocketAddr,
        spec: &ProbeSpec,
        deadline: Instant,
    ) -> (Step, Instant) {
        let Shared { http, trust, .. } = &*self.shared;
        let answer = match spec.kind() {
            ProbeKind::Tcp => within(deadline, async { dial::dial(address).await.map(drop) }).await,
            ProbeKind::Http(probe) => http.ask(target, address, probe, trust, deadline).await,
            ProbeKind::Grpc(probe) => within(deadline, grpc::ask(target, address, probe, trust)).await,
            ProbeKind::Redis(probe) => {
                let asked = async { redis::ask(&mut Wire::dial(address).await?, probe).await };
                within(deadline, asked).await
            }
            ProbeKind::Mysql(probe) => {
                let mut exchange = match within(deadline, Wire::dial(address)).await {
                    Ok(wire) => mysql::Exchange::new(wire),
                    Err(outcome) => return (Err(outcome), Instant::now()),
                };
                let answer = within(deadline, exchange.ask(probe)).await;
                let at = Instant::now();
                exchange.leave(deadline).await;
                return (answer, at);
            }
        };
        (answer, Instant::now())
    }
}
