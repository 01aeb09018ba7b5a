//! Whether a request of v1 is let in at all: an operator can shut out some paths, and call the whole server something
//! other than up. v2 and v3 know neither.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;

use crate::door::Nacos;
use crate::reply;
use crate::switches::{ServerStatus, Switches};

/// A request that is let in.
///
/// An extractor and not a layer: that would box the future of every beat once more.
#[derive(Debug)]
pub(super) struct Admitted(pub(super) Request);

impl FromRequest<Nacos> for Admitted {
    type Rejection = Response;

    async fn from_request(request: Request, nacos: &Nacos) -> Result<Self, Response> {
        let refused = nacos
            .unusual()
            .and_then(|switches| refused(&switches, request.method(), request.uri()));
        match refused {
            None => Ok(Self(request)),
            Some(response) => Err(response),
        }
    }
}

/// Nacos 2.x (`TrafficReviseFilter`). Unlike there the paths of the switches are never shut: who shuts too much could not
/// undo it. And whoever calls himself a Nacos server gets no exception: no header is trusted.
fn refused(switches: &Switches, method: &Method, uri: &Uri) -> Option<Response> {
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    if uri.path().ends_with("/switches") {
        return None;
    }
    let limited = switches
        .limited_urls
        .iter()
        .find(|url| path.starts_with(&url.start));
    if let Some(url) = limited {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(url.status).ok()?;
        return Some(response);
    }
    let is_read = *method == Method::GET;
    match switches.server_status? {
        ServerStatus::Up => None,
        ServerStatus::ReadOnly if is_read => None,
        ServerStatus::WriteOnly if !is_read => None,
        status => {
            // The missing space is theirs.
            let text = format!("server is {}now", status.as_str());
            Some(reply::text(StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switches::LimitedUrl;

    #[test]
    fn what_is_shut_can_be_opened_again() {
        let shut = LimitedUrl {
            start: "/nacos/v1/ns/instance?serviceName=S".into(),
            status: 429,
        };
        for (status, limited, method, uri, expected) in [
            (
                None,
                true,
                Method::GET,
                "/nacos/v1/ns/instance?serviceName=S1",
                Some(429),
            ),
            (
                None,
                true,
                Method::GET,
                "/nacos/v1/ns/instance?serviceName=T",
                None,
            ),
            (
                Some(ServerStatus::Up),
                false,
                Method::GET,
                "/nacos/v1/ns/instance",
                None,
            ),
            (
                Some(ServerStatus::Down),
                false,
                Method::GET,
                "/nacos/v1/ns/instance",
                Some(503),
            ),
            (
                Some(ServerStatus::Down),
                false,
                Method::PUT,
                "/nacos/v1/ns/operator/switches",
                None,
            ),
            (
                Some(ServerStatus::ReadOnly),
                false,
                Method::GET,
                "/nacos/v1/ns/instance",
                None,
            ),
            (
                Some(ServerStatus::ReadOnly),
                false,
                Method::PUT,
                "/nacos/v1/ns/instance",
                Some(503),
            ),
            (
                Some(ServerStatus::WriteOnly),
                false,
                Method::PUT,
                "/nacos/v1/ns/instance",
                None,
            ),
            (
                Some(ServerStatus::WriteOnly),
                false,
                Method::GET,
                "/nacos/v1/ns/instance",
                Some(503),
            ),
        ] {
            let switches = Switches {
                server_status: status,
                limited_urls: limited.then(|| shut.clone()).into_iter().collect(),
                ..Switches::default()
            };
            let found = refused(&switches, &method, &uri.parse().unwrap());
            assert_eq!(
                found.map(|response| response.status().as_u16()),
                expected,
                "{method} {uri}"
            );
        }
    }
}
