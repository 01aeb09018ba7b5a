//! Requests for which there is no handler.

use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use beatrix_core::model::Wall;

use crate::door::Nacos;
use crate::reply;
use crate::wire::FilterErrorJson;

/// No such path. Nacos: 501 under `/nacos/v1/ns`, 404 elsewhere; clients rely on both.
pub(crate) async fn unmatched(nacos: Nacos, method: Method, uri: Uri) -> Response {
    let status = if is_v1(&uri) {
        StatusCode::NOT_IMPLEMENTED
    } else {
        StatusCode::NOT_FOUND
    };
    refused(status, nacos.registry.wall(), &method, &uri)
}

/// The path is there, but not with this method. Nacos: as if v1 had no such path.
pub(crate) async fn wrong_method(nacos: Nacos, method: Method, uri: Uri) -> Response {
    let status = if is_v1(&uri) {
        StatusCode::NOT_IMPLEMENTED
    } else {
        StatusCode::METHOD_NOT_ALLOWED
    };
    refused(status, nacos.registry.wall(), &method, &uri)
}

fn is_v1(uri: &Uri) -> bool {
    uri.path().starts_with("/nacos/v1/ns/")
}

fn refused(status: StatusCode, now: Wall, method: &Method, uri: &Uri) -> Response {
    let body = FilterErrorJson {
        timestamp: iso_8601(now),
        status: status.as_u16(),
        error: status.canonical_reason().unwrap_or_default(),
        message: format!("no such api: {method} {}", uri.path()),
        path: uri.path(),
    };
    reply::json_of(status, &body)
}

fn iso_8601(at: Wall) -> String {
    let millis = i64::try_from(at.0).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{timestamp:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_8601_up_to_the_end_of_time() {
        assert_eq!(iso_8601(Wall(1_700_000_000_120)), "2023-11-14T22:13:20.120Z");
        assert!(iso_8601(Wall(u64::MAX)).starts_with("9999-12-30"));
    }
}
