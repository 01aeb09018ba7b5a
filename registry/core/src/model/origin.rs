//! Who asked for a change.

use std::net::SocketAddr;

/// Where a change came from. It is kept with the change, and decides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// By which way.
    pub surface: Surface,
    /// Whose connection it was, if it came over one. No header is trusted for it.
    pub peer: Option<SocketAddr>,
}

/// A way into the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Surface {
    /// Nobody asked: silence, a probe, the guard, or the time after which something ends.
    Registry,
    /// The native API.
    Native,
    /// Nacos over HTTP.
    NacosHttp,
    /// Nacos over gRPC.
    NacosGrpc,
    /// A backup that was read in.
    Import,
}

impl Origin {
    /// The registry itself.
    pub const REGISTRY: Self = Self {
        surface: Surface::Registry,
        peer: None,
    };
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Registry,
        Self::Native,
        Self::NacosHttp,
        Self::NacosGrpc,
        Self::Import,
    ];

    /// The surface as one word; part of the native API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Native => "native",
            Self::NacosHttp => "nacos_http",
            Self::NacosGrpc => "nacos_grpc",
            Self::Import => "import",
        }
    }
}
