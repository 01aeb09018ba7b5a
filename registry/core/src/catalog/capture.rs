//! Taking a catalog apart into [`Piece`]s, in bounded steps.
//!
//! Under the catalog's lock a step only takes what is shared: chunks of rosters, texts, settings. The pieces are made of
//! it outside of the lock. Others write meanwhile, so each service is as of the revision of its own step.

use std::ops::Bound;
use std::sync::Arc;

use crate::liveness::Beats;
use crate::model::{Member, ServiceKey, ServiceRef};

use super::Catalog;
use super::piece::{InstancePiece, LayerPiece, Piece, ServicePiece};
use super::roster::Chunk;
use super::service::Service;

/// How many chunks go into one piece.
const CHUNKS_PER_PIECE: usize = 16;

/// A capture that is being made. It may not touch what it has passed already: the log tells what happened there since.
#[derive(Debug)]
pub struct CaptureWalk {
    /// Where to go on; `None` at the end.
    from: Option<Bound<ServiceKey>>,
    begun: bool,
}

impl Default for CaptureWalk {
    fn default() -> Self {
        Self {
            from: Some(Bound::Unbounded),
            begun: false,
        }
    }
}

/// What a step took.
#[derive(Debug)]
pub struct Captured {
    first: Vec<Piece>,
    services: Vec<(ServicePiece, Box<[Arc<Chunk>]>)>,
    beats: Arc<Beats>,
}

impl Catalog {
    /// Takes the next services, until about `chunks` chunks of at most 64 instances are in hand; a service is always
    /// taken whole. `None` at the end.
    #[must_use]
    pub fn capture(&self, walk: &mut CaptureWalk, chunks: usize) -> Option<Captured> {
        let from = walk.from.take()?;
        let mut captured = Captured {
            first: Vec::new(),
            services: Vec::new(),
            beats: self.beats(),
        };
        if !std::mem::replace(&mut walk.begun, true) {
            captured.first = self.capture_whole();
        }
        let mut taken = 0;
        for (key, index) in self.directory.range((from, Bound::Unbounded)) {
            let Some(service) = self.services[*index as usize].as_ref() else {
                continue;
            };
            let of_service: Box<[_]> = service.roster.chunks().into();
            taken += 1 + of_service.len() + service.layers.len() / 64;
            captured
                .services
                .push((self.capture_service(service), of_service));
            if taken >= chunks {
                walk.from = Some(Bound::Excluded(key.clone()));
                break;
            }
        }
        Some(captured)
    }

    /// What is known besides the services.
    fn capture_whole(&self) -> Vec<Piece> {
        let begin = Piece::Begin { as_of: self.revision };
        let namespaces = self.namespaces().into_iter().filter_map(|summary| {
            Some(Piece::Namespace {
                namespace: summary.namespace,
                info: summary.info?,
            })
        });
        let settings = self.settings.all();
        let settings = settings.iter().map(|(name, value)| Piece::Setting {
            name: name.clone(),
            value: Arc::clone(value),
        });
        std::iter::once(begin).chain(namespaces).chain(settings).collect()
    }

    fn capture_service(&self, service: &Service) -> ServicePiece {
        let layers = service.layers.iter().map(|(endpoint, kept)| LayerPiece {
            endpoint: endpoint.clone(),
            layer: kept.layer.clone(),
            of: kept.of.clone(),
        });
        ServicePiece {
            key: service.key().clone(),
            as_of: self.revision,
            revision: service.shared.changed(),
            settings: service.settings.clone(),
            emptied_by: service.emptied_by,
            layers: layers.collect(),
        }
    }
}

impl Captured {
    /// Makes the pieces. Without the catalog's lock.
    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        let beats = self.beats;
        let services = self.services.into_iter().flat_map(move |(service, chunks)| {
            let beats = Arc::clone(&beats);
            let key = service.key.clone();
            let count = chunks.len().div_ceil(CHUNKS_PER_PIECE);
            let instances = (0..count).map(move |place| {
                let first = place * CHUNKS_PER_PIECE;
                let some = &chunks[first..chunks.len().min(first + CHUNKS_PER_PIECE)];
                let members = some.iter().flat_map(|chunk| chunk.members());
                let instances = members.map(|member| instance(&beats, key.borrowed(), member));
                Piece::Instances(instances.collect())
            });
            std::iter::once(Piece::Service(Box::new(service))).chain(instances)
        });
        self.first.into_iter().chain(services)
    }
}

/// An instance as it was when its chunk was taken. It may have gone since, and its cell belong to another: then any lease
/// will do that nobody holds, since the log tells that it is gone.
fn instance(beats: &Beats, service: ServiceRef<'_>, member: &Member) -> InstancePiece {
    let identity = beats.identity(service, &member.endpoint);
    let cell = beats.cell(member.slot);
    let lease = cell.lease().filter(|_| cell.is(identity));
    InstancePiece {
        endpoint: member.endpoint.clone(),
        lease: lease.unwrap_or_else(|| identity.no_lease()),
        registration: member.record.registration.clone(),
        declared: member.record.declared.clone(),
        state: member.state,
    }
}
