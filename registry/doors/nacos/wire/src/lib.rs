//! The messages of Nacos over gRPC: what every request, answer and push is wrapped in, and the two methods. What is
//! inside is JSON, and is the door's business.
//!
//! `generated.rs` is made from `proto/nacos_grpc_service.proto` by `cargo run -p beatrix-protogen`; a test there sees
//! that the two agree.

use bytes::Bytes;

#[expect(
    missing_docs,
    reason = "generated; the messages are described in the proto file"
)]
mod generated {
    include!("generated.rs");
}

pub use generated::{Body, Metadata, Payload};

/// The unary method.
pub const REQUEST: &str = "/Request/request";
/// The bidirectional stream.
pub const STREAM: &str = "/BiRequestStream/requestBiStream";

impl Payload {
    /// A message of the type `kind` with this JSON.
    #[must_use]
    pub fn of(kind: &str, json: impl Into<Bytes>) -> Self {
        let metadata = Metadata {
            r#type: kind.to_owned(),
            ..Metadata::default()
        };
        let body = Body {
            value: json.into(),
            ..Body::default()
        };
        Self {
            metadata: Some(metadata),
            body: Some(body),
        }
    }

    /// The type of the message; empty if it names none.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.metadata.as_ref().map_or("", |metadata| &metadata.r#type)
    }

    /// Its JSON; empty if it has none.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], |body| &body.value)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    /// The example of the protocol's description, byte for byte.
    #[test]
    fn a_payload_has_the_bytes_of_the_protocol() {
        let json = br#"{"headers":{},"module":"internal"}"#;
        let mut payload = Payload::of("HealthCheckRequest", &json[..]);
        let metadata = payload.metadata.as_mut().unwrap();
        metadata.headers.insert("app".into(), "x".into());
        metadata.client_ip = "10.0.0.5".into();
        let mut bytes = vec![0x12, 0x28, 0x1A, 0x12];
        bytes.extend(b"HealthCheckRequest");
        bytes.extend([0x3A, 0x08, 0x0A, 0x03]);
        bytes.extend(b"app");
        bytes.extend([0x12, 0x01, b'x', 0x42, 0x08]);
        bytes.extend(b"10.0.0.5");
        bytes.extend([0x1A, 0x24, 0x12, 0x22]);
        bytes.extend(json);
        assert_eq!(payload.encode_to_vec(), bytes);
        assert_eq!(Payload::decode(&bytes[..]), Ok(payload));
    }

    #[test]
    fn what_is_missing_reads_as_empty() {
        let nothing = Payload::default();
        assert_eq!((nothing.kind(), nothing.json()), ("", &b""[..]));
    }
}
