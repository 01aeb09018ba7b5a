//! What answers look like in v2 and v3: a frame of code, message and data, for what went well and for most of what did
//! not.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;

use crate::error::{Code, Error};
use crate::frames;
use crate::listing::HostList;
use crate::reply;
use crate::wire::ResultJson;

/// `data` in the frame of an answer that went well.
pub(crate) fn success(data: impl Serialize) -> Response {
    of(StatusCode::OK, Code::SUCCESS, data)
}

/// What a write answers.
pub(crate) fn ok() -> Response {
    reply::json(r#"{"code":0,"message":"success","data":"ok"}"#)
}

/// Rendered `data`, in pieces, in the frame of an answer that went well.
pub(crate) fn success_of(data: impl IntoIterator<Item = Bytes>) -> Response {
    let head = Bytes::from_static(br#"{"code":0,"message":"success","data":"#);
    let pieces = std::iter::once(head)
        .chain(data)
        .chain([Bytes::from_static(b"}")]);
    reply::json(frames::body(pieces.collect()))
}

/// Hosts alone, in the frame of an answer that went well.
pub(crate) fn hosts(hosts: HostList) -> Response {
    let head = Bytes::from_static(br#"{"code":0,"message":"success","data":["#);
    reply::json(frames::body(hosts.after(head)))
}

/// Any answer in its frame.
pub(crate) fn of(status: StatusCode, code: Code, data: impl Serialize) -> Response {
    let Code(code, message) = code;
    reply::json_of(status, &ResultJson { code, message, data })
}

/// An error on its way to a client of v2 or v3.
#[derive(Debug)]
pub(crate) struct ResultError(Error);

impl<E: Into<Error>> From<E> for ResultError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for ResultError {
    fn into_response(self) -> Response {
        if self.0.is_of_check() {
            check_failed(&self.0)
        } else {
            of(self.0.status(), self.0.code(), self.0.to_string())
        }
    }
}

/// Nacos 2.x (`ParamCheckerFilter`): a line of bare text that is not to be cached, without a content type.
fn check_failed(error: &Error) -> Response {
    let mut response = Response::new(Body::from(format!("{error}\r\n")));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(
        header::EXPIRES,
        HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"),
    );
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache,no-store"),
    );
    response
}
