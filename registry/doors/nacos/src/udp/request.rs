//! What a list request says of push.

use std::borrow::Cow;
use std::sync::Arc;

use axum::http::HeaderMap;
use beatrix_core::model::{Invalid, ServiceRef};
use beatrix_engine::hub::Peer;

use super::agent;
use super::leases::{Told, lease};
use super::target::Target;
use crate::door::Nacos;
use crate::error::Error;
use crate::limits::{UDP_CLUSTERS_BYTES_MAX, UDP_TEXT_BYTES_MAX};
use crate::params::{Param, Params};

/// The wish to be told of changes. Whether it is granted is not known yet.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    port: u16,
    ip: Cow<'a, str>,
    app: Cow<'a, str>,
}

impl<'a> Wish<'a> {
    /// The wish of a request, if it has one; its versions name `port` and `ip` otherwise. Nacos: a port of 0 or below
    /// asks for nothing.
    ///
    /// # Errors
    /// If the port is none.
    pub(crate) fn of(params: &Params<'a>, port: Param, ip: Param) -> Result<Option<Self>, Error> {
        let Some(text) = params.get(port)? else {
            return Ok(None);
        };
        let port_name = port.as_str();
        let port = match text.parse::<i32>().map(u16::try_from) {
            Ok(Ok(0)) => return Ok(None),
            Ok(Ok(port)) => port,
            Ok(Err(_)) if text.starts_with('-') => return Ok(None),
            Ok(Err(_)) | Err(_) => {
                let invalid = Invalid::new(port_name, "must be a port from 0 to 65535", &text);
                return Err(Error::Invalid(invalid));
            }
        };
        Ok(Some(Self {
            port,
            ip: params.get(ip)?.unwrap_or_default(),
            app: params.get(Param::App)?.unwrap_or_default(),
        }))
    }

    /// Subscribes whoever asks, if he qualifies; if not, he polls. To be called once the request has been answered in
    /// all else: what is then pushed is newer than the answer.
    pub(crate) fn subscribe(
        &self,
        nacos: &Nacos,
        headers: &HeaderMap,
        service: ServiceRef<'_>,
        clusters: &str,
    ) {
        let Some(pusher) = &nacos.pusher else {
            return;
        };
        let switches = nacos.switches();
        let pushed = |agent: &&str| agent::is_pushed(agent, &switches.push_versions);
        let Some(agent) = agent::of(headers)
            .filter(pushed)
            .filter(|_| switches.push_enabled)
        else {
            return;
        };
        let Some(target) = Target::new(&self.ip, self.port) else {
            return;
        };
        let Ok(service) = service.to_key() else {
            return;
        };
        // The echo of the clusters must be whole, since clients find their cache by it.
        if clusters.len() > UDP_CLUSTERS_BYTES_MAX {
            return;
        }
        let peer = Peer {
            address: target.to_string(),
            agent: shortened(agent),
            app: shortened(&self.app),
            cluster: clusters.to_owned(),
        };
        let told = Told {
            service,
            target,
            peer: Arc::new(peer),
        };
        pusher.subscribe(told, lease(switches.push_cache_millis));
    }
}

/// As much of a text as is kept to be shown.
fn shortened(text: &str) -> String {
    text[..text.floor_char_boundary(UDP_TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(query: &str) -> Result<Option<u16>, String> {
        Wish::of(&Params::find(Some(query), b""), Param::UdpPort, Param::ClientIp)
            .map(|wish| wish.map(|wish| wish.port))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_port_above_0_is_a_wish() {
        assert_eq!(port(""), Ok(None));
        assert_eq!(port("udpPort="), Ok(None));
        assert_eq!(port("udpPort=0"), Ok(None));
        assert_eq!(port("udpPort=-1"), Ok(None));
        assert_eq!(port("udpPort=-70000"), Ok(None));
        assert_eq!(port("udpPort=1"), Ok(Some(1)));
        assert_eq!(port("udpPort=65535"), Ok(Some(65_535)));
        for text in ["65536", "x", "1.5", "99999999999", "-x"] {
            let error = port(&format!("udpPort={text}")).unwrap_err();
            assert!(error.contains("udpPort"), "{error}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("abc"), "abc");
        let long = "é".repeat(UDP_TEXT_BYTES_MAX);
        assert_eq!(shortened(&long).len(), UDP_TEXT_BYTES_MAX / 2 * 2);
        assert_eq!(
            shortened(&format!("x{long}")).len(),
            UDP_TEXT_BYTES_MAX / 2 * 2 - 1
        );
    }
}
