//! Where datagrams may go.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The address and port of one listener. Made only of what it is right to send to: see [`Target::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    ip: IpAddr,
    port: u16,
}

impl Target {
    /// The target that a request names. `None` if `ip` is no IP address, or the port is 0, or nobody or more than one
    /// could be there: an unspecified, a multicast or the broadcast address.
    pub(super) fn new(ip: &str, port: u16) -> Option<Self> {
        let ip = ip.parse::<IpAddr>().ok()?.to_canonical();
        let many = match ip {
            IpAddr::V4(ip) => ip.is_broadcast(),
            IpAddr::V6(_) => false,
        };
        let one = port != 0 && !ip.is_unspecified() && !ip.is_multicast() && !many;
        one.then_some(Self { ip, port })
    }

    /// Where a datagram came from, to be compared with where others went.
    pub(super) fn source(address: SocketAddr) -> Self {
        Self {
            ip: address.ip().to_canonical(),
            port: address.port(),
        }
    }

    pub(super) fn ip(self) -> IpAddr {
        self.ip
    }

    pub(super) fn address(self) -> SocketAddr {
        (self.ip, self.port).into()
    }
}

/// As Nacos writes addresses: IPv6 without brackets would be ambiguous, so it has them.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_who_can_be_there_is_sent_to() {
        for (ip, port, is) in [
            ("127.0.0.1", 1, Some("127.0.0.1:1")),
            ("10.0.0.255", 65_535, Some("10.0.0.255:65535")),
            ("::1", 9, Some("[::1]:9")),
            ("::ffff:10.0.0.1", 9, Some("10.0.0.1:9")),
            ("127.0.0.1", 0, None),
            ("0.0.0.0", 1, None),
            ("::", 1, None),
            ("::ffff:0.0.0.0", 1, None),
            ("255.255.255.255", 1, None),
            ("::ffff:255.255.255.255", 1, None),
            ("224.0.0.1", 1, None),
            ("239.255.255.250", 1900, None),
            ("ff02::1", 1, None),
            ("localhost", 1, None),
            ("127.1", 1, None),
            ("10.0.0.1:80", 1, None),
            ("", 1, None),
        ] {
            let target = Target::new(ip, port).map(|target| target.to_string());
            assert_eq!(target.as_deref(), is, "{ip} {port}");
        }
    }

    #[test]
    fn where_an_ack_comes_from_is_where_the_datagram_went() {
        let target = Target::new("10.0.0.1", 7).unwrap();
        let mapped: SocketAddr = "[::ffff:10.0.0.1]:7".parse().unwrap();
        assert_eq!(Target::source(mapped), target);
        assert_ne!(Target::source("10.0.0.1:8".parse().unwrap()), target);
    }
}
