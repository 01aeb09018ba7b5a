//! What comes back from a client: `{"type":"push-ack","lastRefTime":"17","data":""}`.

use serde::Deserialize;

use crate::wire::Scalar;

/// The one member that counts. Nacos 2.x: the type is not looked at (Go spells `unknow-ack`, others `dump-ack`).
#[derive(Deserialize)]
struct AckJson<'a> {
    #[serde(borrow, rename = "lastRefTime")]
    last_ref_time: Scalar<'a>,
}

/// Which datagram is acknowledged; `None` if none is. Java, Go and C++ send the number as text, Node and C# as a number.
pub(super) fn acknowledged(datagram: &[u8]) -> Option<u64> {
    let ack: AckJson<'_> = serde_json::from_slice(datagram).ok()?;
    ack.last_ref_time.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_number_are_acks_and_all_else_is_nothing() {
        for (datagram, found) in [
            (
                r#"{"type": "push-ack", "lastRefTime":"1700000000000001", "data":""}"#,
                Some(1_700_000_000_000_001),
            ),
            (
                r#"{"type":"push-ack","lastRefTime":1700000000000001,"data":null}"#,
                Some(1_700_000_000_000_001),
            ),
            (
                r#"{"type":"unknow-ack","lastRefTime":"7","data":"","x":{"y":[1]}}"#,
                Some(7),
            ),
            (r#"{"lastRefTime":"7"}"#, Some(7)),
            (r#"{"lastRefTime":"\u0037"}"#, Some(7)),
            (r#"{"lastRefTime":""}"#, None),
            (r#"{"lastRefTime":"-7"}"#, None),
            (r#"{"lastRefTime":-7}"#, None),
            (r#"{"lastRefTime":7.5}"#, None),
            (r#"{"lastRefTime":99999999999999999999}"#, None),
            (r#"{"lastRefTime":null}"#, None),
            (r#"{"lastRefTime":[7]}"#, None),
            (r#"{"lastRefTime":true}"#, None),
            (r#"{"lastRefTime":7"#, None),
            (r#"{"lastRefTime":7}}"#, None),
            (r#"{"type":"push-ack"}"#, None),
            ("7", None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(acknowledged(datagram.as_bytes()), found, "{datagram}");
        }
        assert_eq!(acknowledged(b"\xFF\xFE"), None);
        assert_eq!(acknowledged(&[b'['; 2048]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_ack_or_nothing(datagram in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _no_panic = acknowledged(&datagram);
        }

        #[test]
        fn every_number_is_found_in_either_form_and_in_any_company(
            id in any::<u64>(),
            quoted in any::<bool>(),
            kind in "[a-z-]{0,12}",
            data in any::<String>(),
            first in any::<bool>(),
        ) {
            let id_json = if quoted { serde_json::json!(id.to_string()) } else { serde_json::json!(id) };
            let (kind, data) = (serde_json::json!(kind), serde_json::json!(data));
            let datagram = if first {
                format!(r#"{{"lastRefTime":{id_json},"type":{kind},"data":{data}}}"#)
            } else {
                format!(r#" {{ "type" : {kind}, "data" : {data}, "lastRefTime" : {id_json} }} "#)
            };
            prop_assert_eq!(acknowledged(datagram.as_bytes()), Some(id));
            // Cut anywhere, it acknowledges nothing: not even another number.
            for end in 0..datagram.trim_end().len() {
                prop_assert_eq!(acknowledged(&datagram.as_bytes()[..end]), None);
            }
        }
    }
}
