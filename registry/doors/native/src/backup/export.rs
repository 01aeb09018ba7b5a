//! `GET /api/v1/export`: a backup as it is made.
//!
//! The body is polled when the connection can take more, and only then the next step is taken: who reads slowly costs
//! nothing but the pieces of one step.

use std::convert::Infallible;
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
    let media_type = [(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/jsonl"),
    )];
    Ok((media_type, Body::new(lines)).into_response())
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

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        this.fill();
        let lines = std::mem::take(&mut this.begun);
        Poll::Ready((!lines.is_empty()).then(|| Ok(Frame::data(lines.into()))))
    }
}
