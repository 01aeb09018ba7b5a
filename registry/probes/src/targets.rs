//! Which addresses a probe may dial.
//!
//! Whoever may register an instance chooses an address that the registry dials. So addresses that no service can have but
//! that are worth something to a stranger are refused: those of a cloud's metadata service, which hands out credentials to
//! whoever asks from the machine; link-local ones; and those that stand for many or for none. Loopback and private
//! addresses are what services have, and are dialled. `allow` of the configuration lifts a refusal, `deny` adds one that
//! nothing lifts. The registry does not dial itself either: what it asked there would come from an address that it trusts.
//!
//! An IPv6 address that only carries an IPv4 one is judged by that one, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use beatrix_core::model::Invalid;

/// A network of addresses: `169.254.0.0/16`, or one address alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether an address lies in it.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.first, ip) {
            (IpAddr::V4(first), IpAddr::V4(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(first), IpAddr::V6(ip)) => {
                (first.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }
}

/// `address/prefix` or an address. Bits beyond the prefix must be 0: what has some is a mistake more often than not.
impl FromStr for Network {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || {
            let rule =
                "must be an address or a network such as 169.254.0.0/16, without bits beyond the prefix";
            Invalid::new("network", rule, text)
        };
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let first: IpAddr = address.parse().map_err(|_| invalid())?;
        let bits = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            "" if !text.contains('/') => Some(bits),
            digits => digits.parse().ok().filter(|prefix| *prefix <= bits),
        };
        let network = Self {
            first,
            prefix: prefix.ok_or_else(invalid)?,
        };
        let free = match first {
            IpAddr::V4(ip) => ip.to_bits().checked_shl(network.prefix.into()).unwrap_or(0) == 0,
            IpAddr::V6(ip) => ip.to_bits().checked_shl(network.prefix.into()).unwrap_or(0) == 0,
        };
        if free { Ok(network) } else { Err(invalid()) }
    }
}

/// What may be dialled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Targets {
    allow: Vec<Network>,
    deny: Vec<Network>,
    own: OwnAddresses,
}

impl Targets {
    pub(crate) fn new(allow: Vec<Network>, deny: Vec<Network>, own: OwnAddresses) -> Self {
        Self { allow, deny, own }
    }

    /// Whether an address may be dialled. An address of the form `::ffff:10.0.0.1` is dialled as `10.0.0.1`, so it is asked
    /// for as that.
    pub(crate) fn permits(&self, ip: IpAddr, port: u16) -> bool {
        let denied = |ip: IpAddr| self.deny.iter().any(|network| network.contains(ip));
        let denied =
            denied(ip) || matches!(ip, IpAddr::V6(ip) if carried(ip).any(|carried| denied(carried.into())));
        let lifted = || self.allow.iter().any(|network| network.contains(ip));
        !denied && !self.own.holds(ip, port) && (refusal(ip).is_none() || lifted())
    }
}

/// Where the registry itself listens. It is known once it does, so it is told later than the rest: clones are the same, and
/// until then nothing is its own.
#[derive(Debug, Clone, Default)]
pub struct OwnAddresses(Arc<OnceLock<Vec<SocketAddr>>>);

impl OwnAddresses {
    /// Tells where it listens. Only the first telling counts.
    pub fn tell(&self, listeners: Vec<SocketAddr>) {
        let _first_counts = self.0.set(listeners);
    }

    /// Whether one who dials this reaches the registry. Who listens at all addresses does so at each of this machine's.
    fn holds(&self, ip: IpAddr, port: u16) -> bool {
        let mut own = self.0.get().into_iter().flatten();
        own.any(|own| {
            let listens = own.ip().to_canonical();
            own.port() == port
                && (listens == ip || (listens.is_unspecified() || ip.is_unspecified()) && is_local(ip))
        })
    }
}

/// Whether it is an address of this machine: then, and only then, a socket can be bound to it.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified() || UdpSocket::bind((ip, 0)).is_ok()
}

/// Why an address is refused unless it is allowed.
pub(crate) fn refusal(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => refusal_v4(ip),
        IpAddr::V6(ip) => refusal_v6(ip).or_else(|| carried(ip).find_map(refusal_v4)),
    }
}

/// The addresses at which clouds hand out credentials: Amazon and most others, Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The same by IPv6: Google's address, and all of the network in which Amazon has its own, of which there are several:
/// `fd00:ec2::254` for the machine, `fd00:ec2::23` for the credentials of what runs in it.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254);
const METADATA_V6_AMAZON: [u16; 2] = [0xfd00, 0xec2];

const METADATA: &str = "metadata service of a cloud";
const LINK_LOCAL: &str = "link-local address";
const MULTICAST: &str = "multicast address";
const UNSPECIFIED: &str = "unspecified address";
const BROADCAST: &str = "broadcast address";

fn refusal_v4(ip: Ipv4Addr) -> Option<&'static str> {
    if METADATA_V4.contains(&ip) {
        Some(METADATA)
    } else if ip.is_link_local() {
        Some(LINK_LOCAL)
    } else if ip.is_multicast() {
        Some(MULTICAST)
    } else if ip.octets()[0] == 0 {
        // All of 0.0.0.0/8 is "this network"; 0.0.0.0 itself reaches this very machine.
        Some(UNSPECIFIED)
    } else if ip.is_broadcast() {
        Some(BROADCAST)
    } else {
        None
    }
}

fn refusal_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip == METADATA_V6 || ip.segments().starts_with(&METADATA_V6_AMAZON) {
        Some(METADATA)
    } else if ip.is_unicast_link_local() {
        Some(LINK_LOCAL)
    } else if ip.is_multicast() {
        Some(MULTICAST)
    } else if ip.is_unspecified() {
        Some(UNSPECIFIED)
    } else {
        None
    }
}

/// The IPv4 address that an IPv6 address carries: `::ffff:0:0/96` (mapped), `64:ff9b::/96` (translated by the network,
/// RFC 6052), `2002::/16` (6to4), and `::/96`, which is out of use, but for `::` and `::1`.
///
/// Under `64:ff9b:1::/48` (RFC 8215) each network chooses for itself where the address stands, and we do not know where: at
/// the end, or behind the first 48, 56 or 64 bits, then with eight bits of zeros at the 64th (RFC 6052, 2.2). It may carry
/// each of them. Those that would begin with 0 are but the zeros of another way to write it.
fn carried(ip: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bytes = ip.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| bytes[place]));
    let low = at([12, 13, 14, 15]);
    let found = match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] if ip.to_bits() > 1 => [Some(low), None, None, None],
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(low), None, None, None],
        [0x64, 0xff9b, 1, ..] => {
            let one = |places| Some(at(places)).filter(|ip| ip.octets()[0] != 0);
            [
                one([12, 13, 14, 15]),
                one([6, 7, 9, 10]),
                one([7, 9, 10, 11]),
                one([9, 10, 11, 12]),
            ]
        }
        [0x2002, ..] => [Some(at([2, 3, 4, 5])), None, None, None],
        _ => [None; 4],
    };
    found.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_12_what_no_service_can_have_is_refused_and_what_services_have_is_not() {
        for (address, why) in [
            ("10.0.0.1", None),
            ("127.0.0.1", None),
            ("192.168.1.1", None),
            ("8.8.8.8", None),
            ("169.253.255.255", None),
            ("169.255.0.0", None),
            ("::1", None),
            ("fd00::1", None),
            ("2001:db8::1", None),
            ("::ffff:10.0.0.1", None),
            ("64:ff9b::a00:1", None),
            ("169.254.169.254", Some(METADATA)),
            ("100.100.100.200", Some(METADATA)),
            ("192.0.0.192", Some(METADATA)),
            ("168.63.129.16", Some(METADATA)),
            ("fd00:ec2::254", Some(METADATA)),
            ("fd00:ec2::23", Some(METADATA)),
            ("fd00:ec2:ffff::1", Some(METADATA)),
            ("fd00:ec3::254", None),
            ("fd20:ce::254", Some(METADATA)),
            ("169.254.0.0", Some(LINK_LOCAL)),
            ("169.254.255.255", Some(LINK_LOCAL)),
            ("fe80::1", Some(LINK_LOCAL)),
            ("febf:ffff::1", Some(LINK_LOCAL)),
            ("224.0.0.1", Some(MULTICAST)),
            ("239.255.255.255", Some(MULTICAST)),
            ("ff02::1", Some(MULTICAST)),
            ("0.0.0.0", Some(UNSPECIFIED)),
            ("0.1.2.3", Some(UNSPECIFIED)),
            ("::", Some(UNSPECIFIED)),
            ("255.255.255.255", Some(BROADCAST)),
            ("::ffff:169.254.169.254", Some(METADATA)),
            ("::a9fe:a9fe", Some(METADATA)),
            ("64:ff9b::a9fe:a9fe", Some(METADATA)),
            ("2002:a9fe:a9fe::1", Some(METADATA)),
            ("64:ff9b:1::a9fe:a9fe", Some(METADATA)),
            ("64:ff9b:1:5::a9fe:a9fe", Some(METADATA)),
            ("64:ff9b:1:a9fe:a9:fe00::", Some(METADATA)),
            ("64:ff9b:1:7a9:fe:a9fe::", Some(METADATA)),
            ("64:ff9b:1:7:a9:fea9:fe00:0", Some(METADATA)),
            ("64:ff9b:1::a00:1", None),
            ("::ffff:0.0.0.0", Some(UNSPECIFIED)),
        ] {
            assert_eq!(refusal(address.parse().unwrap()), why, "{address}");
        }
    }

    #[test]
    fn what_is_allowed_by_configuration_is_dialled() {
        let allow = ["169.254.0.0/16", "fe80::/10"].map(|text| text.parse().unwrap());
        let targets = Targets::new(allow.to_vec(), Vec::new(), OwnAddresses::default());
        for (address, permitted) in [
            ("169.254.169.254", true),
            ("fe80::1", true),
            ("10.0.0.1", true),
            ("224.0.0.1", false),
            ("fd00:ec2::254", false),
        ] {
            assert_eq!(
                targets.permits(address.parse().unwrap(), 80),
                permitted,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_denied_by_configuration_is_not_dialled_also_where_it_is_allowed() {
        let network = |text: &str| text.parse().unwrap();
        let (allow, deny) = (
            vec![network("169.254.0.0/16")],
            vec![network("10.1.0.0/16"), network("169.254.169.254")],
        );
        let targets = Targets::new(allow, deny, OwnAddresses::default());
        for (address, permitted) in [
            ("10.1.2.3", false),
            ("10.2.2.3", true),
            ("169.254.169.254", false),
            ("169.254.1.1", true),
            ("64:ff9b::a01:203", false),
            ("64:ff9b::a02:203", true),
        ] {
            assert_eq!(
                targets.permits(address.parse().unwrap(), 80),
                permitted,
                "{address}"
            );
        }
    }

    #[test]
    fn the_registry_does_not_dial_itself() {
        let permits = |listens: &str, ip: &str, port| {
            let own = OwnAddresses::default();
            let targets = Targets::new(Vec::new(), Vec::new(), own.clone());
            let ip: IpAddr = ip.parse().unwrap();
            assert!(
                ip.is_unspecified() || targets.permits(ip, port),
                "nothing is its own yet"
            );
            own.tell(vec![listens.parse().unwrap()]);
            targets.permits(ip, port)
        };
        for (listens, ip, port, permitted) in [
            ("127.0.0.1:8848", "127.0.0.1", 8848, false),
            ("127.0.0.1:8848", "127.0.0.1", 8849, true),
            ("127.0.0.1:8848", "127.0.0.2", 8848, true),
            ("10.0.0.1:8848", "10.0.0.1", 8848, false),
            ("0.0.0.0:8848", "127.0.0.1", 8848, false),
            ("0.0.0.0:8848", "127.3.2.1", 8848, false),
            ("0.0.0.0:8848", "::1", 8848, false),
            ("[::]:8848", "127.0.0.1", 8848, false),
            ("[::]:8848", "::1", 8848, false),
            ("[::]:8848", "127.0.0.1", 80, true),
            // Documentation has these addresses, and no machine.
            ("0.0.0.0:8848", "192.0.2.1", 8848, true),
            ("[::]:8848", "2001:db8::1", 8848, true),
        ] {
            assert_eq!(permits(listens, ip, port), permitted, "{listens} {ip}:{port}");
        }
    }

    #[test]
    fn a_network_is_an_address_and_a_prefix() {
        for (text, ok) in [
            ("10.0.0.0/8", true),
            ("10.0.0.1", true),
            ("0.0.0.0/0", true),
            ("fe80::/10", true),
            ("::/0", true),
            ("::1/128", true),
            ("10.0.0.1/8", false),
            ("10.0.0.0/33", false),
            ("10.0.0.0/", false),
            ("10.0.0.0/x", false),
            ("fe80::1/10", false),
            ("::/129", false),
            ("a/8", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<Network>().is_ok(), ok, "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains([1, 2, 3, 4].into()) && !all.contains("::1".parse().unwrap()));
        let one: Network = "10.0.0.1".parse().unwrap();
        assert!(one.contains([10, 0, 0, 1].into()) && !one.contains([10, 0, 0, 0].into()));
    }
}
