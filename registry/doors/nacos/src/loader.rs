//! Connections over gRPC as operators see them, and how they move some of them to another server.
//!
//! Nacos 2.x: `core/loader`. A client that is told to leave connects elsewhere, to the server that is named or the next
//! in its list, and then lets go. Those of Python and Rust do not follow.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use beatrix_core::model::{Endpoint, Invalid};
use serde::Serialize;

use crate::door::Nacos;
use crate::error::Error;
use crate::grpc::{Described, Reset};
use crate::limits::CLIENTS_MAX;
use crate::params::{Incoming, Param, Params};
use crate::reply;
use crate::result::{self, ResultError};
use crate::v1::error::TextError;

/// What went well is said so.
const SUCCESS: &str = "success";

/// The paths of v1 and v2, which are not framed, and of v3.
pub(crate) fn routes() -> Router<Nacos> {
    let mut routes = Router::new();
    for version in ["v1", "v2"] {
        routes = routes
            .route(&format!("/nacos/{version}/core/loader/current"), get(current))
            .route(
                &format!("/nacos/{version}/core/loader/reloadCurrent"),
                both(reload_current),
            )
            .route(
                &format!("/nacos/{version}/core/loader/reloadClient"),
                both(reload_client),
            );
    }
    routes
        .route("/nacos/v3/admin/core/loader/current", get(current_v3))
        .route(
            "/nacos/v3/admin/core/loader/reloadCurrent",
            both(reload_current_v3),
        )
        .route("/nacos/v3/admin/core/loader/reloadClient", both(reload_client_v3))
}

/// Nacos 2.x reads, Nacos 3.x writes.
fn both<H, T>(handler: H) -> MethodRouter<Nacos>
where
    H: axum::handler::Handler<T, Nacos>,
    T: 'static,
{
    get(handler.clone()).post(handler)
}

/// One connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionJson {
    meta_info: MetaJson,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MetaJson {
    connect_type: &'static str,
    client_ip: String,
    remote_ip: String,
    remote_port: u16,
    version: String,
    connection_id: String,
    create_time: u64,
    last_active_time: u64,
    app_name: String,
}

impl From<Described> for ConnectionJson {
    fn from(described: Described) -> Self {
        let ip = described.peer.ip().to_string();
        Self {
            meta_info: MetaJson {
                connect_type: "GRPC",
                client_ip: ip.clone(),
                remote_ip: ip,
                remote_port: described.peer.port(),
                version: described.version,
                connection_id: described.id,
                create_time: described.opened.0,
                last_active_time: described.heard.0,
                app_name: described.app,
            },
        }
    }
}

fn connections(nacos: &Nacos) -> BTreeMap<String, ConnectionJson> {
    let all = nacos.grpc.iter().flat_map(|grpc| grpc.describe(CLIENTS_MAX));
    all.map(|described| (described.id.clone(), described.into()))
        .collect()
}

async fn current(nacos: Nacos) -> Response {
    reply::json_of(StatusCode::OK, &connections(&nacos))
}

async fn current_v3(nacos: Nacos) -> Response {
    result::success(connections(&nacos))
}

async fn reload_current(nacos: Nacos, request: Request) -> Result<Response, TextError> {
    keep(&nacos, request).await?;
    Ok(success())
}

async fn reload_current_v3(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    keep(&nacos, request).await?;
    Ok(result::success(SUCCESS))
}

async fn reload_client(nacos: Nacos, request: Request) -> Result<Response, TextError> {
    one(&nacos, request).await?;
    Ok(success())
}

async fn reload_client_v3(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    one(&nacos, request).await?;
    Ok(result::success(SUCCESS))
}

fn success() -> Response {
    reply::text(StatusCode::OK, SUCCESS.to_owned())
}

/// So many stay; the others are told to leave.
async fn keep(nacos: &Nacos, request: Request) -> Result<(), Error> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let count = params.require(Param::Count)?;
    let count = count
        .parse()
        .map_err(|_| Invalid::new(Param::Count.as_str(), "must be a whole number", &count))?;
    let to = redirected(&params)?;
    if let Some(grpc) = &nacos.grpc {
        grpc.reset_down_to(count, &to);
    }
    Ok(())
}

async fn one(nacos: &Nacos, request: Request) -> Result<(), Error> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    let id = params.require(Param::ConnectionId)?;
    let to = redirected(&params)?;
    match nacos.grpc.as_ref().is_some_and(|grpc| grpc.reset(&id, &to)) {
        true => Ok(()),
        false => Err(Error::NoClient(id.chars().take(200).collect())),
    }
}

/// Where they are to go, if it is said: the address of HTTP of another server.
fn redirected(params: &Params<'_>) -> Result<Reset, Error> {
    let Some(address) = params
        .get(Param::RedirectAddress)?
        .filter(|address| !address.is_empty())
    else {
        return Ok(Reset::default());
    };
    let invalid = || {
        let rule = "must be an address and a port";
        Invalid::new(Param::RedirectAddress.as_str(), rule, &address)
    };
    let (ip, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let port: u16 = port.parse().map_err(|_| invalid())?;
    let endpoint = Endpoint::new(ip, port).map_err(|_| invalid())?;
    Ok(Reset { to: Some(endpoint) })
}
