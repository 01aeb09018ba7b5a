//! The list of the servers of the cluster: this one.
//!
//! The registry does not know under which address it is reached. The request does, and so the node is shown under the
//! address that was asked; whoever sends another one misleads nobody but himself.

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, header, uri::Authority};
use axum::response::Response;
use axum::routing::get;

use crate::door::Nacos;
use crate::wire::{MemberJson, RestResultJson};
use crate::{reply, result};

/// Where Nacos listens, for a request that does not say where it went.
const ADDRESS: &str = "127.0.0.1:8848";
/// The port of addresses without one.
const HTTP_PORT: u16 = 80;

/// The paths of all versions.
pub(crate) fn routes() -> Router<Nacos> {
    let mut routes = Router::new().route("/nacos/v1/core/cluster/nodes", get(nodes_v1));
    for node in ["/nacos/v2/core/cluster/node", "/nacos/v3/admin/core/cluster/node"] {
        routes = routes
            .route(&format!("{node}/list"), get(nodes))
            .route(&format!("{node}/self"), get(node_self));
    }
    routes.route("/nacos/v3/console/core/cluster/nodes", get(nodes))
}

async fn nodes_v1(nacos: Nacos, request: Request) -> Response {
    let data = [member(&nacos, &request)];
    reply::json_of(StatusCode::OK, &RestResultJson::ok(data))
}

async fn nodes(nacos: Nacos, request: Request) -> Response {
    result::success([member(&nacos, &request)])
}

async fn node_self(nacos: Nacos, request: Request) -> Response {
    result::success(member(&nacos, &request))
}

/// This server, under the address that the request went to.
pub(crate) fn member(nacos: &Nacos, request: &Request) -> MemberJson {
    let authority = address(request);
    let (ip, port) = (authority.host(), authority.port_u16().unwrap_or(HTTP_PORT));
    MemberJson::new(ip, port, nacos.registry.complete())
}

/// Where the request went.
pub(crate) fn address(request: &Request) -> Authority {
    let host = request.headers().get(header::HOST);
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.clone()),
        None => host.and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    authority.unwrap_or(Authority::from_static(ADDRESS))
}
