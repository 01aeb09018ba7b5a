//! The door itself: the registry behind it, and the little that this door keeps besides.
//!
//! Every handler takes a [`Nacos`] as an argument, and with it a registry that writes on behalf of whoever asks: so who
//! it was is found in this one place.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use beatrix_core::model::{Origin, Surface};
use beatrix_engine::Registry;

use crate::grpc::Grpc;
use crate::switches::{Kept, Switches};
use crate::udp::Pusher;

/// What every handler gets. A clone is the same door.
#[derive(Debug, Clone)]
pub(crate) struct Nacos {
    door: Arc<Door>,
    /// Everything that is registered. Writes are on behalf of whoever sent the request.
    pub(crate) registry: Registry,
}

/// The parts of a [`Nacos`], which derefs to them.
#[derive(Debug)]
pub(crate) struct Door {
    registry: Registry,
    /// Who sends datagrams, if anybody does.
    pub(crate) pusher: Option<Pusher>,
    /// The connections over gRPC, if there are any.
    pub(crate) grpc: Option<Grpc>,
    switches: Kept,
}

impl Nacos {
    /// A door to `registry`; who asks for it is pushed to by `pusher`, and operators see the connections of `grpc`.
    pub(crate) fn new(registry: Registry, pusher: Option<Pusher>, grpc: Option<Grpc>) -> Self {
        Self {
            registry: registry.clone(),
            door: Arc::new(Door {
                registry,
                pusher,
                grpc,
                switches: Kept::default(),
            }),
        }
    }

    /// The same door, for writes on behalf of `origin`.
    pub(crate) fn on_behalf_of(&self, origin: Origin) -> Self {
        Self {
            door: Arc::clone(&self.door),
            registry: self.registry.on_behalf_of(origin),
        }
    }
}

/// Whose connection it is is told by the listener, and by nothing in the request.
impl FromRequestParts<Self> for Nacos {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, nacos: &Self) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let origin = Origin {
            surface: Surface::NacosHttp,
            peer: peer.map(|ConnectInfo(peer)| *peer),
        };
        Ok(nacos.on_behalf_of(origin))
    }
}

impl Door {
    /// The switches as they are set now.
    pub(crate) fn switches(&self) -> Arc<Switches> {
        self.switches.current(&self.registry)
    }

    /// The switches, if one of those is set that requests depend on. `None` nearly always, and then this is two loads
    /// of atomics: so it stands in the path of every beat.
    pub(crate) fn unusual(&self) -> Option<Arc<Switches>> {
        self.switches.unusual(&self.registry)
    }
}

impl Deref for Nacos {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}
