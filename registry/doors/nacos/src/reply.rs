//! Ready-made answers. The header values are made once; Nacos compares bodies byte for byte, so they are exact.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

/// Nacos ≤ 2.x; from 3.x without the charset. With it old clients decode names right.
const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=UTF-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain;charset=UTF-8");

/// What v1 says when a write is done: two bytes, no newline.
pub(crate) fn ok() -> Response {
    of(StatusCode::OK, TEXT, Bytes::from_static(b"ok"))
}

/// Plain text.
pub(crate) fn text(status: StatusCode, text: String) -> Response {
    of(status, TEXT, text)
}

/// JSON that is there already.
pub(crate) fn json(json: impl Into<Body>) -> Response {
    of(StatusCode::OK, JSON, json)
}

/// JSON made of `value`, compact as in Nacos.
pub(crate) fn json_of(status: StatusCode, value: &impl Serialize) -> Response {
    let json = serde_json::to_vec(value).expect("wire types have text keys and no failing parts");
    of(status, JSON, json)
}

fn of(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
