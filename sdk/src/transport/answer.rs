//! Reading an answer: bounded, and with the problem that it may carry.

use beatrix_wire::Problem;
use bytes::{Bytes, BytesMut};
use reqwest::header::ETAG;
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;

use super::Address;
use crate::Error;

/// The longest answer that is read; a service of 100,000 instances takes less.
const BODY_LEN_MAX: usize = 64 << 20;

/// An answer that is no refusal: success, or "not modified".
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<String>,
    address: Address,
    body: Bytes,
}

impl Answer {
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.address.not_understood(error.to_string()))
    }
}

pub(super) async fn read(address: &Address, mut response: Response) -> Result<Answer, Error> {
    let status = response.status();
    let etag = response
        .headers()
        .get(ETAG)
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| address.failure(error))? {
        if body.len() + chunk.len() > BODY_LEN_MAX {
            return Err(address.not_understood(format!("longer than {BODY_LEN_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    let body = body.freeze();
    if status.is_success() || status == StatusCode::NOT_MODIFIED {
        Ok(Answer {
            status,
            etag,
            address: address.clone(),
            body,
        })
    } else {
        Err(Error::Refused(Box::new(refusal(status, &body))))
    }
}

/// The problem in the body. A proxy in front of the registry refuses with a page instead: then the status speaks.
fn refusal(status: StatusCode, body: &[u8]) -> Problem {
    if let Ok(mut problem) = serde_json::from_slice::<Problem>(body) {
        // Decisions hang on the status that was really sent.
        problem.status = status.as_u16();
        return problem;
    }
    let text = String::from_utf8_lossy(body);
    let start: String = text.trim().chars().take(200).collect();
    Problem {
        kind: "about:blank".into(),
        title: status.canonical_reason().unwrap_or("unknown status").into(),
        status: status.as_u16(),
        detail: if start.is_empty() {
            format!("status {status} without a body")
        } else {
            start
        },
        field: None,
        rule: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_without_a_problem_is_told_by_its_status() {
        let problem = refusal(StatusCode::BAD_GATEWAY, b" <html>nginx</html> ");
        assert_eq!(
            (problem.status, problem.detail.as_str()),
            (502, "<html>nginx</html>")
        );
        assert_eq!(
            refusal(StatusCode::NOT_FOUND, b"").detail,
            "status 404 Not Found without a body"
        );
    }

    #[test]
    fn the_status_sent_wins_over_the_status_written() {
        let body = br#"{"type":"urn:beatrix:problem:internal","title":"t","status":200,"detail":"d"}"#;
        assert_eq!(refusal(StatusCode::INTERNAL_SERVER_ERROR, body).status, 500);
    }
}
