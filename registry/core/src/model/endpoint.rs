//! Where an instance listens: an IP address or a host name, and a port. It is what names an instance inside its
//! service.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use super::Invalid;

/// The longest host name, in bytes. Nacos 2.x: `ip` has at most 128 characters.
pub const HOST_NAME_LEN_MAX: usize = 128;

/// An address and a port.
///
/// The variants are flat, with the port in each: so it takes 24 bytes instead of 32, and there is one in every
/// instance. The order is by kind, address and port, and is the order of instances in a view.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// An IPv4 address.
    V4(Ipv4Addr, u16),
    /// An IPv6 address.
    V6(Ipv6Addr, u16),
    /// A host name, which Nacos allows. It is lower case, since host names have no case.
    Name(Arc<str>, u16),
}

impl Endpoint {
    /// Parses the address; IPv6 with or without brackets. The port may be 0, which only Nacos allows: the native
    /// door refuses it.
    ///
    /// # Errors
    /// Names the address if it is neither an IP address nor a host name.
    pub fn new(address: &str, port: u16) -> Result<Self, Invalid> {
        let bare = match address.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(|| invalid(address))?,
            None => address,
        };
        match bare.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) if bare.len() == address.len() => Ok(Self::V4(ip, port)),
            Ok(IpAddr::V6(ip)) => Ok(Self::V6(ip, port)),
            _ if bare.len() == address.len() && is_host_name(address) => {
                Ok(Self::Name(address.to_ascii_lowercase().into(), port))
            }
            _ => Err(invalid(address)),
        }
    }

    /// The IP address, if it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::V4(ip, _) => Some((*ip).into()),
            Self::V6(ip, _) => Some((*ip).into()),
            Self::Name(..) => None,
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::V4(_, port) | Self::V6(_, port) | Self::Name(_, port) => *port,
        }
    }

    /// The address without the port, IPv6 without brackets.
    #[must_use]
    pub fn address(&self) -> Address<'_> {
        Address(self)
    }
}

/// By kind, address and port. By hand, since every search of a service compares endpoints: an IPv4 one in one
/// comparison of numbers, where the derived order goes byte by byte.
impl Ord for Endpoint {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let kind = |endpoint: &Self| match endpoint {
            Self::V4(..) => 0_u8,
            Self::V6(..) => 1,
            Self::Name(..) => 2,
        };
        let number = |ip: &Ipv4Addr, port: u16| u64::from(ip.to_bits()) << 16 | u64::from(port);
        match (self, other) {
            (Self::V4(a, port), Self::V4(b, other)) => number(a, *port).cmp(&number(b, *other)),
            (Self::V6(a, port), Self::V6(b, other)) => (a.to_bits(), port).cmp(&(b.to_bits(), other)),
            (Self::Name(a, port), Self::Name(b, other)) => (a, port).cmp(&(b, other)),
            _ => kind(self).cmp(&kind(other)),
        }
    }
}

impl PartialOrd for Endpoint {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Prints the address of an [`Endpoint`].
#[derive(Debug, Clone, Copy)]
pub struct Address<'a>(&'a Endpoint);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Endpoint::V4(ip, _) => ip.fmt(f),
            Endpoint::V6(ip, _) => ip.fmt(f),
            Endpoint::Name(name, _) => f.write_str(name),
        }
    }
}

fn invalid(address: &str) -> Invalid {
    Invalid::new(
        "address",
        "must be an IPv4 address, an IPv6 address or a host name of at most 128 letters, digits, '-', '_' and '.'",
        address,
    )
}

/// RFC 1123 labels, and `_`, which service names in clusters carry. What consists of digits and dots only is a
/// mistyped IPv4 address, not a host name.
pub(super) fn is_host_name(text: &str) -> bool {
    let labels = text.strip_suffix('.').unwrap_or(text);
    text.len() <= HOST_NAME_LEN_MAX
        && labels.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
        && !labels.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// `address:port`, IPv6 in brackets, as in URLs.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V6(ip, port) => write!(f, "[{ip}]:{port}"),
            _ => write!(f, "{}:{}", self.address(), self.port()),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Endpoint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let shape = || {
            Invalid::new(
                "instance",
                "must be address:port, an IPv6 address in brackets",
                text,
            )
        };
        let (address, port) = text.rsplit_once(':').ok_or_else(shape)?;
        if address.contains(':') && !address.starts_with('[') {
            return Err(shape());
        }
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|_| port.bytes().all(|b| b.is_ascii_digit()))
            .ok_or_else(|| Invalid::new("port", "must be a number from 1 to 65535", port))?;
        Self::new(address, port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_takes_24_bytes() {
        assert_eq!(size_of::<Endpoint>(), 24);
    }

    #[test]
    fn text_is_canonical() {
        for (text, canonical) in [
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("[2001:DB8:0:0::1]:80", Some("[2001:db8::1]:80")),
            ("My-Host.Example:8080", Some("my-host.example:8080")),
            ("a_b.svc:1", Some("a_b.svc:1")),
            ("2001:db8::1:80", None),
            ("10.0.0.1", None),
            ("10.0.0:80", None),
            ("10.0.0.300:80", None),
            ("[10.0.0.1]:80", None),
            ("[::1:80", None),
            ("a b:80", None),
            ("-a:80", None),
            (":80", None),
            ("a:70000", None),
            ("a:+80", None),
            ("a:", None),
        ] {
            let parsed = text.parse::<Endpoint>().ok().map(|endpoint| endpoint.to_string());
            assert_eq!(parsed.as_deref(), canonical, "{text}");
        }
    }

    #[test]
    fn endpoints_are_ordered_by_kind_address_and_port() {
        let ordered = [
            "9.0.0.1:80",
            "10.0.0.1:79",
            "10.0.0.1:80",
            "10.0.0.2:1",
            "[::1]:80",
            "[::2]:1",
            "a:1",
            "b:1",
        ];
        let endpoints = ordered.map(|text| text.parse::<Endpoint>().unwrap());
        assert!(endpoints.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn the_address_has_no_brackets() {
        assert_eq!(Endpoint::new("::1", 80).unwrap().address().to_string(), "::1");
        assert_eq!(
            Endpoint::new("[::1]", 80).unwrap(),
            Endpoint::new("::1", 80).unwrap()
        );
    }
}
