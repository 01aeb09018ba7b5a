//! `GET /api/v1/export`: a backup as it is made.
//!
//! A step is taken when the connection has taken what the one before gave: who reads slowly costs nothing but the pieces
//! of one step. Who does not read at all is given up after a while, since he holds one of few places.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use beatrix_core::catalog::Piece;
use beatrix_core::model::Namespace;
use beatrix_engine::Registry;
use beatrix_engine::registry::{EXPORTS_MAX, Export};
use beatrix_wire as wire;
use bytes::Bytes;
use http_body::Frame;
use tokio::sync::mpsc;

use super::STILL_MAX;
use super::write::Writer;
use crate::extract::Params;
use crate::problem::{Failure, Result};

/// How many bytes are made at once, or the lines of one piece where those are more.
const FRAME_BYTES: usize = 64 * 1024;

/// Everything that the registry knows, as JSON lines: a header, namespaces, settings, services with their layers and
/// instances, and an end by which a cut backup is noticed. It holds leases and the passwords of checkers. Each service is
/// as of one moment; what changes meanwhile may be in it or not.
#[utoipa::path(
    get, path = "/api/v1/export", tag = "backup", operation_id = "export",
    params(("namespace" = Option<String>, Query, description = "Only of this namespace, without settings of the registry")),
    responses(
        (status = 200, body = wire::BackupLine, content_type = "application/jsonl"),
        (status = 400, body = wire::Problem), (status = 429, body = wire::Problem),
    )
)]
pub(crate) async fn export(State(registry): State<Registry>, RawQuery(query): RawQuery) -> Result<Response> {
    let params = Params::parse(query.as_deref(), &["namespace"], &[])?;
    let namespace = params.parsed::<Namespace>("namespace")?;
    let Some(export) = registry.export() else {
        return Err(Failure::limit(
            StatusCode::TOO_MANY_REQUESTS,
            "exports_max",
            EXPORTS_MAX,
        ));
    };
    let mut writer = Writer::new(namespace);
    let mut begun = Vec::new();
    writer.header(&mut begun, registry.version(), registry.wall());
    let lines = Lines {
        export: Some(export),
        pieces: Box::new(std::iter::empty()),
        writer,
        begun,
    };
    let (into, made) = mpsc::channel(1);
    tokio::spawn(lines.send(into));
    let media_type = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/jsonl"),
    )];
    Ok((media_type, Body::new(Backup { made, whole: false })).into_response())
}

struct Lines {
    /// `None` once the last line is made.
    export: Option<Export>,
    pieces: Box<dyn Iterator<Item = Piece> + Send>,
    writer: Writer,
    /// Lines that are made and not sent.
    begun: Vec<u8>,
}

impl Lines {
    fn fill(&mut self) {
        while self.begun.len() < FRAME_BYTES {
            if let Some(piece) = self.pieces.next() {
                self.writer.piece(&mut self.begun, piece);
                continue;
            }
            let Some(export) = self.export.as_mut() else {
                return;
            };
            match export.step() {
                Some(pieces) => self.pieces = Box::new(pieces),
                None => {
                    self.writer.end(&mut self.begun);
                    self.export = None;
                }
            }
        }
    }
}

impl Lines {
    /// Makes all of it for one who goes on reading.
    async fn send(mut self, into: mpsc::Sender<Made>) {
        loop {
            self.fill();
            let made = Made {
                lines: std::mem::take(&mut self.begun).into(),
                last: self.export.is_none(),
            };
            let last = made.last;
            let sent = tokio::time::timeout(STILL_MAX, into.send(made)).await;
            if last || !matches!(sent, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// Lines that are made, and whether they are the last.
struct Made {
    lines: Bytes,
    last: bool,
}

/// The body. It fails where the making was given up, so that the client sees that it is not whole.
struct Backup {
    made: mpsc::Receiver<Made>,
    whole: bool,
}

impl http_body::Body for Backup {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        Poll::Ready(match std::task::ready!(this.made.poll_recv(cx)) {
            Some(made) => {
                this.whole = made.last;
                Some(Ok(Frame::data(made.lines)))
            }
            None if this.whole => None,
            None => {
                this.whole = true;
                Some(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the backup was given up, since nobody read it",
                )))
            }
        })
    }
}
