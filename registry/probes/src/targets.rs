//! Which addresses a probe may dial.
//!
//! Whoever may register an instance chooses an address that the registry dials. So addresses that no service can have but
//! that are worth something to a stranger are refused: those of a cloud's metadata service, which hands out credentials to
//! whoever asks from the machine; link-local ones; and those that stand for many or for none. Loopback and private
//! addresses are what services have, and are dialled. `allow` of the configuration lifts a refusal.
//!
//! An IPv6 address that only carries an IPv4 one is judged by that one, too.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

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
}

impl Targets {
    pub(crate) fn new(allow: Vec<Network>) -> Self {
        Self { allow }
    }

    /// Whether an address may be dialled. An address of the form `::ffff:10.0.0.1` is dialled as `10.0.0.1`, so it is asked
    /// for as that.
    pub(crate) fn permits(&self, ip: IpAddr) -> bool {
        refusal(ip).is_none() || self.allow.iter().any(|network| network.contains(ip))
    }
}

/// Why an address is refused unless it is allowed.
pub(crate) fn refusal(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => refusal_v4(ip),
        IpAddr::V6(ip) => refusal_v6(ip).or_else(|| refusal_v4(carried(ip)?)),
    }
}

/// The addresses at which clouds hand out credentials: Amazon and most others, Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(168, 63, 129, 16),
];

/// The same by IPv6: Amazon, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

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
    if METADATA_V6.contains(&ip) {
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
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = ip.to_bits();
    let low = u32::try_from(bits & u128::from(u32::MAX)).ok()?;
    match ip.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] if bits > 1 => Some(Ipv4Addr::from_bits(low)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(Ipv4Addr::from_bits(low)),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
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
            ("::ffff:0.0.0.0", Some(UNSPECIFIED)),
        ] {
            assert_eq!(refusal(address.parse().unwrap()), why, "{address}");
        }
    }

    #[test]
    fn what_is_allowed_by_configuration_is_dialled() {
        let allow = ["169.254.0.0/16", "fe80::/10"].map(|text| text.parse().unwrap());
        let targets = Targets::new(allow.to_vec());
        for (address, permitted) in [
            ("169.254.169.254", true),
            ("fe80::1", true),
            ("10.0.0.1", true),
            ("224.0.0.1", false),
            ("fd00:ec2::254", false),
        ] {
            assert_eq!(targets.permits(address.parse().unwrap()), permitted, "{address}");
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
