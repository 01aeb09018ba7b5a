//! What is sent: the type of a message and its JSON, in pieces that others may share.

use bytes::Bytes;
use serde::Serialize;

/// A message to send.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    /// Its type. Nacos: the simple name of the class.
    pub(super) kind: &'static str,
    /// Its JSON. A long list of hosts is shared by all who are told of it.
    pub(super) pieces: Vec<Bytes>,
}

/// A request of the registry without anything of its own. Nacos: `headers` must be there, or Rust's client drops it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RequestJson<'a, T> {
    headers: Empty,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    module: &'a str,
    #[serde(flatten)]
    rest: T,
}

/// `{}`.
#[derive(Debug, Serialize)]
struct Empty {}

impl Outgoing {
    /// A message with this JSON.
    pub(super) fn of(kind: &'static str, json: &impl Serialize) -> Self {
        let json = serde_json::to_vec(json).expect("what is sent has texts as keys");
        Self {
            kind,
            pieces: vec![json.into()],
        }
    }

    /// A message with this JSON, which is always the same.
    pub(super) fn fixed(kind: &'static str, json: &'static str) -> Self {
        Self {
            kind,
            pieces: vec![Bytes::from_static(json.as_bytes())],
        }
    }

    /// A request of the registry, with a number if it is to be answered.
    pub(super) fn request(kind: &'static str, id: Option<u64>, module: &str, rest: impl Serialize) -> Self {
        let request = RequestJson {
            headers: Empty {},
            request_id: id.map(|id| id.to_string()),
            module,
            rest,
        };
        Self::of(kind, &request)
    }

    /// A message with pieces of JSON between two texts.
    pub(super) fn around(
        kind: &'static str,
        before: String,
        within: Vec<Bytes>,
        after: &'static str,
    ) -> Self {
        let mut pieces = Vec::with_capacity(within.len() + 2);
        pieces.push(before.into());
        pieces.extend(within);
        pieces.push(Bytes::from_static(after.as_bytes()));
        Self { kind, pieces }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_the_registry_has_headers() {
        let request = Outgoing::request("ClientDetectionRequest", Some(8), "internal", Empty {});
        assert_eq!(
            request.pieces.concat(),
            br#"{"headers":{},"requestId":"8","module":"internal"}"#
        );
    }
}
