//! The receiving half of a connection's stream: its set-up, and the answers to what it was sent.

use std::sync::Arc;

use beatrix_nacos_wire::Payload;
use serde::Serialize;
use tonic::Streaming;

use super::connection::{Client, Connection};
use super::message::Outgoing;
use super::wire::{AnswerJson, SetupRequest, text};
use crate::limits::GRPC_TEXT_BYTES_MAX;

/// What a client calls an application that has no name.
const UNNAMED: &str = "unknown";

/// What this server can do, for clients that ask. Nacos from 2.3.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Abilities {
    ability_table: AbilityTable,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct AbilityTable {
    support_persistent_instance_by_grpc: bool,
    fuzzy_watch: bool,
    /// Another part of Nacos.
    lock: bool,
    /// Another part of Nacos.
    mcp: bool,
}

const ABILITIES: Abilities = Abilities {
    ability_table: AbilityTable {
        support_persistent_instance_by_grpc: true,
        fuzzy_watch: true,
        lock: false,
        mcp: false,
    },
};

/// Hears what comes until the stream ends, and with it the connection. Nacos lets one live on whose stream alone has
/// ended; no client does anything with it.
pub(super) async fn hear(connection: Arc<Connection>, mut stream: Streaming<Payload>) {
    loop {
        let heard = tokio::select! {
            heard = stream.message() => heard,
            () = connection.is_over() => return,
        };
        match heard {
            Ok(Some(payload)) => take(&connection, &payload),
            Ok(None) | Err(_) => break,
        }
    }
    connection.end("the stream has ended");
}

/// What cannot be understood is passed over: nothing that a client says here changes anything but what is its own.
fn take(connection: &Connection, payload: &Payload) {
    match payload.kind() {
        "ConnectionSetupRequest" => set_up(connection, payload.json()),
        kind if kind.ends_with("Response") => answered(connection, payload.json()),
        _ => {}
    }
}

fn set_up(connection: &Connection, json: &[u8]) {
    let Ok(request) = serde_json::from_slice::<SetupRequest<'_>>(json) else {
        return;
    };
    let first = connection.client().is_none();
    let app = text(request.labels.unwrap_or_default().app);
    connection.set_up(Client {
        app: short(named(&app).unwrap_or(UNNAMED)),
        version: short(&text(request.client_version)),
    });
    // They wait for it before they ask for anything; others would not know it.
    if first && request.ability_table.is_some() {
        let ack = Outgoing::request("SetupAckRequest", None, "internal", ABILITIES);
        connection.outbox.say(ack);
    }
}

/// The name of an application, if it is one. Nacos: `-` is none.
pub(super) fn named(app: &str) -> Option<&str> {
    let app = app.trim();
    (!app.is_empty() && app != "-" && app != UNNAMED).then_some(app)
}

/// A text that is kept to be shown.
pub(super) fn short(text: &str) -> String {
    let end = text.floor_char_boundary(GRPC_TEXT_BYTES_MAX);
    text[..end].to_owned()
}

fn answered(connection: &Connection, json: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<AnswerJson<'_>>(json) else {
        return;
    };
    if let Ok(request) = text(answer.request_id).parse() {
        connection.answered(request, answer.result_code == Some(200));
    }
}
