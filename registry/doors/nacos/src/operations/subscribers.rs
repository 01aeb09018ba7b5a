//! Who is told of changes. What is shown is what subscribers said about themselves.

use beatrix_core::model::ServiceKey;
use beatrix_engine::hub::Peer;

use crate::door::Nacos;
use crate::error::Error;
use crate::params::{Param, Params};
use crate::service::Service;

/// Somebody who watches a service.
#[derive(Debug, Clone)]
pub(crate) struct Watching {
    pub(crate) service: ServiceKey,
    pub(crate) peer: Peer,
}

impl Watching {
    /// The address without its port.
    pub(crate) fn ip(&self) -> &str {
        self.parts().0
    }

    /// The port; 0 of one who has none.
    pub(crate) fn port(&self) -> u16 {
        self.parts().1
    }

    fn parts(&self) -> (&str, u16) {
        let parts = self.peer.address.rsplit_once(':');
        let of = |(ip, port): (&'_ str, &str)| Some((ip.len(), port.parse().ok()?));
        match parts.and_then(of) {
            Some((len, port)) => (&self.peer.address[..len], port),
            None => (&self.peer.address, 0),
        }
    }

    /// What Nacos calls it: its address, and that it goes when it is no longer heard of.
    pub(crate) fn client_id(&self) -> String {
        format!("{}#true", self.peer.address)
    }
}

/// Everybody who watches a service that is `wanted`, ordered by when they came. Those whom no door has described, such
/// as watchers of the native API, are shown by their name.
pub(crate) fn watching(nacos: &Nacos, wanted: impl Fn(&ServiceKey) -> bool) -> Vec<Watching> {
    let mut found = Vec::new();
    for (info, services) in nacos.registry.hub().all_subscribers() {
        let peer = match info.peer {
            Some(peer) => (*peer).clone(),
            None => Peer {
                agent: info.name,
                ..Peer::default()
            },
        };
        let of_this = services.into_iter().filter(|service| wanted(service));
        found.extend(of_this.map(|service| Watching {
            service,
            peer: peer.clone(),
        }));
    }
    found
}

/// Who watches the service that is asked about, from an address or port if one is given.
///
/// # Errors
/// If a parameter is missing or breaks its rule.
pub(crate) fn of_service(nacos: &Nacos, params: &Params<'_>) -> Result<Vec<Watching>, Error> {
    let service = Service::of(params)?.key()?;
    let (ip, port) = (params.get(Param::Ip)?, params.port(Param::Port)?);
    let mut found = watching(nacos, |key| *key == service);
    found.retain(|watching| {
        ip.as_deref().is_none_or(|ip| ip == watching.ip()) && port.is_none_or(|port| port == watching.port())
    });
    Ok(found)
}
