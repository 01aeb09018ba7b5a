//! `POST /api/v1/import`: lines of a backup, put back.
//!
//! A request is a part of a backup, or a small one whole. It is read to its end before anything of it is done, and what
//! it says is proposed in its order; what is repeated changes nothing, so that a part may be sent again.

use std::collections::HashSet;

use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use beatrix_core::catalog::{Part, Refusal};
use beatrix_core::model::{Invalid, Lifetime, LivenessKind, Surface};
use beatrix_engine::registry::{IMPORTS_MAX, Proposal, Wanted};
use beatrix_engine::{Registry, WriteError};
use beatrix_wire as wire;
use beatrix_wire::problem::kind;
use futures_util::StreamExt;

use super::check::{Follower, parse};
use super::entry::{Entry, Place, Within, entry};
use super::{IMPORT_BYTES_MAX, STILL_MAX};
use crate::extract::{Params, origin};
use crate::probes;
use crate::problem::{Failure, Result};

/// How many refused lines are told in one answer.
const REFUSED_TOLD_MAX: usize = 100;

/// Puts lines of a backup back. With a header it must be a whole one: the counts and the checksum of its end are checked.
/// Without, it is a part. What is named is overwritten, what is not named stays. Instances that beat keep their lease and
/// have a fresh deadline; they are marked `unconfirmed` until they beat. What is repeated changes nothing. A line that
/// cannot be read, or breaks a rule, refuses the whole request; one that the registry refuses, by a limit say, is told in
/// the answer, and the others stand.
#[utoipa::path(
    post, path = "/api/v1/import", tag = "backup", operation_id = "import",
    params(
        ("persistent_only" = Option<bool>, Query, description = "Leaves out instances that beat"),
        ("dry_run" = Option<bool>, Query, description = "Reads and checks, and changes nothing"),
    ),
    request_body(content = wire::BackupLine, content_type = "application/jsonl", description = "JSON lines, at most 8 MiB"),
    responses(
        (status = 200, body = wire::ImportReport), (status = 400, body = wire::Problem),
        (status = 408, body = wire::Problem), (status = 413, body = wire::Problem), (status = 429, body = wire::Problem),
        (status = 503, description = "Some of it may be done: send it again", body = wire::Problem),
    )
)]
pub(crate) async fn import(
    State(registry): State<Registry>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<axum::Json<wire::ImportReport>> {
    let params = Params::parse(query.as_deref(), &["persistent_only", "dry_run"], &[])?;
    let persistent_only = params.flag("persistent_only")?.unwrap_or(false);
    let dry_run = params.flag("dry_run")?.unwrap_or(false);
    let (parts, body) = request.into_parts();
    let registry = registry.on_behalf_of(origin(&parts, Surface::Import));
    let body = received(body).await?;
    // Only now: who sends slowly holds up nobody.
    let Some(_place) = registry.import_place() else {
        return Err(Failure::limit(
            StatusCode::TOO_MANY_REQUESTS,
            "imports_max",
            IMPORTS_MAX,
        ));
    };
    let wishes = read(&body)?;
    let mut report = wire::ImportReport::default();
    let mut wanted = Vec::with_capacity(wishes.len());
    for (line, wish) in wishes {
        if wish.is_left_out(persistent_only) {
            report.skipped += 1;
        } else if let Err(invalid) = wish.check(&registry) {
            if report.refused.len() < REFUSED_TOLD_MAX {
                let detail = invalid.to_string();
                report.refused.push(wire::ImportRefusal { line, detail });
            }
        } else {
            wanted.push((line, wish));
        }
    }
    if dry_run {
        report.changed = wanted.len() as u64;
        return Ok(axum::Json(report));
    }
    // Each has its place before the next is proposed; answered together, so they are committed in groups.
    let mut proposed = Vec::with_capacity(wanted.len());
    for (line, wish) in wanted {
        proposed.push((line, wish.propose(&registry).await?));
    }
    let mut outcomes = Vec::with_capacity(proposed.len());
    for (line, proposal) in proposed {
        outcomes.push((line, proposal.outcome().await));
    }
    for (line, outcome) in outcomes {
        match outcome {
            Ok(true) => report.changed += 1,
            Ok(false) => report.unchanged += 1,
            Err(WriteError::Refused(refusal)) => {
                if report.refused.len() < REFUSED_TOLD_MAX {
                    let detail = refusal.to_string();
                    report.refused.push(wire::ImportRefusal { line, detail });
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(axum::Json(report))
}

/// The whole body, from one who goes on sending.
async fn received(body: Body) -> Result<Vec<u8>> {
    let mut pieces = body.into_data_stream();
    let mut all = Vec::new();
    loop {
        let Ok(piece) = tokio::time::timeout(STILL_MAX, pieces.next()).await else {
            return Err(Failure::limit(
                StatusCode::REQUEST_TIMEOUT,
                "import_still_s_max",
                STILL_MAX.as_secs() as usize,
            ));
        };
        let Some(piece) = piece else {
            return Ok(all);
        };
        let piece = piece.map_err(|error| {
            let detail = format!("the body ended early: {error}");
            Failure::new(StatusCode::BAD_REQUEST, kind::INVALID_BACKUP, detail)
        })?;
        if all.len() + piece.len() > IMPORT_BYTES_MAX {
            return Err(Failure::limit(
                StatusCode::PAYLOAD_TOO_LARGE,
                "import_bytes_max",
                IMPORT_BYTES_MAX,
            ));
        }
        all.extend_from_slice(&piece);
    }
}

/// What a line asks for.
enum Wish {
    Put(Entry),
    Remove(Place),
}

fn bad_line(line: u64, what: &str) -> Failure {
    Failure::new(
        StatusCode::BAD_REQUEST,
        kind::INVALID_BACKUP,
        format!("line {line}: {what}"),
    )
    .about(format!("line {line}"), "must be as the format of backups has it")
}

fn read(body: &[u8]) -> Result<Vec<(u64, Wish)>> {
    let mut follower: Option<Follower> = None;
    let mut wishes = Vec::new();
    let mut leases = HashSet::new();
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    for (number, text) in (1_u64..).zip(lines) {
        let fail = |what: &str| bad_line(number, what);
        if number == 1 && is_header(text) {
            follower = Some(Follower::default());
        }
        let wish = if let Some(follower) = &mut follower {
            let entry = follower.take(text).map_err(|bad| bad_line(bad.line, &bad.what))?;
            entry.map(Wish::Put)
        } else {
            match parse(text.trim_ascii_end()).map_err(|what| fail(&what))? {
                wire::BackupLine::Remove(removal) => {
                    let place = Place::removed_by(&removal).map_err(|invalid| fail(&invalid.to_string()))?;
                    Some(Wish::Remove(place))
                }
                line => match entry(line).map_err(|invalid| fail(&invalid.to_string()))? {
                    Some(entry) => Some(Wish::Put(entry)),
                    None => return Err(fail("the first and the last line of a backup come together")),
                },
            }
        };
        if let Some(Wish::Put(Entry::Instance(_, piece))) = &wish
            && !leases.insert(piece.lease)
        {
            return Err(fail("another instance has the same lease"));
        }
        wishes.extend(wish.map(|wish| (number, wish)));
    }
    if let Some(follower) = follower {
        follower.end().map_err(|bad| bad_line(bad.line, &bad.what))?;
    }
    Ok(wishes)
}

fn is_header(text: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Kind {
        kind: String,
    }
    serde_json::from_slice(text).is_ok_and(|found: Kind| found.kind == "header")
}

impl Wish {
    fn is_left_out(&self, persistent_only: bool) -> bool {
        let Self::Put(Entry::Instance(_, piece)) = self else {
            return false;
        };
        let kind = piece.registration.liveness.kind();
        kind == LivenessKind::Session || persistent_only && kind.lifetime() == Lifetime::Ephemeral
    }

    /// What no registration may ask for, no line may either.
    fn check(&self, registry: &Registry) -> std::result::Result<(), Invalid> {
        match self {
            Self::Put(Entry::Instance(_, piece)) => {
                probes::check_method(registry, &piece.registration.liveness)
            }
            _ => Ok(()),
        }
    }

    /// Returns when it has its place in the order of all writes.
    async fn propose(self, registry: &Registry) -> std::result::Result<Proposed, WriteError> {
        let (wanted, removes) = match self {
            Self::Put(Entry::Namespace(namespace, info)) => (Wanted::Namespace(namespace, info), false),
            Self::Put(Entry::Setting(name, value)) => (Wanted::Setting(name, Some(value)), false),
            // It comes into being with its first part.
            Self::Put(Entry::Service(_, None)) => return Ok(Proposed::Nothing),
            Self::Put(Entry::Service(service, Some(settings))) => {
                (Wanted::Settings(service, settings), false)
            }
            Self::Put(Entry::Layer(service, piece)) => {
                (Wanted::Part(service, Box::new(Part::Layer(*piece))), false)
            }
            Self::Put(Entry::Instance(service, piece)) => {
                (Wanted::Part(service, Box::new(Part::Instance(*piece))), false)
            }
            Self::Remove(place) => (removal(place), true),
        };
        let proposal = registry.put_back(wanted).await?;
        Ok(Proposed::Waits { proposal, removes })
    }
}

/// A line that was proposed.
enum Proposed {
    /// It asks for nothing by itself.
    Nothing,
    Waits {
        proposal: Proposal,
        removes: bool,
    },
}

impl Proposed {
    /// Returns whether it changed anything.
    async fn outcome(self) -> std::result::Result<bool, WriteError> {
        let Self::Waits { proposal, removes } = self else {
            return Ok(false);
        };
        match proposal.answer().await {
            Ok(written) => Ok(written.changed),
            // It is not there, or has more than what a backup may take away.
            Err(WriteError::Refused(
                Refusal::ServiceNotFound(_)
                | Refusal::InstanceNotFound(..)
                | Refusal::NamespaceNotFound(_)
                | Refusal::ServiceNotEmpty(_),
            )) if removes => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn removal(place: Place) -> Wanted {
    match place {
        Place::Namespace(namespace) => Wanted::NoNamespace(namespace),
        Place::Setting(name) => Wanted::Setting(name, None),
        Place::Service(service, Within::Itself) => Wanted::NoService(service),
        Place::Service(service, Within::Layer(endpoint)) => Wanted::NoLayer(service, endpoint),
        Place::Service(service, Within::Instance(endpoint)) => Wanted::NoInstance(service, endpoint),
    }
}
