//! What can be set about this door.

use std::time::Duration;

/// The settings of Nacos over gRPC.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many requests of one connection may be under way at once; a client's transport holds back more. Default 256.
    pub requests_in_flight_max: u32,
    /// How long a message may be, in bytes. Nacos 2.x: 10 MiB
    /// (`nacos.remote.server.grpc.sdk.max-inbound-message-size`).
    pub message_bytes_max: usize,
    /// How long the instances of a connection stay once it has ended, so that a client that reconnects and registers them
    /// again in that time is not missed by anybody. Default zero, as in Nacos: they go at once.
    pub reconnect_grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            requests_in_flight_max: 256,
            message_bytes_max: 10 * 1024 * 1024,
            reconnect_grace: Duration::ZERO,
        }
    }
}
