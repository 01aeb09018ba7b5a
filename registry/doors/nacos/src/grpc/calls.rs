//! A unary call: which request it is, and whether it may be made. The order of the checks is that of Nacos 2.x.

use std::sync::Arc;

use beatrix_nacos_wire::Payload;
use serde::Serialize;
use serde::de::Deserialize;
use tokio::time::Instant;
use tonic::Status;

use super::answer::{Failure, Nothing, codes, success};
use super::connection::Connection;
use super::counts::count;
use super::kind::Kind;
use super::message::Outgoing;
use super::naming::{instances, lists, patterns, services};
use super::wire::Object;

/// The answer to a server check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ServerCheck<'a> {
    connection_id: &'a str,
    support_ability_negotiation: bool,
}

/// The answer to a health check; the most frequent one.
const HEALTHY: &str = r#"{"resultCode":200,"errorCode":0,"success":true}"#;

/// Answers a call.
///
/// # Errors
/// If the connection is not set up and asks whether it lives. Nacos answers with an error in the message; Go's and
/// Python's clients take that for health, and stay unregistered. A failed call makes them connect anew.
pub(super) async fn answer(connection: &Arc<Connection>, payload: &Payload) -> Result<Outgoing, Status> {
    let counters = &connection.shared.counters;
    count(&counters.requests);
    let kind = match Kind::of(payload.kind()) {
        Some(Kind::ServerCheck) => {
            // Not in Nacos. A client of Rust says nothing else while it has nothing to do, and does not answer when it is
            // asked whether it lives.
            if connection.client().is_some() {
                connection.pulse.heard(Instant::now());
            }
            return Ok(server_check(connection));
        }
        Some(Kind::OfServers) => {
            let message = format!(" invoke {} from sdk is forbidden", payload.kind());
            count(&counters.failed);
            return Ok(Failure::new(codes::BAD_GATEWAY, message).of_connection());
        }
        Some(kind) => kind,
        None => {
            count(&counters.failed);
            return Ok(Failure::new(codes::NO_HANDLER, "RequestHandler Not Found").of_connection());
        }
    };
    if !connection.is_set_up().await {
        count(&counters.failed);
        return match kind {
            Kind::HealthCheck => Err(Status::unavailable("the connection is not set up")),
            _ => Ok(Failure::new(codes::UNREGISTERED, "Connection is unregistered.").of_connection()),
        };
    }
    if kind == Kind::HealthCheck {
        connection.pulse.heard(Instant::now());
        return Ok(Outgoing::fixed(kind.answer(), HEALTHY));
    }
    Ok(naming(connection, kind, payload).await.unwrap_or_else(|answer| {
        count(&counters.failed);
        answer
    }))
}

fn server_check(connection: &Connection) -> Outgoing {
    let check = ServerCheck {
        connection_id: &connection.id,
        support_ability_negotiation: true,
    };
    success(Kind::ServerCheck, check)
}

/// The answer to a request about instances and services; `Err` has one of failure.
async fn naming(connection: &Connection, kind: Kind, payload: &Payload) -> Result<Outgoing, Outgoing> {
    match kind {
        Kind::Instance => {
            let request = read(connection, payload)?;
            let done = instances::held(connection, request).await;
            done.map_err(|failure| failure.typed(kind, Nothing {}))
        }
        Kind::PersistentInstance => {
            let request = read(connection, payload)?;
            let done = instances::persistent(connection, request).await;
            done.map_err(|failure| failure.typed(kind, Nothing {}))
        }
        Kind::BatchInstance => {
            let request = read(connection, payload)?;
            let done = instances::batch(connection, request).await;
            done.map_err(|failure| failure.typed(kind, Nothing {}))
        }
        Kind::Subscribe => {
            let request = read(connection, payload)?;
            lists::subscribe(connection, payload, request).map_err(|failed| failed.answer(kind))
        }
        Kind::Query => {
            let request = read(connection, payload)?;
            lists::query(connection, request).map_err(|failed| failed.answer(kind))
        }
        Kind::List => {
            let request = read(connection, payload)?;
            let listed = services::list(connection, request).await;
            listed.map_err(|failure| failure.typed(kind, services::NONE))
        }
        Kind::FuzzyWatch => {
            let request = read(connection, payload)?;
            let watched = patterns::watch(connection, request).await;
            watched.map_err(|failure| failure.typed(kind, Nothing {}))
        }
        // These were answered before.
        Kind::ServerCheck | Kind::HealthCheck | Kind::OfServers => {
            Err(Failure::new(codes::NO_HANDLER, "RequestHandler Not Found").of_connection())
        }
    }
}

/// Reads a request. What can be read is a sign of life.
fn read<'a, T: Deserialize<'a>>(connection: &Connection, payload: &'a Payload) -> Result<T, Outgoing> {
    let Object(request) = serde_json::from_slice(payload.json()).map_err(|error| {
        let message = format!("the request cannot be read: {error}");
        Failure::new(codes::BAD_GATEWAY, message).of_connection()
    })?;
    connection.pulse.heard(Instant::now());
    Ok(request)
}
